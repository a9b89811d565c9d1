//! `endpointSelector`: whom a policy is for.

use std::sync::Arc;

use policy_model::{KubernetesSubject, LabelOperator, LabelSelector, Subject};

use super::labels::{Asked, NAMESPACE, require};
use crate::codes;
use crate::decode::{At, Findings};
use crate::kubernetes::LabelSelectorSpec;

/// Lowers an `endpointSelector`; `namespace` is that of a namespaced policy, which holds whatever the selector says of it.
pub(super) fn lower(
    selector: At<'_, LabelSelectorSpec<'_>>,
    namespace: Option<&Arc<str>>,
    findings: &mut Findings,
) -> Subject {
    let At { value, node } = selector;
    if namespace.is_none() && value.is_empty() {
        findings.report_help(
            codes::CILIUM_SELECTS_EVERYTHING,
            node,
            "every pod of every namespace is selected, those of kube-system too",
            "leave namespaces out by `matchExpressions` on `io.kubernetes.pod.namespace`",
        );
    }
    let mut selector = value.lower();
    let other = namespace.and_then(|own| meet_own_namespace(&mut selector, own));
    if let Some(other) = other {
        findings.report_help(
            codes::CILIUM_OTHER_NAMESPACE,
            node,
            match other {
                Other::Dropped => "a CiliumNetworkPolicy selects pods of its own namespace only; what is said of another is left out",
                Other::Nobody => "a CiliumNetworkPolicy selects pods of its own namespace only, and this asks for another besides: it selects nobody",
            },
            "use kind CiliumClusterwideNetworkPolicy",
        );
    }
    let mut asked = Asked::sort(selector);
    if let Some(key) = asked.unknowable.first() {
        findings.report(
            codes::CILIUM_SUBJECT,
            node,
            format!("Egret cannot know `{key}` of a pod, so it is unclear who is selected"),
        );
    }
    for (name, operator) in std::mem::take(&mut asked.reserved) {
        findings.report_help(
            codes::CILIUM_RESERVED_LABEL,
            node,
            format!("no pod has the label `reserved:{name}`"),
            "labels of pods have the prefix `k8s:`, `any:` or none",
        );
        // A key no pod has: it selects nobody, and its absence everybody.
        require(&mut asked.pods, &format!("reserved:{name}"), operator);
    }
    for key in &asked.filtered {
        findings.report_help(
            codes::CILIUM_IDENTITY_LABEL,
            node,
            format!("Cilium's agent leaves the label `{key}` out of identities, so there it selects nobody"),
            "Egret selects by it; choose another label if both are to read this policy",
        );
    }
    if asked.nothing {
        findings.report(
            codes::CILIUM_SUBJECT,
            node,
            "the selector asks for what no pod is, so it is unclear who is meant",
        );
    }
    if !asked.accounts.is_list() {
        return Subject::Endpoints(asked.expression(namespace.cloned()));
    }
    Subject::Kubernetes(KubernetesSubject {
        namespace: namespace.cloned(),
        namespaces: (!asked.namespaces.is_empty()).then_some(asked.namespaces),
        pods: Some(asked.pods),
        service_accounts: asked.accounts.any_of.unwrap_or_default(),
        nodes: None,
        host_network: false,
    })
}

/// What a namespaced policy says of a namespace that is not its own.
enum Other {
    Dropped,
    Nobody,
}

/// Cilium sets the namespace of a namespaced policy as the label of source `k8s`, over what `matchLabels` say of that one.
/// Whatever else asks for a namespace, without a source or by an expression, stays beside it (`ParseToCiliumRule`).
fn meet_own_namespace(selector: &mut LabelSelector, own: &Arc<str>) -> Option<Other> {
    let set = format!("k8s:{NAMESPACE}");
    let dropped = selector.match_labels.remove(set.as_str());
    let labels = selector
        .match_labels
        .iter()
        .any(|(key, value)| is_namespace(key) && value != own);
    let expressions = selector.match_expressions.iter().any(|expression| {
        is_namespace(&expression.key)
            && matches!(&expression.operator, LabelOperator::In(values) if !values.contains(own))
    });
    if labels || expressions {
        return Some(Other::Nobody);
    }
    dropped
        .is_some_and(|other| other != *own)
        .then_some(Other::Dropped)
}

fn is_namespace(key: &str) -> bool {
    matches!(key.split_once(':'), Some(("k8s" | "any", NAMESPACE))) || key == NAMESPACE
}
