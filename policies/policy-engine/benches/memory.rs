//! What rulesets take of memory, for each prefix in them, counted by the allocator. Prints as `policies` does.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints; its own numbers are right"
)]

use std::sync::Arc;

use ipnet::IpNet;
use peak_alloc::PeakAlloc;
use policy_engine::testing::{Scale, allowing, fleet};
use policy_engine::{Compiled, Fleet};
use policy_model::{Block, Peer, Scope, Settings, Workload, World};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() {
    for prefixes in [10, 100, 1_000, 10_000] {
        one_policy(prefixes);
    }
    let small = Scale {
        namespaces: 50,
        ..Scale::LARGE
    };
    for scale in [small, Scale::LARGE] {
        cluster(scale);
    }
}

/// A ruleset of one policy that names as many blocks.
fn one_policy(prefixes: usize) {
    let mut fleet = Fleet::new(World::default(), Settings::default());
    let blocks = (0..prefixes).map(|number| {
        let [_, _, high, low] = u32::try_from(number).unwrap().to_be_bytes();
        let net: IpNet = format!("198.{high}.{low}.0/24").parse().unwrap();
        Peer::Block(Block::new(net, Scope::Any))
    });
    let policy = allowing(0, blocks.collect());
    fleet.set_object(policy.id.clone(), vec![policy]);
    fleet.set_workload("command".into(), Workload::command());
    measure(&format!("{prefixes} prefixes"), fleet);
}

/// Many small rulesets: what each takes by itself counts more than its prefixes.
fn cluster(scale: Scale) {
    let (world, objects, workloads) = fleet(scale);
    let mut fleet = Fleet::new(world, Settings::default());
    for (object, policies) in objects {
        fleet.set_object(object, policies);
    }
    for (name, workload) in workloads {
        fleet.set_workload(Arc::clone(&name), workload);
    }
    let subject = format!(
        "{} policies x {} pods",
        scale.namespaces * scale.policies,
        scale.namespaces * scale.pods
    );
    measure(&subject, fleet);
}

/// Policies and the world are there before their rulesets, which share them, and are not counted.
fn measure(subject: &str, mut fleet: Fleet) {
    let before = ALLOCATOR.current_usage();
    assert!(fleet.compile().refused.is_empty());
    let bytes = ALLOCATOR.current_usage() - before;
    let count = |compiled: &Arc<Compiled>| compiled.ruleset.statics().len();
    say(subject, bytes, fleet.rulesets().map(count).sum());
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn say(subject: &str, bytes: usize, prefixes: usize) {
    let value = bytes as f64 / prefixes as f64;
    println!(
        "{}",
        serde_json::json!({
            "measure": "memory for each (ruleset, prefix)",
            "unit": "bytes",
            "subject": subject,
            "value": value,
        })
    );
}
