//! `cilium.io/v2` as written, and Cilium's own validation of it (`Rule.Sanitize`).

use dns_names::NamePattern;
use ipnet::IpNet;
use policy_model::{Block, Entity, Scope};

use super::icmp::{self, IcmpSpec};
use super::ports::{PortRuleSpec, Position, decode_name_selector};
use crate::codes::{self, Code};
use crate::decode::{At, Findings, Unknown, listed};
use crate::kubernetes::LabelSelectorSpec;
use crate::suggest::nearest;
use crate::yaml::Node;
use crate::{Context, cidr};

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
    Nodes(LabelSelectorSpec<'d>),
}

/// One entry of `egress` or `egressDeny`.
#[derive(Debug)]
pub(crate) struct EgressSpec<'d> {
    pub(crate) node: Node<'d>,
    /// Nothing: every destination.
    pub(crate) peers: Option<At<'d, PeersSpec<'d>>>,
    /// Nothing or empty: every port and protocol.
    pub(crate) ports: Vec<PortRuleSpec>,
    pub(crate) icmps: Vec<IcmpSpec>,
    pub(crate) closed: Vec<Code>,
}

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
                LabelSelectorSpec::decode(node, findings).map(SubjectSpec::Nodes)
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
        for (list, deny) in [(ingress, false), (ingress_deny, true)] {
            for item in list
                .and_then(|list| findings.list(list))
                .unwrap_or_default()
            {
                ingress_rules += 1;
                decode_ingress(
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
        if let [(first, _), (second, place), ..] = given.as_slice() {
            findings.report_help(
                codes::CILIUM_L3_COMBINATION,
                *place,
                format!("combining {first} and {second} is not supported yet"),
                "write one rule for each: rules are alternatives",
            );
        }
        let peers = match given.as_slice() {
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
        if let (Some(_), Some(icmps)) = (ports, icmps) {
            findings.report(
                codes::CILIUM_ICMPS_WITH_PORTS,
                icmps,
                "the ICMPs block may only be present without ToPorts. Define a separate rule to use ToPorts",
            );
        }
        let position = Position {
            ingress: false,
            deny,
            host,
        };
        let ports = ports
            .and_then(|node| findings.list(node))
            .unwrap_or_default();
        let ports = ports
            .into_iter()
            .filter_map(|item| PortRuleSpec::decode(item, position, context, findings))
            .collect();
        let icmps = icmps.map_or_else(Vec::new, |node| icmp::decode(node, findings));
        Some(Self {
            node,
            peers,
            ports,
            icmps,
            closed,
        })
    }
}

fn decode_peers<'d>(
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

/// Ingress is not enforced; what would make Cilium refuse the object is still looked for.
fn decode_ingress(node: Node<'_>, position: Position, context: &Context, findings: &mut Findings) {
    let Some(ports) = node.get("toPorts").filter(|ports| !ports.is_null()) else {
        return;
    };
    for item in findings.list(ports).unwrap_or_default() {
        PortRuleSpec::decode(item, position, context, findings);
    }
}

fn closed_text(what: &str, deny: bool) -> String {
    if deny {
        format!("{what} cannot be enforced yet: this rule denies everything")
    } else {
        format!("{what} cannot be enforced yet: nothing is allowed by it")
    }
}
