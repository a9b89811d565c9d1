//! Egret's own kinds, `EgressPolicy` and `ClusterEgressPolicy` of `egret.dev`.
//!
//! They express the whole model; the same file is read on plain Linux and in a cluster.

mod egress_set;
mod lower;
#[cfg(feature = "schema")]
pub mod schema;
mod v1alpha1;
pub(crate) mod write;

use crate::catalog::{Kind, Role};
use crate::kubernetes::Scope;

pub(crate) use egress_set::EgressSet;

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        group: "egret.dev",
        kind: "EgressPolicy",
        versions: &["v1alpha1"],
        scope: Scope::Anywhere,
        fields: &["spec", "status"],
        role: Role::Policy(lower::read),
    },
    Kind {
        group: "egret.dev",
        kind: "ClusterEgressPolicy",
        versions: &["v1alpha1"],
        scope: Scope::Cluster,
        fields: &["spec", "status"],
        role: Role::Policy(lower::read),
    },
    Kind {
        group: "egret.dev",
        kind: "EgressSet",
        versions: &["v1alpha1"],
        scope: Scope::Cluster,
        fields: &["spec", "status"],
        role: Role::Fact(egress_set::read),
    },
];
