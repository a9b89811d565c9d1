//! From the rules of a policy to clauses, names and questions.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use dns_names::NamePattern;
use ipnet::IpNet;
use policy_model::{
    Action, Band, Block, DestinationClass, Entity, OpenedBy, Peer, Peers, Policy, PortMatch, Ports,
    Protocol, Resolver, Rule, Scope, Settings, Workload, World,
};

use super::clauses::{
    Clause, ClausePeer, Force, Lowered, NameEntry, NameTarget, QuestionRule, canonical, force_of,
};
use super::members;
use super::named_ports::NamedTargets;
use crate::numbering::number;
use crate::port_list::{intersect, normalised};

/// What rules are lowered with: who asks, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Here<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) world: &'a Arc<World>,
    pub(crate) settings: &'a Settings,
}

impl Lowered {
    pub(crate) fn push(&mut self, policy: &Policy, here: Here<'_>) {
        for rule in &policy.rules {
            let number = self.rules;
            self.rules += 1;
            match force_of(rule, here.world) {
                Force::Nothing => {}
                Force::DenyEverything(_) => {
                    self.clause(number, ClausePeer::Everywhere, Ports::Any, false);
                }
                Force::AsWritten => Lowering {
                    rule,
                    number,
                    policy,
                    here,
                    named: NamedTargets::of(rule, here.world.cluster.objects()),
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

struct Lowering<'a> {
    rule: &'a Rule,
    number: u32,
    policy: &'a Policy,
    here: Here<'a>,
    named: NamedTargets,
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
                self.plain_blocks(peers);
                for peer in peers {
                    if self.plain_block(peer).is_none() {
                        self.peer(peer);
                    }
                }
                self.names();
            }
        }
    }

    /// A peer on the rule's ports, numbered and named.
    fn push(&mut self, peer: ClausePeer, names_address: bool) {
        self.push_opening(peer, names_address, false);
    }

    fn push_opening(&mut self, peer: ClausePeer, names_address: bool, opens_metadata: bool) {
        for covered in self.named.within(&peer, self.here.world) {
            let named = names_address || covered.by_name;
            let nets = ClausePeer::Nets(covered.nets, Scope::Any);
            self.out.clause(self.number, nets, covered.ports, named);
        }
        if self.rule.ports == Ports::Only(Vec::new()) {
            return;
        }
        for peer in self.named.without(peer) {
            self.out
                .clause(self.number, peer, self.rule.ports.clone(), names_address)
                .opens_metadata = opens_metadata;
        }
    }

    fn peer(&mut self, peer: &Peer) {
        let cluster = self.here.world.cluster.objects();
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
            Peer::Pods(peer) => {
                let pods = members::pods(cluster, peer);
                self.nets(pods.flat_map(|(_, pod)| pod.addresses.iter().copied()));
            }
            Peer::Nodes(peer) => {
                let own = self.here.workload.pod.node.as_deref();
                self.nets(members::nodes(cluster, peer, own));
            }
            Peer::Service(peer) if peer.with_ports => {
                for (backend, protocol) in members::backends(cluster, peer) {
                    let own = PortMatch::port(protocol, backend.port);
                    let ports = intersect(&self.rule.ports, &[own]);
                    if ports != Ports::Only(Vec::new()) {
                        self.address(backend.address, ports);
                    }
                }
            }
            Peer::Service(peer) => {
                self.nets(members::service_addresses(cluster, peer));
            }
            Peer::Endpoints(peer) => {
                // Many addresses are one clause; what has exceptions, or is everything, is one by itself.
                let (narrow, wide): (Vec<Block>, Vec<Block>) = members::endpoints(cluster, peer)
                    .into_iter()
                    .partition(|block| block.except.is_empty() && block.net.prefix_len() > 0);
                if !narrow.is_empty() {
                    let nets = narrow.into_iter().map(|block| block.net).collect();
                    self.push(ClausePeer::Nets(nets, Scope::Any), true);
                }
                for block in wide {
                    self.block(&block);
                }
            }
            // Names follow in one clause; a set that was not found matches nothing.
            Peer::Fqdn(_) | Peer::Set(_) => {}
        }
    }

    fn nets(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        let mut nets: Vec<IpNet> = addresses.map(|ip| IpNet::from(ip.to_canonical())).collect();
        nets.sort_unstable();
        nets.dedup();
        if !nets.is_empty() {
            self.push(ClausePeer::Nets(nets, Scope::Any), true);
        }
    }

    /// The ranges of a rule that differ in nothing else: one clause for those of a scope.
    fn plain_blocks(&mut self, peers: &[Peer]) {
        for scope in [Scope::Any, Scope::Outside] {
            let mut nets: Vec<IpNet> = peers
                .iter()
                .filter_map(|peer| self.plain_block(peer))
                .filter(|(_, of)| *of == scope)
                .map(|(net, _)| net)
                .collect();
            nets.sort_unstable();
            nets.dedup();
            if !nets.is_empty() {
                self.push(ClausePeer::Nets(nets, scope), true);
            }
        }
    }

    /// A range without exceptions that is not everything and opens no guard.
    fn plain_block(&self, peer: &Peer) -> Option<(IpNet, Scope)> {
        let Peer::Block(Block { net, except, scope }) = peer else {
            return None;
        };
        let net = canonical(*net);
        let opens = is_full_length(net) && self.block_may_open();
        (except.is_empty() && net.prefix_len() > 0 && !opens).then_some((net, *scope))
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
        self.push_opening(ClausePeer::Block(block), names_address, opens);
    }

    fn block_may_open(&self) -> bool {
        self.rule.action == Action::Allow
            && match self.here.settings.opened_by {
                OpenedBy::Preset => false,
                OpenedBy::Admin => self.policy.tier.band == Band::Admin,
                OpenedBy::Any => true,
            }
    }

    fn entity(&mut self, entity: Entity) {
        let cluster = &self.here.world.cluster;
        let own_node = self.here.workload.pod.node.as_deref();
        match entity {
            Entity::World => self.push(ClausePeer::Outside, false),
            Entity::WorldIpv4 => self.range(UNSPECIFIED_V4),
            Entity::WorldIpv6 => self.range(UNSPECIFIED_V6),
            Entity::Host => {
                self.push(ClausePeer::Class(DestinationClass::Host), true);
                let own = own_node.and_then(|node| cluster.objects().nodes.get(node));
                self.nets(own.iter().flat_map(|node| node.addresses.iter().copied()));
            }
            Entity::RemoteNode => {
                let others = cluster.objects().nodes.iter();
                let others = others.filter(|(name, _)| Some(&***name) != own_node);
                self.nets(others.flat_map(|(_, node)| node.addresses.iter().copied()));
            }
            Entity::Loopback => self.push(ClausePeer::Class(DestinationClass::Loopback), true),
            Entity::All => self.push(ClausePeer::Everywhere, false),
            Entity::Dns => {
                let resolvers = self.here.world.resolvers.iter();
                for server in resolvers.flat_map(|one| self.here.world.servers_of(*one)) {
                    let ports = intersect(&self.rule.ports, &resolver_ports(server));
                    self.address(server.address, ports);
                }
            }
            Entity::Cluster => {
                if !cluster.is_unknown() {
                    for class in [
                        DestinationClass::Host,
                        DestinationClass::Pod,
                        DestinationClass::Node,
                    ] {
                        self.push(ClausePeer::Class(class), true);
                    }
                }
            }
            Entity::KubeApiserver => {
                let backends = members::api_server(cluster.objects());
                self.nets(backends.map(|backend| backend.address));
            }
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
        let fqdns = self
            .rule
            .peers
            .given()
            .iter()
            .filter_map(|peer| match peer {
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
                        let ports = self.rule.ports.clone();
                        self.out.clause(self.number, peer, ports, !alike.1);
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
            let resolvers = self.here.world.resolvers.iter();
            for server in resolvers.flat_map(|one| self.here.world.servers_of(*one)) {
                let ports = Ports::Only(resolver_ports(server).to_vec());
                self.address(server.address, ports);
            }
        }
    }

    /// A rule about questions opens the known resolvers among its peers, and no other server.
    fn questions(&mut self, patterns: &[NamePattern]) {
        for resolver in &self.here.world.resolvers {
            let servers = self.here.world.servers_of(*resolver);
            // A resolver that is a Service is asked by the Service's address and judged as its backends.
            let mut of_service = [false; 2];
            for server in &servers {
                let mut ports = resolver_ports(*server).to_vec();
                ports.retain(|port| {
                    intersect(&self.rule.ports, &[*port]) != Ports::Only(Vec::new())
                        && self.reaches(*server, port.protocol)
                });
                let serves = |protocol| ports.iter().any(|one| one.protocol == protocol);
                let protocols = [serves(Protocol::UDP), serves(Protocol::TCP)];
                if protocols == [false, false] {
                    continue;
                }
                self.may_ask(*server, protocols, patterns);
                let leads_here = self.leads_to(*resolver, *server);
                of_service = [0, 1].map(|at| of_service[at] || protocols[at] && leads_here[at]);
                self.address(server.address, Ports::Only(ports));
            }
            if of_service != [false, false] {
                self.may_ask(servers[0], of_service, patterns);
            }
        }
    }

    /// Whether a resolver is a Service with that backend: over UDP, over TCP.
    fn leads_to(&self, resolver: Resolver, server: Resolver) -> [bool; 2] {
        let cluster = &self.here.world.cluster;
        [Protocol::UDP, Protocol::TCP].map(|protocol| {
            let backends = cluster.backends(resolver.address, protocol, resolver.port);
            backends
                .into_iter()
                .flatten()
                .any(|backend| backend.address == server.address && backend.port == server.port)
        })
    }

    fn may_ask(&mut self, server: Resolver, protocols: [bool; 2], patterns: &[NamePattern]) {
        if self.rule.action == Action::Allow {
            self.out.questions.push(QuestionRule {
                rule: self.number,
                server,
                protocols,
                patterns: patterns.to_vec(),
            });
        }
    }

    /// Whether the rule's peers hold for a server without any name.
    fn reaches(&self, server: Resolver, protocol: Protocol) -> bool {
        let Resolver { address, port } = server;
        let address = address.to_canonical();
        let world = self.here.world;
        let cluster = world.cluster.objects();
        let class = world.class_of(address);
        let outside = class == DestinationClass::Outside;
        let own_node = self.here.workload.pod.node.as_deref();
        let of_node = || {
            let node = world.cluster.objects().node_at(address);
            node.map(|(name, _)| Some(&**name) == own_node)
        };
        let holds = |peer: &Peer| match peer {
            Peer::Block(block) => block_holds(block, address, outside),
            Peer::Entity(entity) => match entity {
                Entity::All | Entity::Dns => true,
                Entity::World => outside,
                Entity::WorldIpv4 => outside && address.is_ipv4(),
                Entity::WorldIpv6 => outside && address.is_ipv6(),
                Entity::Host => class == DestinationClass::Host || of_node() == Some(true),
                Entity::RemoteNode => of_node() == Some(false),
                Entity::Loopback => class == DestinationClass::Loopback,
                Entity::Cluster => {
                    !world.cluster.is_unknown()
                        && matches!(
                            class,
                            DestinationClass::Host | DestinationClass::Pod | DestinationClass::Node
                        )
                }
                Entity::KubeApiserver => {
                    members::api_server(cluster).any(|backend| backend.address == address)
                }
            },
            Peer::Pods(peer) => {
                members::pods(cluster, peer).any(|(_, pod)| pod.addresses.contains(&address))
            }
            Peer::Nodes(peer) => members::nodes(cluster, peer, own_node).any(|ip| ip == address),
            Peer::Service(peer) if peer.with_ports => {
                members::backends(cluster, peer).any(|(backend, of)| {
                    (backend.address, backend.port, of) == (address, port, protocol)
                })
            }
            Peer::Service(peer) => {
                members::service_addresses(cluster, peer).any(|ip| ip == address)
            }
            Peer::Endpoints(peer) => members::endpoints(cluster, peer)
                .iter()
                .any(|block| block_holds(block, address, outside)),
            Peer::Fqdn(_) | Peer::Metadata(_) | Peer::Set(_) => false,
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

const UNSPECIFIED_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const UNSPECIFIED_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

fn block_holds(block: &Block, address: IpAddr, outside: bool) -> bool {
    (block.scope == Scope::Any || outside)
        && canonical(block.net).contains(&address)
        && !block
            .except
            .iter()
            .any(|except| canonical(*except).contains(&address))
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
