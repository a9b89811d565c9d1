//! Cilium's `CiliumNetworkPolicy` and `CiliumClusterwideNetworkPolicy` (`cilium.io/v2`), the egress half.
//!
//! Source: `pkg/policy/api` and `pkg/k8s/apis/cilium.io/v2` of Cilium 1.20; what its validation refuses is refused here
//! with the same words.

mod icmp;
mod labels;
mod lower;
mod ports;
mod v2;

pub(crate) use lower::read;
