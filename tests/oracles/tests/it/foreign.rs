//! Our reading beside each oracle's, for each kind it knows.

use oracles::Program;

use crate::difference::known;
use crate::differential::compare;
use crate::engine::{foreign, shared_model};
use crate::ours::Ours;
use crate::random::Kind;

/// Sets of each kind and oracle.
const SETS: usize = 10_000;
/// The model is slow.
const SETS_OF_MODEL: usize = 2_000;

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
