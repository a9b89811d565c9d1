//! `ClusterNetworkPolicy` as written, and the validation of its CRD.

use policy_model::{Action, Order, Policy, Protocol, TierRef};

use super::api::{Api, Closing, PortSpec, port, required};
use super::lower::{PolicySpec, lower, priority};
use super::rule::{RuleSpec, check_ingress};
use super::subject::SubjectSpec;
use crate::Context;
use crate::codes;
use crate::decode::{Findings, Unknown};
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

const API: Api = Api {
    most: 25,
    actions: &[
        ("Accept", Action::Allow),
        ("Deny", Action::Deny),
        ("Pass", Action::Pass),
    ],
    ports: "protocols",
    decode_port: decode_protocol,
    has_names: true,
    namespaces_required: false,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TierSpec {
    Admin,
    Baseline,
}

/// Reads one object; nothing where it is refused.
pub(super) fn read(
    object: &Object<'_>,
    _surroundings: &Surroundings,
    _context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let mark = findings.mark();
    let policy = decode(object, findings).and_then(|spec| lower(spec, object, findings));
    policy
        .filter(|_| !findings.refused_since(mark))
        .into_iter()
        .collect()
}

fn decode<'d>(object: &Object<'d>, findings: &mut Findings) -> Option<PolicySpec<'d>> {
    const TIERS: &[(&str, TierSpec)] =
        &[("Admin", TierSpec::Admin), ("Baseline", TierSpec::Baseline)];
    let node = object.spec(findings)?;
    let mut fields = findings.fields(node)?;
    let tier = fields.take("tier");
    let order = fields.take("priority");
    let subject = fields.take("subject");
    let ingress = fields.take("ingress");
    let egress = fields.take("egress");
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let tier = required(tier, "tier", node, findings).and_then(|tier| findings.word(tier, TIERS));
    let order =
        required(order, "priority", node, findings).and_then(|order| priority(order, findings));
    let subject = required(subject, "subject", node, findings)
        .and_then(|subject| SubjectSpec::decode(subject, &API, findings));
    if let Some(ingress) = ingress {
        check_ingress(ingress, &API, findings);
    }
    let rules = RuleSpec::decode_list(egress, &API, findings);
    Some(PolicySpec {
        node,
        tier: match tier?.value {
            TierSpec::Admin => TierRef::kube_admin(),
            TierSpec::Baseline => TierRef::kube_baseline(),
        },
        order: Order(order?),
        subject: subject?,
        ingress,
        rules,
    })
}

/// One entry of `protocols`.
fn decode_protocol<'d>(
    node: Node<'d>,
    closing: &mut Closing,
    findings: &mut Findings,
) -> Option<PortSpec<'d>> {
    let mut fields = findings.fields(node)?;
    let named = fields.take("destinationNamedPort");
    let mut given = Vec::new();
    for (name, protocol) in [
        ("tcp", Protocol::TCP),
        ("udp", Protocol::UDP),
        ("sctp", Protocol::SCTP),
    ] {
        given.extend(fields.take(name).map(|node| (protocol, node)));
    }
    let unknown = fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
    closing.note(unknown);
    if given.len() + usize::from(named.is_some()) > 1 {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_ONE_OF,
            node,
            "an entry of `protocols` has exactly one field",
            "write two entries: they are alternatives",
        );
        return None;
    }
    match (named, given.first()) {
        (Some(named), _) => super::lower::port_name(named, findings),
        (None, Some((protocol, node))) => {
            decode_destination_port(*node, *protocol, closing, findings)
        }
        (None, None) => {
            if unknown == Unknown::None {
                findings.report_help(
                    codes::CLUSTER_NETWORK_POLICY_PROTOCOL,
                    node,
                    "a protocol without any field: an Accept matches nothing by it, a Deny or Pass denies everything",
                    "name one of `tcp`, `udp`, `sctp` and `destinationNamedPort`",
                );
                closing.because(codes::CLUSTER_NETWORK_POLICY_PROTOCOL);
            }
            None
        }
    }
}

fn decode_destination_port<'d>(
    node: Node<'d>,
    protocol: Protocol,
    closing: &mut Closing,
    findings: &mut Findings,
) -> Option<PortSpec<'d>> {
    let mut fields = findings.fields(node)?;
    let destination = fields.take("destinationPort");
    let unknown = fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
    closing.note(unknown);
    let Some(destination) = destination else {
        if unknown == Unknown::None {
            findings.report_help(
                codes::MISSING_FIELD,
                node,
                "a protocol without `destinationPort` is not accepted by the API server",
                "for every port write `destinationPort: {range: {start: 1, end: 65535}}`",
            );
        }
        return None;
    };
    let mut fields = findings.fields(destination)?;
    let number = fields.take("number");
    let range = fields.take("range");
    let unknown = fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
    closing.note(unknown);
    let (first, last) = match (number, range) {
        (Some(number), None) => {
            let number = port(number, findings)?;
            (number, number)
        }
        (None, Some(range)) => decode_range(range, closing, findings)?,
        (Some(_), Some(_)) => {
            findings.report(
                codes::CLUSTER_NETWORK_POLICY_ONE_OF,
                destination,
                "`destinationPort` has exactly one of `number` and `range`",
            );
            return None;
        }
        (None, None) => {
            if unknown == Unknown::None {
                findings.report(
                    codes::MISSING_FIELD,
                    destination,
                    "`destinationPort` has one of `number` and `range`",
                );
            }
            return None;
        }
    };
    Some(PortSpec::Range {
        protocol,
        first,
        last,
    })
}

fn decode_range(
    node: Node<'_>,
    closing: &mut Closing,
    findings: &mut Findings,
) -> Option<(u16, u16)> {
    let mut fields = findings.fields(node)?;
    let start = fields.take("start");
    let end = fields.take("end");
    closing.note(fields.finish(findings, codes::UNKNOWN_RULE_FIELD));
    let start = required(start, "start", node, findings).and_then(|start| port(start, findings));
    let end = required(end, "end", node, findings).and_then(|end| port(end, findings));
    let (start, end) = (start?, end?);
    if start >= end {
        findings.report_help(
            codes::INVALID_PORT,
            node,
            "Start port must be less than End port",
            "write `number` for one port",
        );
        return None;
    }
    Some((start, end))
}
