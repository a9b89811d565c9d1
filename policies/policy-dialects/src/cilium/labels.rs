//! Cilium's labels: source prefixes, and the keys that stand for something else than a pod's label.

use std::sync::Arc;

use policy_model::{KubernetesSubject, LabelExpression, LabelOperator, LabelSelector};

use crate::codes;
use crate::decode::{At, Findings};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::Node;

/// The namespace of a pod, as a label.
const NAMESPACE: &str = "io.kubernetes.pod.namespace";
const SERVICE_ACCOUNT: &str = "io.cilium.k8s.policy.serviceaccount";
const CLUSTER: &str = "io.cilium.k8s.policy.cluster";
const NAMESPACE_LABELS: &str = "io.cilium.k8s.namespace.labels.";
/// The label every namespace has by itself.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Lowers an `endpointSelector`; `namespace` is that of a namespaced policy, which holds whatever the selector says of it.
pub(crate) fn lower(
    selector: At<'_, LabelSelectorSpec<'_>>,
    namespace: Option<&Arc<str>>,
    findings: &mut Findings,
) -> KubernetesSubject {
    let At {
        value: selector,
        node,
    } = selector;
    if namespace.is_none() && selector.is_empty() {
        findings.report_help(
            codes::CILIUM_SELECTS_EVERYTHING,
            node,
            "every pod of every namespace is selected, those of kube-system too",
            "leave namespaces out by `matchExpressions` on `io.kubernetes.pod.namespace`",
        );
    }
    let mut subject = KubernetesSubject {
        namespace: namespace.cloned(),
        ..KubernetesSubject::default()
    };
    let (mut pods, mut namespaces) = (LabelSelector::default(), LabelSelector::default());
    let LabelSelector {
        match_labels,
        match_expressions,
    } = selector.lower();
    let all = match_labels
        .into_iter()
        .map(|(key, value)| LabelExpression {
            key,
            operator: LabelOperator::In(vec![value]),
        })
        .chain(match_expressions);
    for LabelExpression { key, operator } in all {
        let bare = bare_key(&key);
        match bare {
            Key::Other => {
                findings.report_help(
                    codes::CILIUM_RESERVED_LABEL,
                    node,
                    format!("no pod has the label `{key}`"),
                    "labels of pods have the prefix `k8s:`, `any:` or none",
                );
                require(&mut pods, &key, operator);
            }
            Key::Pod(NAMESPACE) => match namespace {
                Some(own) => {
                    if !matches!(&operator, LabelOperator::In(values) if values.contains(own)) {
                        findings.report_help(
                            codes::CILIUM_OTHER_NAMESPACE,
                            node,
                            "a CiliumNetworkPolicy selects pods of its own namespace only; what is said of another is left out",
                            "use kind CiliumClusterwideNetworkPolicy",
                        );
                    }
                }
                None => require(&mut namespaces, NAMESPACE_NAME, operator),
            },
            Key::Pod(SERVICE_ACCOUNT) => match operator {
                LabelOperator::In(accounts) if subject.service_accounts.is_empty() => {
                    subject.service_accounts = accounts
                }
                LabelOperator::Exists => {}
                LabelOperator::In(_) | LabelOperator::NotIn(_) | LabelOperator::DoesNotExist => {
                    refuse(node, &key, findings)
                }
            },
            Key::Pod(CLUSTER) => refuse(node, &key, findings),
            Key::Pod(label) => match label.strip_prefix(NAMESPACE_LABELS) {
                Some(label) => require(&mut namespaces, label, operator),
                None => require(&mut pods, label, operator),
            },
        }
    }
    subject.pods = Some(pods);
    subject.namespaces = (!namespaces.is_empty()).then_some(namespaces);
    subject
}

enum Key<'k> {
    /// A label of a pod, without the source prefix.
    Pod(&'k str),
    /// A label only Cilium's own endpoints have: `reserved:`, `cidr:`, `fqdn:`…
    Other,
}

fn bare_key(key: &str) -> Key<'_> {
    match key.split_once(':') {
        None => Key::Pod(key),
        Some(("k8s" | "any", label)) => Key::Pod(label),
        Some(_) => Key::Other,
    }
}

fn require(selector: &mut LabelSelector, key: &str, operator: LabelOperator) {
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

fn refuse(node: Node<'_>, key: &str, findings: &mut Findings) {
    findings.report(
        codes::CILIUM_SUBJECT,
        node,
        format!("Egret cannot know `{key}` of a pod in this way, so it is unclear who is selected"),
    );
}
