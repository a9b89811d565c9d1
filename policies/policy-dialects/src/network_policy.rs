//! Kubernetes' `NetworkPolicy` (`networking.k8s.io/v1`), the egress half.
//!
//! Source: the types of `k8s.io/api/networking/v1` and the API server's validation (`pkg/apis/networking/validation`).
//! A file has been through no API server, so what that would fill in is filled in here.

mod lower;
mod v1;
pub(crate) mod write;

use crate::catalog::{Kind, Role};
use crate::kubernetes::Scope;

pub(crate) use lower::lower;
pub(crate) use v1::NetworkPolicySpec;

pub(crate) const KINDS: &[Kind] = &[Kind {
    group: "networking.k8s.io",
    kind: "NetworkPolicy",
    versions: &["v1"],
    scope: Scope::Namespaced,
    fields: &["spec", "status"],
    role: Role::Policy(lower::read),
}];
