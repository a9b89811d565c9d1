use policy_engine::testing::Random;
use serde_json::{Value, json};

use super::protocol;
use super::selector::{self, selector};
use super::world::{BLOCKS, NAMESPACES, PORT_NAMES, PORTS};

pub(super) fn policy(number: usize, random: &mut Random) -> Value {
    let mut metadata = json!({"name": format!("policy-{number}")});
    let namespace = random.pick(NAMESPACES);
    if namespace != "default" || random.chance(70) {
        metadata["namespace"] = json!(namespace);
    }
    let mut spec = json!({});
    spec["podSelector"] = if random.chance(40) {
        json!({})
    } else {
        selector(selector::POD, random)
    };
    match random.below(100) {
        0..35 => {}
        35..70 => spec["policyTypes"] = json!(["Egress"]),
        70..90 => spec["policyTypes"] = json!(["Ingress", "Egress"]),
        _ => spec["policyTypes"] = json!(["Ingress"]),
    }
    if random.chance(90) {
        spec["egress"] = rules("to", 3, random);
    }
    // Whatever it says must not matter.
    if random.chance(30) {
        spec["ingress"] = rules("from", 1, random);
    }
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": metadata, "spec": spec})
}

fn rules(peers: &str, most: usize, random: &mut Random) -> Value {
    let rules = random.many(most, |random| {
        let mut rule = json!({});
        // An empty list and none are both everything.
        if random.chance(92) {
            let least = usize::from(random.chance(95));
            rule[peers] = (0..least + random.below(3)).map(|_| peer(random)).collect();
        }
        if random.chance(65) {
            let least = usize::from(random.chance(92));
            rule["ports"] = (0..least + random.below(3)).map(|_| port(random)).collect();
        }
        rule
    });
    Value::Array(rules)
}

fn peer(random: &mut Random) -> Value {
    match random.below(100) {
        0..25 => json!({"podSelector": selector(selector::POD, random)}),
        25..45 => json!({"namespaceSelector": selector(selector::NAMESPACE, random)}),
        45..65 => json!({"podSelector": selector(selector::POD, random),
            "namespaceSelector": selector(selector::NAMESPACE, random)}),
        _ => json!({"ipBlock": block(random)}),
    }
}

fn block(random: &mut Random) -> Value {
    let cidr = random.pick(BLOCKS);
    let inside: Vec<&str> = BLOCKS
        .iter()
        .copied()
        .filter(|other| *other != cidr && lies_in(other, cidr))
        .collect();
    let mut block = json!({"cidr": cidr});
    if !inside.is_empty() && random.chance(50) {
        block["except"] = (0..=random.below(2))
            .map(|_| random.pick(&inside))
            .collect();
    }
    block
}

fn port(random: &mut Random) -> Value {
    let mut port = json!({});
    if random.chance(60) {
        port["protocol"] = json!(protocol(random));
    }
    match random.below(100) {
        // All of the protocol.
        0..15 => {}
        15..40 => port["port"] = json!(random.pick(PORT_NAMES)),
        40..70 => port["port"] = json!(random.pick(PORTS)),
        _ => {
            let begin = random.pick(PORTS);
            port["port"] = json!(begin);
            port["endPort"] = json!(begin.max(random.pick(PORTS)));
        }
    }
    port
}

/// Whether one block lies strictly in another, as the API server asks of exceptions.
fn lies_in(inner: &str, outer: &str) -> bool {
    let bits = |text: &str| -> (bool, u128, u32) {
        let (address, length) = text.split_once('/').unwrap();
        let length: u32 = length.parse().unwrap();
        match address.parse().unwrap() {
            std::net::IpAddr::V4(v4) => (true, u128::from(v4.to_bits()) << 96, length),
            std::net::IpAddr::V6(v6) => (false, v6.to_bits(), length),
        }
    };
    let ((a4, a, a_length), (b4, b, b_length)) = (bits(inner), bits(outer));
    let same = b_length == 0 || (a ^ b) >> (128 - b_length) == 0;
    a4 == b4 && a_length > b_length && same
}
