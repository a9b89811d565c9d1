//! Entries of `egress`.

use policy_model::{Entity, Peer, Peers, PodPeer, Ports, Protocol, Rule};

use crate::convert::{cluster_dns, dns_ports};
use crate::yaml::write::Map;

use super::{peers, pods_map, ports};

/// LIMIT: peers or ports of one rule, in the CRD.
const MOST: usize = 25;
/// LIMIT: characters of a rule's name, in the CRD.
const LONGEST_NAME: usize = 100;

/// One entry, and whether its names may hold private addresses; nothing where it has none.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) rule: Map,
    pub(super) private: Option<bool>,
}

impl Entry {
    /// A Deny of everything.
    pub(super) fn end() -> Self {
        Self {
            rule: Map::new()
                .with("action", "Deny")
                .with("to", peers::everything().others),
            private: None,
        }
    }
}

/// Whether it is for every destination, as which ports by name are those of every pod.
pub(super) fn is_any(rule: &Rule) -> bool {
    match &rule.peers {
        Peers::Any => true,
        Peers::Of(peers) => peers.contains(&Peer::Entity(Entity::All)),
    }
}

/// The entries of a rule: ports by name only beside pods, and lists no longer than they may be.
pub(super) fn each(
    rule: &Rule,
    action: &'static str,
    peers: &peers::Written,
    ports: &ports::Written,
) -> Vec<Map> {
    let start = || {
        let name = rule.name.as_deref();
        Map::new()
            .with_some(
                "name",
                name.filter(|name| name.chars().count() <= LONGEST_NAME),
            )
            .with("action", action)
    };
    let mut maps = Vec::new();
    let mut write = |to: &[Map], protocols: &[Map]| {
        for to in to.chunks(MOST) {
            let map = start().with("to", to.to_vec());
            if ports.all {
                maps.push(map.clone());
                continue;
            }
            for protocols in protocols.chunks(MOST) {
                maps.push(map.clone().with("protocols", protocols.to_vec()));
            }
        }
    };
    if ports.names.is_empty() {
        let mut to = peers.others.clone();
        if !is_any(rule) {
            to.extend(peers.pods.iter().cloned());
        }
        write(&to, &ports.numbers);
    } else {
        write(&peers.others, &ports.numbers);
        let mut protocols = ports.numbers.clone();
        protocols.extend(ports.names.iter().cloned());
        write(&peers.pods, &protocols);
    }
    maps
}

/// The cluster's DNS on those of its ports that the rule has.
pub(super) fn dns(ports: &Ports) -> Option<Entry> {
    let ports = dns_ports(ports).into_iter();
    let protocols: Vec<Map> = ports
        .map(|one| {
            let word = if one.protocol == Protocol::UDP {
                "udp"
            } else {
                "tcp"
            };
            let port = Map::new().with("number", one.first);
            Map::new().with(word, Map::new().with("destinationPort", port))
        })
        .collect();
    let PodPeer {
        namespace, pods, ..
    } = cluster_dns();
    (!protocols.is_empty()).then(|| Entry {
        rule: Map::new()
            .with("name", "dns")
            .with("action", "Accept")
            .with("to", vec![pods_map(namespace.as_deref(), None, &pods)])
            .with("protocols", protocols),
        private: None,
    })
}
