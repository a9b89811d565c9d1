use policy_model::Cluster;

use crate::calico;
use crate::kubernetes::Unfinished;

/// What policies speak of and other objects of the set say: read before any policy is lowered.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) cluster: Cluster,
    /// What the objects of a cluster say together; joined with `cluster` when all were read.
    pub(crate) unfinished: Unfinished,
    pub(crate) calico: calico::Facts,
}

impl Surroundings {
    /// Says what follows from several objects, once all were read.
    pub(crate) fn finish(&mut self) {
        let Self {
            cluster,
            unfinished,
            calico,
        } = self;
        std::mem::take(unfinished).finish(cluster);
        calico.settle(cluster);
    }
}
