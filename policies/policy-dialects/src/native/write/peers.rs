//! Peers as entries of a native `to`.

use std::net::IpAddr;

use dns_names::Grammar;
use ipnet::IpNet;
use policy_model::{
    Action, Block, Entity, FqdnBy, FqdnPeer, Guarded, Peer, PodPeer, Rule, Scope, ServicePeer,
    ServiceRef, World,
};

use crate::yaml::write::{Map, Value};

use super::selector::{in_namespace, selector};

/// Entries of `to`, the presets of `metadata`, and what could not be said.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) to: Vec<Map>,
    pub(super) metadata: Vec<&'static str>,
    pub(super) unsaid: Vec<String>,
    /// What is said, and natively means more.
    pub(super) wider: Vec<&'static str>,
}

/// Where the rule stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) rule: &'a Rule,
    /// The namespace of the written object.
    pub(super) namespace: Option<&'a str>,
    /// The policy moves up into the admin tier, whose rules open guarded addresses.
    pub(super) lifted: bool,
}

pub(super) fn peers(peers: &[Peer], around: Around<'_>) -> Written {
    let mut out = Written::default();
    let mut at = 0;
    while let Some(peer) = peers.get(at) {
        // Names that are read alike share an entry.
        if let Peer::Fqdn(first) = peer {
            let alike = |peer: &&Peer| matches!(peer, Peer::Fqdn(other) if (other.by, other.scope) == (first.by, first.scope));
            let group: Vec<&Peer> = peers[at..].iter().take_while(alike).collect();
            at += group.len();
            names(first, &group, &mut out);
            continue;
        }
        at += 1;
        match peer {
            Peer::Fqdn(_) => {}
            Peer::Block(block) => self::block(block, around, &mut out),
            Peer::Entity(entity) => self::entity(*entity, &mut out),
            Peer::Metadata(preset) if around.rule.action == Action::Allow => {
                out.metadata.push(preset.as_str());
            }
            Peer::Metadata(preset) => out.unsaid.push(format!(
                "the preset `{}` outside of an Allow",
                preset.as_str()
            )),
            Peer::Pods(pods) => out.to.push(self::pods(pods, around.namespace)),
            Peer::Nodes(nodes) => out.to.push(Map::new().with("nodes", selector(nodes))),
            Peer::Service(service) => self::service(service, &mut out),
            Peer::Set(name) => out.to.push(Map::new().with("set", &**name)),
            Peer::Endpoints(_) => out.unsaid.push("endpoints by an expression".to_owned()),
        }
    }
    out
}

fn names(first: &FqdnPeer, group: &[&Peer], out: &mut Written) {
    let mut patterns: Vec<String> = Vec::new();
    for peer in group {
        let Peer::Fqdn(peer) = peer else { continue };
        // A pattern that covers no name is no pattern, and nothing is lost with it.
        if peer.pattern.is_never() {
            continue;
        }
        match peer.pattern.in_grammar(Grammar::Native) {
            Some(pattern) => patterns.push(pattern.as_str().to_owned()),
            None => out.unsaid.push(format!(
                "the name pattern `{}`: natively a star is a whole first label",
                peer.pattern.as_str()
            )),
        }
    }
    if patterns.is_empty() {
        return;
    }
    if first.by == FqdnBy::Question {
        out.wider.push(
            "natively a name counts on the whole chain of an answer: what leads to it by CNAME opens it too",
        );
    }
    note_scope(first.scope, out);
    out.to.push(Map::new().with("fqdn", patterns));
}

fn note_scope(scope: Scope, out: &mut Written) {
    if scope == Scope::Outside {
        out.wider.push(
            "natively blocks and names mean pods, nodes and Services too, where they have such an address",
        );
    }
}

fn block(block: &Block, around: Around<'_>, out: &mut Written) {
    let Block { net, except, scope } = block;
    let net = canonical(*net);
    let except: Vec<IpNet> = except.iter().copied().map(canonical).collect();
    let opens = around.lifted
        && around.rule.action == Action::Allow
        && net.prefix_len() == net.max_prefix_len()
        && World::default().guarded(net.addr()) == Some(Guarded::Metadata);
    if opens {
        out.unsaid.push(format!(
            "`{net}` in a rule that opens no guarded address: the rules of an admin tier do"
        ));
        return;
    }
    // An exception that is no part of the block takes nothing from it; one that covers the block takes all.
    if except.iter().any(|except| except.contains(&net)) {
        return;
    }
    let except: Vec<String> = except
        .iter()
        .filter(|except| net.contains(*except))
        .map(ToString::to_string)
        .collect();
    let mut map = Map::new().with("cidr", net.to_string());
    if !except.is_empty() {
        map.push("except", except);
    }
    note_scope(*scope, out);
    out.to.push(map);
}

/// IPv4-mapped prefixes are IPv4, as every engine reads them; bits beyond the prefix have no effect.
fn canonical(net: IpNet) -> IpNet {
    let net = net.trunc();
    let IpNet::V6(v6) = net else { return net };
    let v4 = v6.addr().to_ipv4_mapped();
    let length = v6.prefix_len().checked_sub(96);
    match v4.zip(length) {
        Some((v4, length)) => IpNet::new(IpAddr::V4(v4), length).unwrap_or(net),
        None => net,
    }
}

fn entity(entity: Entity, out: &mut Written) {
    let half = |out: &mut Written, net: &str| {
        note_scope(Scope::Outside, out);
        out.to.push(Map::new().with("cidr", net));
    };
    match entity {
        Entity::WorldIpv4 => half(out, "0.0.0.0/0"),
        Entity::WorldIpv6 => half(out, "::/0"),
        Entity::All => {
            for net in ["0.0.0.0/0", "::/0"] {
                out.to.push(Map::new().with("cidr", net));
            }
        }
        Entity::RemoteNode => out.unsaid.push("the entity `remote-node`".to_owned()),
        Entity::World
        | Entity::Host
        | Entity::Loopback
        | Entity::Dns
        | Entity::Cluster
        | Entity::KubeApiserver => out.to.push(Map::new().with("entity", entity.as_str())),
    }
}

fn pods(peer: &PodPeer, own: Option<&str>) -> Map {
    let PodPeer {
        namespace,
        namespaces,
        pods,
        service_accounts,
    } = peer;
    let namespaces = match (namespace.as_deref(), namespaces) {
        (Some(namespace), None) if own == Some(namespace) => None,
        (Some(namespace), namespaces) => Some(in_namespace(
            &namespaces.clone().unwrap_or_default(),
            namespace,
        )),
        (None, namespaces) => Some(namespaces.clone().unwrap_or_default()),
    };
    let mut map = Map::new();
    if let Some(namespaces) = namespaces {
        map.push("namespaces", selector(&namespaces));
    }
    map.append(selector(pods));
    if !service_accounts.is_empty() {
        let accounts: Vec<&str> = service_accounts.iter().map(|account| &**account).collect();
        map.push("serviceAccounts", Value::from(accounts));
    }
    Map::new().with("pods", map)
}

fn service(peer: &ServicePeer, out: &mut Written) {
    let ServicePeer {
        namespace,
        service,
        with_ports,
    } = peer;
    match (namespace, service, with_ports) {
        (Some(namespace), ServiceRef::Name(name), true) => {
            let map = Map::new()
                .with("namespace", &**namespace)
                .with("name", &**name);
            out.to.push(Map::new().with("service", map));
        }
        (_, _, false) => out
            .unsaid
            .push("the endpoints of a Service on other ports than the Service's".to_owned()),
        (_, _, true) => out
            .unsaid
            .push("Services by label, or of every namespace".to_owned()),
    }
}
