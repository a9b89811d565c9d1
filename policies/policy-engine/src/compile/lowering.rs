//! From the rules of a policy to clauses, names and questions.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dns_names::NamePattern;
use ipnet::IpNet;
use policy_model::{
    Action, Band, Block, DestinationClass, Entity, OpenedBy, Peer, Peers, Policy, PortMatch, Ports,
    Protocol, Resolver, Rule, Scope, Settings, World,
};

use super::clauses::{
    Clause, ClausePeer, Force, Lowered, NameEntry, NameTarget, QuestionRule, canonical, force_of,
    peers,
};
use crate::numbering::number;
use crate::port_list::{intersect, normalised};

impl Lowered {
    pub(crate) fn push(&mut self, policy: &Policy, world: &World, settings: &Settings) {
        for rule in &policy.rules {
            let number = self.rules;
            self.rules += 1;
            match force_of(rule) {
                Force::Nothing => {}
                Force::DenyEverything(_) => {
                    self.clause(number, ClausePeer::Everywhere, Ports::Any, false);
                }
                Force::AsWritten => Lowering {
                    rule,
                    number,
                    policy,
                    world,
                    settings,
                    out: self,
                }
                .run(),
            }
        }
    }

    fn clause(
        &mut self,
        rule: u32,
        peer: ClausePeer,
        ports: Ports,
        names_address: bool,
    ) -> &mut Clause {
        let clause = Clause {
            rule,
            peer,
            ports: normalised(ports),
            names_address,
            opens_metadata: false,
        };
        self.clauses.push(clause);
        self.clauses.last_mut().expect("just pushed")
    }
}

const UNSPECIFIED_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const UNSPECIFIED_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

struct Lowering<'a> {
    rule: &'a Rule,
    number: u32,
    policy: &'a Policy,
    world: &'a World,
    settings: &'a Settings,
    out: &'a mut Lowered,
}

impl Lowering<'_> {
    fn run(mut self) {
        if let Some(patterns) = &self.rule.questions {
            self.questions(patterns);
            return;
        }
        match &self.rule.peers {
            Peers::Any => self.push(ClausePeer::Everywhere, false),
            Peers::Of(peers) => {
                for peer in peers {
                    self.peer(peer);
                }
                self.names();
            }
        }
    }

    fn push(&mut self, peer: ClausePeer, names_address: bool) {
        self.out
            .clause(self.number, peer, self.rule.ports.clone(), names_address);
    }

    fn peer(&mut self, peer: &Peer) {
        match peer {
            Peer::Block(block) => self.block(block),
            Peer::Entity(entity) => self.entity(*entity),
            Peer::Metadata(preset) => {
                let ports = intersect(&self.rule.ports, preset.ports());
                let opens = ports != Ports::Only(Vec::new());
                for address in preset.addresses() {
                    self.address(*address, ports.clone()).opens_metadata = opens;
                }
            }
            // Names follow in one clause; the others are unknown to one machine and match nothing.
            Peer::Fqdn(_)
            | Peer::Pods(_)
            | Peer::Nodes(_)
            | Peer::Service(_)
            | Peer::Set(_)
            | Peer::Endpoints(_) => {}
        }
    }

    fn block(&mut self, block: &Block) {
        let Block { net, except, scope } = block;
        let block = Block {
            net: canonical(*net),
            except: except.iter().copied().map(canonical).collect(),
            scope: *scope,
        };
        let names_address = block.net.prefix_len() > 0;
        let opens = is_full_length(block.net) && self.block_may_open();
        self.out
            .clause(
                self.number,
                ClausePeer::Block(block),
                self.rule.ports.clone(),
                names_address,
            )
            .opens_metadata = opens;
    }

    fn block_may_open(&self) -> bool {
        self.rule.action == Action::Allow
            && match self.settings.opened_by {
                OpenedBy::Preset => false,
                OpenedBy::Admin => self.policy.tier.band == Band::Admin,
                OpenedBy::Any => true,
            }
    }

    fn entity(&mut self, entity: Entity) {
        match entity {
            Entity::World => self.push(ClausePeer::Outside, false),
            Entity::Host => self.push(ClausePeer::Class(DestinationClass::Host), true),
            Entity::Loopback => self.push(ClausePeer::Class(DestinationClass::Loopback), true),
            Entity::All => self.push(ClausePeer::Everywhere, false),
            Entity::Dns => {
                for resolver in &self.world.resolvers {
                    let ports = intersect(&self.rule.ports, &resolver_ports(*resolver));
                    self.address(resolver.address, ports);
                }
            }
            Entity::WorldIpv4 => self.range(UNSPECIFIED_V4),
            Entity::WorldIpv6 => self.range(UNSPECIFIED_V6),
            Entity::Cluster | Entity::RemoteNode | Entity::KubeApiserver => {}
        }
    }

    /// All outside addresses of a family.
    fn range(&mut self, of: IpAddr) {
        let net = IpNet::new(of, 0).expect("0 is a length of both families");
        let block = Block::new(net, Scope::Outside);
        self.push(ClausePeer::Block(block), false);
    }

    /// The patterns of the rule, one clause for those that count alike; an Allow by name opens the resolvers too.
    fn names(&mut self) {
        let mut groups: Vec<(Scope, bool, u32)> = Vec::new();
        let fqdns = peers(self.rule).iter().filter_map(|peer| match peer {
            Peer::Fqdn(fqdn) => Some(fqdn),
            Peer::Block(_)
            | Peer::Entity(_)
            | Peer::Metadata(_)
            | Peer::Pods(_)
            | Peer::Nodes(_)
            | Peer::Service(_)
            | Peer::Set(_)
            | Peer::Endpoints(_) => None,
        });
        for fqdn in fqdns {
            let target = match self.rule.action {
                Action::Deny => NameTarget::Refuse(self.number),
                Action::Allow => {
                    let alike = (fqdn.scope, fqdn.pattern.is_match_all());
                    let known = groups
                        .iter()
                        .find(|(scope, all, _)| (*scope, *all) == alike);
                    NameTarget::Clause(if let Some((_, _, clause)) = known {
                        *clause
                    } else {
                        let clause = number(self.out.clauses.len());
                        let peer = ClausePeer::Names {
                            scope: fqdn.scope,
                            allow_private: self.rule.allow_private,
                        };
                        self.push(peer, !alike.1);
                        groups.push((alike.0, alike.1, clause));
                        clause
                    })
                }
                // A Pass by name is closed before it comes here; a Log by name has nothing to note on addresses.
                Action::Pass | Action::Log => continue,
            };
            let (pattern, by) = (fqdn.pattern.clone(), fqdn.by);
            self.out.names.push(NameEntry {
                pattern,
                by,
                target,
            });
        }
        if !groups.is_empty() && self.policy.dns.opens_resolvers() {
            for resolver in &self.world.resolvers {
                let ports = Ports::Only(resolver_ports(*resolver).to_vec());
                self.address(resolver.address, ports);
            }
        }
    }

    /// A rule about questions opens the known resolvers among its peers, and no other server.
    fn questions(&mut self, patterns: &[NamePattern]) {
        for resolver in &self.world.resolvers {
            if !self.reaches(resolver.address) {
                continue;
            }
            let Ports::Only(ports) = intersect(&self.rule.ports, &resolver_ports(*resolver)) else {
                continue;
            };
            let serves = |protocol| ports.iter().any(|one| one.protocol == protocol);
            let protocols = [serves(Protocol::UDP), serves(Protocol::TCP)];
            if protocols == [false, false] {
                continue;
            }
            if self.rule.action == Action::Allow {
                self.out.questions.push(QuestionRule {
                    rule: self.number,
                    server: Resolver {
                        address: resolver.address.to_canonical(),
                        ..*resolver
                    },
                    protocols,
                    patterns: patterns.to_vec(),
                });
            }
            self.address(resolver.address, Ports::Only(ports));
        }
    }

    /// Whether the rule's peers hold for the address without any name.
    fn reaches(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let class = self.world.class_of(address);
        let outside = class == DestinationClass::Outside;
        let holds = |peer: &Peer| match peer {
            Peer::Block(block) => {
                (block.scope == Scope::Any || outside)
                    && canonical(block.net).contains(&address)
                    && !block
                        .except
                        .iter()
                        .any(|except| canonical(*except).contains(&address))
            }
            Peer::Entity(entity) => match entity {
                Entity::All | Entity::Dns => true,
                Entity::World => outside,
                Entity::WorldIpv4 => outside && address.is_ipv4(),
                Entity::WorldIpv6 => outside && address.is_ipv6(),
                Entity::Host => class == DestinationClass::Host,
                Entity::Loopback => class == DestinationClass::Loopback,
                Entity::Cluster | Entity::RemoteNode | Entity::KubeApiserver => false,
            },
            Peer::Fqdn(_)
            | Peer::Metadata(_)
            | Peer::Pods(_)
            | Peer::Nodes(_)
            | Peer::Service(_)
            | Peer::Set(_)
            | Peer::Endpoints(_) => false,
        };
        match &self.rule.peers {
            Peers::Any => true,
            Peers::Of(peers) => peers.iter().any(holds),
        }
    }

    fn address(&mut self, address: IpAddr, ports: Ports) -> &mut Clause {
        let block = Block::new(IpNet::from(address.to_canonical()), Scope::Any);
        self.out
            .clause(self.number, ClausePeer::Block(block), ports, true)
    }
}

fn is_full_length(net: IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

const fn resolver_ports(resolver: Resolver) -> [PortMatch; 2] {
    [
        PortMatch::port(Protocol::UDP, resolver.port),
        PortMatch::port(Protocol::TCP, resolver.port),
    ]
}
