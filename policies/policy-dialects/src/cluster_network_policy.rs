//! `ClusterNetworkPolicy` (`policy.networking.k8s.io/v1alpha2`, and `v1beta1` of the same schema) and what came before it,
//! `AdminNetworkPolicy` and `BaselineAdminNetworkPolicy` (`v1alpha1`): the egress half.
//!
//! Source: the CRDs of both channels of the network policy API, and the text of its types. Its rule for a peer nobody knows
//! holds for every part of a rule here: an Accept then matches nothing, a Deny or Pass denies everything.

mod api;
mod lower;
mod peer;
mod rule;
mod subject;
mod v1alpha1;
mod v1alpha2;
pub(crate) mod write;

use crate::catalog::{Kind, Role};
use crate::kubernetes::Scope;

const GROUP: &str = "policy.networking.k8s.io";

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        group: GROUP,
        kind: "ClusterNetworkPolicy",
        // What is advised is the last one, which servers have.
        versions: &["v1beta1", "v1alpha2"],
        scope: Scope::Cluster,
        fields: &["spec", "status"],
        role: Role::Policy(v1alpha2::read),
    },
    Kind {
        group: GROUP,
        kind: "AdminNetworkPolicy",
        versions: &["v1alpha1"],
        scope: Scope::Cluster,
        fields: &["spec", "status"],
        role: Role::Policy(v1alpha1::read_admin),
    },
    Kind {
        group: GROUP,
        kind: "BaselineAdminNetworkPolicy",
        versions: &["v1alpha1"],
        scope: Scope::Cluster,
        fields: &["spec", "status"],
        role: Role::Policy(v1alpha1::read_baseline),
    },
];
