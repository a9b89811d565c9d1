//! Peers as entries of `to`.

use ipnet::IpNet;
use policy_model::{
    Action, Band, Block, Cluster, EndpointPeer, Entity, NodePeer, Peer, Peers, PodPeer, Policy,
    Rule, Scope,
};

use crate::cidr::canonical;
use crate::convert::{
    is_guarded_address, may_be_more_than_pods, pods_among, private_parts, without,
};
use crate::kubernetes::selector;
use crate::yaml::write::Map;

use super::names;
use super::pods_map;
use super::tiers::TierWord;

/// LIMIT: blocks or names of one peer, in the CRD.
const MOST: usize = 25;
/// LIMIT: blocks that one with exceptions becomes; enough for one address taken from all of IPv6.
const PARTS: usize = 130;

/// What a rule's peers come to.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// What has no ports by name: blocks, nodes, names.
    pub(super) others: Vec<Map>,
    pub(super) pods: Vec<Map>,
    /// Whether names are among them.
    pub(super) names: bool,
    /// An entry of its own: the cluster's DNS.
    pub(super) cluster_dns: bool,
    pub(super) unsaid: Vec<String>,
    /// What is said and means less.
    pub(super) less: Vec<&'static str>,
    /// What is said and means more.
    pub(super) more: Vec<&'static str>,
}

/// Where a rule stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) policy: &'a Policy,
    /// All of them, in the order of the walk.
    pub(super) sorted: &'a [&'a Policy],
    pub(super) cluster: &'a Cluster,
    pub(super) tier: TierWord,
}

/// Blocks and names by the entry, once all are known.
#[derive(Debug, Default)]
pub(super) struct Lists {
    networks: Vec<String>,
    pub(super) names: Vec<String>,
}

/// Every destination.
pub(super) fn everything() -> Written {
    Written {
        others: vec![networks(&["0.0.0.0/0".to_owned(), "::/0".to_owned()])],
        pods: vec![Map::new().with("namespaces", Map::new())],
        ..Written::default()
    }
}

pub(super) fn peers(rule: &Rule, around: Around<'_>) -> Written {
    let list = match &rule.peers {
        Peers::Of(list) if !list.contains(&Peer::Entity(Entity::All)) => list,
        Peers::Of(_) | Peers::Any => return beside_everything(rule, around),
    };
    let (mut out, mut lists) = (Written::default(), Lists::default());
    for peer in list {
        one(peer, rule, around, &mut lists, &mut out);
    }
    lists.write(&mut out);
    out
}

/// Whether a peer of the rule is such.
pub(super) fn has(rule: &Rule, is: fn(&Peer) -> bool) -> bool {
    match &rule.peers {
        Peers::Any => false,
        Peers::Of(peers) => peers.iter().any(is),
    }
}

/// Beside every destination only names say more: they open the known servers.
fn beside_everything(rule: &Rule, around: Around<'_>) -> Written {
    let mut out = everything();
    let Peers::Of(list) = &rule.peers else {
        return out;
    };
    let mut lists = Lists::default();
    for peer in list {
        match peer {
            Peer::Fqdn(_) => one(peer, rule, around, &mut lists, &mut out),
            // An address that is named may open more than one that is not.
            Peer::Block(_) if rule.action == Action::Allow => {
                one(peer, rule, around, &mut lists, &mut out);
            }
            Peer::Metadata(preset) if rule.action == Action::Allow => out
                .unsaid
                .push(format!("the metadata preset `{}`", preset.as_str())),
            Peer::Block(_)
            | Peer::Metadata(_)
            | Peer::Entity(_)
            | Peer::Pods(_)
            | Peer::Nodes(_)
            | Peer::Service(_)
            | Peer::Endpoints(_)
            | Peer::Set(_) => {}
        }
    }
    lists.write(&mut out);
    out
}

fn one(peer: &Peer, rule: &Rule, around: Around<'_>, lists: &mut Lists, out: &mut Written) {
    match peer {
        Peer::Block(block) => self::block(block, rule, around, lists, out),
        Peer::Fqdn(fqdn) => names::fqdn(fqdn, rule, around, lists, out),
        Peer::Entity(entity) => self::entity(*entity, rule, around, lists, out),
        Peer::Metadata(preset) => out
            .unsaid
            .push(format!("the metadata preset `{}`", preset.as_str())),
        Peer::Pods(pods) => self::pods(pods, rule, out),
        Peer::Nodes(NodePeer { labels, remote }) => {
            if *remote && rule.action == Action::Allow {
                out.unsaid
                    .push("nodes by label but for the workload's own".to_owned());
                return;
            }
            if *remote {
                out.more.push("the workload's own node is meant too");
            }
            out.others.push(Map::new().with("nodes", selector(labels)));
        }
        Peer::Service(_) => out.unsaid.push("the backends of a Service".to_owned()),
        Peer::Endpoints(endpoints) => self::endpoints(endpoints, rule, around.cluster, out),
        Peer::Set(name) => out.unsaid.push(format!("the EgressSet `{name}`")),
    }
}

impl Lists {
    fn write(self, out: &mut Written) {
        let Self {
            networks: blocks,
            names,
        } = self;
        out.others.extend(blocks.chunks(MOST).map(networks));
        let entry = |names: &[String]| Map::new().with("domainNames", names.to_vec());
        out.others.extend(names.chunks(MOST).map(entry));
        out.names = !names.is_empty();
    }
}

fn networks(blocks: &[String]) -> Map {
    Map::new().with("networks", blocks.to_vec())
}

pub(super) fn add(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

fn block(block: &Block, rule: &Rule, around: Around<'_>, lists: &mut Lists, out: &mut Written) {
    let Block { net, except, scope } = block;
    let net = canonical(*net);
    let mut except: Vec<IpNet> = except.iter().copied().map(canonical).collect();
    if except.iter().any(|except| except.contains(&net)) {
        return;
    }
    if *scope == Scope::Outside && rule.action == Action::Allow {
        let Some(private) = private_parts(net) else {
            out.unsaid
                .push(format!("`{net}` but for what is in the cluster"));
            return;
        };
        if !private.is_empty() {
            out.less
                .push("private addresses are taken from a block that never meant the cluster");
        }
        except.extend(private);
    }
    if *scope == Scope::Outside {
        out.more
            .push("a block means pods, nodes and Services too, where they have such an address");
    }
    let Some(parts) = without(net, &except, PARTS) else {
        out.unsaid.push(format!("`{net}` with so many exceptions"));
        return;
    };
    for part in parts {
        // What opens guarded addresses is a full address in the Admin tier.
        let opened = around.policy.tier.band == Band::Admin && is_guarded_address(net);
        let opens = around.tier == TierWord::Admin && is_guarded_address(part);
        if rule.action == Action::Allow && opens && !opened {
            out.unsaid.push(format!(
                "`{part}` in a rule that opens no guarded address: those of the Admin tier do"
            ));
            continue;
        }
        if rule.action == Action::Allow && opened && !opens {
            out.less.push(
                "a guarded address opens for rules of the Admin tier, and no longer for this one",
            );
        }
        add(&mut lists.networks, part.to_string());
    }
}

fn entity(entity: Entity, rule: &Rule, around: Around<'_>, lists: &mut Lists, out: &mut Written) {
    let mut half = |net: &str, out: &mut Written| {
        if let Ok(net) = net.parse() {
            block(&Block::new(net, Scope::Outside), rule, around, lists, out);
        }
    };
    match entity {
        Entity::World => {
            half("0.0.0.0/0", out);
            half("::/0", out);
        }
        Entity::WorldIpv4 => half("0.0.0.0/0", out),
        Entity::WorldIpv6 => half("::/0", out),
        Entity::Cluster => {
            out.less.push(
                "of the cluster its pods and Nodes are meant, not other addresses of a machine",
            );
            out.pods.push(Map::new().with("namespaces", Map::new()));
            out.others.push(Map::new().with("nodes", Map::new()));
        }
        Entity::Dns => {
            out.less
                .push("of the known DNS servers the cluster's own is meant, on port 53");
            out.cluster_dns = true;
        }
        Entity::All
        | Entity::Host
        | Entity::RemoteNode
        | Entity::Loopback
        | Entity::KubeApiserver => out.unsaid.push(format!("the entity `{}`", entity.as_str())),
    }
}

fn pods(peer: &PodPeer, rule: &Rule, out: &mut Written) {
    let PodPeer {
        namespace,
        namespaces,
        pods,
        service_accounts,
    } = peer;
    if !service_accounts.is_empty() {
        if rule.action == Action::Allow {
            out.unsaid.push("pods by their service account".to_owned());
            return;
        }
        out.more.push("pods of every service account are meant");
    }
    out.pods
        .push(pods_map(namespace.as_deref(), namespaces.as_ref(), pods));
}

fn endpoints(peer: &EndpointPeer, rule: &Rule, cluster: &Cluster, out: &mut Written) {
    let more = may_be_more_than_pods(peer, rule.action, cluster);
    let Some(peer) = pods_among(peer) else {
        out.unsaid.push("endpoints by an expression".to_owned());
        return;
    };
    if more {
        out.less
            .push("network sets and host endpoints are not meant");
    }
    pods(&peer, rule, out);
}
