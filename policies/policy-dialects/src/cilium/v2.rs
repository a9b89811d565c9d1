//! `cilium.io/v2` as written, and Cilium's own validation of it (`Rule.Sanitize`).

mod ingress;
mod peers;

use policy_model::LabelSelector;

use super::icmp::{self, IcmpSpec};
use super::labels::without_sources;
use super::ports::{PortRuleSpec, Position};
use crate::Context;
use crate::codes::{self, Code};
use crate::decode::{At, Findings, Unknown};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::{Node, Shape};

pub(crate) use peers::PeersSpec;
use peers::decode_peers;

/// One rule: the body of `spec`, or an item of `specs`.
#[derive(Debug)]
pub(crate) struct PolicyRuleSpec<'d> {
    pub(crate) node: Node<'d>,
    pub(crate) subject: Option<SubjectSpec<'d>>,
    pub(crate) egress: Vec<EgressSpec<'d>>,
    pub(crate) egress_deny: Vec<EgressSpec<'d>>,
    pub(crate) ingress: Option<Node<'d>>,
    pub(crate) default_deny: Option<bool>,
}

#[derive(Debug)]
pub(crate) enum SubjectSpec<'d> {
    Endpoints(At<'d, LabelSelectorSpec<'d>>),
    Nodes(LabelSelector),
}

/// One entry of `egress` or `egressDeny`.
#[derive(Debug)]
pub(crate) struct EgressSpec<'d> {
    pub(crate) node: Node<'d>,
    /// Nothing: every destination.
    pub(crate) peers: Option<At<'d, PeersSpec<'d>>>,
    /// Empty, and without `icmps`: every port and protocol.
    pub(crate) ports: Vec<PortRuleSpec>,
    /// There and empty: no port of any protocol.
    pub(crate) icmps: Option<Vec<IcmpSpec>>,
    pub(crate) closed: Vec<Code>,
}

impl<'d> PolicyRuleSpec<'d> {
    pub(crate) fn decode(
        node: Node<'d>,
        scope: crate::kubernetes::Scope,
        context: &Context,
        findings: &mut Findings,
    ) -> Option<Self> {
        let mark = findings.mark();
        let mut fields = findings.fields(node)?;
        let endpoint_selector = fields.take("endpointSelector");
        let node_selector = fields.take("nodeSelector");
        let ingress = fields.take("ingress");
        let ingress_deny = fields.take("ingressDeny");
        let egress = fields.take("egress");
        let egress_deny = fields.take("egressDeny");
        let enable_default_deny = fields.take("enableDefaultDeny");
        for other in ["description", "labels", "log"] {
            fields.take(other);
        }
        fields.finish(findings, codes::UNKNOWN_FIELD);

        let subject = match (endpoint_selector, node_selector) {
            (Some(_), Some(node)) => {
                findings.report(
                    codes::CILIUM_SELECTORS,
                    node,
                    "rule cannot have both EndpointSelector and NodeSelector",
                );
                None
            }
            (None, None) => {
                findings.report_help(
                    codes::CILIUM_SELECTORS,
                    node,
                    "rule must have one of EndpointSelector or NodeSelector",
                    "`endpointSelector: {}` selects every pod of the namespace",
                );
                None
            }
            (Some(node), None) => LabelSelectorSpec::decode(node, findings)
                .map(|value| SubjectSpec::Endpoints(At { value, node })),
            (None, Some(node)) => {
                if scope == crate::kubernetes::Scope::Namespaced {
                    findings.report_help(
                        codes::CILIUM_NODE_SELECTOR_NAMESPACED,
                        node,
                        "Invalid CiliumNetworkPolicy spec: rule cannot have NodeSelector",
                        "use kind CiliumClusterwideNetworkPolicy",
                    );
                }
                LabelSelectorSpec::decode(node, findings)
                    .map(|selector| SubjectSpec::Nodes(without_sources(selector.lower())))
            }
        };
        let default_deny = enable_default_deny.and_then(|node| {
            let mut fields = findings.fields(node)?;
            let egress = fields
                .take("egress")
                .and_then(|node| findings.boolean(node));
            fields
                .take("ingress")
                .and_then(|node| findings.boolean(node));
            fields.finish(findings, codes::UNKNOWN_FIELD);
            egress
        });

        let host = node_selector.is_some();
        let mut decode = |list: Option<Node<'d>>, deny| {
            let items = list
                .and_then(|list| findings.list(list))
                .unwrap_or_default();
            items
                .into_iter()
                .filter_map(|item| EgressSpec::decode(item, deny, host, context, findings))
                .collect::<Vec<_>>()
        };
        let egress = decode(egress, false);
        let egress_deny = decode(egress_deny, true);
        let mut ingress_rules = 0;
        let before_ingress = findings.mark();
        for (list, deny) in [(ingress, false), (ingress_deny, true)] {
            for item in list
                .and_then(|list| findings.list(list))
                .unwrap_or_default()
            {
                ingress_rules += 1;
                ingress::check(
                    item,
                    Position {
                        ingress: true,
                        deny,
                        host,
                    },
                    context,
                    findings,
                );
            }
        }
        findings.keep_refusals_since(before_ingress);
        if egress.is_empty()
            && egress_deny.is_empty()
            && ingress_rules == 0
            && !findings.refused_since(mark)
        {
            findings.report_help(
                codes::CILIUM_NO_RULES,
                node,
                "rule must have at least one of Ingress, IngressDeny, Egress, EgressDeny",
                "`egress: [{}]` denies all egress and allows nothing",
            );
        }
        let ingress = (ingress_rules > 0)
            .then(|| ingress.or(ingress_deny))
            .flatten();
        Some(Self {
            node,
            subject,
            egress,
            egress_deny,
            ingress,
            default_deny,
        })
    }
}

impl<'d> EgressSpec<'d> {
    fn decode(
        node: Node<'d>,
        deny: bool,
        host: bool,
        context: &Context,
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut closed = Vec::new();
        let mut fields = findings.fields(node)?;
        // The words of Cilium's errors, in the order in which it looks for a second member.
        let members = [
            ("ToCIDR", fields.take("toCIDR")),
            ("ToCIDRSet", fields.take("toCIDRSet")),
            ("ToEndpoints", fields.take("toEndpoints")),
            ("ToEntities", fields.take("toEntities")),
            ("ToServices", fields.take("toServices")),
            ("ToGroups", fields.take("toGroups")),
            ("ToNodes", fields.take("toNodes")),
            ("ToFQDNs", fields.take("toFQDNs")),
        ];
        let requires = fields.take("toRequires");
        let ports = fields.take("toPorts");
        let icmps = fields.take("icmps");
        let authentication = fields.take("authentication");
        if fields.finish(findings, codes::UNKNOWN_RULE_FIELD) == Unknown::Some {
            closed.push(codes::UNKNOWN_RULE_FIELD);
        }
        if deny {
            for (name, node) in [
                ("toFQDNs", members[7].1),
                ("authentication", authentication),
            ] {
                if let Some(node) = node {
                    findings.report_help(
                        codes::CILIUM_DENY_FIELD,
                        node,
                        format!("field does not exist in EgressDenyRule: `{name}`"),
                        "leave the name out of what is allowed",
                    );
                }
            }
        }
        let given: Vec<(&'static str, Node<'d>)> = members
            .into_iter()
            .filter_map(|(name, node)| Some((name, node?)))
            .collect();
        let filled = filled(&given);
        report_second(&filled, findings);
        for (name, node) in given
            .iter()
            .filter(|(_, node)| !filled.is_empty() && is_empty(*node))
        {
            findings.report_help(
                codes::CILIUM_EMPTY_LIST,
                *node,
                format!(
                    "the empty list of {name} selects no destination; what stands beside it does"
                ),
                "leave the field out",
            );
        }
        let peers = match filled.as_slice() {
            [] => given.first().and_then(|(name, node)| {
                let value = decode_peers(name, *node, deny, context, findings)?;
                Some(At { value, node: *node })
            }),
            [(name, node)] => decode_peers(name, *node, deny, context, findings)
                .map(|value| At { value, node: *node }),
            _ => None,
        };
        if let Some(requires) = requires {
            findings.report(
                codes::CILIUM_TO_REQUIRES,
                requires,
                closed_text("`toRequires`", deny),
            );
            closed.push(codes::CILIUM_TO_REQUIRES);
        }
        if let Some(authentication) = authentication
            && !deny
        {
            decode_authentication(authentication, findings, &mut closed);
        }
        report_icmps_beside(ports, icmps, findings);
        let position = Position {
            ingress: false,
            deny,
            host,
        };
        for (node, what) in [(ports, "port"), (icmps, "ICMP type")] {
            if let Some(node) = node
                && is_empty(node)
            {
                findings.report_help(
                    codes::EMPTY_MEANS_EVERYTHING,
                    node,
                    format!("an empty list limits nothing: every {what} is meant, as without it"),
                    "leave the list out, or say what is meant",
                );
            }
        }
        let ports = ports
            .and_then(|node| findings.list(node))
            .unwrap_or_default();
        let ports = ports
            .into_iter()
            .filter_map(|item| PortRuleSpec::decode(item, position, context, findings))
            .collect();
        let icmps = icmps.and_then(|node| icmp::decode(node, findings));
        Some(Self {
            node,
            peers,
            ports,
            icmps,
            closed,
        })
    }
}

fn is_empty(node: Node<'_>) -> bool {
    matches!(node.shape(), Shape::Sequence(items) if items.is_empty())
}

/// Cilium counts entries: lists without any may stand beside each other, and select nothing.
fn filled<'d>(members: &[(&'static str, Node<'d>)]) -> Vec<(&'static str, Node<'d>)> {
    let mut filled = members.to_vec();
    filled.retain(|(_, node)| !is_empty(*node));
    filled
}

fn report_second(filled: &[(&'static str, Node<'_>)], findings: &mut Findings) {
    if let [(first, _), (second, place), ..] = filled {
        findings.report_help(
            codes::CILIUM_L3_COMBINATION,
            *place,
            format!("combining {first} and {second} is not supported yet"),
            "write one rule for each: rules are alternatives",
        );
    }
}

fn report_icmps_beside(ports: Option<Node<'_>>, icmps: Option<Node<'_>>, findings: &mut Findings) {
    if let (Some(ports), Some(icmps)) = (ports, icmps)
        && !is_empty(ports)
        && !is_empty(icmps)
    {
        findings.report(
            codes::CILIUM_ICMPS_WITH_PORTS,
            icmps,
            "the ICMPs block may only be present without ToPorts. Define a separate rule to use ToPorts",
        );
    }
}

fn decode_authentication(node: Node<'_>, findings: &mut Findings, closed: &mut Vec<Code>) {
    let Some(mut fields) = findings.fields(node) else {
        return;
    };
    let mode = fields.take("mode");
    fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
    let needed = match mode {
        Some(mode) => findings
            .word(
                mode,
                &[
                    ("disabled", false),
                    ("required", true),
                    ("test-always-fail", true),
                ],
            )
            .is_none_or(|mode| mode.value),
        None => true,
    };
    if needed {
        findings.report(
            codes::CILIUM_AUTHENTICATION,
            node,
            closed_text("mutual authentication", false),
        );
        closed.push(codes::CILIUM_AUTHENTICATION);
    }
}

pub(super) fn closed_text(what: &str, deny: bool) -> String {
    if deny {
        format!("{what} cannot be enforced yet: this rule denies everything")
    } else {
        format!("{what} cannot be enforced yet: nothing is allowed by it")
    }
}
