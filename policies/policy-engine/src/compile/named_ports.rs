//! A rule's named ports: on which addresses they mean which numbers.
use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use policy_model::{Block, Cluster, DestinationClass, NamedPorts, Ports, Rule, Scope, World};

use super::clauses::ClausePeer;
use super::members::{ports_named, with_named_ports};
use crate::port_list::{covered_less, normalised};

/// The addresses that have a port the rule names, each with what the rule covers there.
#[derive(Debug, Default)]
pub(super) struct NamedTargets {
    targets: BTreeMap<IpAddr, Target>,
    /// Whether a name takes ports away, so that those addresses must be told apart from their surroundings.
    takes: bool,
}

#[derive(Debug)]
struct Target {
    /// What is left of the rule's numbered ports; only of use where those addresses are told apart.
    numbered: Ports,
    /// What its names add. They are the address's own, and so name it.
    named: Ports,
}

/// Some addresses, and ports that are covered on all of them.
pub(super) struct Covered {
    pub(super) nets: Vec<IpNet>,
    pub(super) ports: Ports,
    pub(super) by_name: bool,
}

impl NamedTargets {
    pub(super) fn of(rule: &Rule, cluster: &Cluster) -> Self {
        let NamedPorts {
            any_of,
            none_of,
            except,
        } = &rule.named_ports;
        if any_of.is_empty() && none_of.is_empty() {
            return Self::default();
        }
        let mut targets = BTreeMap::new();
        for (ip, ports) in with_named_ports(cluster) {
            let (more, less) = (ports_named(any_of, ports), ports_named(none_of, ports));
            if more.is_empty() && less.is_empty() {
                continue;
            }
            let left =
                |ports: &Ports| normalised(covered_less(&covered_less(ports, &less), except));
            let target = Target {
                numbered: left(&rule.ports),
                named: left(&Ports::Only(more)),
            };
            targets.insert(ip, target);
        }
        Self {
            targets,
            takes: !none_of.is_empty(),
        }
    }

    /// Those that a peer means, by what is covered there.
    pub(super) fn within(&self, peer: &ClausePeer, world: &World) -> Vec<Covered> {
        let mut alike: Vec<Covered> = Vec::new();
        let mut add = |ip: IpAddr, ports: &Ports, by_name| {
            if *ports == Ports::Only(Vec::new()) {
                return;
            }
            let net = IpNet::from(ip);
            let known = alike
                .iter_mut()
                .find(|one| one.ports == *ports && one.by_name == by_name);
            match known {
                Some(known) => known.nets.push(net),
                None => alike.push(Covered {
                    nets: vec![net],
                    ports: ports.clone(),
                    by_name,
                }),
            }
        };
        for (ip, Target { numbered, named }) in &self.targets {
            if holds(peer, *ip, world) {
                add(*ip, named, true);
                if self.takes {
                    add(*ip, numbered, false);
                }
            }
        }
        alike
    }

    /// The peer without those, where they must be told apart.
    pub(super) fn without(&self, peer: ClausePeer) -> Vec<ClausePeer> {
        if !self.takes || self.targets.is_empty() {
            return vec![peer];
        }
        let less = |net: IpNet, scope: Scope, except: Vec<IpNet>| {
            let of_targets = self.targets.keys().copied().map(IpNet::from);
            let except = except
                .into_iter()
                .chain(of_targets.filter(|target| net.contains(target)));
            ClausePeer::Block(Block {
                net,
                except: except.collect(),
                scope,
            })
        };
        let everywhere = |scope| {
            vec![
                less(IpNet::V4(ipnet::Ipv4Net::default()), scope, Vec::new()),
                less(IpNet::V6(ipnet::Ipv6Net::default()), scope, Vec::new()),
            ]
        };
        match peer {
            ClausePeer::Everywhere => everywhere(Scope::Any),
            ClausePeer::Outside => everywhere(Scope::Outside),
            ClausePeer::Block(Block { net, except, scope }) => vec![less(net, scope, except)],
            ClausePeer::Nets(nets, scope) => nets
                .into_iter()
                .map(|net| less(net, scope, Vec::new()))
                .collect(),
            // No dialect takes named ports from a class or from names, and no pod's ports are known by either.
            ClausePeer::Class(_) | ClausePeer::Names { .. } => vec![peer],
        }
    }
}

fn holds(peer: &ClausePeer, ip: IpAddr, world: &World) -> bool {
    let class = world.class_of(ip);
    let outside = class == DestinationClass::Outside;
    match peer {
        ClausePeer::Everywhere => true,
        ClausePeer::Outside => outside,
        ClausePeer::Class(wanted) => *wanted == class,
        ClausePeer::Block(Block { net, except, scope }) => {
            (*scope == Scope::Any || outside)
                && net.contains(&ip)
                && !except.iter().any(|except| except.contains(&ip))
        }
        ClausePeer::Nets(nets, scope) => {
            (*scope == Scope::Any || outside) && nets.iter().any(|net| net.contains(&ip))
        }
        ClausePeer::Names { .. } => false,
    }
}
