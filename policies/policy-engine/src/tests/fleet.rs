#![expect(clippy::print_stdout, reason = "a random test says its seed")]

use std::sync::Arc;

use policy_model::{ClusterMap, Policy, Settings, StagedChange, Standing, Workload, World};

use crate::testing::{Random, Scale, fleet, seed, workload};
use crate::{Compiled, Fleet, Reason, compile};

const SMALL: Scale = Scale {
    namespaces: 6,
    pods: 5,
    policies: 8,
};

fn settings() -> Settings {
    Settings::default()
}

fn shown(compiled: &Compiled) -> impl PartialEq + std::fmt::Debug + use<> {
    let Compiled { ruleset, lists, .. } = compiled;
    let nets: Vec<String> = ruleset
        .statics()
        .iter()
        .map(|(net, list)| format!("{net} {:?}", lists.get(*list).rows()))
        .collect();
    // A ruleset that is shared knows nobody's own addresses.
    let reasons = ruleset.reasons().iter();
    let reasons: Vec<Reason> = reasons
        .filter(|reason| **reason != Reason::OwnAddress)
        .cloned()
        .collect();
    (nets, reasons)
}

/// Every workload has the ruleset that it would have alone.
fn check(
    fleet: &Fleet,
    policies: &[Policy],
    world: &World,
    workloads: &[(Arc<str>, Workload)],
    told: &str,
) {
    for (name, workload) in workloads {
        let alone = compile(policies, workload, world, &settings()).unwrap();
        let shared = fleet.ruleset(name).expect("every workload has a ruleset");
        assert_eq!(shown(shared), shown(&alone), "{told}: {name}");
        assert_eq!(shared.ruleset.world(), world, "{told}: {name}");
    }
}

#[test]
fn a_fleet_is_what_each_workload_would_be_alone() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let (mut world, mut objects, mut workloads) = fleet(SMALL);
    let mut fleet = Fleet::new(world.clone(), settings());
    for (object, policies) in &objects {
        fleet.set_object(object.clone(), policies.clone());
    }
    for (name, workload) in &workloads {
        fleet.set_workload(Arc::clone(name), workload.clone());
    }
    fleet.compile();
    for round in 0..150 {
        let told = match random.below(6) {
            0 if objects.len() > 5 => {
                let (object, _) = objects.remove(random.below(objects.len()));
                fleet.set_object(object, Vec::new());
                "an object goes"
            }
            1 => {
                let at = random.below(objects.len());
                let (object, policies) = &mut objects[at];
                policies[0].rules.reverse();
                fleet.set_object(object.clone(), policies.clone());
                "a policy changes"
            }
            2 => {
                let at = random.below(objects.len());
                let (object, policies) = &mut objects[at];
                policies[0].standing = random.pick(&[
                    Standing::Enforced,
                    Standing::Audit,
                    Standing::Staged(StagedChange::Set),
                    Standing::Staged(StagedChange::Delete),
                ]);
                fleet.set_object(object.clone(), policies.clone());
                "a policy stands otherwise"
            }
            3 => {
                let mut cluster = world.cluster.objects().clone();
                let names: Vec<_> = cluster.pods.keys().cloned().collect();
                let name = random.pick(&names);
                let pod = cluster.pods.get_mut(&name).expect("a known name");
                let pod = Arc::make_mut(pod);
                pod.labels
                    .insert("app".into(), format!("app-{}", random.below(5)).into());
                let changed = workload(&cluster, &name);
                world.cluster = ClusterMap::new(cluster);
                fleet.set_world(world.clone());
                let key: Arc<str> = format!("{}/{}", name.0, name.1).into();
                if let Some(known) = workloads.iter_mut().find(|(known, _)| *known == key) {
                    known.1 = changed.clone();
                    fleet.set_workload(key, changed);
                }
                "a pod has other labels"
            }
            4 => {
                let mut cluster = world.cluster.objects().clone();
                let names: Vec<_> = cluster.pods.keys().cloned().collect();
                let name = random.pick(&names);
                let pod = cluster.pods.get_mut(&name).expect("a known name");
                let pod = Arc::make_mut(pod);
                // Sometimes outside of every range of pods, where its class is told by itself alone.
                pod.addresses = vec![
                    format!("10.{}.9.9", random.pick(&[128, 77]))
                        .parse()
                        .unwrap(),
                ];
                world.cluster = ClusterMap::new(cluster);
                fleet.set_world(world.clone());
                "a pod moves"
            }
            _ if workloads.len() > 10 => {
                let (name, _) = workloads.remove(random.below(workloads.len()));
                fleet.remove_workload(&name);
                "a workload goes"
            }
            _ => continue,
        };
        let done = fleet.compile();
        assert!(done.refused.is_empty(), "{done:?}");
        let policies: Vec<Policy> = objects.iter().flat_map(|(_, all)| all).cloned().collect();
        check(
            &fleet,
            &policies,
            &world,
            &workloads,
            &format!("seed {seed}, round {round}, {told}"),
        );
    }
}

#[test]
fn a_change_makes_only_what_it_touches() {
    let (world, objects, workloads) = fleet(SMALL);
    let mut fleet = Fleet::new(world, settings());
    for (object, policies) in &objects {
        fleet.set_object(object.clone(), policies.clone());
    }
    for (name, workload) in &workloads {
        fleet.set_workload(Arc::clone(name), workload.clone());
    }
    // Five apps in each of six namespaces.
    assert_eq!(fleet.compile().made, 30);
    assert_eq!(fleet.compile().made, 0);
    let (object, mut policies) = objects[3].clone();
    policies[0].rules.pop();
    fleet.set_object(object, policies);
    let done = fleet.compile();
    assert_eq!((done.made, done.switched.len()), (1, 1), "{done:?}");
}

#[test]
fn what_cannot_be_compiled_keeps_what_it_had() {
    let (world, objects, workloads) = fleet(SMALL);
    let mut fleet = Fleet::new(world.clone(), settings());
    for (object, policies) in &objects {
        fleet.set_object(object.clone(), policies.clone());
    }
    for (name, workload) in &workloads {
        fleet.set_workload(Arc::clone(name), workload.clone());
    }
    fleet.compile();
    let (name, _) = &workloads[0];
    let before = shown(fleet.ruleset(name).unwrap());
    let (object, mut policies) = objects[0].clone();
    let rule = policies[0].rules[0].clone();
    policies[0].rules = vec![rule; crate::MAX_RULES + 1];
    fleet.set_object(object, policies);
    let done = fleet.compile();
    assert!(!done.refused.is_empty());
    assert_eq!(shown(fleet.ruleset(name).unwrap()), before);

    let (object, _) = objects[0].clone();
    fleet.set_object(object, Vec::new());
    let done = fleet.compile();
    assert!(done.refused.is_empty(), "{done:?}");
    let left: Vec<Policy> = objects
        .iter()
        .skip(1)
        .flat_map(|(_, all)| all)
        .cloned()
        .collect();
    check(
        &fleet,
        &left,
        &world,
        &workloads,
        "what was refused is gone",
    );
}
