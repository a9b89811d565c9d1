//! Peers as members of an entry of `egress`.

use dns_names::{Grammar, NamePattern};
use ipnet::IpNet;
use policy_model::{
    Action, Block, Cluster, EndpointPeer, Entity, FqdnBy, FqdnPeer, NodePeer, Peer, PodPeer, Rule,
    Scope, ServicePeer, ServiceRef,
};

use crate::cidr::canonical;
use crate::convert::{may_be_more_than_pods, pods_among};
use crate::kubernetes::selector;
use crate::yaml::write::Map;

use super::selector as labels;

/// Members by their word; one entry has one of them.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) groups: Vec<(&'static str, Vec<Map>)>,
    pub(super) entities: Vec<&'static str>,
    /// The names of `toFQDNs`, in Cilium's grammar.
    pub(super) patterns: Vec<NamePattern>,
    /// An entry of its own: the cluster's DNS.
    pub(super) cluster_dns: bool,
    pub(super) unsaid: Vec<String>,
    /// What is said and means less.
    pub(super) less: Vec<&'static str>,
    /// What is said and means more.
    pub(super) more: Vec<&'static str>,
}

pub(super) fn peers(peers: &[Peer], rule: &Rule, own: Option<&str>, cluster: &Cluster) -> Written {
    let mut out = Written::default();
    for peer in peers {
        match peer {
            Peer::Block(block) => self::block(block, &mut out),
            Peer::Fqdn(fqdn) => self::fqdn(fqdn, rule, &mut out),
            // In Cilium's `cluster` is its API server, wherever that runs.
            Peer::Entity(Entity::KubeApiserver)
                if peers.contains(&Peer::Entity(Entity::Cluster)) => {}
            Peer::Entity(Entity::Cluster)
                if !peers.contains(&Peer::Entity(Entity::KubeApiserver)) =>
            {
                out.less
                    .push("of the cluster its pods and nodes are meant, not addresses that none of them has");
                out.entities.extend(["host", "remote-node"]);
                out.add("toEndpoints", labels::of_pods(&PodPeer::default(), own));
            }
            Peer::Entity(entity) => self::entity(*entity, &mut out),
            Peer::Metadata(preset) => out
                .unsaid
                .push(format!("the metadata preset `{}`", preset.as_str())),
            Peer::Pods(peer) => pods(peer, own, &mut out),
            Peer::Nodes(NodePeer { labels, remote }) => {
                if !remote {
                    out.less
                        .push("nodes by label are others than the workload's own");
                }
                out.add("toNodes", selector(labels));
            }
            Peer::Service(service) => self::service(service, rule, &mut out),
            Peer::Endpoints(endpoints) => self::endpoints(endpoints, rule, own, cluster, &mut out),
            Peer::Set(name) => out.unsaid.push(format!("the EgressSet `{name}`")),
        }
    }
    out
}

impl Written {
    fn add(&mut self, word: &'static str, member: Map) {
        match self.groups.iter_mut().find(|(known, _)| *known == word) {
            Some((_, members)) => members.push(member),
            None => self.groups.push((word, vec![member])),
        }
    }
}

/// A pattern as a selector of names.
pub(super) fn name(pattern: &NamePattern) -> Map {
    match pattern.exact() {
        Some(name) if name.is_root() => Map::new(),
        Some(name) => Map::new().with("matchName", name.without_dot()),
        None => Map::new().with("matchPattern", pattern.as_str()),
    }
}

fn block(block: &Block, out: &mut Written) {
    let Block { net, except, scope } = block;
    let net = canonical(*net);
    let except: Vec<IpNet> = except.iter().copied().map(canonical).collect();
    if except.iter().any(|except| except.contains(&net)) {
        return;
    }
    let except: Vec<String> = except
        .iter()
        .filter(|except| net.contains(*except))
        .map(ToString::to_string)
        .collect();
    if *scope == Scope::Any {
        out.less
            .push("blocks never mean pods, nodes and Services of the cluster");
    }
    let mut map = Map::new().with("cidr", net.to_string());
    if !except.is_empty() {
        map.push("except", except);
    }
    out.add("toCIDRSet", map);
}

fn fqdn(fqdn: &FqdnPeer, rule: &Rule, out: &mut Written) {
    let FqdnPeer { pattern, by, scope } = fqdn;
    if pattern.is_never() {
        return;
    }
    if rule.action == Action::Deny {
        out.unsaid
            .push(format!("the refusal of `{}`", pattern.as_str()));
        return;
    }
    let Some(pattern) = pattern.in_grammar(Grammar::Cilium) else {
        out.unsaid
            .push(format!("the name pattern `{}`", pattern.as_str()));
        return;
    };
    if *by == FqdnBy::Chain {
        out.less.push(
            "a name counts only where it was asked itself, not where it led to an address by CNAME",
        );
    }
    if *scope == Scope::Any {
        out.less
            .push("names never mean pods, nodes and Services of the cluster");
    }
    out.add("toFQDNs", name(&pattern));
    out.patterns.push(pattern);
}

fn entity(entity: Entity, out: &mut Written) {
    match entity {
        Entity::Dns => {
            out.less
                .push("of the known DNS servers the cluster's own is meant, on port 53");
            out.cluster_dns = true;
        }
        Entity::Loopback => out.unsaid.push("the entity `loopback`".to_owned()),
        Entity::World
        | Entity::WorldIpv4
        | Entity::WorldIpv6
        | Entity::Host
        | Entity::RemoteNode
        | Entity::Cluster
        | Entity::KubeApiserver
        | Entity::All => out.entities.push(entity.as_str()),
    }
}

fn service(peer: &ServicePeer, rule: &Rule, out: &mut Written) {
    let ServicePeer {
        namespace,
        service,
        with_ports,
    } = peer;
    if *with_ports {
        if rule.action != Action::Deny {
            out.unsaid
                .push("a Service on its own ports alone".to_owned());
            return;
        }
        out.more
            .push("a Service's backends are meant on every port of the rule");
    }
    let member = match service {
        ServiceRef::Name(name) => Map::new().with(
            "k8sService",
            Map::new()
                .with("serviceName", &**name)
                .with_some("namespace", namespace.as_deref()),
        ),
        ServiceRef::Labels(of) => Map::new().with(
            "k8sServiceSelector",
            Map::new()
                .with("selector", selector(of))
                .with_some("namespace", namespace.as_deref()),
        ),
    };
    out.add("toServices", member);
}

fn endpoints(
    peer: &EndpointPeer,
    rule: &Rule,
    own: Option<&str>,
    cluster: &Cluster,
    out: &mut Written,
) {
    let more = may_be_more_than_pods(peer, rule.action, cluster);
    let Some(peer) = pods_among(peer) else {
        out.unsaid.push("endpoints by an expression".to_owned());
        return;
    };
    if more {
        out.less
            .push("network sets and host endpoints are not meant");
    }
    pods(&peer, own, out);
}

fn pods(peer: &PodPeer, own: Option<&str>, out: &mut Written) {
    match labels::too_long(peer.namespaces.as_ref()) {
        Some(key) => out
            .unsaid
            .push(format!("namespaces by so long a label as `{key}`")),
        None => out.add("toEndpoints", labels::of_pods(peer, own)),
    }
}
