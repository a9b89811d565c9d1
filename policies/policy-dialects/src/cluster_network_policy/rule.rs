use policy_model::Action;

use super::api::{Api, Closing, PortSpec, at_most, items, required};
use super::peer::{PeerKindSpec, PeerSpec, decode_peer};
use crate::codes;
use crate::decode::{At, Findings};
use crate::yaml::{Node, Shape};

/// One entry of `egress`.
#[derive(Debug)]
pub(super) struct RuleSpec<'d> {
    pub(super) node: Node<'d>,
    pub(super) name: Option<&'d str>,
    pub(super) action: Action,
    pub(super) to: Vec<PeerSpec<'d>>,
    /// Nothing: every port and protocol.
    pub(super) ports: Option<Vec<PortSpec<'d>>>,
    /// Why it fails closed.
    pub(super) closing: Closing,
}

/// LIMIT: `maxLength` of a rule's name.
const LONGEST_NAME: usize = 100;

impl<'d> RuleSpec<'d> {
    /// Reads `egress`.
    pub(super) fn decode_list(
        node: Option<Node<'d>>,
        api: &Api,
        findings: &mut Findings,
    ) -> Vec<Self> {
        let Some(node) = node else { return Vec::new() };
        let items = findings.list(node).unwrap_or_default();
        at_most(node, items.len(), "egress", api.most, findings);
        items
            .into_iter()
            .filter_map(|item| Self::decode(item, api, findings))
            .collect()
    }

    fn decode(node: Node<'d>, api: &Api, findings: &mut Findings) -> Option<Self> {
        let mut closing = Closing::default();
        let mut fields = findings.fields(node)?;
        let name = fields.take("name");
        let action = fields.take("action");
        let to = fields.take("to");
        let ports = fields.take_any(api.ports);
        closing.note(fields.finish(findings, codes::UNKNOWN_RULE_FIELD));
        let name = name.and_then(|name| findings.string(name));
        if let Some(At { value, node }) = name
            && value.chars().count() > LONGEST_NAME
        {
            findings.report(
                codes::INVALID_VALUE,
                node,
                format!("a rule's name has at most {LONGEST_NAME} characters"),
            );
        }
        let action = required(action, "action", node, findings)
            .and_then(|action| decode_action(action, api, findings));
        let to: Vec<PeerSpec<'d>> = required(to, "to", node, findings)
            .map(|to| items(to, "to", api.most, findings))
            .unwrap_or_default()
            .into_iter()
            .filter_map(|item| decode_peer(item, api, &mut closing, findings))
            .collect();
        if let Some(node) = ports.filter(|node| node.is_null()) {
            findings.report_help(
                codes::EMPTY_MEANS_EVERYTHING,
                node,
                format!(
                    "`{}` has no value, and so every port and protocol is meant",
                    api.ports
                ),
                "leave it out if that is meant",
            );
        }
        let ports = ports.filter(|node| !node.is_null()).map(|node| {
            items(node, api.ports, api.most, findings)
                .into_iter()
                .filter_map(|item| (api.decode_port)(item, &mut closing, findings))
                .collect::<Vec<_>>()
        });
        report_named_ports(&to, ports.as_deref().unwrap_or_default(), findings);
        let action = action?;
        if action != Action::Allow
            && let Some(named) = to
                .iter()
                .find(|peer| matches!(peer.kind, PeerKindSpec::Names(_)))
        {
            findings.report_help(
                codes::CLUSTER_NETWORK_POLICY_DENY_BY_NAME,
                named.node,
                "domainNames are for Accept rules: this rule denies everything",
                "accept the names, and deny `networks` in a rule behind them",
            );
            closing.because(codes::CLUSTER_NETWORK_POLICY_DENY_BY_NAME);
        }
        Some(Self {
            node,
            name: name.map(|at| at.value),
            action,
            to,
            ports,
            closing,
        })
    }
}

/// Ingress rules are not enforced; an action that the API server refuses is looked for all the same.
pub(super) fn check_ingress(node: Node<'_>, api: &Api, findings: &mut Findings) {
    let items = findings.list(node).unwrap_or_default();
    at_most(node, items.len(), "ingress", api.most, findings);
    for item in items {
        match item.shape() {
            Shape::Mapping(_) => {}
            Shape::Scalar(..) | Shape::Sequence(_) => {
                findings.wrong_type(item, "a mapping");
                continue;
            }
        }
        let action = item.get("action").filter(|action| !action.is_null());
        if let Some(action) = required(action, "action", item, findings) {
            decode_action(action, api, findings);
        }
    }
}

fn decode_action(node: Node<'_>, api: &Api, findings: &mut Findings) -> Option<Action> {
    // The one word for the other is the commonest mistake: the API's own texts make it.
    let other = match node.typed() {
        Some(crate::yaml::Typed::Str("Allow")) => "Accept",
        Some(crate::yaml::Typed::Str("Accept")) => "Allow",
        _ => return findings.word(node, api.actions).map(|at| at.value),
    };
    if api.actions.iter().any(|(word, _)| *word == other) {
        let word = if other == "Accept" { "Allow" } else { "Accept" };
        findings.report_help(
            codes::INVALID_VALUE,
            node,
            format!("`{word}` is no action of this kind"),
            format!("write `{other}`"),
        );
        return None;
    }
    findings.word(node, api.actions).map(|at| at.value)
}

/// The CRD's rule: networks, nodes and names have no named ports.
fn report_named_ports(to: &[PeerSpec<'_>], ports: &[PortSpec<'_>], findings: &mut Findings) {
    let nameless = to.iter().any(|peer| match peer.kind {
        PeerKindSpec::Networks(_) | PeerKindSpec::Nodes(_) | PeerKindSpec::Names(_) => true,
        PeerKindSpec::Namespaces(_) | PeerKindSpec::Pods { .. } => false,
    });
    let named = ports.iter().find_map(|port| match port {
        PortSpec::Named(at) => Some(at.node),
        PortSpec::Range { .. } => None,
    });
    if let Some(node) = named.filter(|_| nameless) {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_NAMED_PORT,
            node,
            "networks/nodes/domainNames peer cannot be set with namedPorts",
            "give the port by number, or the pods a rule of their own",
        );
    }
}
