use policy_model::Cluster;

use crate::calico;

/// What policies speak of and other objects of the set say: read before any policy is lowered.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) cluster: Cluster,
    pub(crate) calico: calico::Facts,
}
