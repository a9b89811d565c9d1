//! Objects that describe a cluster: who asks, and what policies speak of.

use crate::catalog::{Kind, Role};
use crate::decode::Findings;
use crate::kubernetes::Scope;
use crate::object::Object;
use crate::surroundings::Surroundings;

/// The kinds of a cluster's description.
pub(crate) const KINDS: &[Kind] = &[
    world("", "Namespace", Scope::Cluster),
    world("", "Pod", Scope::Namespaced),
    world("", "Node", Scope::Cluster),
    world("", "Service", Scope::Namespaced),
    world("", "Endpoints", Scope::Namespaced),
    world("", "ServiceAccount", Scope::Namespaced),
    world("discovery.k8s.io", "EndpointSlice", Scope::Namespaced),
];

const fn world(group: &'static str, kind: &'static str, scope: Scope) -> Kind {
    Kind {
        group,
        kind,
        versions: &["v1"],
        scope,
        fields: &[],
        role: Role::World(read),
    }
}

fn read(_object: &Object<'_>, _surroundings: &mut Surroundings, _findings: &mut Findings) {}
