//! Every kind of object that is read, and what it is read for.

use std::collections::BTreeSet;

use policy_model::{ObjectRef, Policy};

use crate::Context;
use crate::decode::Findings;
use crate::kubernetes::Scope;
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::{calico, cilium, cluster_network_policy, kubernetes, native, network_policy};

/// A kind of object.
#[derive(Debug)]
pub(crate) struct Kind {
    /// The API group; empty for the core group.
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    /// The versions of one shape.
    pub(crate) versions: &'static [&'static str],
    pub(crate) scope: Scope,
    /// The fields beside `apiVersion`, `kind` and `metadata`.
    pub(crate) fields: &'static [&'static str],
    pub(crate) role: Role,
}

/// What an object is read for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// It gives policies, once everything around it is known.
    Policy(fn(&Object<'_>, &Surroundings, &Context, &mut Findings) -> Vec<Policy>),
    /// Policies speak of it: it is read before them.
    Fact(fn(&Object<'_>, &Context, &mut Surroundings, &mut Findings)),
    /// Policies speak of it, and it gives some itself.
    FactAndPolicy {
        fact: fn(&Object<'_>, &Context, &mut Surroundings, &mut Findings),
        policy: fn(&Object<'_>, &Surroundings, &Context, &mut Findings) -> Vec<Policy>,
    },
    /// It describes a cluster; only read with [`Others::World`](crate::Others::World).
    World(fn(&Object<'_>, &mut Surroundings, &mut Findings)),
}

/// Every kind, dialect by dialect.
pub(crate) fn kinds() -> impl Iterator<Item = &'static Kind> {
    [
        native::KINDS,
        network_policy::KINDS,
        cluster_network_policy::KINDS,
        cilium::KINDS,
        calico::KINDS,
        kubernetes::KINDS,
    ]
    .into_iter()
    .flatten()
}

pub(crate) fn find(group: &str, kind: &str) -> Option<&'static Kind> {
    kinds().find(|known| known.group == group && known.kind == kind)
}

/// Whether an object could select workloads of a namespace, as far as its kind and its own namespace tell: what to ask of
/// one that was refused. Of a namespace that nobody knows, everything could.
#[must_use]
pub fn could_select(object: &ObjectRef, namespace: Option<&str>) -> bool {
    let is_policy = find(&object.group, &object.kind).is_some_and(|kind| {
        matches!(kind.role, Role::Policy(_)) && !matches!(kind.scope, Scope::Cluster)
    });
    match (is_policy, object.namespace.as_deref(), namespace) {
        (true, Some(own), Some(asked)) => own == asked,
        (_, _, _) => true,
    }
}

/// The names of the kinds that give policies, for people; a name that two groups share stands once.
pub(crate) fn policy_kinds() -> Vec<&'static str> {
    let mut seen = BTreeSet::new();
    kinds()
        .filter(|kind| matches!(kind.role, Role::Policy(_)))
        .map(|kind| kind.kind)
        .filter(|kind| seen.insert(*kind))
        .collect()
}

/// Kinds of policy that this version does not read: (group, kinds).
const LATER: &[(&str, &[&str])] = &[
    ("security.istio.io", &["AuthorizationPolicy"]),
    ("networking.istio.io", &["ServiceEntry", "Sidecar"]),
    (
        "crd.antrea.io",
        &[
            "ClusterNetworkPolicy",
            "NetworkPolicy",
            "Tier",
            "ClusterGroup",
            "Group",
        ],
    ),
    (
        "networking.k8s.aws",
        &["ApplicationNetworkPolicy", "ClusterNetworkPolicy"],
    ),
    ("networking.gke.io", &["FQDNNetworkPolicy"]),
    ("k8s.ovn.org", &["EgressFirewall"]),
    (
        "cilium.io",
        &["CiliumEgressGatewayPolicy", "CiliumLocalRedirectPolicy"],
    ),
];

/// Whether the kind is a policy, or belongs to one, that this version does not read.
pub(crate) fn is_for_later(group: &str, kind: &str) -> bool {
    LATER
        .iter()
        .any(|(later, kinds)| *later == group && kinds.contains(&kind))
}
