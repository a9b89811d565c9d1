use std::sync::Arc;

use dns_names::{Grammar, NamePattern};
use policy_model::{
    Action, Block, Cluster, Entity, FqdnBy, FqdnPeer, HttpMatch, NamedPort, NamedPorts, NodePeer,
    Peer, Peers, PortMatch, Ports, Protocol, Rule, Scope, SniCondition,
};

use crate::cilium::endpoints::{self, Destination};
use crate::cilium::entity::EntitySpec;
use crate::cilium::ports::{ANY, PortRuleSpec, PortSpec};
use crate::cilium::v2::{EgressSpec, PeersSpec};
use crate::codes::{self, Code};
use crate::decode::Findings;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

/// What an entry's meaning depends on besides itself.
pub(super) struct Around<'a> {
    /// The policy's own, where it has one.
    pub(super) namespace: Option<Arc<str>>,
    pub(super) allow_private: bool,
    pub(super) surroundings: &'a Surroundings,
}

/// The model's rules of one entry: peers and ports are alternatives, and each pair that can be enforced stands for itself.
pub(super) fn lower_egress(
    spec: EgressSpec<'_>,
    action: Action,
    index: u32,
    around: &Around<'_>,
    findings: &mut Findings,
    rules: &mut Vec<Rule>,
) {
    let EgressSpec {
        node,
        peers,
        ports,
        icmps,
        closed,
    } = spec;
    let base = Rule {
        allow_private: around.allow_private && action == Action::Allow,
        ..Rule::new(index, action, findings.origin(node))
    };
    // Without a peer every destination is meant, but an entry without any member matches nothing: `egress: [{}]` is
    // how a policy isolates and allows nothing.
    let absent = if ports.is_empty() && icmps.is_none() {
        Peers::Of(Vec::new())
    } else {
        Peers::Any
    };
    let peers = match peers {
        Some(at) => lower_peers(at.value, at.node, action, around, findings),
        None => Side {
            open: Some(absent),
            closed: None,
        },
    };
    let icmps = icmps.map(|types| {
        types
            .iter()
            .map(|icmp| PortMatch::icmp(icmp.protocol, icmp.kind, None))
            .collect()
    });
    let parts = lower_ports(ports, icmps);
    let closed = closed.first().copied();
    if action == Action::Deny {
        // A Deny that cannot be known whole denies everything.
        let code = closed
            .or(peers.closed)
            .or_else(|| parts.iter().find_map(|part| part.closed));
        let (ports, named_ports) = merged(parts);
        rules.push(Rule {
            peers: peers.open.unwrap_or(Peers::Of(Vec::new())),
            ports,
            named_ports,
            closed: code.map(|code| code.id),
            ..base
        });
        return;
    }
    for part in parts {
        let code = closed.or(part.closed);
        let rule = Rule {
            ports: part.ports,
            named_ports: named(part.named),
            questions: part.questions,
            sni: (!part.server_names.is_empty()).then_some(SniCondition::Names(part.server_names)),
            http: part.http,
            ..base.clone()
        };
        if let Some(open) = &peers.open {
            rules.push(Rule {
                peers: open.clone(),
                closed: code.map(|code| code.id),
                ..rule.clone()
            });
        }
        if let Some(peer_code) = peers.closed {
            rules.push(Rule {
                peers: Peers::Of(Vec::new()),
                closed: Some(code.unwrap_or(peer_code).id),
                ..rule
            });
        }
    }
}

/// The peers that can be enforced, and why others cannot.
struct Side {
    open: Option<Peers>,
    closed: Option<Code>,
}

impl Side {
    /// Of an Allow nothing is left where every peer is closed; a Deny is closed whole.
    fn new(open: Vec<Peer>, closed: Option<Code>, action: Action) -> Self {
        let only_closed = open.is_empty() && closed.is_some() && action == Action::Allow;
        Self {
            open: (!only_closed).then_some(Peers::Of(open)),
            closed,
        }
    }
}

fn lower_peers(
    spec: PeersSpec<'_>,
    node: Node<'_>,
    action: Action,
    around: &Around<'_>,
    findings: &mut Findings,
) -> Side {
    let deny = action == Action::Deny;
    let mut closed = None;
    let open = match spec {
        PeersSpec::Blocks(entries) => {
            let mut blocks = Vec::new();
            for entry in entries {
                match entry.lower(deny, around.surroundings, findings) {
                    Some(more) => blocks.extend(more),
                    None => closed = Some(codes::CILIUM_CIDR_GROUP),
                }
            }
            lint_cluster_blocks(&blocks, node, &around.surroundings.cluster, findings);
            blocks.into_iter().map(Peer::Block).collect()
        }
        PeersSpec::Names(patterns) => {
            let peer = |pattern| {
                Peer::Fqdn(FqdnPeer {
                    pattern,
                    by: FqdnBy::Question,
                    scope: Scope::Outside,
                })
            };
            patterns.into_iter().map(peer).collect()
        }
        PeersSpec::Entities(entities) => {
            let mut open = Vec::new();
            for entity in entities {
                match entity {
                    // An API server outside of the cluster is in it all the same (`pkg/policy/api/entity.go`).
                    EntitySpec::Entity(Entity::Cluster) => {
                        open.extend([Entity::Cluster, Entity::KubeApiserver].map(Peer::Entity))
                    }
                    EntitySpec::Entity(entity) => open.push(Peer::Entity(entity)),
                    EntitySpec::Nothing => {}
                    EntitySpec::Foreign(_) => closed = Some(codes::CILIUM_CLUSTER_ENTITY),
                }
            }
            open
        }
        PeersSpec::Endpoints(selectors) => {
            let mut open = Vec::new();
            for selector in selectors {
                match endpoints::lower(selector, around.namespace.as_ref(), deny, findings) {
                    Destination::Peer(peer) => open.push(peer),
                    Destination::Nothing => {}
                    Destination::Closed => closed = Some(codes::CILIUM_TO_ENDPOINTS),
                }
            }
            open
        }
        PeersSpec::Services(peers, code) => {
            closed = code;
            peers
        }
        // Cilium adds `reserved:remote-node` to each: a workload's own node is its host.
        PeersSpec::Nodes(selectors) => selectors
            .into_iter()
            .map(|labels| {
                Peer::Nodes(NodePeer {
                    labels,
                    remote: true,
                })
            })
            .collect(),
        PeersSpec::Closed(code) => {
            closed = Some(code);
            Vec::new()
        }
    };
    Side::new(open, closed, action)
}

/// Blocks that hold nothing but addresses of the cluster mean nothing in this dialect.
fn lint_cluster_blocks(
    blocks: &[Block],
    node: Node<'_>,
    cluster: &Cluster,
    findings: &mut Findings,
) {
    for block in blocks {
        let net = block.net;
        let one = (net.prefix_len() == net.max_prefix_len()).then(|| net.addr());
        let what = if one.is_some_and(|ip| cluster.node_at(ip).is_some()) {
            "a node's address"
        } else if one.is_some_and(|ip| cluster.service_at(ip).is_some()) {
            "the address of a Service"
        } else if one.is_some_and(|ip| cluster.pod_at(ip).is_some())
            || cluster
                .nodes
                .values()
                .any(|node| node.pod_cidrs.iter().any(|cidr| cidr.contains(&net)))
        {
            "addresses of pods"
        } else {
            continue;
        };
        findings.report_help(
            codes::CILIUM_CIDR_IN_CLUSTER,
            node,
            format!("`{net}` is {what}, and a block never means what is inside of the cluster"),
            "name pods by `toEndpoints`, Services by `toServices`, nodes by `toEntities`",
        );
    }
}

/// The ports of one model rule.
struct Part {
    ports: Ports,
    named: Vec<NamedPort>,
    questions: Option<Vec<NamePattern>>,
    http: Vec<HttpMatch>,
    server_names: Vec<NamePattern>,
    closed: Option<Code>,
}

impl Part {
    const fn of(ports: Ports) -> Self {
        Self {
            ports,
            named: Vec::new(),
            questions: None,
            http: Vec::new(),
            server_names: Vec::new(),
            closed: None,
        }
    }
}

fn lower_ports(specs: Vec<PortRuleSpec>, icmps: Option<Vec<PortMatch>>) -> Vec<Part> {
    if let Some(icmps) = icmps {
        return vec![Part::of(Ports::Only(icmps))];
    }
    if specs.is_empty() {
        return vec![Part::of(Ports::Any)];
    }
    let mut plain: Option<Part> = None;
    let mut parts = Vec::new();
    for spec in specs {
        let PortRuleSpec {
            ports,
            dns,
            http,
            server_names,
            closed,
        } = spec;
        // Without a port of its own Cilium makes no entry at all: it allows nothing, and a Deny denies nothing.
        let (list, mut named) = lower_port_list(ports);
        let closed = closed.first().copied();
        if dns.is_none() && closed.is_none() {
            let part = plain.get_or_insert(Part::of(Ports::Only(Vec::new())));
            part.named.append(&mut named);
            add(&mut part.ports, list);
            continue;
        }
        parts.push(Part {
            ports: list,
            named,
            questions: dns.map(|names| {
                if names.is_empty() {
                    every_name()
                } else {
                    names
                }
            }),
            http,
            server_names,
            closed,
        });
    }
    plain.into_iter().chain(parts).collect()
}

fn merged(parts: Vec<Part>) -> (Ports, NamedPorts) {
    let (mut ports, mut names) = (Ports::Only(Vec::new()), Vec::new());
    for mut part in parts {
        add(&mut ports, part.ports);
        names.append(&mut part.named);
    }
    (ports, named(names))
}

fn add(ports: &mut Ports, more: Ports) {
    match (&mut *ports, more) {
        (Ports::Only(known), Ports::Only(mut more)) => known.append(&mut more),
        (_, more @ (Ports::Any | Ports::AllBut(_))) => *ports = more,
        (Ports::Any | Ports::AllBut(_), Ports::Only(_)) => {}
    }
}

const fn named(any_of: Vec<NamedPort>) -> NamedPorts {
    NamedPorts {
        any_of,
        none_of: Vec::new(),
        except: Vec::new(),
    }
}

/// `rules: {dns: []}`: rules that are there and empty allow every name.
fn every_name() -> Vec<NamePattern> {
    NamePattern::parse(Grammar::Cilium, "*")
        .into_iter()
        .collect()
}

fn lower_port_list(specs: Vec<PortSpec>) -> (Ports, Vec<NamedPort>) {
    let (mut matches, mut named) = (Vec::new(), Vec::new());
    for spec in specs {
        match spec {
            PortSpec::Every { protocol } => {
                matches.extend(protocols(protocol).map(PortMatch::all));
            }
            PortSpec::Range {
                protocol,
                first,
                last,
            } => {
                let range = |protocol| PortMatch::range(protocol, first, last);
                matches.extend(protocols(protocol).map(range));
            }
            PortSpec::Named(port) => named.push(port),
        }
    }
    (Ports::Only(matches), named)
}

/// The protocols a port rule means.
fn protocols(one: Option<Protocol>) -> impl Iterator<Item = Protocol> {
    let all = if one.is_some() { &[][..] } else { &ANY };
    one.into_iter().chain(all.iter().copied())
}

#[cfg(test)]
mod tests {
    use policy_model::{Node as ClusterNode, Pod, Service};
    use test_case::test_case;

    use super::*;
    use crate::yaml;

    fn cluster() -> Cluster {
        let mut cluster = Cluster::default();
        cluster.nodes.insert(
            "n".into(),
            ClusterNode {
                addresses: vec!["10.0.0.1".parse().unwrap()],
                pod_cidrs: vec!["10.244.0.0/24".parse().unwrap()],
                ..ClusterNode::default()
            },
        );
        cluster.services.insert(
            ("a".into(), "s".into()),
            Service {
                addresses: vec!["10.96.0.9".parse().unwrap()],
                ..Service::default()
            },
        );
        cluster.pods.insert(
            ("a".into(), "p".into()),
            Pod {
                addresses: vec!["10.250.0.7".parse().unwrap()],
                ..Pod::default()
            }
            .into(),
        );
        cluster
    }

    #[test_case("10.0.0.1/32", true; "a node")]
    #[test_case("10.96.0.9/32", true; "a service, such as a load balancer of one's own")]
    #[test_case("10.250.0.7/32", true; "a pod")]
    #[test_case("10.244.0.128/25", true; "a range of pods")]
    #[test_case("10.0.0.0/8", false; "a range that holds more")]
    #[test_case("192.0.2.1/32", false; "somebody else")]
    fn blocks_of_the_cluster(net: &str, reported: bool) {
        let (documents, _) = yaml::load("a", &yaml::Limits::default());
        let block = Block::new(net.parse().unwrap(), Scope::Outside);
        let mut findings = Findings::new("p.yaml");
        lint_cluster_blocks(&[block], documents[0].root(), &cluster(), &mut findings);
        let codes: Vec<&str> = findings.into_diagnostics().iter().map(|d| d.code).collect();
        let expected: &[&str] = if reported {
            &["cilium-cidr-in-cluster"]
        } else {
            &[]
        };
        assert_eq!(codes, expected);
    }
}
