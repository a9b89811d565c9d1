//! Cilium's `CiliumNetworkPolicy` and `CiliumClusterwideNetworkPolicy` (`cilium.io/v2`), the egress half.
//!
//! Source: `pkg/policy/api` and `pkg/k8s/apis/cilium.io/v2` of Cilium 1.20; what its validation refuses is refused here
//! with the same words.

mod cidr_group;
mod endpoints;
mod entity;
mod http;
mod icmp;
mod labels;
mod lower;
mod ports;
mod regex;
mod service;
mod subject;
mod v2;
pub(crate) mod write;

use crate::catalog::{Kind, Role};
use crate::kubernetes::Scope;

pub(crate) use cidr_group::CidrGroup;

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        group: "cilium.io",
        kind: "CiliumNetworkPolicy",
        versions: &["v2"],
        scope: Scope::Namespaced,
        fields: &["spec", "specs", "status"],
        role: Role::Policy(lower::read),
    },
    Kind {
        group: "cilium.io",
        kind: "CiliumClusterwideNetworkPolicy",
        versions: &["v2"],
        scope: Scope::Cluster,
        fields: &["spec", "specs", "status"],
        role: Role::Policy(lower::read),
    },
    Kind {
        group: "cilium.io",
        kind: "CiliumCIDRGroup",
        versions: &["v2alpha1", "v2"],
        scope: Scope::Cluster,
        fields: &["spec", "status"],
        role: Role::Fact(cidr_group::read),
    },
];
