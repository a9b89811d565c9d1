//! Policies of Calico's, their tiers and the sets they select.

use policy_engine::testing::Random;
use serde_json::{Value, json};

use super::protocol;
use super::selector::{self, Vocabulary, labels};
use super::world::{ACCOUNTS, BLOCKS, NAMESPACES, PORT_NAMES, PORTS, WITH_HOST_BITS};

/// Tiers on every side of those that are always there.
const TIERS: &[&str] = &["first", "second", "late", "last"];
const NAMESPACE: Vocabulary = &[
    ("team", &["red", "blue"]),
    ("projectcalico.org/name", NAMESPACES),
];

/// What policies depend on: tiers, and sets with the labels of pods.
pub(super) fn surroundings(random: &mut Random) -> Vec<Value> {
    let mut objects: Vec<Value> = TIERS
        .iter()
        .map(|name| {
            let mut spec = json!({});
            match *name {
                "first" => spec["order"] = json!(500),
                "second" => spec["order"] = json!(random.pick(&[1_500.5, 999_999.0])),
                "late" => spec["order"] = json!(2_000_000),
                // Behind every other.
                _ => {}
            }
            if random.chance(60) {
                spec["defaultAction"] = json!(random.pick(&["Deny", "Pass"]));
            }
            object("Tier", name, None, spec)
        })
        .collect();
    for number in 0..random.below(3) {
        let name = format!("set-{number}");
        let namespace = random.chance(50).then(|| random.pick(NAMESPACES));
        let kind = match namespace {
            Some(_) => "NetworkSet",
            None => "GlobalNetworkSet",
        };
        let nets: Vec<&str> = (0..=random.below(2)).map(|_| random.pick(BLOCKS)).collect();
        let mut set = object(kind, &name, namespace, json!({"nets": nets}));
        set["metadata"]["labels"] = labels(selector::POD, random);
        objects.push(set);
    }
    objects
}

/// Policies, and now and then a staged change of one of them.
pub(super) fn policies(random: &mut Random) -> Vec<Value> {
    let mut policies: Vec<Value> = (0..=random.below(5)).map(|n| policy(n, random)).collect();
    let changed = random.below(policies.len() * 4);
    let Some(target) = policies.get(changed) else {
        return policies;
    };
    let kind = target["kind"].as_str().unwrap();
    if kind.starts_with("Staged") {
        return policies;
    }
    let mut staged = target.clone();
    staged["kind"] = json!(format!("Staged{kind}"));
    if random.chance(40) {
        staged["spec"] = json!({"stagedAction": "Delete"});
        if let Some(tier) = target["spec"].get("tier") {
            staged["spec"]["tier"] = tier.clone();
        }
    } else {
        staged["spec"]["egress"] = random.many(3, rule).into();
        staged["spec"]["stagedAction"] = json!("Set");
    }
    policies.push(staged);
    policies
}

fn policy(number: usize, random: &mut Random) -> Value {
    let namespace = random.chance(50).then(|| random.pick(NAMESPACES));
    let kind = match namespace {
        Some(_) => "NetworkPolicy",
        None => "GlobalNetworkPolicy",
    };
    let kind = if random.chance(12) {
        format!("Staged{kind}")
    } else {
        kind.to_owned()
    };
    let mut spec = json!({});
    let tier = match random.below(100) {
        0..50 => "default",
        50..90 => random.pick(TIERS),
        90..95 => "kube-admin",
        _ => "kube-baseline",
    };
    if tier != "default" || random.chance(30) {
        spec["tier"] = json!(tier);
    }
    // Nobody says how policies of one order stand beside those of the Kubernetes API in its tiers.
    let orders: &[Value] = if tier.starts_with("kube") {
        &[json!(0.5), json!(1.5), json!(2.5)]
    } else {
        &[json!(10), json!(999.5), json!(1_000), json!(1_500)]
    };
    if tier.starts_with("kube") || random.chance(75) {
        spec["order"] = random.pick(orders);
    }
    if random.chance(70) {
        spec["selector"] = json!(expression(selector::POD, random));
    }
    if namespace.is_none() && random.chance(35) {
        spec["namespaceSelector"] = json!(expression(NAMESPACE, random));
    }
    if random.chance(12) {
        spec["serviceAccountSelector"] = json!(expression(selector::ACCOUNT, random));
    }
    match random.below(10) {
        0..2 => {}
        2..7 => spec["types"] = json!(["Egress"]),
        7..9 => spec["types"] = json!(["Ingress", "Egress"]),
        _ => spec["types"] = json!(["Ingress"]),
    }
    if random.chance(90) {
        spec["egress"] = random.many(4, rule).into();
    }
    // One name begins before and one behind that of a NetworkPolicy, where orders are equal.
    let name = format!(
        "{}-{number}",
        random.pick(&["a", "knp.default.policy-1", "z"])
    );
    object(&kind, &name, namespace, spec)
}

fn rule(random: &mut Random) -> Value {
    let mut rule =
        json!({"action": random.pick(&["Allow", "Allow", "Deny", "Deny", "Pass", "Log"])});
    let has_protocol = random.chance(55);
    if has_protocol {
        rule["protocol"] = json!(protocol(random));
    } else if random.chance(10) {
        rule["notProtocol"] = json!(protocol(random));
    }
    // One rule holds blocks of one family.
    let family = random.pick(&[4, 4, 4, 6]);
    if random.chance(15) {
        rule["ipVersion"] = json!(family);
    }
    if random.chance(15) {
        rule["source"] = entity(family, random);
    }
    let mut destination = if random.chance(80) {
        entity(family, random)
    } else {
        json!({})
    };
    let ported = has_protocol && rule.get("notProtocol").is_none();
    for (key, chance) in [("ports", 45), ("notPorts", 12)] {
        if random.chance(chance) {
            destination[key] = (0..=random.below(2))
                .map(|_| port(ported, random))
                .collect();
        }
    }
    // An empty one is what is left where a server dropped the names it had.
    if destination != json!({}) {
        rule["destination"] = destination;
    }
    rule
}

/// Whom a rule is about, without ports; most say one or two things.
fn entity(family: u8, random: &mut Random) -> Value {
    let mut entity = json!({});
    if random.chance(40) {
        entity["nets"] = json!(nets(family, random));
    }
    if random.chance(12) {
        let mut nets = nets(family, random);
        nets.retain(|net| !net.ends_with("/0"));
        if !nets.is_empty() {
            entity["notNets"] = json!(nets);
        }
    }
    if random.chance(40) {
        entity["selector"] = json!(expression(selector::POD, random));
    }
    if random.chance(10) {
        entity["notSelector"] = json!(expression(selector::POD, random));
    }
    if random.chance(20) {
        entity["namespaceSelector"] = if random.chance(25) {
            json!("global()")
        } else {
            json!(expression(NAMESPACE, random))
        };
    }
    if random.chance(12) {
        let mut accounts = json!({});
        if random.chance(60) {
            accounts["names"] = json!([random.pick(ACCOUNTS)]);
        }
        if random.chance(50) {
            accounts["selector"] = json!(expression(selector::ACCOUNT, random));
        }
        entity["serviceAccounts"] = accounts;
    }
    entity
}

fn nets(family: u8, random: &mut Random) -> Vec<&'static str> {
    let of_family: Vec<&str> = BLOCKS
        .iter()
        .copied()
        // Calico refuses it in a rule.
        .filter(|block| *block != WITH_HOST_BITS)
        .filter(|block| block.contains(':') == (family == 6))
        .collect();
    (0..=random.below(2))
        .map(|_| random.pick(&of_family))
        .collect()
}

/// Numbers need a protocol, names do not.
fn port(has_protocol: bool, random: &mut Random) -> Value {
    if !has_protocol || random.chance(30) {
        return json!(random.pick(PORT_NAMES));
    }
    let first = random.pick(PORTS);
    if random.chance(60) {
        json!(first)
    } else {
        json!(format!("{first}:{}", first.max(random.pick(PORTS))))
    }
}

/// A selector in Calico's own language.
fn expression(vocabulary: Vocabulary, random: &mut Random) -> String {
    match random.below(100) {
        0..20 => "all()".to_owned(),
        20..75 => comparison(vocabulary, random),
        75..85 => format!(
            "{} && {}",
            comparison(vocabulary, random),
            comparison(vocabulary, random)
        ),
        85..95 => format!(
            "{} || {}",
            comparison(vocabulary, random),
            comparison(vocabulary, random)
        ),
        _ => format!(
            "!({} || {}) && {}",
            comparison(vocabulary, random),
            comparison(vocabulary, random),
            comparison(vocabulary, random)
        ),
    }
}

fn comparison(vocabulary: Vocabulary, random: &mut Random) -> String {
    let (key, values) = random.pick(vocabulary);
    let (one, other) = (random.pick(values), random.pick(values));
    match random.below(12) {
        0..4 => format!("{key} == '{one}'"),
        4 => format!("{key} != \"{one}\""),
        5 => format!("has({key})"),
        6 => format!("!has({key})"),
        7 => format!("{key} in {{'{one}', '{other}'}}"),
        8 => format!("{key} not in {{'{one}', '{other}'}}"),
        9 => format!("{key} starts with '{}'", one.get(..1).unwrap_or_default()),
        10 => format!("{key} contains '{}'", one.get(1..).unwrap_or_default()),
        _ => format!("!{key} ends with '{one}'"),
    }
}

fn object(kind: &str, name: &str, namespace: Option<&str>, spec: Value) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    json!({"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": spec})
}
