use dns_names::NamePattern;
use ipnet::IpNet;
use policy_model::{Block, LabelSelector, Peer, Scope};

use super::closed_text;
use crate::cilium::cidr_group::{CidrSetSpec, GroupSpec};
use crate::cilium::entity::{self, EntitySpec};
use crate::cilium::labels::without_sources;
use crate::cilium::ports::decode_name_selector;
use crate::cilium::service;
use crate::codes::{self, Code};
use crate::decode::{At, Findings, Unknown};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::Node;
use crate::{Context, cidr};

/// The one kind of peer a rule has.
#[derive(Debug)]
pub(crate) enum PeersSpec<'d> {
    Blocks(Vec<CidrSetSpec<'d>>),
    Names(Vec<NamePattern>),
    Entities(Vec<EntitySpec>),
    Endpoints(Vec<At<'d, LabelSelectorSpec<'d>>>),
    Nodes(Vec<LabelSelector>),
    /// Those that could be read, and whether there are others.
    Services(Vec<Peer>, Option<Code>),
    /// What is never enforced; reported already.
    Closed(Code),
}

pub(super) fn decode_peers<'d>(
    name: &str,
    node: Node<'d>,
    deny: bool,
    context: &Context,
    findings: &mut Findings,
) -> Option<PeersSpec<'d>> {
    let items = findings.list(node)?;
    let empty = items.is_empty();
    if empty && matches!(name, "ToFQDNs" | "ToGroups") {
        let field = name.replacen("To", "to", 1);
        findings.report_help(
            codes::CILIUM_EMPTY_PEERS,
            node,
            format!("`{field}: []` would mean every destination in Cilium"),
            "leave the field out if that is meant, or name the hosts",
        );
        return None;
    }
    if name == "ToNodes" {
        if !context.cilium.node_selector_labels {
            findings.report(
                codes::CILIUM_NODES_FLAG,
                node,
                "FromNodes/ToNodes rules can only be applied when the enable-node-selector-labels flag is set",
            );
            return None;
        }
        findings.report_help(
            codes::CILIUM_NEEDS_FLAG,
            node,
            "Cilium's agent refuses `toNodes` unless it runs with enable-node-selector-labels",
            "Egret knows the labels of nodes and needs no flag",
        );
    }
    if empty {
        findings.report_help(
            codes::CILIUM_EMPTY_LIST,
            node,
            "an empty list selects no destination, so this rule matches nothing",
            "leave the field out for every destination",
        );
    }
    Some(match name {
        "ToCIDR" => PeersSpec::Blocks(
            items
                .into_iter()
                .filter_map(|item| cidr::decode(item, codes::CILIUM_CIDR, findings))
                .map(|net| CidrSetSpec::Block(Block::new(net, Scope::Outside)))
                .collect(),
        ),
        "ToCIDRSet" => PeersSpec::Blocks(
            items
                .into_iter()
                .filter_map(|item| decode_cidr_set(item, findings))
                .collect(),
        ),
        "ToEntities" => PeersSpec::Entities(
            items
                .into_iter()
                .filter_map(|item| entity::decode(item, deny, findings))
                .map(|at| at.value)
                .collect(),
        ),
        "ToFQDNs" => PeersSpec::Names(
            items
                .into_iter()
                .filter_map(|item| decode_name_selector(item, findings))
                .collect(),
        ),
        "ToEndpoints" => PeersSpec::Endpoints(selectors(items, findings)),
        "ToNodes" => PeersSpec::Nodes(
            selectors(items, findings)
                .into_iter()
                .map(|at| without_sources(at.value.lower()))
                .collect(),
        ),
        "ToServices" => {
            let given = items.len();
            let read: Vec<Peer> = items
                .into_iter()
                .filter_map(|item| service::decode(item, deny, findings))
                .collect();
            let closed = (read.len() < given).then_some(codes::CILIUM_TO_SERVICES);
            PeersSpec::Services(read, closed)
        }
        _ => {
            findings.report_help(
                codes::CILIUM_TO_GROUPS,
                node,
                closed_text("`toGroups`", deny),
                "name the addresses by `toCIDR`",
            );
            PeersSpec::Closed(codes::CILIUM_TO_GROUPS)
        }
    })
}

pub(super) fn selectors<'d>(
    items: Vec<Node<'d>>,
    findings: &mut Findings,
) -> Vec<At<'d, LabelSelectorSpec<'d>>> {
    let mut selectors = Vec::new();
    for node in items {
        if let Some(value) = LabelSelectorSpec::decode(node, findings) {
            selectors.push(At { value, node });
        }
    }
    selectors
}

pub(super) fn decode_cidr_set<'d>(
    item: Node<'d>,
    findings: &mut Findings,
) -> Option<CidrSetSpec<'d>> {
    let mut fields = findings.fields(item)?;
    let cidr = fields.take("cidr");
    let group_ref = fields.take("cidrGroupRef");
    let group_selector = fields.take("cidrGroupSelector");
    let except = fields.take("except");
    if fields.finish(findings, codes::UNKNOWN_FIELD) == Unknown::Some {
        return None;
    }
    let except: Vec<(Node<'d>, IpNet)> = except
        .and_then(|except| findings.list(except))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|node| Some((node, cidr::decode(node, codes::CILIUM_CIDR, findings)?)))
        .collect();
    let nets = |except: Vec<(Node<'d>, IpNet)>| except.into_iter().map(|(_, net)| net).collect();
    match (cidr, group_ref, group_selector) {
        (Some(cidr), None, None) => {
            let net = cidr::decode(cidr, codes::CILIUM_CIDR, findings)?;
            for (node, inner) in &except {
                if !net.contains(inner) {
                    findings.report(
                        codes::INVALID_EXCEPT,
                        *node,
                        format!(
                            "allow CIDR prefix {net} does not contain exclude CIDR prefix {inner}"
                        ),
                    );
                }
            }
            let mut block = Block::new(net, Scope::Outside);
            block.except = nets(except);
            Some(CidrSetSpec::Block(block))
        }
        (None, Some(node), None) => {
            let name = findings.string(node)?.value;
            Some(CidrSetSpec::Group {
                node,
                which: GroupSpec::Name(name),
                except: nets(except),
            })
        }
        (None, None, Some(node)) => {
            let selector = LabelSelectorSpec::decode(node, findings)?.lower();
            Some(CidrSetSpec::Group {
                node,
                which: GroupSpec::Selector(without_sources(selector)),
                except: nets(except),
            })
        }
        (None, None, None) => {
            findings.report(
                codes::CILIUM_CIDR,
                item,
                "one of cidr, cidrGroupRef or cidrGroupSelector must be set",
            );
            None
        }
        _ => {
            findings.report(
                codes::CILIUM_CIDR,
                item,
                "only one of cidr, cidrGroupRef or cidrGroupSelector may be set",
            );
            None
        }
    }
}
