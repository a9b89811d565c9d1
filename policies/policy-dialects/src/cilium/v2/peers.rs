use dns_names::NamePattern;
use ipnet::IpNet;
use policy_model::{Block, Entity, Scope};

use super::closed_text;
use crate::cilium::ports::decode_name_selector;
use crate::codes::{self, Code};
use crate::decode::{At, Findings, Unknown, listed};
use crate::suggest::nearest;
use crate::yaml::Node;
use crate::{Context, cidr};

/// The one kind of peer a rule has.
#[derive(Debug)]
pub(crate) enum PeersSpec<'d> {
    /// What the model has, each with its entry.
    Blocks(Vec<Block>),
    Names(Vec<NamePattern>),
    Entities(Vec<At<'d, EntitySpec>>),
    /// What waits for a cluster; reported already.
    Closed {
        code: Code,
        count: usize,
    },
}

/// An entity Egret can tell apart by itself, or one that waits for a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntitySpec {
    Entity(Entity),
    World(IpNet),
    /// `none`: no destination.
    Nothing,
    Cluster(&'static str),
}

const ENTITIES: &[&str] = &[
    "all",
    "world",
    "world-ipv4",
    "world-ipv6",
    "cluster",
    "cluster-mesh",
    "host",
    "init",
    "ingress",
    "unmanaged",
    "remote-node",
    "health",
    "none",
    "kube-apiserver",
];

pub(super) fn decode_peers<'d>(
    name: &str,
    node: Node<'d>,
    deny: bool,
    context: &Context,
    findings: &mut Findings,
) -> Option<PeersSpec<'d>> {
    let items = findings.list(node)?;
    let empty = items.is_empty();
    let spec = match name {
        "ToCIDR" => PeersSpec::Blocks(
            items
                .into_iter()
                .filter_map(|item| cidr::decode(item, codes::CILIUM_CIDR, findings))
                .map(|net| Block::new(net, Scope::Outside))
                .collect(),
        ),
        "ToCIDRSet" => decode_cidr_set(items, deny, findings),
        "ToEntities" => {
            let mut entities = Vec::new();
            for item in items {
                entities.extend(decode_entity(item, deny, findings));
            }
            PeersSpec::Entities(entities)
        }
        "ToFQDNs" => {
            if empty {
                return refuse_empty("toFQDNs", node, findings);
            }
            PeersSpec::Names(
                items
                    .into_iter()
                    .filter_map(|item| decode_name_selector(item, findings))
                    .collect(),
            )
        }
        "ToGroups" if empty => return refuse_empty("toGroups", node, findings),
        "ToNodes" if !context.cilium.node_selector_labels => {
            findings.report(
                codes::CILIUM_NODES_FLAG,
                node,
                "FromNodes/ToNodes rules can only be applied when the enable-node-selector-labels flag is set",
            );
            return None;
        }
        other => {
            let (code, what, help) = match other {
                "ToEndpoints" => (
                    codes::CILIUM_TO_ENDPOINTS,
                    "`toEndpoints`",
                    "the known resolvers need no rule: `toFQDNs` opens them; other hosts are named by `toFQDNs` or `toCIDR`",
                ),
                "ToServices" => (
                    codes::CILIUM_TO_SERVICES,
                    "`toServices`",
                    "name the hosts by `toFQDNs` or the addresses by `toCIDR`",
                ),
                "ToNodes" => (
                    codes::CILIUM_TO_NODES,
                    "`toNodes`",
                    "name the addresses by `toCIDR`",
                ),
                _ => (
                    codes::CILIUM_TO_GROUPS,
                    "`toGroups`",
                    "name the addresses by `toCIDR`",
                ),
            };
            if !empty {
                findings.report_help(code, node, closed_text(what, deny), help);
            }
            PeersSpec::Closed {
                code,
                count: items.len(),
            }
        }
    };
    if empty {
        findings.report_help(
            codes::CILIUM_EMPTY_LIST,
            node,
            "an empty list selects no destination, so this rule matches nothing",
            "leave the field out for every destination",
        );
    }
    Some(spec)
}

fn refuse_empty<'d>(name: &str, node: Node<'d>, findings: &mut Findings) -> Option<PeersSpec<'d>> {
    findings.report_help(
        codes::CILIUM_EMPTY_PEERS,
        node,
        format!("`{name}: []` would mean every destination in Cilium"),
        "leave the field out if that is meant, or name the hosts",
    );
    None
}

fn decode_cidr_set<'d>(items: Vec<Node<'d>>, deny: bool, findings: &mut Findings) -> PeersSpec<'d> {
    let mut blocks = Vec::new();
    let mut groups = 0;
    for item in items {
        let Some(mut fields) = findings.fields(item) else {
            continue;
        };
        let cidr = fields.take("cidr");
        let (group, selector) = (
            fields.take("cidrGroupRef"),
            fields.take("cidrGroupSelector"),
        );
        let group = group.or(selector);
        let except = fields.take("except");
        if fields.finish(findings, codes::UNKNOWN_FIELD) == Unknown::Some {
            continue;
        }
        match (cidr, group) {
            (Some(cidr), None) => {
                let Some(net) = cidr::decode(cidr, codes::CILIUM_CIDR, findings) else {
                    continue;
                };
                let mut block = Block::new(net, Scope::Outside);
                for except in except
                    .and_then(|except| findings.list(except))
                    .unwrap_or_default()
                {
                    let Some(inner) = cidr::decode(except, codes::CILIUM_CIDR, findings) else {
                        continue;
                    };
                    if !net.contains(&inner) {
                        findings.report(
                            codes::INVALID_EXCEPT,
                            except,
                            format!("allow CIDR prefix {net} does not contain exclude CIDR prefix {inner}"),
                        );
                    }
                    block.except.push(inner);
                }
                blocks.push(block);
            }
            (None, Some(group)) => {
                findings.report_help(
                    codes::CILIUM_CIDR_GROUP,
                    group,
                    closed_text("a CiliumCIDRGroup", deny),
                    "write its blocks out as `cidr`",
                );
                groups += 1;
            }
            (Some(_), Some(group)) => {
                findings.report(
                    codes::CILIUM_CIDR,
                    group,
                    "only one of cidr, cidrGroupRef or cidrGroupSelector may be set",
                );
            }
            (None, None) => findings.report(
                codes::CILIUM_CIDR,
                item,
                "one of cidr, cidrGroupRef or cidrGroupSelector must be set",
            ),
        }
    }
    // Blocks beside a group hold by themselves in an Allow; a Deny that cannot be known whole is closed whole.
    if groups > 0 && (deny || blocks.is_empty()) {
        return PeersSpec::Closed {
            code: codes::CILIUM_CIDR_GROUP,
            count: groups,
        };
    }
    PeersSpec::Blocks(blocks)
}

fn decode_entity<'d>(
    node: Node<'d>,
    deny: bool,
    findings: &mut Findings,
) -> Option<At<'d, EntitySpec>> {
    let text = findings.string(node)?.value;
    let Some(name) = ENTITIES.iter().find(|name| **name == text) else {
        let help = match nearest(text, ENTITIES) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", listed(ENTITIES)),
        };
        findings.report_help(
            codes::CILIUM_ENTITY,
            node,
            format!("unsupported entity: {text}"),
            help,
        );
        return None;
    };
    let value = match *name {
        "all" => EntitySpec::Entity(Entity::All),
        "world" => EntitySpec::Entity(Entity::World),
        "world-ipv4" => EntitySpec::World(IpNet::V4(ipnet::Ipv4Net::default())),
        "world-ipv6" => EntitySpec::World(IpNet::V6(ipnet::Ipv6Net::default())),
        "host" => EntitySpec::Entity(Entity::Host),
        "none" => EntitySpec::Nothing,
        cluster => {
            findings.report_help(
                codes::CILIUM_CLUSTER_ENTITY,
                node,
                closed_text(&format!("the entity `{cluster}`"), deny),
                "on one machine there are `world`, `host` and `all`",
            );
            EntitySpec::Cluster(cluster)
        }
    };
    Some(At { value, node })
}
