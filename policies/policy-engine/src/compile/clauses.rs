//! Rules as clauses: one peer of a rule with the ports it means there.
use std::net::IpAddr;

use dns_names::NamePattern;
use ipnet::IpNet;
use policy_model::{
    Action, Block, DestinationClass, Entity, FqdnBy, Peer, Ports, Protocol, Resolver, Rule, Scope,
    World,
};

/// A peer of a rule, with the ports the rule means there. Numbered from 0 in the order of policies, rules and peers.
#[derive(Debug, Clone)]
pub(crate) struct Clause {
    pub(crate) rule: u32,
    pub(crate) peer: ClausePeer,
    pub(crate) ports: Ports,
    /// Whether the peer names its addresses, and so matches DNS that goes around the filter.
    pub(crate) names_address: bool,
    /// Whether it opens a guarded metadata address to its ports.
    pub(crate) opens_metadata: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum ClausePeer {
    Everywhere,
    Outside,
    Class(DestinationClass),
    Block(Block),
    /// Any of these, without exceptions: many addresses are one clause.
    Nets(Vec<IpNet>, Scope),
    /// Whatever a live lease of a matching name stands on; the patterns are in the name index.
    Names {
        scope: Scope,
        allow_private: bool,
    },
}

/// A name pattern, and the clause it belongs to or the rule that refuses it.
#[derive(Debug, Clone)]
pub(crate) struct NameEntry {
    pub(crate) pattern: NamePattern,
    pub(crate) by: FqdnBy,
    pub(crate) target: NameTarget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum NameTarget {
    Clause(u32),
    /// A Deny by name: the rule's number.
    Refuse(u32),
}

/// A rule of Cilium's `rules.dns`: the patterns that may be asked of a server.
#[derive(Debug, Clone)]
pub(crate) struct QuestionRule {
    pub(crate) rule: u32,
    pub(crate) server: Resolver,
    /// UDP, TCP.
    pub(crate) protocols: [bool; 2],
    pub(crate) patterns: Vec<NamePattern>,
}

impl QuestionRule {
    /// Whether it is for questions to `server` over `protocol`.
    pub(crate) fn is_of(&self, server: Resolver, protocol: Protocol) -> bool {
        let serves = match protocol {
            Protocol::UDP => self.protocols[0],
            Protocol::TCP => self.protocols[1],
            Protocol(_) => false,
        };
        serves && self.server == server
    }
}

/// Everything the rules say, flattened. The position of a rule in the policies given is its number.
#[derive(Debug, Default)]
pub(crate) struct Lowered {
    pub(crate) clauses: Vec<Clause>,
    pub(crate) names: Vec<NameEntry>,
    pub(crate) questions: Vec<QuestionRule>,
    pub(crate) rules: u32,
}

/// What a rule comes to once Egret's limits are taken into account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    AsWritten,
    /// A closed Allow or Log.
    Nothing,
    /// A closed Deny or Pass.
    DenyEverything(&'static str),
}

/// Codes of what this engine closes; see `diagnostics`.
pub(crate) use crate::codes::{CONDITION_NOT_ENFORCED, PASS_BY_NAME, PEER_NOT_HERE};

pub(crate) fn force_of(rule: &Rule, world: &World) -> Force {
    let conditions = rule.sni.is_some() || !rule.http.is_empty();
    let mut closed = rule
        .closed
        .or_else(|| conditions.then_some(CONDITION_NOT_ENFORCED));
    if matches!(rule.action, Action::Deny | Action::Pass) {
        let unknown = rule
            .peers
            .given()
            .iter()
            .any(|peer| is_unknown(peer, world));
        let pass_by_name = rule.action == Action::Pass && has_names(rule);
        closed = closed
            .or_else(|| unknown.then_some(PEER_NOT_HERE))
            .or_else(|| pass_by_name.then_some(PASS_BY_NAME));
    }
    match (closed, rule.action) {
        (None, _) => Force::AsWritten,
        (Some(_), Action::Allow | Action::Log) => Force::Nothing,
        (Some(code), Action::Deny | Action::Pass) => Force::DenyEverything(code),
    }
}

/// A peer that stands for something nobody knows here.
pub(crate) fn is_unknown(peer: &Peer, world: &World) -> bool {
    match peer {
        Peer::Pods(_) | Peer::Nodes(_) | Peer::Service(_) => world.cluster.is_unknown(),
        Peer::Set(_) => true,
        Peer::Endpoints(peer) => world.cluster.is_unknown_to(peer),
        Peer::Entity(Entity::Cluster | Entity::RemoteNode | Entity::KubeApiserver) => {
            world.cluster.is_unknown()
        }
        Peer::Block(_) | Peer::Fqdn(_) | Peer::Entity(_) | Peer::Metadata(_) => false,
    }
}

pub(crate) fn has_names(rule: &Rule) -> bool {
    rule.peers
        .given()
        .iter()
        .any(|peer| matches!(peer, Peer::Fqdn(_)))
}

/// IPv4-mapped IPv6 prefixes are IPv4; host bits are cleared.
pub(crate) fn canonical(net: IpNet) -> IpNet {
    let net = net.trunc();
    if let IpNet::V6(v6) = net
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(len) = v6.prefix_len().checked_sub(96)
    {
        return IpNet::new(IpAddr::V4(v4), len).expect("at most 128 - 96 bits");
    }
    net
}
