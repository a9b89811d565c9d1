use policy_engine::testing::Random;
use serde_json::{Value, json};

use super::selector::{self, selector};
use super::world::{BLOCKS, PORT_NAMES, PORTS};

pub(super) fn policy(number: usize, random: &mut Random) -> Value {
    let tier = random.pick(&["Admin", "Baseline"]);
    let mut spec = json!({
        "tier": tier,
        // Few, so that some tie: then the name decides.
        "priority": random.below(4),
        "subject": subject(random),
    });
    if random.chance(95) {
        spec["egress"] = random.many(4, |random| rule(tier, random)).into();
    }
    if random.chance(20) {
        spec["ingress"] = json!([{"action": "Deny", "from": [{"namespaces": {}}]}]);
    }
    json!({"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
        "metadata": {"name": format!("cluster-{number}")}, "spec": spec})
}

pub(super) fn subject(random: &mut Random) -> Value {
    if random.chance(30) {
        json!({"namespaces": {}})
    } else if random.chance(40) {
        json!({"namespaces": selector(selector::NAMESPACE, random)})
    } else {
        json!({"pods": pods(random)})
    }
}

pub(super) fn pods(random: &mut Random) -> Value {
    json!({"namespaceSelector": selector(selector::NAMESPACE, random),
        "podSelector": selector(selector::POD, random)})
}

fn rule(tier: &str, random: &mut Random) -> Value {
    let action = random.pick(&["Accept", "Deny", "Deny", "Pass"]);
    let by_name = action == "Accept" && tier == "Admin";
    let peers: Vec<Value> = (0..=random.below(3))
        .map(|_| peer(by_name, random))
        .collect();
    let pods_alone = peers.iter().all(|peer| {
        peer.get("pods")
            .or_else(|| peer.get("namespaces"))
            .is_some()
    });
    let mut rule = json!({"action": action, "to": peers});
    if random.chance(20) {
        rule["name"] = json!("a rule");
    }
    if random.chance(60) {
        rule["protocols"] = (0..=random.below(3))
            .map(|_| protocol(pods_alone, random))
            .collect();
    }
    rule
}

fn peer(by_name: bool, random: &mut Random) -> Value {
    match random.below(100) {
        0..25 => json!({"namespaces": selector(selector::NAMESPACE, random)}),
        25..55 => json!({"pods": pods(random)}),
        55..70 => json!({"nodes": selector(selector::NODE, random)}),
        70..80 if by_name => json!({"domainNames": domain_names(random)}),
        _ => json!({"networks": networks(random)}),
    }
}

/// A set: no two alike.
pub(super) fn networks(random: &mut Random) -> Vec<&'static str> {
    let mut networks: Vec<&str> = (0..=random.below(3)).map(|_| random.pick(BLOCKS)).collect();
    networks.sort_unstable();
    networks.dedup();
    networks
}

pub(super) fn domain_names(random: &mut Random) -> Value {
    let pattern = random.pick(&[
        "api.example.com",
        "example.com",
        "*.example.com",
        "*.example.net",
        "other.example.org",
    ]);
    json!([pattern])
}

/// Named ports stand only beside peers that are pods.
fn protocol(pods_alone: bool, random: &mut Random) -> Value {
    if pods_alone && random.chance(35) {
        return json!({"destinationNamedPort": random.pick(PORT_NAMES)});
    }
    let port = if random.chance(60) {
        json!({"number": random.pick(PORTS)})
    } else {
        let begin = random.pick(PORTS);
        json!({"range": {"start": begin, "end": random.pick(PORTS).max(begin + 1)}})
    };
    let protocol = random.pick(&["tcp", "tcp", "udp", "sctp"]);
    json!({protocol: {"destinationPort": port}})
}
