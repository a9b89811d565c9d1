//! Peers as destinations.

use dns_names::Grammar;
use ipnet::IpNet;
use policy_model::{
    Action, Block, EndpointPeer, Entity, FqdnBy, FqdnPeer, NamedPorts, Peer, PodPeer, Ports, Rule,
    Scope, ServicePeer, ServiceRef,
};

use crate::cidr::canonical;
use crate::convert::private_parts;
use crate::yaml::write::Map;

use super::endpoints::endpoint_maps;
use super::selectors;

/// LIMIT: `maxItems` of `nets` and `notNets` in the CRDs.
pub(super) const MOST: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Written {
    /// Every destination: none is written.
    pub(super) everything: bool,
    /// A rule for each.
    pub(super) to: Vec<Map>,
    /// The cluster's DNS, on ports of its own.
    pub(super) dns: bool,
    /// Services, which have ports of their own.
    pub(super) services: Vec<Map>,
    pub(super) domains: Vec<String>,
    pub(super) unsaid: Vec<String>,
    /// What is said and means less.
    pub(super) less: Vec<&'static str>,
    /// What is said and means more.
    pub(super) more: Vec<&'static str>,
    /// Blocks without exceptions, which share rules.
    pub(super) nets: Vec<IpNet>,
}

/// The destinations of a rule in an object of the namespace `own`.
pub(super) fn peers(list: &[Peer], rule: &Rule, own: Option<&str>) -> Written {
    let mut out = Written::default();
    for peer in list {
        match peer {
            Peer::Block(block) => out.block(block, rule),
            Peer::Fqdn(fqdn) => out.fqdn(fqdn, rule),
            Peer::Entity(entity) => out.entity(*entity, rule),
            Peer::Metadata(preset) => out
                .unsaid
                .push(format!("the metadata preset `{}`", preset.as_str())),
            Peer::Pods(pods) => out.pods(pods, own),
            Peer::Nodes(_) => out.unsaid.push("nodes by label".to_owned()),
            Peer::Service(service) => out.service(service, rule),
            Peer::Endpoints(endpoints) => out.endpoints(endpoints, rule, own),
            Peer::Set(name) => out.unsaid.push(format!("the EgressSet `{name}`")),
        }
    }
    out.share_nets();
    out
}

impl Written {
    fn block(&mut self, block: &Block, rule: &Rule) {
        let net = canonical(block.net);
        let mut except: Vec<IpNet> = block.except.iter().copied().map(canonical).collect();
        if except.iter().any(|except| except.contains(&net)) {
            return;
        }
        if block.scope == Scope::Outside {
            // A Deny may take more than was meant.
            if rule.action == Action::Allow {
                let Some(inside) = private_parts(net) else {
                    self.unsaid
                        .push(format!("`{net}` but for what is in the cluster"));
                    return;
                };
                if !inside.is_empty() {
                    self.less.push(
                        "private addresses are taken from a block that never meant the cluster",
                    );
                }
                except.extend(inside);
            }
            self.more.push(
                "a block means pods, nodes and Services too, where they have such an address",
            );
        }
        except.retain(|except| net.contains(except));
        except.sort_unstable();
        except.dedup();
        if except.is_empty() {
            self.nets.push(net);
        } else if except.len() > MOST {
            self.unsaid
                .push(format!("`{net}` with {} exceptions", except.len()));
        } else {
            self.to.push(
                Map::new()
                    .with("nets", texts(&[net]))
                    .with("notNets", texts(&except)),
            );
        }
    }

    /// Blocks of one family, as many as a rule takes.
    fn share_nets(&mut self) {
        let nets = std::mem::take(&mut self.nets);
        let (v4, v6): (Vec<IpNet>, Vec<IpNet>) = nets
            .into_iter()
            .partition(|net| matches!(net, IpNet::V4(_)));
        for nets in v4.chunks(MOST).chain(v6.chunks(MOST)) {
            self.to.push(Map::new().with("nets", texts(nets)));
        }
    }

    /// Of Allows: what refuses or notes names is told of by the caller.
    fn fqdn(&mut self, peer: &FqdnPeer, rule: &Rule) {
        let FqdnPeer { pattern, by, scope } = peer;
        // With a word on questions, its names open nothing.
        if pattern.is_never() || rule.action != Action::Allow || rule.questions.is_some() {
            return;
        }
        let Some(said) = pattern.in_grammar(Grammar::Calico) else {
            self.unsaid
                .push(format!("the name pattern `{}`", pattern.as_str()));
            return;
        };
        if *by == FqdnBy::Question {
            self.more
                .push("a name counts too where another that was asked led to it by CNAME");
        }
        if *scope == Scope::Outside {
            self.more
                .push("a name means pods, nodes and Services too, where it leads to them");
        }
        let said = said.as_str().to_owned();
        if !self.domains.contains(&said) {
            self.domains.push(said);
        }
    }

    fn entity(&mut self, entity: Entity, rule: &Rule) {
        let mut half = |net: &str| {
            if let Ok(net) = net.parse() {
                self.block(&Block::new(net, Scope::Outside), rule);
            }
        };
        match entity {
            Entity::All => self.everything = true,
            Entity::World => {
                half("0.0.0.0/0");
                half("::/0");
            }
            Entity::WorldIpv4 => half("0.0.0.0/0"),
            Entity::WorldIpv6 => half("::/0"),
            Entity::Cluster if rule.action == Action::Allow => {
                self.less
                    .push("of the cluster its pods are meant, not its nodes");
                self.pods(&PodPeer::default(), None);
            }
            Entity::Dns if rule.action == Action::Allow => {
                self.less
                    .push("of the known DNS servers the cluster's own is meant, on port 53");
                self.dns = true;
            }
            Entity::Cluster
            | Entity::Host
            | Entity::RemoteNode
            | Entity::Loopback
            | Entity::Dns
            | Entity::KubeApiserver => self
                .unsaid
                .push(format!("the entity `{}`", entity.as_str())),
        }
    }

    fn pods(&mut self, peer: &PodPeer, own: Option<&str>) {
        match selectors::pods(peer, own) {
            Some(map) => self.to.push(map),
            None => self
                .unsaid
                .push("pods by labels that Calico gives by itself".to_owned()),
        }
    }

    fn service(&mut self, peer: &ServicePeer, rule: &Rule) {
        let whole = rule.ports == Ports::Any && rule.named_ports == NamedPorts::default();
        match peer {
            ServicePeer {
                namespace: Some(namespace),
                service: ServiceRef::Name(name),
                with_ports: true,
            } if whole => {
                let service = Map::new()
                    .with("name", &**name)
                    .with("namespace", &**namespace);
                self.services.push(Map::new().with("services", service));
            }
            ServicePeer { .. } => self
                .unsaid
                .push("a Service but by its name, in one namespace, on its own ports".to_owned()),
        }
    }

    fn endpoints(&mut self, peer: &EndpointPeer, rule: &Rule, own: Option<&str>) {
        match endpoint_maps(peer, rule, own) {
            Some(maps) => self.to.extend(maps),
            None => self
                .unsaid
                .push("endpoints by such an expression".to_owned()),
        }
    }
}

pub(super) fn texts(nets: &[IpNet]) -> Vec<String> {
    nets.iter().map(ToString::to_string).collect()
}
