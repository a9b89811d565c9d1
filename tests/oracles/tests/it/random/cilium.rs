//! Policies of Cilium's, and the groups of blocks they name.

use policy_engine::testing::Random;
use serde_json::{Value, json};

use super::selector::{self, labels, selector};
use super::world::{ACCOUNTS, BLOCKS, NAMESPACES, PORT_NAMES, PORTS};

const GROUPS: &[&str] = &["group-0", "group-1"];
const OF_GROUP: selector::Vocabulary = &[("list", &["a", "b"])];
/// A pod's namespace, and a label of it.
const IN_NAMESPACE: selector::Vocabulary = &[
    ("k8s:io.kubernetes.pod.namespace", NAMESPACES),
    ("io.cilium.k8s.namespace.labels.team", &["red", "blue"]),
    ("io.cilium.k8s.policy.serviceaccount", ACCOUNTS),
];

/// The groups that policies name.
pub(super) fn surroundings(random: &mut Random) -> Vec<Value> {
    GROUPS
        .iter()
        .map(|name| {
            let nets: Vec<&str> = (0..=random.below(3)).map(|_| random.pick(BLOCKS)).collect();
            json!({"apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup",
                "metadata": {"name": name, "labels": labels(OF_GROUP, random)},
                "spec": {"externalCIDRs": nets}})
        })
        .collect()
}

pub(super) fn policy(number: usize, random: &mut Random) -> Value {
    let namespace = random.chance(60).then(|| random.pick(NAMESPACES));
    let mut metadata = json!({"name": format!("cilium-{number}")});
    let kind = match namespace {
        Some(namespace) => {
            metadata["namespace"] = json!(namespace);
            "CiliumNetworkPolicy"
        }
        None => "CiliumClusterwideNetworkPolicy",
    };
    let mut object = json!({"apiVersion": "cilium.io/v2", "kind": kind, "metadata": metadata});
    let clusterwide = namespace.is_none();
    if random.chance(85) {
        object["spec"] = spec(clusterwide, random);
    } else {
        object["specs"] = (0..=random.below(2))
            .map(|_| spec(clusterwide, random))
            .collect();
    }
    object
}

fn spec(clusterwide: bool, random: &mut Random) -> Value {
    let mut spec = json!({});
    if clusterwide && random.chance(15) {
        spec["nodeSelector"] = selector(selector::NODE, random);
    } else {
        spec["endpointSelector"] = if random.chance(40) {
            json!({})
        } else {
            endpoints(clusterwide, random)
        };
    }
    let allows = random.chance(85);
    if allows {
        spec["egress"] = (0..=random.below(3))
            .map(|_| rule(Side::Allow, random))
            .collect();
    }
    if !allows || random.chance(25) {
        spec["egressDeny"] = (0..=random.below(2))
            .map(|_| rule(Side::Deny, random))
            .collect();
    }
    if random.chance(35) {
        spec["enableDefaultDeny"] = json!({"egress": random.chance(30)});
    }
    spec
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Allow,
    Deny,
}

fn rule(side: Side, random: &mut Random) -> Value {
    let mut rule = json!({});
    // Without any member a rule matches nothing.
    if random.chance(8) {
        return rule;
    }
    if random.chance(85) {
        let (key, peers) = peers(side, random);
        rule[key] = peers;
    }
    if rule == json!({}) || random.chance(60) {
        rule["toPorts"] = (0..=usize::from(random.chance(20)))
            .map(|_| {
                let ports: Vec<Value> = (0..=random.below(2)).map(|_| port(random)).collect();
                json!({"ports": ports})
            })
            .collect();
    }
    rule
}

fn peers(side: Side, random: &mut Random) -> (&'static str, Value) {
    let some = |random: &mut Random, one: &mut dyn FnMut(&mut Random) -> Value| -> Value {
        (0..=random.below(2)).map(|_| one(random)).collect()
    };
    match random.below(100) {
        0..25 => (
            "toCIDR",
            some(random, &mut |random| json!(random.pick(BLOCKS))),
        ),
        25..40 => ("toCIDRSet", some(random, &mut set)),
        40..65 => (
            "toEndpoints",
            some(random, &mut |random| {
                let anywhere = random.chance(40);
                endpoints(anywhere, random)
            }),
        ),
        65..80 => (
            "toEntities",
            some(random, &mut |random| {
                json!(random.pick(&[
                    "all",
                    "world",
                    "world",
                    "cluster",
                    "host",
                    "remote-node",
                    "none"
                ]))
            }),
        ),
        80..87 => (
            "toNodes",
            some(random, &mut |random| selector(selector::NODE, random)),
        ),
        _ if side == Side::Allow => ("toFQDNs", some(random, &mut name)),
        _ => ("toEntities", json!(["world"])),
    }
}

/// Endpoints by their labels, and in some by what else Cilium knows of them.
fn endpoints(anywhere: bool, random: &mut Random) -> Value {
    let mut chosen = selector(selector::POD, random);
    if anywhere && random.chance(60) {
        let (key, values) = random.pick(IN_NAMESPACE);
        let mut labels = chosen["matchLabels"].take();
        if labels.is_null() {
            labels = json!({});
        }
        labels[key] = json!(random.pick(values));
        chosen["matchLabels"] = labels;
    }
    chosen
}

fn set(random: &mut Random) -> Value {
    match random.below(10) {
        0..3 => json!({"cidrGroupRef": random.pick(GROUPS)}),
        // A selector that no group has is closed.
        3 => json!({"cidrGroupSelector": {}}),
        _ => {
            let (cidr, inside) = random.pick(&[
                ("0.0.0.0/0", &["203.0.113.0/24", "10.9.0.0/16"][..]),
                ("203.0.113.0/24", &["203.0.113.7/32", "203.0.113.64/26"][..]),
                ("10.0.0.0/8", &["10.1.0.0/16", "10.9.9.9/32"][..]),
                ("2001:db8::/32", &["2001:db8::/64"][..]),
            ]);
            let mut set = json!({"cidr": cidr});
            if random.chance(60) {
                set["except"] = json!([random.pick(inside)]);
            }
            set
        }
    }
}

fn name(random: &mut Random) -> Value {
    random.pick(&[
        json!({"matchName": "api.example.com"}),
        json!({"matchName": "Example.com."}),
        json!({"matchPattern": "*.example.com"}),
        json!({"matchPattern": "*.example.net"}),
        json!({"matchPattern": "**.example.net"}),
        json!({"matchPattern": "*example*"}),
        json!({"matchPattern": "*"}),
    ])
}

fn port(random: &mut Random) -> Value {
    let mut port = json!({});
    if random.chance(70) {
        port["protocol"] = json!(random.pick(&["TCP", "TCP", "UDP", "SCTP", "ANY"]));
    }
    match random.below(100) {
        0..10 => port["port"] = json!("0"),
        10..30 => port["port"] = json!(random.pick(PORT_NAMES)),
        30..75 => port["port"] = json!(random.pick(PORTS).to_string()),
        _ => {
            let first = random.pick(PORTS);
            port["port"] = json!(first.to_string());
            port["endPort"] = json!(first.max(random.pick(PORTS)));
        }
    }
    port
}
