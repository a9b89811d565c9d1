//! What a decision costs us, and what it costs kube-network-policies, on the same sets: `cargo xtask bench` reads the lines
//! into its table. One JSON object a line, `{"measure", "unit", "subject", "value"}`; nothing where Go is not installed.
//!
//! Both say the same of every flow, or the measurement fails. Theirs is the evaluator in its own process, by its own clock;
//! ours has compiled the set before, as it does for every packet. Neither figure has the reading of the set in it.

#![expect(
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement takes the time, prints, and stops at what it did not expect"
)]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/engine.rs"]
mod engine;
#[path = "../tests/it/ours.rs"]
mod ours;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use oracles::{Flow, Program, Set, go};
use serde_json::json;

use engine::Engine as _;
use ours::Ours;

fn main() {
    if go().is_none() {
        eprintln!("not measured beside kube-network-policies: Go is not installed");
        return;
    }
    let mut theirs = Program::KubeNetworkPolicies.start_to_measure().unwrap();
    let mut egret = Ours::new();
    for policies in [10, 100, 1_000] {
        let set = set(policies);
        let answer = theirs.ask(std::slice::from_ref(&set)).unwrap().remove(0);
        assert_eq!(
            egret.verdicts(std::slice::from_ref(&set))[0],
            answer.verdicts
        );
        let measure = format!("decide a flow by {policies} NetworkPolicies");
        say(&measure, "egret", of_ours(&egret, &set));
        say(&measure, "kube-network-policies", answer.ns.unwrap());
    }
}

/// One pod that all policies isolate, each with a block of its own. Half of the flows go into one of the blocks.
fn set(policies: usize) -> Set {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "x", "name": "a", "labels": {"app": "a"}},
        "spec": {"nodeName": "n", "containers": [{"name": "c"}]},
        "status": {"phase": "Running", "podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}]},
    });
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}),
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": {"addresses": []}}),
        pod,
    ];
    objects.extend((0..policies).map(|number| {
        let net = format!("198.{}.{}.0/24", 18 + number / 256, number % 256);
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"namespace": "x", "name": format!("policy-{number}")},
            "spec": {
                "podSelector": {"matchLabels": {"app": "a"}},
                "policyTypes": ["Egress"],
                "egress": [{
                    "to": [{"ipBlock": {"cidr": net}}],
                    "ports": [{"protocol": "TCP", "port": 443}],
                }],
            },
        })
    }));
    let flows = (0..64_usize).map(|number| {
        let block = number * policies / 64;
        let [_, _, high, low] = u32::try_from(block).unwrap().to_be_bytes();
        Flow {
            from: "x/a".to_owned(),
            to: IpAddr::V4(Ipv4Addr::new(198, 18 + high, low, 7)),
            port: if number % 2 == 0 { 443 } else { 80 },
            protocol: "TCP".to_owned(),
        }
    });
    Set {
        objects,
        names: [].into(),
        proposed: false,
        flows: flows.collect(),
    }
}

fn of_ours(egret: &Ours, set: &Set) -> f64 {
    let (policies, world) = egret.read(set);
    let mut compiled = egret.compile(&policies, &world, "x/a");
    let rounds = 2_000;
    (0..5)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..rounds {
                for flow in &set.flows {
                    black_box(ours::allows(&mut compiled, set, flow));
                }
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds) / 64.0
        })
        .fold(f64::INFINITY, f64::min)
}

fn say(measure: &str, subject: &str, nanoseconds: f64) {
    println!(
        "{}",
        json!({"measure": measure, "unit": "ns", "subject": subject, "value": nanoseconds})
    );
}
