//! Calico's policies and what they speak of (`projectcalico.org/v3`, and `crd.projectcalico.org/v1`, which is how Calico keeps
//! the same objects), the egress half, with Enterprise's names.
//!
//! Source: `api/pkg/apis/projectcalico/v3`, `libcalico-go/lib/validator/v3` and the CRDs' rules for what is refused,
//! `libcalico-go/lib/backend/syncersv1/updateprocessors` for what a selector really selects, `felix/calc` for the order.
//!
//! Everything a policy selects by becomes one expression over an endpoint's labels ([`scope`]). Network sets, host
//! endpoints, tiers and profiles are facts that are read before any policy. A host endpoint gives policies too: its failsafe
//! ports before every tier, and what its profiles say behind the last.

mod domains;
mod facts;
mod host_endpoint;
mod identity;
mod labels;
mod last_applied;
mod lints;
mod lower;
mod network_set;
mod profile;
mod scope;
mod selector;
mod staged;
mod staged_kubernetes;
mod tier;
mod v3;
pub(crate) mod write;

use crate::catalog::{Kind, Role};
use crate::kubernetes::Scope;

pub(crate) use facts::Facts;
pub(crate) use identity::identity_of;
pub(crate) use selector::expression_text;
pub use selector::{LabelTest, Selector, SelectorError, SelectorErrorKind, parse_selector};
pub(crate) use v3::decode_selector;

/// The group whose objects people write.
const GROUP: &str = "projectcalico.org";
/// The group Calico keeps them under: without its API server nothing is defaulted there.
const STORED_GROUP: &str = "crd.projectcalico.org";

const NETWORK_SET: Role = Role::Fact(network_set::read);
const POLICY: Role = Role::Policy(lower::read);
const STAGED_KUBERNETES: Role = Role::Policy(staged_kubernetes::read);

pub(crate) const KINDS: &[Kind] = &[
    written("NetworkPolicy", Scope::Namespaced, POLICY),
    stored("NetworkPolicy", Scope::Namespaced, POLICY),
    written("GlobalNetworkPolicy", Scope::Cluster, POLICY),
    stored("GlobalNetworkPolicy", Scope::Cluster, POLICY),
    written("StagedNetworkPolicy", Scope::Namespaced, POLICY),
    stored("StagedNetworkPolicy", Scope::Namespaced, POLICY),
    written("StagedGlobalNetworkPolicy", Scope::Cluster, POLICY),
    stored("StagedGlobalNetworkPolicy", Scope::Cluster, POLICY),
    written(
        "StagedKubernetesNetworkPolicy",
        Scope::Namespaced,
        STAGED_KUBERNETES,
    ),
    stored(
        "StagedKubernetesNetworkPolicy",
        Scope::Namespaced,
        STAGED_KUBERNETES,
    ),
    written("NetworkSet", Scope::Namespaced, NETWORK_SET),
    stored("NetworkSet", Scope::Namespaced, NETWORK_SET),
    written("GlobalNetworkSet", Scope::Cluster, NETWORK_SET),
    stored("GlobalNetworkSet", Scope::Cluster, NETWORK_SET),
    written("Tier", Scope::Cluster, Role::Fact(tier::read)),
    stored("Tier", Scope::Cluster, Role::Fact(tier::read)),
    written("Profile", Scope::Cluster, Role::Fact(profile::read)),
    written("HostEndpoint", Scope::Cluster, HOST_ENDPOINT),
    stored("HostEndpoint", Scope::Cluster, HOST_ENDPOINT),
];

const HOST_ENDPOINT: Role = Role::FactAndPolicy {
    fact: host_endpoint::read,
    policy: host_endpoint::policies,
};

const fn written(kind: &'static str, scope: Scope, role: Role) -> Kind {
    Kind {
        group: GROUP,
        kind,
        versions: &["v3"],
        scope,
        fields: &["spec", "status"],
        role,
    }
}

const fn stored(kind: &'static str, scope: Scope, role: Role) -> Kind {
    Kind {
        group: STORED_GROUP,
        versions: &["v1"],
        ..written(kind, scope, role)
    }
}
