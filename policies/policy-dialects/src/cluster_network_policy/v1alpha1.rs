//! `AdminNetworkPolicy` and `BaselineAdminNetworkPolicy` as written, and the validation of their CRDs.

use policy_model::{Action, Order, Policy, Protocol, TierRef};

use super::api::{Api, Closing, PortSpec, port, required};
use super::lower::{PolicySpec, lower, port_name, priority};
use super::rule::{RuleSpec, check_ingress};
use super::subject::SubjectSpec;
use crate::Context;
use crate::codes;
use crate::decode::{Findings, Unknown};
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

const ADMIN: Api = Api {
    most: 100,
    actions: &[
        ("Allow", Action::Allow),
        ("Deny", Action::Deny),
        ("Pass", Action::Pass),
    ],
    ports: "ports",
    decode_port,
    has_names: true,
    namespaces_required: true,
};

const BASELINE: Api = Api {
    actions: &[("Allow", Action::Allow), ("Deny", Action::Deny)],
    has_names: false,
    ..ADMIN
};

/// The one name a BaselineAdminNetworkPolicy can have.
const BASELINE_NAME: &str = "default";

/// Reads one AdminNetworkPolicy; nothing where it is refused.
pub(super) fn read_admin(
    object: &Object<'_>,
    _surroundings: &Surroundings,
    _context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    read(object, &ADMIN, findings)
}

/// Reads one BaselineAdminNetworkPolicy; nothing where it is refused.
pub(super) fn read_baseline(
    object: &Object<'_>,
    _surroundings: &Surroundings,
    _context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let name = object.metadata.name;
    if name.value != BASELINE_NAME {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_BASELINE_NAME,
            name.node,
            "Only one baseline admin network policy with metadata.name=\"default\" can be created in the cluster",
            "name it `default`",
        );
    }
    read(object, &BASELINE, findings)
}

fn read(object: &Object<'_>, api: &Api, findings: &mut Findings) -> Vec<Policy> {
    let mark = findings.mark();
    let policy = decode(object, api, findings).and_then(|spec| lower(spec, object, findings));
    policy
        .filter(|_| !findings.refused_since(mark))
        .into_iter()
        .collect()
}

fn decode<'d>(object: &Object<'d>, api: &Api, findings: &mut Findings) -> Option<PolicySpec<'d>> {
    let is_baseline = !api.has_names;
    let node = object.spec(findings)?;
    let mut fields = findings.fields(node)?;
    let order = if is_baseline {
        None
    } else {
        fields.take("priority")
    };
    let subject = fields.take("subject");
    let ingress = fields.take("ingress");
    let egress = fields.take("egress");
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let (tier, order) = if is_baseline {
        // Behind every ClusterNetworkPolicy, whatever its priority.
        (TierRef::kube_baseline(), Some(Order::LAST))
    } else {
        let order =
            required(order, "priority", node, findings).and_then(|order| priority(order, findings));
        (TierRef::kube_admin(), order.map(Order))
    };
    let subject = required(subject, "subject", node, findings)
        .and_then(|subject| SubjectSpec::decode(subject, api, findings));
    if let Some(ingress) = ingress {
        check_ingress(ingress, api, findings);
    }
    let rules = RuleSpec::decode_list(egress, api, findings);
    Some(PolicySpec {
        node,
        tier,
        order: order?,
        subject: subject?,
        ingress,
        rules,
    })
}

/// One entry of `ports`.
fn decode_port<'d>(
    node: Node<'d>,
    closing: &mut Closing,
    findings: &mut Findings,
) -> Option<PortSpec<'d>> {
    let mut fields = findings.fields(node)?;
    let number = fields.take("portNumber");
    let range = fields.take("portRange");
    let named = fields.take("namedPort");
    let unknown = fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
    closing.note(unknown);
    match (number, range, named) {
        (Some(number), None, None) => decode_numbers(number, &["port", "port"], closing, findings),
        (None, Some(range), None) => decode_numbers(range, &["start", "end"], closing, findings),
        (None, None, Some(named)) => port_name(named, findings),
        (None, None, None) => {
            if unknown == Unknown::None {
                findings.report_help(
                    codes::CLUSTER_NETWORK_POLICY_PROTOCOL,
                    node,
                    "a port without any field: an Allow matches nothing by it, a Deny or Pass denies everything",
                    "name one of `portNumber`, `portRange` and `namedPort`",
                );
                closing.because(codes::CLUSTER_NETWORK_POLICY_PROTOCOL);
            }
            None
        }
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            findings.report_help(
                codes::CLUSTER_NETWORK_POLICY_ONE_OF,
                node,
                "an entry of `ports` has exactly one field",
                "write two entries: they are alternatives",
            );
            None
        }
    }
}

/// `portNumber` and `portRange`: a protocol, TCP where none is written, and the fields of the first and the last port.
fn decode_numbers<'d>(
    node: Node<'d>,
    ends: &[&'static str; 2],
    closing: &mut Closing,
    findings: &mut Findings,
) -> Option<PortSpec<'d>> {
    let [first, last] = *ends;
    let mut fields = findings.fields(node)?;
    let protocol = fields.take("protocol");
    let start = fields.take(first);
    let end = fields.take(last);
    closing.note(fields.finish(findings, codes::UNKNOWN_RULE_FIELD));
    let start = required(start, first, node, findings).and_then(|start| port(start, findings));
    let end = if first == last {
        start
    } else {
        required(end, last, node, findings).and_then(|end| port(end, findings))
    };
    let protocol = match protocol {
        None => Some(Protocol::TCP),
        Some(protocol) => decode_protocol(protocol, closing, findings),
    };
    let (first, last) = (start?, end?);
    if first > last {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_PROTOCOL,
            node,
            format!("the range ends at {last}, before it starts at {first}: an Allow matches nothing by it, a Deny or Pass denies everything"),
            "swap `start` and `end`",
        );
        closing.because(codes::CLUSTER_NETWORK_POLICY_PROTOCOL);
    }
    Some(PortSpec::Range {
        protocol: protocol?,
        first,
        last,
    })
}

/// The CRD takes any text here, so one that means nothing closes the rule.
fn decode_protocol(
    node: Node<'_>,
    closing: &mut Closing,
    findings: &mut Findings,
) -> Option<Protocol> {
    let text = findings.string(node)?.value;
    let protocol = match text {
        "TCP" => Some(Protocol::TCP),
        "UDP" => Some(Protocol::UDP),
        "SCTP" => Some(Protocol::SCTP),
        _ => None,
    };
    if protocol.is_none() {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_PROTOCOL,
            node,
            format!("`{text}` is no protocol of this API: an Allow matches nothing by it, a Deny or Pass denies everything"),
            "write `TCP`, `UDP` or `SCTP`",
        );
        closing.because(codes::CLUSTER_NETWORK_POLICY_PROTOCOL);
    }
    protocol
}
