//! `networking.k8s.io/v1` as written, and the API server's validation of it.

mod peer;
mod port;

use crate::codes;
use crate::decode::{At, Fields, Findings, Unknown};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::Node;

use peer::decode_peer;
use port::decode_port;

pub(crate) use peer::PeerSpec;
pub(crate) use port::{PortRangeSpec, PortSpec};

/// The body of a NetworkPolicy, with the server's defaults filled in.
#[derive(Debug)]
pub(crate) struct NetworkPolicySpec<'d> {
    pub(crate) pod_selector: LabelSelectorSpec<'d>,
    /// Whether it is a policy for egress: then it isolates the pods it selects.
    pub(crate) is_egress: bool,
    pub(crate) egress: Vec<RuleSpec<'d>>,
}

/// One entry of `egress` (or `ingress`, which is only validated).
#[derive(Debug)]
pub(crate) struct RuleSpec<'d> {
    pub(crate) node: Node<'d>,
    /// Nothing: every destination.
    pub(crate) peers: Option<Vec<PeerSpec<'d>>>,
    /// Empty: every port and protocol.
    pub(crate) ports: Vec<PortSpec<'d>>,
    pub(crate) unknown: Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

impl<'d> NetworkPolicySpec<'d> {
    pub(crate) fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let spec = Self::decode_fields(node, &mut fields, findings);
        fields.finish(findings, codes::UNKNOWN_FIELD);
        spec
    }

    /// The same among the fields of something that has others too.
    pub(crate) fn decode_fields(
        node: Node<'d>,
        fields: &mut Fields<'d>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let pod_selector = match fields.take("podSelector") {
            Some(selector) => LabelSelectorSpec::decode_subject(selector, findings),
            None => {
                findings.report_help(
                    codes::NETWORK_POLICY_NO_SELECTOR,
                    node,
                    "without `podSelector` every pod of the namespace is selected",
                    "write `podSelector: {}` if that is meant",
                );
                Some(LabelSelectorSpec::everything())
            }
        };
        let types = fields.take("policyTypes");
        let ingress = fields.take("ingress");
        let egress = fields.take_any("egress");
        let written = |list: Option<Node<'d>>, findings: &mut Findings| {
            list.filter(|list| !list.is_null())
                .and_then(|list| findings.list(list))
                .unwrap_or_default()
        };
        let egress_items = written(egress, findings);
        let ingress_items = written(ingress, findings);
        let mark = findings.mark();
        let types = decode_types(types, !egress_items.is_empty(), findings);
        // What it is about is not known where a type could not be read.
        let are_types_read = !findings.refused_since(mark);
        let holds_ingress = types.written_ingress || !ingress_items.is_empty();
        let is_ingress_only = !types.egress && egress_items.is_empty() && egress.is_none();
        if are_types_read && (holds_ingress || is_ingress_only) {
            findings.report_help(
                codes::NETWORK_POLICY_INGRESS,
                ingress.unwrap_or(node),
                if types.egress {
                    "what it says of ingress is not enforced"
                } else {
                    "this policy is about ingress only, which is not enforced"
                },
                "Egret holds what a workload sends; leave ingress to the network",
            );
        }
        match egress {
            Some(_) if !are_types_read => {}
            Some(egress) if !types.egress && !egress_items.is_empty() => findings.report_help(
                codes::NETWORK_POLICY_EGRESS_IGNORED,
                egress,
                "`policyTypes` leaves Egress out, so these rules have no effect and nothing is denied",
                "add `Egress` to `policyTypes`",
            ),
            Some(egress) if !types.egress => findings.report_help(
                codes::NETWORK_POLICY_EGRESS_IGNORED,
                egress,
                "an empty `egress` makes this a policy for ingress: it denies no egress",
                "write `policyTypes: [Egress]` to deny all egress",
            ),
            Some(_) | None => {}
        }
        let egress = egress_items
            .into_iter()
            .filter_map(|item| RuleSpec::decode(item, Direction::Egress, findings))
            .collect();
        for item in ingress_items {
            RuleSpec::decode(item, Direction::Ingress, findings);
        }
        Some(Self {
            pod_selector: pod_selector?,
            is_egress: types.egress,
            egress,
        })
    }
}

struct Types {
    egress: bool,
    /// Whether Ingress was written, not only filled in.
    written_ingress: bool,
}

/// `policyTypes`; where it is absent or empty, the server fills in Ingress always and Egress where there are egress rules.
fn decode_types(node: Option<Node<'_>>, has_egress_rules: bool, findings: &mut Findings) -> Types {
    const WORDS: &[(&str, Direction)] = &[
        ("Ingress", Direction::Ingress),
        ("Egress", Direction::Egress),
    ];
    let items = node
        .and_then(|node| findings.list(node))
        .unwrap_or_default();
    let Some(node) = node.filter(|_| !items.is_empty()) else {
        return Types {
            egress: has_egress_rules,
            written_ingress: false,
        };
    };
    if items.len() > WORDS.len() {
        findings.report(
            codes::INVALID_VALUE,
            node,
            "may not specify more than two policyTypes",
        );
    }
    let types: Vec<Direction> = items
        .into_iter()
        .filter_map(|item| findings.word(item, WORDS))
        .map(|At { value, .. }| value)
        .collect();
    Types {
        egress: types.contains(&Direction::Egress),
        written_ingress: types.contains(&Direction::Ingress),
    }
}

impl<'d> RuleSpec<'d> {
    fn decode(node: Node<'d>, direction: Direction, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let mut unknown = Unknown::None;
        let peers_key = match direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        let peers = fields.take_any(peers_key);
        let ports = fields.take_any("ports");
        let items = |list: Option<Node<'d>>, everything: &str, findings: &mut Findings| {
            let Some(list) = list else {
                return Vec::new();
            };
            let items = if list.is_null() {
                Vec::new()
            } else {
                findings.list(list).unwrap_or_default()
            };
            if items.is_empty() && direction == Direction::Egress {
                findings.report_help(
                    codes::EMPTY_MEANS_EVERYTHING,
                    list,
                    format!("an empty list means {everything}"),
                    "leave it out if that is meant; `egress: []` allows nothing",
                );
            }
            items
        };
        let peer_items = items(peers, "every destination", findings);
        let port_items = items(ports, "every port and protocol", findings);
        let peers = (!peer_items.is_empty()).then(|| {
            peer_items
                .into_iter()
                .filter_map(|item| decode_peer(item, &mut unknown, findings))
                .collect()
        });
        let ports = port_items
            .into_iter()
            .filter_map(|item| decode_port(item, &mut unknown, findings))
            .collect();
        if fields.finish(findings, codes::UNKNOWN_RULE_FIELD) == Unknown::Some {
            unknown = Unknown::Some;
        }
        Some(Self {
            node,
            peers,
            ports,
            unknown,
        })
    }
}
