//! What a rule is about.
use std::net::IpAddr;

use dns_names::Name;
use ipnet::IpNet;
use policy_model::{
    Action, Band, Block, DestinationClass, DnsFilter, Entity, FqdnBy, FqdnPeer, Guarded,
    METADATA_ADDRESSES, OpenedBy, Peer, Peers, Policy, PortMatch, Ports, Preset, Protocol, Rule,
    Scope,
};

use super::{Court, Does};
use crate::decide::Flow;
use crate::explain::NamedLease;
use crate::guard::DOH_ADDRESSES;

impl Court<'_> {
    pub(super) fn does(&self, rule: &Rule) -> Does {
        let peers = rule.peers.given();
        let cluster = &self.world.cluster;
        let unknown = peers.iter().any(|peer| match peer {
            Peer::Pods(_) | Peer::Nodes(_) | Peer::Service(_) => cluster.is_unknown(),
            Peer::Endpoints(peer) => cluster.is_unknown_to(peer),
            Peer::Set(_) => true,
            Peer::Entity(Entity::Cluster | Entity::RemoteNode | Entity::KubeApiserver) => {
                cluster.is_unknown()
            }
            Peer::Block(_) | Peer::Fqdn(_) | Peer::Entity(_) | Peer::Metadata(_) => false,
        });
        let names = peers.iter().any(|peer| matches!(peer, Peer::Fqdn(_)));
        let closed = if rule.closed.is_some() {
            rule.closed
        } else if rule.sni.is_some() || !rule.http.is_empty() {
            Some("condition-not-enforced")
        } else {
            None
        };
        match rule.action {
            Action::Allow if closed.is_some() => Does::Nothing,
            Action::Allow => Does::Allow,
            Action::Log => Does::Nothing,
            Action::Deny | Action::Pass if closed.is_some() => Does::Deny(closed),
            Action::Deny | Action::Pass if unknown => Does::Deny(Some("peer-not-here")),
            Action::Pass if names => Does::Deny(Some("pass-by-name")),
            Action::Deny => Does::Deny(None),
            Action::Pass => Does::Pass,
        }
    }

    /// Whether a rule that is in force matches; with `naming`, by a peer that names the address.
    pub(super) fn matches(
        &self,
        policy: &Policy,
        rule: &Rule,
        flow: &Flow,
        live: &[&NamedLease],
        naming: bool,
    ) -> bool {
        let to_resolver = tcp_or_udp(flow) && self.world.is_resolver(flow.ip, flow.port);
        let on_port = port_holds(&rule.ports, flow);
        if rule.questions.is_some() {
            // Every peer but a name and a preset can mean a server.
            return to_resolver && on_port && self.any_peer(rule, |peer| self.means(peer, flow));
        }
        let (by_number, by_port_name) = self.covers_port(rule, flow);
        let by_address = self.any_peer(rule, |peer| match peer {
            Some(Peer::Metadata(preset)) => on_port && is_of_preset(*preset, flow),
            // Their ports are the peer's own.
            Some(Peer::Entity(Entity::Dns)) => on_port && self.means(peer, flow),
            Some(Peer::Service(service)) if service.with_ports => on_port && self.means(peer, flow),
            // A named port is that of the address, and so names it.
            _ => {
                let named = by_port_name || (by_number && self.names_address(peer, flow));
                (by_number || by_port_name) && self.means(peer, flow) && (!naming || named)
            }
        });
        let by_name = on_port
            && rule.action == Action::Allow
            && live.iter().any(|lease| {
                self.any_peer(rule, |peer| match peer {
                    Some(Peer::Fqdn(fqdn)) => {
                        self.holds_by_name(policy, rule, fqdn, flow, lease)
                            && (!naming || !fqdn.pattern.is_match_all())
                    }
                    _ => false,
                })
            });
        let implied = rule.action == Action::Allow
            && policy.dns != DnsFilter::Untouched
            && self.any_peer(rule, |peer| matches!(peer, Some(Peer::Fqdn(_))))
            && to_resolver;
        by_address || by_name || implied
    }

    /// Whether it holds for any peer; for `Peers::Any`, for "no peer".
    #[expect(clippy::unused_self, reason = "reads as the court's word")]
    pub(super) fn any_peer(&self, rule: &Rule, holds: impl Fn(Option<&Peer>) -> bool) -> bool {
        match &rule.peers {
            Peers::Any => holds(None),
            Peers::Of(peers) => peers.iter().any(|peer| holds(Some(peer))),
        }
    }

    /// Whether a peer means the flow's address by itself.
    pub(super) fn means(&self, peer: Option<&Peer>, flow: &Flow) -> bool {
        let class = self.world.class_of(flow.ip);
        match peer {
            None | Some(Peer::Entity(Entity::All)) => true,
            Some(Peer::Block(Block { net, except, scope })) => {
                (*scope == Scope::Any || class == DestinationClass::Outside)
                    && is_in(flow.ip, *net)
                    && !except.iter().any(|except| is_in(flow.ip, *except))
            }
            Some(Peer::Entity(Entity::Host)) => {
                class == DestinationClass::Host || self.is_own_node(flow.ip) == Some(true)
            }
            Some(Peer::Entity(Entity::RemoteNode)) => self.is_own_node(flow.ip) == Some(false),
            Some(Peer::Entity(Entity::Cluster)) => {
                !self.world.cluster.is_unknown()
                    && matches!(
                        class,
                        DestinationClass::Pod | DestinationClass::Node | DestinationClass::Host
                    )
            }
            Some(Peer::Entity(Entity::KubeApiserver)) => self.is_api_server(flow.ip),
            Some(Peer::Pods(pods)) => self.is_pod_of(pods, flow.ip),
            Some(Peer::Nodes(nodes)) => self.is_node_of(nodes, flow.ip),
            Some(Peer::Service(service)) => self.is_backend_of(service, flow),
            Some(Peer::Endpoints(endpoints)) => self.is_endpoint_of(endpoints, flow.ip),
            Some(Peer::Entity(Entity::World)) => class == DestinationClass::Outside,
            Some(Peer::Entity(Entity::WorldIpv4)) => {
                class == DestinationClass::Outside && flow.ip.to_canonical().is_ipv4()
            }
            Some(Peer::Entity(Entity::WorldIpv6)) => {
                class == DestinationClass::Outside && flow.ip.to_canonical().is_ipv6()
            }
            Some(Peer::Entity(Entity::Loopback)) => class == DestinationClass::Loopback,
            Some(Peer::Entity(Entity::Dns)) => {
                tcp_or_udp(flow) && self.world.is_resolver(flow.ip, flow.port)
            }
            Some(Peer::Fqdn(_) | Peer::Metadata(_) | Peer::Set(_)) => false,
        }
    }

    fn names_address(&self, peer: Option<&Peer>, flow: &Flow) -> bool {
        match peer {
            None => false,
            Some(Peer::Block(block)) => !is_everything(block.net),
            Some(Peer::Entity(entity)) => !matches!(
                entity,
                Entity::All | Entity::World | Entity::WorldIpv4 | Entity::WorldIpv6
            ),
            Some(Peer::Endpoints(endpoints)) => self.is_named_by(endpoints, flow.ip),
            Some(_) => true,
        }
    }

    pub(super) fn holds_by_name(
        &self,
        policy: &Policy,
        rule: &Rule,
        fqdn: &FqdnPeer,
        flow: &Flow,
        lease: &NamedLease,
    ) -> bool {
        let private_zone = self
            .settings
            .private_zones
            .iter()
            .any(|zone| lease.question.is_under(zone));
        // The cluster's own names stand for its own addresses, and for no other private ones.
        let own_zone = self.settings.cluster_domain.as_ref();
        let of_cluster = own_zone.is_some_and(|zone| lease.question.is_under(zone))
            && self.world.guarded(flow.ip) == Some(Guarded::Cluster);
        let in_scope =
            fqdn.scope == Scope::Any || self.world.class_of(flow.ip) == DestinationClass::Outside;
        let may_be_private = !self.settings.guards
            || rule.allow_private
            || private_zone
            || of_cluster
            || !self.world.is_private(flow.ip);
        fqdn_matches(fqdn, &lease.question, &lease.chain)
            && in_scope
            && may_be_private
            && !self.refused_before(policy, rule, lease)
    }

    /// Whether a Deny by name of the lease's names stands before the rule.
    pub(super) fn refused_before(&self, policy: &Policy, rule: &Rule, lease: &NamedLease) -> bool {
        for (other_policy, other) in self.rules() {
            if std::ptr::eq(other, rule) && std::ptr::eq(other_policy, policy) {
                return false;
            }
            if self.does(other) == Does::Deny(None)
                && other.questions.is_none()
                && self.any_peer(other, |peer| match peer {
                    Some(Peer::Fqdn(fqdn)) => fqdn_matches(fqdn, &lease.question, &lease.chain),
                    _ => false,
                })
            {
                return true;
            }
        }
        false
    }

    pub(super) fn opens_metadata(&self, policy: &Policy, rule: &Rule, flow: &Flow) -> bool {
        let full_address_opens = match self.settings.opened_by {
            OpenedBy::Preset => false,
            OpenedBy::Admin => policy.tier.band == Band::Admin,
            OpenedBy::Any => true,
        };
        self.does(rule) == Does::Allow
            && rule.questions.is_none()
            && port_holds(&rule.ports, flow)
            && self.any_peer(rule, |peer| match peer {
                Some(Peer::Metadata(preset)) => is_of_preset(*preset, flow),
                Some(Peer::Block(block)) => {
                    let full = block.net.prefix_len() == block.net.max_prefix_len();
                    full_address_opens && full && self.means(peer, flow)
                }
                _ => false,
            })
    }

    pub(super) fn goes_around(&self, flow: &Flow) -> bool {
        let doh = DOH_ADDRESSES.contains(&flow.ip.to_canonical());
        tcp_or_udp(flow)
            && !self.world.is_resolver(flow.ip, flow.port)
            && (flow.port == 53 || flow.port == 853 || (flow.port == 443 && doh))
    }
}

fn fqdn_matches(fqdn: &FqdnPeer, question: &Name, chain: &[Name]) -> bool {
    fqdn.pattern.matches(question)
        || (fqdn.by == FqdnBy::Chain && chain.iter().any(|name| fqdn.pattern.matches(name)))
}

pub(super) fn is_metadata(flow: &Flow) -> bool {
    let dns = flow.port == 53 && tcp_or_udp(flow);
    let ip = bits(flow.ip);
    let inside = written_into(ip);
    let guarded = METADATA_ADDRESSES.iter().any(|address| match address {
        IpAddr::V4(v4) => inside == Some(u128::from(v4.to_bits())),
        IpAddr::V6(v6) => v6.to_bits() == ip,
    });
    guarded && !dns
}

/// The IPv4 address that an address spells at a fixed place: mapped, compatible, SIIT, the first /96 of either NAT64
/// prefix, 6to4.
fn written_into(ip: u128) -> Option<u128> {
    const FIXED: [u128; 5] = [
        0xffff,
        0,
        0xffff_0000,
        0x64_ff9b << 64,
        0x64_ff9b_0001 << 48,
    ];
    if FIXED.contains(&(ip >> 32)) {
        return Some(ip & 0xffff_ffff);
    }
    (ip >> 112 == 0x2002).then_some((ip >> 80) & 0xffff_ffff)
}

fn is_of_preset(preset: Preset, flow: &Flow) -> bool {
    preset
        .addresses()
        .iter()
        .any(|address| bits(*address) == bits(flow.ip))
        && preset.ports().iter().any(|port| in_range(port, flow))
}

fn tcp_or_udp(flow: &Flow) -> bool {
    flow.protocol == Protocol::TCP || flow.protocol == Protocol::UDP
}

pub(super) fn port_holds(ports: &Ports, flow: &Flow) -> bool {
    match ports {
        Ports::Any => true,
        Ports::Only(list) => list.iter().any(|one| in_range(one, flow)),
        Ports::AllBut(list) => !list.iter().any(|one| in_range(one, flow)),
    }
}

pub(super) fn in_range(one: &PortMatch, flow: &Flow) -> bool {
    one.protocol == flow.protocol && (one.first..=one.last).contains(&flow.port)
}

/// Every address as IPv6, IPv4 as `::ffff:a.b.c.d`.
fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// All of IPv4 or all of IPv6.
pub(super) fn is_everything(net: IpNet) -> bool {
    let mapped = bits(net.addr()) >> 32 == 0xffff && net.max_prefix_len() == 128;
    net.prefix_len() == if mapped { 96 } else { 0 }
}

/// Whether an address lies in a prefix. A short IPv6 prefix around `::ffff:0:0/96` does not mean IPv4.
pub(super) fn is_in(ip: IpAddr, net: IpNet) -> bool {
    let length = match net {
        IpNet::V4(net) => u32::from(net.prefix_len()) + 96,
        IpNet::V6(net) => u32::from(net.prefix_len()),
    };
    let is_v4 = bits(ip) >> 32 == 0xffff;
    let is_v4_net = length >= 96 && bits(net.addr()) >> 32 == 0xffff;
    is_v4 == is_v4_net
        && (bits(ip) ^ bits(net.addr()))
            .checked_shr(128 - length)
            .unwrap_or(0)
            == 0
}
