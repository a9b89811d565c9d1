//! Selectors in Cilium's labels.

use policy_model::{
    KubernetesSubject, LabelExpression, LabelOperator, LabelSelector, NAMESPACE_NAME_LABEL, PodPeer,
};

use crate::kubernetes::selector;
use crate::yaml::write::Map;

const NAMESPACE: &str = "k8s:io.kubernetes.pod.namespace";
const NAMESPACE_LABELS: &str = "k8s:io.cilium.k8s.namespace.labels.";
const SERVICE_ACCOUNT: &str = "k8s:io.cilium.k8s.policy.serviceaccount";

/// The selector of a subject; `own` is the namespace of the object, which goes without saying.
pub(super) fn of_subject(subject: &KubernetesSubject, own: Option<&str>) -> Map {
    let KubernetesSubject {
        namespace,
        namespaces,
        pods,
        service_accounts,
        nodes: _,
        host_network: _,
    } = subject;
    let mut all = pods.clone().unwrap_or_default();
    if let Some(namespace) = namespace.as_deref().filter(|_| own.is_none()) {
        require(
            &mut all,
            NAMESPACE,
            LabelOperator::In(vec![namespace.into()]),
        );
    }
    if let Some(namespaces) = namespaces {
        of_namespaces(&mut all, namespaces);
    }
    of_accounts(&mut all, service_accounts);
    selector(&all)
}

/// The selector of a peer in an object of the namespace `own`.
pub(super) fn of_pods(peer: &PodPeer, own: Option<&str>) -> Map {
    let PodPeer {
        namespace,
        namespaces,
        pods,
        service_accounts,
    } = peer;
    let mut all = pods.clone();
    match namespace.as_deref() {
        Some(namespace) if own == Some(namespace) && namespaces.is_none() => {}
        Some(namespace) => require(
            &mut all,
            NAMESPACE,
            LabelOperator::In(vec![namespace.into()]),
        ),
        None => {}
    }
    if let Some(namespaces) = namespaces {
        of_namespaces(&mut all, namespaces);
    }
    // Without a word of namespaces the object's own is meant.
    let says_namespace = all.match_labels.contains_key(NAMESPACE)
        || all
            .match_expressions
            .iter()
            .any(|expression| &*expression.key == NAMESPACE);
    if namespace.is_none() && !says_namespace {
        require(&mut all, NAMESPACE, LabelOperator::Exists);
    }
    of_accounts(&mut all, service_accounts);
    selector(&all)
}

/// A label of namespaces for which Cilium has no name: it puts its own words before it, and a label's name ends at 63 characters,
/// what stands before a slash at 253.
pub(super) fn too_long(namespaces: Option<&LabelSelector>) -> Option<&str> {
    let words = NAMESPACE_LABELS.len() - "k8s:".len();
    let namespaces = namespaces?;
    let keys = namespaces.match_labels.keys();
    let expressions = namespaces.match_expressions.iter();
    keys.chain(expressions.map(|expression| &expression.key))
        .map(|key| &**key)
        .filter(|key| *key != NAMESPACE_NAME_LABEL)
        .find(|key| match key.split_once('/') {
            Some((before, _)) => words + before.len() > 253,
            None => words + key.len() > 63,
        })
}

/// The pods that answer for the cluster's DNS.
pub(super) fn cluster_dns() -> Map {
    let labels = Map::new()
        .with(NAMESPACE, "kube-system")
        .with("k8s-app", "kube-dns");
    Map::new().with("matchLabels", labels)
}

fn of_namespaces(all: &mut LabelSelector, namespaces: &LabelSelector) {
    let labels = namespaces
        .match_labels
        .iter()
        .map(|(key, value)| LabelExpression {
            key: key.clone(),
            operator: LabelOperator::In(vec![value.clone()]),
        });
    for LabelExpression { key, operator } in
        labels.chain(namespaces.match_expressions.iter().cloned())
    {
        if *key == *NAMESPACE_NAME_LABEL {
            require(all, NAMESPACE, operator);
        } else {
            require(all, &format!("{NAMESPACE_LABELS}{key}"), operator);
        }
    }
}

fn of_accounts(all: &mut LabelSelector, accounts: &[std::sync::Arc<str>]) {
    if !accounts.is_empty() {
        require(all, SERVICE_ACCOUNT, LabelOperator::In(accounts.to_vec()));
    }
}

fn require(all: &mut LabelSelector, key: &str, operator: LabelOperator) {
    match operator {
        LabelOperator::In(values) if values.len() == 1 && !all.match_labels.contains_key(key) => {
            all.match_labels
                .extend(values.into_iter().map(|value| (key.into(), value)));
        }
        operator @ (LabelOperator::In(_)
        | LabelOperator::NotIn(_)
        | LabelOperator::Exists
        | LabelOperator::DoesNotExist) => all.match_expressions.push(LabelExpression {
            key: key.into(),
            operator,
        }),
    }
}
