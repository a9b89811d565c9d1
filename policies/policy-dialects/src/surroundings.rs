use std::collections::BTreeMap;
use std::sync::Arc;

use policy_model::Cluster;

use crate::calico;
use crate::cilium::CidrGroup;
use crate::kubernetes::Unfinished;
use crate::native::EgressSet;

/// What policies speak of and other objects of the set say: read before any policy is lowered.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) cluster: Cluster,
    /// What the objects of a cluster say together; joined with `cluster` when all were read.
    pub(crate) unfinished: Unfinished,
    pub(crate) calico: calico::Facts,
    /// `CiliumCIDRGroup`, by name.
    pub(crate) cidr_groups: BTreeMap<Arc<str>, CidrGroup>,
    /// `EgressSet`, by name.
    pub(crate) egress_sets: BTreeMap<Arc<str>, EgressSet>,
}

impl Surroundings {
    /// Says what follows from several objects, once all were read.
    pub(crate) fn finish(&mut self) {
        let Self {
            cluster,
            unfinished,
            calico,
            cidr_groups: _,
            egress_sets: _,
        } = self;
        std::mem::take(unfinished).finish(cluster);
        calico.settle(cluster);
    }
}
