use policy_engine::testing::Random;
use serde_json::{Value, json};

use super::cluster_network_policy::{domain_names, networks, pods, subject};
use super::selector::{self, selector};
use super::world::{PORT_NAMES, PORTS};

const API: &str = "policy.networking.k8s.io/v1alpha1";

pub(super) fn admin(number: usize, random: &mut Random) -> Value {
    let mut spec = json!({"priority": random.below(4), "subject": subject(random)});
    if random.chance(95) {
        spec["egress"] = random
            .many(4, |random| {
                rule(&["Allow", "Deny", "Deny", "Pass"], true, random)
            })
            .into();
    }
    if random.chance(20) {
        spec["ingress"] = json!([{"action": "Deny", "from": [{"namespaces": {}}]}]);
    }
    json!({"apiVersion": API, "kind": "AdminNetworkPolicy",
        "metadata": {"name": format!("admin-{number}")}, "spec": spec})
}

/// There is one, and its name is given.
pub(super) fn baseline(random: &mut Random) -> Value {
    let rules = random.many(4, |random| rule(&["Allow", "Deny", "Deny"], false, random));
    json!({"apiVersion": API, "kind": "BaselineAdminNetworkPolicy",
        "metadata": {"name": "default"},
        "spec": {"subject": subject(random), "egress": rules}})
}

fn rule(actions: &[&str], admin: bool, random: &mut Random) -> Value {
    let action = random.pick(actions);
    let by_name = admin && action == "Allow";
    let peers: Vec<Value> = (0..=random.below(3))
        .map(|_| peer(by_name, random))
        .collect();
    let pods_alone = peers.iter().all(|peer| {
        peer.get("pods")
            .or_else(|| peer.get("namespaces"))
            .is_some()
    });
    let mut rule = json!({"action": action, "to": peers});
    if random.chance(60) {
        rule["ports"] = (0..=random.below(3))
            .map(|_| port(pods_alone, random))
            .collect();
    }
    rule
}

fn peer(by_name: bool, random: &mut Random) -> Value {
    match random.below(100) {
        0..25 => json!({"namespaces": selector(selector::NAMESPACE, random)}),
        25..60 => json!({"pods": pods(random)}),
        60..68 => json!({"nodes": selector(selector::NODE, random)}),
        68..76 if by_name => json!({"domainNames": domain_names(random)}),
        _ => json!({"networks": networks(random)}),
    }
}

fn port(pods_alone: bool, random: &mut Random) -> Value {
    if pods_alone && random.chance(30) {
        return json!({"namedPort": random.pick(PORT_NAMES)});
    }
    let mut port = if random.chance(60) {
        json!({"port": random.pick(PORTS)})
    } else {
        let begin = random.pick(PORTS);
        json!({"start": begin, "end": random.pick(PORTS).max(begin)})
    };
    if random.chance(70) {
        port["protocol"] = json!(super::protocol(random));
    }
    let kind = if port.get("start").is_some() {
        "portRange"
    } else {
        "portNumber"
    };
    json!({kind: port})
}
