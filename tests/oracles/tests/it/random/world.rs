use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use oracles::Flow;
use policy_engine::testing::Random;
use serde_json::{Value, json};

use super::protocol;
use super::selector::{self, labels};

pub(super) const NAMESPACES: &[&str] = &["default", "shop", "mail"];
/// Ports of pods, of rules and of flows; what lies between them lies in ranges.
pub(super) const PORTS: &[u16] = &[53, 80, 443, 8080, 9003];
pub(super) const PORT_NAMES: &[&str] = &["http", "dns", "metrics"];
pub(super) const WITH_HOST_BITS: &str = "203.0.113.77/28";
/// Blocks of pods, of nodes and of what lies outside; one with bits that its length does not count.
pub(super) const BLOCKS: &[&str] = &[
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.1.0/24",
    "10.1.1.1/32",
    "10.1.2.2/31",
    "192.0.2.0/24",
    "192.0.2.1/32",
    "203.0.113.0/24",
    "203.0.113.7/32",
    WITH_HOST_BITS,
    "::/0",
    "fd00::/8",
    "fd00:1::/32",
    "fd00:1:0:1::/64",
    "2001:db8::/32",
    "2001:db8::7/128",
];
pub(super) const NAMES: &[&str] = &["api.example.com", "example.com", "a.b.example.net"];
pub(super) const ACCOUNTS: &[&str] = &["default", "robot"];
const OUTSIDE: &[&str] = &[
    "203.0.113.7",
    "203.0.113.70",
    "198.51.100.9",
    "10.9.9.9",
    "2001:db8::7",
    "2001:db8:9::1",
    "fd12::1",
];

/// A cluster: namespaces, nodes and pods.
pub(super) struct World {
    namespaces: Vec<Value>,
    nodes: Vec<Node>,
    pods: Vec<Pod>,
}

struct Node {
    object: Value,
    addresses: Vec<IpAddr>,
}

struct Pod {
    name: String,
    addresses: Vec<IpAddr>,
    ended: bool,
    object: Value,
}

impl World {
    pub(super) fn random(random: &mut Random) -> Self {
        let namespaces = NAMESPACES
            .iter()
            .map(|name| {
                json!({"apiVersion": "v1", "kind": "Namespace",
                    "metadata": {"name": name, "labels": labels(selector::NAMESPACE, random)}})
            })
            .collect();
        let nodes: Vec<Node> = (1..=2).map(|number| node(number, random)).collect();
        // The first one is there to send: it runs, and has both families.
        let many = 3 + random.below(4);
        let pods = (0..many)
            .map(|number| pod(number, &nodes, random))
            .collect();
        Self {
            namespaces,
            nodes,
            pods,
        }
    }

    pub(super) fn objects(self) -> Vec<Value> {
        self.namespaces
            .into_iter()
            .chain(self.nodes.into_iter().map(|node| node.object))
            .chain(self.pods.into_iter().map(|pod| pod.object))
            .collect()
    }

    /// A flow of a pod that runs, from an address of its own in the family of the destination's.
    pub(super) fn flow(&self, random: &mut Random) -> Flow {
        loop {
            let from = &self.pods[random.below(self.pods.len())];
            let to = self.destination(from, random);
            let same = from
                .addresses
                .iter()
                .any(|own| own.is_ipv4() == to.is_ipv4());
            if !from.ended && same {
                let port = random.pick(PORTS);
                return Flow {
                    from: from.name.clone(),
                    to,
                    port: if random.chance(15) { port + 1 } else { port },
                    protocol: protocol(random).to_owned(),
                };
            }
        }
    }

    fn destination(&self, from: &Pod, random: &mut Random) -> IpAddr {
        match random.below(100) {
            0..2 => random.pick(&from.addresses),
            2..65 => loop {
                let to = &self.pods[random.below(self.pods.len())];
                if to.name != from.name {
                    break random.pick(&to.addresses);
                }
            },
            65..75 => {
                let node = &self.nodes[random.below(self.nodes.len())];
                random.pick(&node.addresses)
            }
            _ => random.pick(OUTSIDE).parse().unwrap(),
        }
    }
}

/// What some names stand for: addresses outside, and one of a pod.
pub(super) fn names(random: &mut Random) -> BTreeMap<String, Vec<IpAddr>> {
    let mut names = BTreeMap::new();
    for name in NAMES {
        if random.chance(70) {
            let addresses = (0..=random.below(2))
                .map(|_| random.pick(OUTSIDE).parse().unwrap())
                .collect();
            names.insert((*name).to_owned(), addresses);
        }
    }
    names
}

/// Accounts that pods may run as, with labels.
pub(super) fn accounts(random: &mut Random) -> Vec<Value> {
    let mut accounts = Vec::new();
    for namespace in NAMESPACES {
        for name in ACCOUNTS {
            if random.chance(70) {
                accounts.push(json!({"apiVersion": "v1", "kind": "ServiceAccount",
                    "metadata": {"name": name, "namespace": namespace,
                        "labels": labels(selector::ACCOUNT, random)}}));
            }
        }
    }
    accounts
}

fn node(number: u8, random: &mut Random) -> Node {
    let mut addresses: Vec<IpAddr> = vec![Ipv4Addr::new(192, 0, 2, number).into()];
    let mut written = vec![
        json!({"type": "Hostname", "address": format!("node-{number}")}),
        json!({"type": "InternalIP", "address": addresses[0]}),
    ];
    if random.chance(60) {
        let inside = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, number.into());
        addresses.push(inside.into());
        written.push(json!({"type": "InternalIP", "address": inside}));
    }
    if random.chance(30) {
        let outside = Ipv4Addr::new(203, 0, 113, 200 + number);
        addresses.push(outside.into());
        written.push(json!({"type": "ExternalIP", "address": outside}));
    }
    let object = json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": format!("node-{number}"), "labels": labels(selector::NODE, random)},
        "status": {"addresses": written}});
    Node { object, addresses }
}

fn pod(number: usize, nodes: &[Node], random: &mut Random) -> Pod {
    let first = number == 0;
    let namespace = random.below(NAMESPACES.len());
    let on = random.below(nodes.len());
    let host = !first && random.chance(12);
    let ended = !first && !host && random.chance(6);
    let addresses: Vec<IpAddr> = if host {
        nodes[on].addresses.clone()
    } else {
        let families = if first { 0 } else { random.below(10) };
        let namespace = u8::try_from(namespace).unwrap();
        let number = u8::try_from(number).unwrap();
        let v4 = Ipv4Addr::new(10, 1, namespace, number + 1).into();
        let v6 = Ipv6Addr::new(
            0xfd00,
            1,
            0,
            namespace.into(),
            0,
            0,
            0,
            u16::from(number) + 1,
        )
        .into();
        match families {
            0..6 => vec![v4, v6],
            6..9 => vec![v4],
            _ => vec![v6],
        }
    };
    let containers: Vec<Value> = (0..=usize::from(random.chance(25)))
        .map(|n| container(n, random))
        .collect();
    let mut spec = json!({"nodeName": format!("node-{}", on + 1), "containers": containers});
    if host {
        spec["hostNetwork"] = json!(true);
    }
    if random.chance(30) {
        spec["serviceAccountName"] = json!("robot");
    }
    let name = format!("pod-{number}");
    let phase = if ended {
        random.pick(&["Succeeded", "Failed"])
    } else {
        "Running"
    };
    let ips: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
    Pod {
        name: format!("{}/{name}", NAMESPACES[namespace]),
        object: json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACES[namespace],
                "labels": labels(selector::POD, random)},
            "spec": spec,
            "status": {"phase": phase, "podIP": addresses[0], "podIPs": ips}}),
        addresses,
        ended,
    }
}

fn container(number: usize, random: &mut Random) -> Value {
    let mut ports: Vec<Value> = Vec::new();
    for name in PORT_NAMES {
        if random.chance(45) {
            let mut port = json!({"containerPort": random.pick(PORTS)});
            if random.chance(60) {
                port["protocol"] = json!(protocol(random));
            }
            // Now and then one port has two names.
            if random.chance(10)
                && let Some(last) = ports.last()
            {
                port = last.clone();
            }
            port["name"] = json!(name);
            ports.push(port);
        }
    }
    json!({"name": format!("container-{number}"), "image": "example.com/image", "ports": ports})
}
