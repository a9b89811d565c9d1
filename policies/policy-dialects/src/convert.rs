//! From the model back to text: policies of whatever dialects as objects of one, and what that one cannot say.
//!
//! What is lost is a diagnostic at the place where it was written, and its code says which way ([`effect()`]). An Allow that cannot
//! be said is left out. A Deny that cannot be said is left out where the dialect has no word that denies as much, and denies
//! everything where it has one. Where nothing of a level above lint was lost, every verdict stays; where everything lost is
//! narrower, nothing is allowed that was not.

mod beside_calico;
mod blocks;
mod effect;
mod flat;
mod left_behind;
mod losses;
mod meets;
mod names;
mod questions;
mod subjects;

use policy_model::{Cluster, Diagnostic, Policy};

use crate::yaml::write;
use crate::{calico, cilium, cluster_network_policy, native, network_policy};

pub(crate) use beside_calico::moved;
pub(crate) use blocks::{is_guarded_address, private_parts, without};
pub use effect::{Effect, effect};
pub(crate) use flat::{Flat, flatten, is_closed, names_hosts, rank, sorted};
pub use left_behind::left_behind;
pub(crate) use losses::Losses;
pub(crate) use meets::{rules_meet, subjects_meet};
pub(crate) use names::Names;
pub(crate) use questions::{cluster_dns, dns_flows, dns_ports};
pub(crate) use subjects::{may_be_more_than_pods, pods_among, subjects};

/// A dialect that policies can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// `egret.dev/v1alpha1`.
    Native,
    /// `cilium.io/v2`.
    Cilium,
    /// `networking.k8s.io/v1`.
    NetworkPolicy,
    /// `policy.networking.k8s.io/v1alpha2`.
    ClusterNetworkPolicy,
    /// `projectcalico.org/v3`.
    Calico,
}

impl Dialect {
    pub const ALL: &[Self] = &[
        Self::Native,
        Self::Cilium,
        Self::NetworkPolicy,
        Self::ClusterNetworkPolicy,
        Self::Calico,
    ];

    /// The word of the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Cilium => "cilium",
            Self::NetworkPolicy => "networkpolicy",
            Self::ClusterNetworkPolicy => "clusternetworkpolicy",
            Self::Calico => "calico",
        }
    }
}

/// Policies in another dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// A YAML document for each object; empty where nothing could be said.
    pub text: String,
    /// How many objects there are.
    pub objects: usize,
    /// What is lost, policy by policy.
    pub losses: Vec<Diagnostic>,
}

/// Writes policies in a dialect. `cluster` has the facts they were read with.
#[must_use]
pub fn convert(policies: &[Policy], cluster: &Cluster, to: Dialect) -> Conversion {
    let mut losses = Losses::default();
    let objects = match to {
        Dialect::Native => native::write::objects(policies, cluster, &mut losses),
        Dialect::Cilium => cilium::write::objects(policies, cluster, &mut losses),
        Dialect::NetworkPolicy => network_policy::write::objects(policies, cluster, &mut losses),
        Dialect::ClusterNetworkPolicy => {
            cluster_network_policy::write::objects(policies, cluster, &mut losses)
        }
        Dialect::Calico => calico::write::objects(policies, cluster, &mut losses),
    };
    Conversion {
        text: write::text(&objects),
        objects: objects.len(),
        losses: losses.into_diagnostics(),
    }
}
