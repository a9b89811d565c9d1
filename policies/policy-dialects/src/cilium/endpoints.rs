//! `toEndpoints`: pods by label, and Cilium's own endpoints.

use std::sync::Arc;

use policy_model::{EndpointPeer, EndpointScope, LabelOperator, Peer, PodPeer};

use super::entity::{self, EntitySpec};
use super::labels::Asked;
use super::v2::closed_text;
use crate::codes;
use crate::decode::{At, Findings};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::Node;

/// What one selector means.
#[derive(Debug)]
pub(super) enum Destination {
    Peer(Peer),
    Nothing,
    /// Reported already.
    Closed,
}

/// Lowers one selector of `toEndpoints`; `namespace` is that of a namespaced policy, implied where the selector says nothing
/// of namespaces.
pub(super) fn lower(
    selector: At<'_, LabelSelectorSpec<'_>>,
    namespace: Option<&Arc<str>>,
    deny: bool,
    findings: &mut Findings,
) -> Destination {
    let At { value, node } = selector;
    let asked = Asked::sort(value.lower());
    if let Some(key) = asked.unknowable.first() {
        return close(&format!("the label `{key}`"), node, deny, findings);
    }
    if !asked.reserved.is_empty() {
        return lower_reserved(&asked, node, deny, findings);
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
        return Destination::Nothing;
    }
    let implied = namespace.filter(|_| !asked.names_namespace).cloned();
    if !asked.accounts.is_list() {
        return Destination::Peer(Peer::Endpoints(EndpointPeer {
            selector: Some(asked.expression(implied)),
            scope: EndpointScope::WithoutSets,
            ..EndpointPeer::default()
        }));
    }
    Destination::Peer(Peer::Pods(PodPeer {
        namespace: implied,
        namespaces: (!asked.namespaces.is_empty()).then_some(asked.namespaces),
        pods: asked.pods,
        service_accounts: asked.accounts.any_of.unwrap_or_default(),
    }))
}

/// `reserved:host` and its like name an entity; with anything beside it nobody says what is meant.
fn lower_reserved(
    asked: &Asked,
    node: Node<'_>,
    deny: bool,
    findings: &mut Findings,
) -> Destination {
    let alone = asked.pods.is_empty()
        && !asked.names_namespace
        && asked.accounts.any_of.is_none()
        && asked.accounts.is_list();
    let [(name, operator)] = asked.reserved.as_slice() else {
        return close("several reserved labels", node, deny, findings);
    };
    let positive = match operator {
        LabelOperator::Exists => true,
        LabelOperator::In(values) => values.iter().any(|value| value.is_empty()),
        LabelOperator::NotIn(_) | LabelOperator::DoesNotExist => false,
    };
    match entity::of_name(name).filter(|_| alone && positive) {
        Some(EntitySpec::Entity(entity)) => Destination::Peer(Peer::Entity(entity)),
        Some(EntitySpec::Nothing) => Destination::Nothing,
        Some(EntitySpec::Foreign(_)) | None => close(
            &format!("the label `reserved:{name}` here"),
            node,
            deny,
            findings,
        ),
    }
}

fn close(what: &str, node: Node<'_>, deny: bool, findings: &mut Findings) -> Destination {
    findings.report_help(
        codes::CILIUM_TO_ENDPOINTS,
        node,
        closed_text(what, deny),
        "select pods by their labels, their namespace and their service account",
    );
    Destination::Closed
}
