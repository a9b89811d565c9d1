//! Our reading beside each oracle's, for each kind it knows.

use oracles::{Program, Set, worlds};

use crate::difference::known;
use crate::differential::{compare, seed};
use crate::engine::{Engine, foreign, shared_model};
use crate::ours::Ours;
use crate::random::Kind;
use crate::yaml;

/// Sets of each kind and oracle.
const SETS: usize = 10_000;
/// The model is slow.
const SETS_OF_MODEL: usize = 1_500;

fn beside(program: Program, kind: Kind) {
    if let Some(mut oracle) = foreign(program) {
        compare(kind, SETS, &mut Ours::new(), &mut oracle, known(program));
    }
}

#[test]
fn network_policies_beside_cyclonus() {
    beside(Program::Cyclonus, Kind::Standard);
}

#[test]
fn network_policies_beside_kube_network_policies() {
    beside(Program::KubeNetworkPolicies, Kind::Standard);
}

#[test]
fn cluster_network_policies_beside_kube_network_policies() {
    beside(Program::KubeNetworkPolicies, Kind::Cluster);
}

#[test]
fn admin_network_policies_beside_kube_network_policies() {
    beside(Program::KubeNetworkPolicies, Kind::Admin);
}

/// The model beside the clone is a reading of the same kinds: it knows no differences.
#[test]
fn every_kind_beside_the_model() {
    for kind in [Kind::Standard, Kind::Cluster, Kind::Admin] {
        let Some(mut model) = shared_model() else {
            return;
        };
        compare(kind, SETS_OF_MODEL, &mut Ours::new(), &mut model, &[]);
    }
}

/// What Calico, Cilium and the Kubernetes APIs mean together, where several of them select one pod.
fn mixed_beside_the_model(kind: Kind) {
    if let Some(mut model) = shared_model() {
        compare(kind, SETS_OF_MODEL, &mut Ours::new(), &mut model, &[]);
    }
}

#[test]
fn calicos_policies_beside_the_model() {
    mixed_beside_the_model(Kind::Calico);
}

#[test]
fn ciliums_policies_beside_the_model() {
    mixed_beside_the_model(Kind::Cilium);
}

#[test]
fn mixed_dialects_beside_the_model() {
    mixed_beside_the_model(Kind::Mixed);
}

/// The cases that shaped the model, by name, and worlds of its own generators: every flow that there is in each.
#[test]
fn worlds_of_the_model() {
    let seed = seed();
    println!("EGRET_SEED={seed} worlds of the model");
    for which in [
        &["named"][..],
        &["random", &seed.to_string(), &SETS_OF_MODEL.to_string()],
    ] {
        let Some(found) = worlds(which) else { return };
        let found = found.unwrap_or_else(|error| panic!("{error:?}"));
        let sets: Vec<Set> = found.iter().map(|(_, set, _)| set.clone()).collect();
        let ours = Ours::new().verdicts(&sets);
        let mut flows = 0;
        for ((name, set, theirs), ours) in found.iter().zip(ours) {
            for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                flows += 1;
                assert!(
                    ours == theirs,
                    "EGRET_SEED={seed} `{name}`: we allow {:?} is {ours} and should be {theirs}, in\n{}",
                    set.flows[at],
                    yaml::documents(&set.objects)
                );
            }
        }
        println!("{} worlds, {flows} flows", found.len());
        assert!(flows >= found.len() && !found.is_empty());
    }
}
