use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use policy_model::{Cluster, NamespacedName};

use super::add_once;
use super::backends::finished;
use super::endpoints::EndpointsSpec;
use super::service::ServiceSpec;

/// What can be said only when every object was read.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    pub(super) services: BTreeMap<NamespacedName, ServiceSpec>,
    pub(super) slices: Vec<EndpointsSpec>,
    pub(super) endpoints: BTreeMap<NamespacedName, Vec<EndpointsSpec>>,
    /// Pods that are not ready: no Service leads to them until they are.
    pub(super) unready: BTreeSet<NamespacedName>,
    /// Pods that are being deleted: Services lead to others where there are any.
    pub(super) going: BTreeSet<NamespacedName>,
    /// What pods in the host's network say their addresses are.
    pub(super) own: BTreeMap<NamespacedName, Vec<IpAddr>>,
}

impl Unfinished {
    /// Joins pods in the host's network with their nodes, and Services with their backends.
    pub(crate) fn finish(mut self, cluster: &mut Cluster) {
        let pods = cluster.pods.iter();
        self.own = pods
            .filter(|(_, pod)| pod.host_network && !pod.addresses.is_empty())
            .map(|(name, pod)| (name.clone(), pod.addresses.clone()))
            .collect();
        share_addresses(cluster);
        let services: Vec<_> = self
            .services
            .iter()
            .map(|(name, spec)| (name.clone(), finished(name, spec, &self, cluster)))
            .collect();
        cluster.services.extend(services);
    }
}

/// A pod in its host's network has the addresses of its node, and what it says it has is the node's too: nodes that no
/// file lists are known by such pods.
fn share_addresses(cluster: &mut Cluster) {
    for pod in cluster.pods.values().filter(|pod| pod.host_network) {
        let Some(node) = &pod.node else { continue };
        let node = cluster.nodes.entry(Arc::clone(node)).or_default();
        add_once(&mut node.addresses, pod.addresses.iter().copied());
    }
    for pod in cluster.pods.values_mut().filter(|pod| pod.host_network) {
        if let Some(node) = pod.node.as_ref().and_then(|node| cluster.nodes.get(node)) {
            add_once(
                &mut Arc::make_mut(pod).addresses,
                node.addresses.iter().copied(),
            );
        }
    }
}
