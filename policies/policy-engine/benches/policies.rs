//! What it costs to compile a cluster's policies, to change them, and to decide by them, on one core.
//!
//! Prints one JSON object a line, `{"measure", "unit", "subject", "value"}`: `cargo xtask bench` reads them into its table.
//! The subject is a size, so that growth can be seen. Each figure is the best of several runs.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement takes the time and prints; its own tables are right"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dns_names::{Grammar, Name, NamePattern};
use policy_engine::testing::{Scale, allowing, fleet, workload};
use policy_engine::{Age, Compiled, Fleet, Flow, compile};
use policy_model::{
    ClusterMap, FqdnBy, FqdnPeer, Peer, Policy, Protocol, Scope, Settings, Workload, World,
};

fn main() {
    for scale in [
        Scale {
            namespaces: 5,
            ..Scale::LARGE
        },
        Scale {
            namespaces: 50,
            ..Scale::LARGE
        },
        Scale::LARGE,
    ] {
        clusters(scale);
    }
    for patterns in [100, 1_000, 10_000] {
        names(patterns);
    }
    for policies in [10, 1_000, 10_000] {
        decisions(policies);
    }
}

fn clusters(scale: Scale) {
    let (world, objects, workloads) = fleet(scale);
    let subject = format!(
        "{} policies x {} pods",
        scale.namespaces * scale.policies,
        scale.namespaces * scale.pods
    );
    let say = |measure, unit, value| say(measure, unit, &subject, value);
    let mut built = Vec::new();
    let took = best(3, || {
        built.clear();
        let mut fleet = Fleet::new(world.clone(), Settings::default());
        for (object, policies) in &objects {
            fleet.set_object(object.clone(), policies.clone());
        }
        for (name, workload) in &workloads {
            fleet.set_workload(Arc::clone(name), workload.clone());
        }
        assert!(fleet.compile().refused.is_empty());
        built.push(fleet);
    });
    say("compile a cluster", "ms", millis(took));
    let mut fleet = built.pop().unwrap();
    let prefixes: usize = fleet
        .rulesets()
        .map(|one| one.ruleset.statics().len())
        .sum();
    say("rulesets", "", float(fleet.rulesets().count()));
    say("prefixes of all rulesets", "", float(prefixes));

    let (object, policies) = objects[objects.len() / 2].clone();
    let mut odd = false;
    let took = best(10, || {
        odd = !odd;
        let mut policies = policies.clone();
        if odd {
            policies[0].rules.pop();
        }
        fleet.set_object(object.clone(), policies);
        assert_eq!(fleet.compile().made, 1);
    });
    say("change a policy", "ms", millis(took));

    let mut cluster = world.cluster.objects().clone();
    let name = cluster
        .pods
        .keys()
        .nth(cluster.pods.len() / 2)
        .unwrap()
        .clone();
    let took = best(10, || {
        let pod = Arc::make_mut(cluster.pods.get_mut(&name).unwrap());
        odd = !odd;
        let app = if odd { "app-9" } else { "app-1" };
        pod.labels.insert("app".into(), app.into());
        let world = World {
            cluster: ClusterMap::new(cluster.clone()),
            ..world.clone()
        };
        let changed = workload(world.cluster.objects(), &name);
        fleet.set_world(world);
        fleet.set_workload(format!("{}/{}", name.0, name.1).into(), changed);
        assert!(fleet.compile().made > 0);
    });
    say("change a pod", "ms", millis(took));
}

fn blocks(count: usize) -> impl Iterator<Item = Peer> {
    (0..count).map(|number| {
        let [_, _, high, low] = u32::try_from(number).unwrap().to_be_bytes();
        let net = format!("198.{high}.{low}.0/24").parse().unwrap();
        Peer::Block(policy_model::Block::new(net, Scope::Any))
    })
}

fn names(patterns: usize) {
    let all = (0..patterns).map(|number| match number % 6 {
        0 => format!("host-{number}.example.com"),
        1 => format!("*.zone-{number}.example.net"),
        2 => format!("**.deep-{number}.example.org"),
        // Thousands in one zone, which no label tells apart.
        3 => format!("api-*-{number}.stars.example"),
        4 => format!("*x{number}y*.stars.example"),
        _ => format!("api-{number}.region-{}.example.cloud", number % 50),
    });
    let rules = all
        .map(|text| {
            Peer::Fqdn(FqdnPeer {
                pattern: NamePattern::parse(Grammar::Native, &text).unwrap(),
                by: FqdnBy::Chain,
                scope: Scope::Any,
            })
        })
        .collect();
    let compiled = one(vec![allowing(0, rules)]);
    let asked = [
        "host-96.example.com",
        "a.zone-97.example.net",
        "a.b.deep-98.example.org",
        "api-eu-west-93.stars.example",
        "before-x94y-behind.stars.example",
        "api-of-nobody.stars.example",
        "nowhere.example.invalid",
        "other.example.com",
    ]
    .map(|text| Name::parse(text).unwrap());
    let rounds = 20_000;
    let took = best(5, || {
        for at in 0..rounds {
            black_box(compiled.ruleset.name_rules(&asked[at % asked.len()], &[]));
        }
    });
    let subject = format!("{patterns} patterns");
    say("match a name", "ns", &subject, nanos(took) / float(rounds));
}

fn decisions(policies: usize) {
    let all = blocks(policies)
        .enumerate()
        .map(|(number, block)| allowing(number, vec![block]))
        .collect();
    let mut compiled = one(all);
    let flows: Vec<Flow> = (0..64_u8)
        .map(|number| {
            let ip = IpAddr::V4(Ipv4Addr::new(198, number % 40, number, 7));
            Flow::new(ip, Protocol::TCP, 443)
        })
        .collect();
    let age = Age::New {
        now: Duration::from_secs(1),
    };
    let rounds = 20_000;
    let Compiled { ruleset, lists, .. } = &mut compiled;
    let took = best(5, || {
        for at in 0..rounds {
            black_box(
                ruleset
                    .decide(lists, &flows[at % flows.len()], &[], age)
                    .unwrap(),
            );
        }
    });
    let subject = format!("{policies} policies");
    say("decide a flow", "ns", &subject, nanos(took) / float(rounds));
}

fn one(policies: Vec<Policy>) -> Compiled {
    let (workload, world) = (Workload::command(), World::default());
    compile(&policies, &workload, &world, &Settings::default()).unwrap()
}

fn best(runs: usize, mut run: impl FnMut()) -> Duration {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .unwrap()
}

fn say(measure: &str, unit: &str, subject: &str, value: f64) {
    println!(
        "{}",
        serde_json::json!({"measure": measure, "unit": unit, "subject": subject, "value": value})
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
const fn float(number: usize) -> f64 {
    number as f64
}
