//! Random worlds, policies and flows, as the objects a user writes.

mod admin_network_policy;
mod calico;
mod cilium;
mod cluster_network_policy;
mod network_policy;
mod selector;
mod world;

use std::collections::BTreeMap;

use oracles::Set;
use policy_engine::testing::Random;
use serde_json::Value;

use self::world::World;

/// Flows of one set.
const FLOWS: usize = 8;

/// Which policies a set has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// NetworkPolicies alone.
    Standard,
    /// ClusterNetworkPolicies, with a few NetworkPolicies between Admin and Baseline.
    Cluster,
    /// AdminNetworkPolicies and the BaselineAdminNetworkPolicy, with a few NetworkPolicies between them.
    Admin,
    /// Calico's policies, among the others that Calico reads: NetworkPolicies and ClusterNetworkPolicies.
    Calico,
    /// Cilium's policies, among the same.
    Cilium,
    /// All of these.
    Mixed,
}

pub(crate) fn set(kind: Kind, random: &mut Random) -> Set {
    let world = World::random(random);
    let mut policies: Vec<Value> = Vec::new();
    let mut names = BTreeMap::new();
    match kind {
        Kind::Standard => {
            let many = 2 + random.below(4);
            policies.extend((0..many).map(|n| network_policy::policy(n, random)));
        }
        Kind::Cluster => {
            let many = 2 + random.below(5);
            policies.extend((0..many).map(|n| cluster_network_policy::policy(n, random)));
            let many = random.below(3);
            policies.extend((0..many).map(|n| network_policy::policy(n, random)));
            names = world::names(random);
        }
        Kind::Admin => {
            let many = random.below(6);
            policies.extend((0..many).map(|n| admin_network_policy::admin(n, random)));
            if random.chance(75) || many == 0 {
                policies.push(admin_network_policy::baseline(random));
            }
            let many = random.below(3);
            policies.extend((0..many).map(|n| network_policy::policy(n, random)));
            names = world::names(random);
        }
        Kind::Calico | Kind::Cilium | Kind::Mixed => {
            policies.extend(world::accounts(random));
            if kind != Kind::Cilium {
                policies.extend(calico::surroundings(random));
                policies.extend(calico::policies(random));
            }
            if kind != Kind::Calico {
                policies.extend(cilium::surroundings(random));
                let many = 1 + random.below(3);
                policies.extend((0..many).map(|n| cilium::policy(n, random)));
            }
            let many = random.below(3);
            policies.extend((0..many).map(|n| network_policy::policy(n, random)));
            let many = random.below(3);
            policies.extend((0..many).map(|n| cluster_network_policy::policy(n, random)));
            names = world::names(random);
        }
    }
    let flows = (0..FLOWS).map(|_| world.flow(random)).collect();
    let mut objects = world.objects();
    objects.extend(policies);
    Set {
        objects,
        names,
        proposed: matches!(kind, Kind::Calico | Kind::Mixed) && random.chance(30),
        flows,
    }
}

/// A TCP, UDP or SCTP, most often the first.
fn protocol(random: &mut Random) -> &'static str {
    random.pick(&["TCP", "TCP", "TCP", "UDP", "UDP", "SCTP"])
}
