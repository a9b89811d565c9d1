//! Cilium's labels: source prefixes, and the keys that stand for something else than a pod's label.
//!
//! A selector is sorted by what it is about ([`Asked`]); `subject.rs` and `endpoints.rs` make a subject or peers of that.

use std::sync::Arc;

use policy_model::{
    Expression, LabelExpression, LabelOperator, LabelSelector, NAMESPACE_NAME_LABEL,
};

/// The namespace of a pod, as a label.
pub(super) const NAMESPACE: &str = "io.kubernetes.pod.namespace";
const SERVICE_ACCOUNT: &str = "io.cilium.k8s.policy.serviceaccount";
const CLUSTER: &str = "io.cilium.k8s.policy.cluster";
const NAMESPACE_LABELS: &str = "io.cilium.k8s.namespace.labels.";

/// What Cilium's agent leaves out of identities where nobody configured it (`pkg/labelsfilter`, Cilium 1.20): by prefix, and
/// whole keys.
const NOT_IN_IDENTITIES: (&[&str], &[&str]) = (
    &[
        "io.kubernetes",
        "kubernetes.io/",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/controller-uid",
        "k8s.io",
        "annotation.",
    ],
    &[
        "pod-template-generation",
        "pod-template-hash",
        "controller-revision-hash",
        "controller-uid",
        "etcd_node",
    ],
);

/// A selector, sorted. All parts must hold.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) pods: LabelSelector,
    pub(super) namespaces: LabelSelector,
    /// It says something of the namespace, so the policy's own is not implied.
    pub(super) names_namespace: bool,
    pub(super) accounts: Accounts,
    /// Keys of Cilium's own endpoints (`reserved:host`), without the prefix.
    pub(super) reserved: Vec<(Arc<str>, LabelOperator)>,
    /// Keys Egret knows nothing of: `cidr:`, `fqdn:`, another cluster of a mesh…
    pub(super) unknowable: Vec<Arc<str>>,
    /// It asks for what no pod is, such as one in no namespace.
    pub(super) nothing: bool,
    /// Keys that are no part of Cilium's identities unless its agent is told so.
    pub(super) filtered: Vec<Arc<str>>,
}

/// Which `ServiceAccounts` are asked for; a pod always has one.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// One of these.
    pub(super) any_of: Option<Vec<Arc<str>>>,
    /// None of these.
    pub(super) none_of: Vec<Arc<str>>,
}

impl Asked {
    pub(super) fn sort(selector: LabelSelector) -> Self {
        let mut asked = Self::default();
        for LabelExpression { key, operator } in requirements(selector) {
            asked.add(&key, operator);
        }
        asked
    }

    fn add(&mut self, key: &Arc<str>, operator: LabelOperator) {
        let label = match key.split_once(':') {
            None => key,
            Some(("k8s" | "any", label)) => label,
            Some(("reserved", label)) => {
                self.reserved.push((label.into(), operator));
                return;
            }
            Some(_) => {
                self.unknowable.push(Arc::clone(key));
                return;
            }
        };
        match label {
            NAMESPACE => {
                self.names_namespace = true;
                match operator {
                    LabelOperator::Exists => {}
                    LabelOperator::DoesNotExist => self.nothing = true,
                    operator @ (LabelOperator::In(_) | LabelOperator::NotIn(_)) => {
                        require(&mut self.namespaces, NAMESPACE_NAME_LABEL, operator);
                    }
                }
            }
            SERVICE_ACCOUNT => self.accounts.add(operator, &mut self.nothing),
            CLUSTER => match operator {
                LabelOperator::Exists => {}
                LabelOperator::DoesNotExist => self.nothing = true,
                LabelOperator::In(_) | LabelOperator::NotIn(_) => {
                    self.unknowable.push(Arc::clone(key));
                }
            },
            label => match label.strip_prefix(NAMESPACE_LABELS) {
                Some(label) => {
                    self.names_namespace = true;
                    require(&mut self.namespaces, label, operator);
                }
                None => {
                    if is_filtered(label) {
                        self.filtered.push(label.into());
                    }
                    require(&mut self.pods, label, operator);
                }
            },
        }
    }

    /// Everything that is asked, as an expression over an endpoint's labels: for what a list of accounts cannot say.
    pub(super) fn expression(self, namespace: Option<Arc<str>>) -> Expression {
        // The labels of `policy_model::Endpoint::label`.
        const OWN_NAMESPACE: &str = "projectcalico.org/namespace";
        let mut all = vec![Expression::Equal(
            "projectcalico.org/orchestrator".into(),
            "k8s".into(),
        )];
        all.extend(namespace.map(|own| Expression::Equal(OWN_NAMESPACE.into(), own)));
        all.extend(conditions(self.pods, |key| key));
        all.extend(conditions(self.namespaces, |key| {
            if *key == *NAMESPACE_NAME_LABEL {
                OWN_NAMESPACE.into()
            } else {
                format!("pcns.{key}").into()
            }
        }));
        let account = || Arc::from("projectcalico.org/serviceaccount");
        all.extend(
            self.accounts
                .any_of
                .map(|any_of| Expression::In(account(), any_of)),
        );
        if !self.accounts.none_of.is_empty() {
            all.push(Expression::NotIn(account(), self.accounts.none_of));
        }
        Expression::And(all)
    }
}

impl Accounts {
    /// Whether a list of names says it.
    pub(super) fn is_list(&self) -> bool {
        self.none_of.is_empty()
    }

    fn add(&mut self, operator: LabelOperator, nothing: &mut bool) {
        match operator {
            LabelOperator::Exists => {}
            LabelOperator::DoesNotExist => *nothing = true,
            LabelOperator::In(mut names) => {
                if let Some(known) = &self.any_of {
                    names.retain(|name| known.contains(name));
                }
                self.any_of = Some(names);
            }
            LabelOperator::NotIn(names) => self.none_of.extend(names),
        }
        if let Some(names) = &mut self.any_of {
            names.retain(|name| !self.none_of.contains(name));
            *nothing |= names.is_empty();
            self.none_of.clear();
        }
    }
}

/// A selector of Services or nodes, whose keys may have a source prefix that means nothing there.
pub(super) fn without_sources(selector: LabelSelector) -> LabelSelector {
    let mut bare = LabelSelector::default();
    for LabelExpression { key, operator } in requirements(selector) {
        let label = match key.split_once(':') {
            Some(("k8s" | "any" | "node", label)) => label,
            Some(_) | None => &key,
        };
        require(&mut bare, label, operator);
    }
    bare
}

fn requirements(selector: LabelSelector) -> impl Iterator<Item = LabelExpression> {
    let LabelSelector {
        match_labels,
        match_expressions,
    } = selector;
    match_labels
        .into_iter()
        .map(|(key, value)| LabelExpression {
            key,
            operator: LabelOperator::In(vec![value]),
        })
        .chain(match_expressions)
}

pub(super) fn require(selector: &mut LabelSelector, key: &str, operator: LabelOperator) {
    match operator {
        LabelOperator::In(mut values)
            if values.len() == 1 && !selector.match_labels.contains_key(key) =>
        {
            if let Some(value) = values.pop() {
                selector.match_labels.insert(key.into(), value);
            }
        }
        operator @ (LabelOperator::In(_)
        | LabelOperator::NotIn(_)
        | LabelOperator::Exists
        | LabelOperator::DoesNotExist) => {
            selector.match_expressions.push(LabelExpression {
                key: key.into(),
                operator,
            });
        }
    }
}

fn conditions(
    selector: LabelSelector,
    key: impl Fn(Arc<str>) -> Arc<str>,
) -> impl Iterator<Item = Expression> {
    requirements(selector).map(move |requirement| {
        let key = key(requirement.key);
        match requirement.operator {
            LabelOperator::In(values) => Expression::In(key, values),
            LabelOperator::NotIn(values) => Expression::NotIn(key, values),
            LabelOperator::Exists => Expression::Has(key),
            LabelOperator::DoesNotExist => Expression::Not(Box::new(Expression::Has(key))),
        }
    })
}

fn is_filtered(label: &str) -> bool {
    let (prefixes, keys) = NOT_IN_IDENTITIES;
    prefixes.iter().any(|prefix| label.starts_with(prefix))
        || keys.contains(&label)
        || label
            .split_once('/')
            .is_some_and(|(domain, _)| domain.ends_with("beta.kubernetes.io"))
}
