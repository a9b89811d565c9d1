//! Egret's own kinds, `EgressPolicy` and `ClusterEgressPolicy` of `egret.dev`.
//!
//! They express the whole model; the same file is read on plain Linux and in a cluster.

mod lower;
mod v1alpha1;

pub(crate) use lower::read;
