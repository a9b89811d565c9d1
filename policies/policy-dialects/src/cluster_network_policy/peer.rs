use std::net::IpAddr;

use dns_names::{Grammar, NamePattern};
use ipnet::IpNet;

use super::api::{Api, Closing, items, required};
use crate::decode::{Findings, Unknown};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::Node;
use crate::{cidr, codes};

/// One entry of `to`.
#[derive(Debug)]
pub(super) struct PeerSpec<'d> {
    pub(super) node: Node<'d>,
    pub(super) kind: PeerKindSpec<'d>,
}

#[derive(Debug)]
pub(super) enum PeerKindSpec<'d> {
    /// Every pod of these namespaces.
    Namespaces(LabelSelectorSpec<'d>),
    Pods {
        namespaces: LabelSelectorSpec<'d>,
        pods: LabelSelectorSpec<'d>,
    },
    Nodes(LabelSelectorSpec<'d>),
    Networks(Vec<IpNet>),
    Names(Vec<NamePattern>),
}

/// LIMIT: blocks or names of one peer, in all versions of the CRDs.
const MOST: usize = 25;
/// LIMIT: `maxLength` of a block in the CRDs: the longest IPv6 address with its prefix.
const LONGEST_BLOCK: usize = 43;

/// Reads a peer; nothing where it is of no known kind (the rule then fails closed) or refused.
pub(super) fn decode_peer<'d>(
    node: Node<'d>,
    api: &Api,
    closing: &mut Closing,
    findings: &mut Findings,
) -> Option<PeerSpec<'d>> {
    let mut fields = findings.fields(node)?;
    let mut given = Vec::new();
    for name in ["namespaces", "pods", "nodes", "networks", "domainNames"] {
        if name != "domainNames" || api.has_names {
            given.extend(fields.take(name).map(|value| (name, value)));
        }
    }
    let unknown = fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
    closing.note(unknown);
    if let [_, (name, second), ..] = given.as_slice() {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_ONE_OF,
            *second,
            format!("`{name}` stands beside another peer: exactly one field must be set"),
            "write two entries: peers are alternatives",
        );
        return None;
    }
    let Some((name, value)) = given.first() else {
        if unknown == Unknown::None {
            findings.report_help(
                codes::CLUSTER_NETWORK_POLICY_PEER,
                node,
                "a peer without any field: an Accept matches nothing by it, a Deny or Pass denies everything",
                "`namespaces: {}` is every pod; a server that does not know a field drops it and leaves this",
            );
            closing.because(codes::CLUSTER_NETWORK_POLICY_PEER);
        }
        return None;
    };
    let kind = match *name {
        "namespaces" => PeerKindSpec::Namespaces(selector(*value, closing, findings)?),
        "nodes" => PeerKindSpec::Nodes(selector(*value, closing, findings)?),
        "pods" => decode_pods(*value, api, closing, findings)?,
        "networks" => PeerKindSpec::Networks(decode_networks(*value, findings)),
        _ => PeerKindSpec::Names(decode_names(*value, findings)),
    };
    Some(PeerSpec { node, kind })
}

fn selector<'d>(
    node: Node<'d>,
    closing: &mut Closing,
    findings: &mut Findings,
) -> Option<LabelSelectorSpec<'d>> {
    let (selector, unknown) = LabelSelectorSpec::decode_peer(node, findings)?;
    closing.note(unknown);
    Some(selector)
}

fn decode_pods<'d>(
    node: Node<'d>,
    api: &Api,
    closing: &mut Closing,
    findings: &mut Findings,
) -> Option<PeerKindSpec<'d>> {
    let mut fields = findings.fields(node)?;
    let pods = fields.take("podSelector");
    let namespaces = fields.take("namespaceSelector");
    closing.note(fields.finish(findings, codes::UNKNOWN_RULE_FIELD));
    let pods = required(pods, "podSelector", node, findings);
    if api.namespaces_required {
        required(namespaces, "namespaceSelector", node, findings)?;
    }
    let namespaces = match namespaces {
        Some(namespaces) => selector(namespaces, closing, findings)?,
        None => LabelSelectorSpec::everything(),
    };
    Some(PeerKindSpec::Pods {
        namespaces,
        pods: selector(pods?, closing, findings)?,
    })
}

fn decode_networks(node: Node<'_>, findings: &mut Findings) -> Vec<IpNet> {
    let items = items(node, "networks", MOST, findings);
    report_repeated(&items, findings);
    items
        .into_iter()
        .filter_map(|item| {
            let net = cidr::decode(item, codes::INVALID_CIDR, findings)?;
            let text = findings.string(item)?.value;
            let mapped = text
                .split('/')
                .next()
                .and_then(|address| address.parse().ok())
                .is_some_and(|address: IpAddr| address.to_canonical() != address);
            if mapped || text.len() > LONGEST_BLOCK {
                findings.report_help(
                    codes::INVALID_CIDR,
                    item,
                    format!("`{text}` is no block of the API: Invalid CIDR format provided"),
                    format!("write it as `{net}`"),
                );
            }
            Some(net)
        })
        .collect()
}

fn decode_names(node: Node<'_>, findings: &mut Findings) -> Vec<NamePattern> {
    let items = items(node, "domainNames", MOST, findings);
    report_repeated(&items, findings);
    items
        .into_iter()
        .filter_map(|item| {
            let text = findings.string(item)?.value;
            match NamePattern::parse(Grammar::ClusterNetworkPolicy, text) {
                Ok(pattern) => Some(pattern),
                Err(error) => {
                    match error.help() {
                        Some(help) => findings.report_help(
                            codes::INVALID_PATTERN,
                            item,
                            error.to_string(),
                            help,
                        ),
                        None => findings.report(codes::INVALID_PATTERN, item, error.to_string()),
                    }
                    None
                }
            }
        })
        .collect()
}

/// The lists are sets: the API server refuses a text that stands twice.
fn report_repeated(items: &[Node<'_>], findings: &mut Findings) {
    let mut seen = std::collections::BTreeSet::new();
    for item in items {
        if let crate::yaml::Shape::Scalar(text, _) = item.shape()
            && !seen.insert(text)
        {
            findings.report_help(
                codes::CLUSTER_NETWORK_POLICY_DUPLICATE,
                *item,
                format!("`{text}` stands twice"),
                "leave one of them out",
            );
        }
    }
}
