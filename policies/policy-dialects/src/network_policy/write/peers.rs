//! Peers as entries of `to`.

use ipnet::IpNet;
use policy_model::{Block, Cluster, EndpointPeer, Entity, Peer, PodPeer, Scope};

use crate::cidr::canonical;
use crate::convert::{pods_among, private_parts};
use crate::kubernetes::{in_namespace, selector};
use crate::yaml::write::Map;

#[derive(Debug, Default)]
pub(super) struct Written {
    /// Every destination: `to` is left out.
    pub(super) everything: bool,
    pub(super) to: Vec<Map>,
    pub(super) unsaid: Vec<String>,
    /// What is said and means less.
    pub(super) less: Vec<&'static str>,
    /// What is said and means more.
    pub(super) more: Vec<&'static str>,
}

pub(super) fn peers(peers: &[Peer], own: &str, cluster: &Cluster) -> Written {
    let mut out = Written::default();
    for peer in peers {
        match peer {
            Peer::Block(block) => self::block(block, &mut out),
            Peer::Fqdn(fqdn) => {
                if !fqdn.pattern.is_never() {
                    out.unsaid
                        .push(format!("the name `{}`", fqdn.pattern.as_str()));
                }
            }
            Peer::Entity(entity) => self::entity(*entity, &mut out),
            Peer::Metadata(preset) => out
                .unsaid
                .push(format!("the metadata preset `{}`", preset.as_str())),
            Peer::Pods(pods) => self::pods(pods, own, &mut out),
            Peer::Nodes(_) => out.unsaid.push("nodes by label".to_owned()),
            Peer::Service(_) => out.unsaid.push("the backends of a Service".to_owned()),
            Peer::Endpoints(endpoints) => self::endpoints(endpoints, own, cluster, &mut out),
            Peer::Set(name) => out.unsaid.push(format!("the EgressSet `{name}`")),
        }
    }
    out
}

fn block(block: &Block, out: &mut Written) {
    let Block { net, except, scope } = block;
    let net = canonical(*net);
    let except: Vec<IpNet> = except.iter().copied().map(canonical).collect();
    if except.iter().any(|except| except.contains(&net)) {
        return;
    }
    let mut except: Vec<IpNet> = except
        .into_iter()
        .filter(|except| net.contains(except))
        .collect();
    if *scope == Scope::Outside {
        let Some(inside) = private_parts(net) else {
            out.unsaid
                .push(format!("`{net}` but for what is in the cluster"));
            return;
        };
        if !inside.is_empty() {
            out.less
                .push("private addresses are taken from a block that never meant the cluster");
        }
        except.extend(inside);
        out.more
            .push("a block means pods, nodes and Services too, where they have such an address");
    }
    let mut map = Map::new().with("cidr", net.to_string());
    if !except.is_empty() {
        let except: Vec<String> = except.iter().map(ToString::to_string).collect();
        map.push("except", except);
    }
    out.to.push(Map::new().with("ipBlock", map));
}

fn entity(entity: Entity, out: &mut Written) {
    let half = |net: &str, out: &mut Written| {
        if let Ok(net) = net.parse() {
            block(&Block::new(net, Scope::Outside), out);
        }
    };
    match entity {
        Entity::All => out.everything = true,
        Entity::World => {
            half("0.0.0.0/0", out);
            half("::/0", out);
        }
        Entity::WorldIpv4 => half("0.0.0.0/0", out),
        Entity::WorldIpv6 => half("::/0", out),
        Entity::Cluster => {
            out.less
                .push("of the cluster its pods are meant, not its nodes");
            out.to
                .push(Map::new().with("namespaceSelector", Map::new()));
        }
        Entity::Host
        | Entity::RemoteNode
        | Entity::Loopback
        | Entity::Dns
        | Entity::KubeApiserver => out.unsaid.push(format!("the entity `{}`", entity.as_str())),
    }
}

fn pods(peer: &PodPeer, own: &str, out: &mut Written) {
    let PodPeer {
        namespace,
        namespaces,
        pods,
        service_accounts,
    } = peer;
    if !service_accounts.is_empty() {
        out.unsaid.push("pods by their service account".to_owned());
        return;
    }
    let namespaces = match (namespace.as_deref(), namespaces) {
        (Some(namespace), None) if namespace == own => None,
        (Some(namespace), namespaces) => Some(in_namespace(
            &namespaces.clone().unwrap_or_default(),
            namespace,
        )),
        (None, namespaces) => Some(namespaces.clone().unwrap_or_default()),
    };
    let mut map = Map::new();
    if let Some(namespaces) = &namespaces {
        map.push("namespaceSelector", selector(namespaces));
    }
    if namespaces.is_none() || !pods.is_empty() {
        map.push("podSelector", selector(pods));
    }
    out.to.push(map);
}

fn endpoints(peer: &EndpointPeer, own: &str, cluster: &Cluster, out: &mut Written) {
    let Some(peer) = pods_among(peer) else {
        out.unsaid.push("endpoints by an expression".to_owned());
        return;
    };
    if !cluster.network_sets.is_empty() || !cluster.host_endpoints.is_empty() {
        out.less
            .push("network sets and host endpoints are not meant");
    }
    pods(&peer, own, out);
}
