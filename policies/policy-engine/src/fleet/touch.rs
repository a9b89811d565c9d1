//! Which policies a change of the world touches.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy_model::{
    Cluster, Entity, NamespacedName, Peer, Peers, Pod, PodPeer, Policy, Rule, World,
};

/// What differs between two worlds.
#[derive(Debug)]
pub(super) struct Touch<'w> {
    /// More than pods, or what the pods are judged by: everything may differ.
    everything: bool,
    /// An address is of another class than it was.
    classes: bool,
    /// The pods that were, are, or are not what they were: as each was, and as it is.
    pods: Vec<Form<'w>>,
}

/// A pod as it was or is, and where.
#[derive(Debug)]
struct Form<'w> {
    cluster: &'w Cluster,
    name: &'w NamespacedName,
    pod: &'w Pod,
}

impl<'w> Touch<'w> {
    pub(super) fn between(old: &'w World, new: &'w World) -> Self {
        let (before, after) = (old.cluster.objects(), new.cluster.objects());
        let differing = differing(&before.pods, &after.pods);
        let pods: Vec<Form<'_>> = differing
            .iter()
            .flat_map(|name| [before, after].map(|cluster| Form::of(cluster, name)))
            .flatten()
            .collect();
        Self {
            everything: !differs_by_pods_alone(old, new),
            classes: pods
                .iter()
                .flat_map(|form| &form.pod.addresses)
                .any(|ip| old.class_of(*ip) != new.class_of(*ip)),
            pods,
        }
    }

    pub(super) const fn touches_all(&self) -> bool {
        self.everything
    }

    pub(super) const fn touches_classes(&self) -> bool {
        self.classes
    }

    /// Whether a rule of the policy means one of the pods that differ, before or after.
    pub(super) fn touches(&self, policy: &Policy) -> bool {
        self.everything || policy.rules.iter().any(|rule| self.touches_rule(rule))
    }

    fn touches_rule(&self, rule: &Rule) -> bool {
        if !rule.named_ports.is_empty() {
            return !self.pods.is_empty();
        }
        let Peers::Of(peers) = &rule.peers else {
            return false;
        };
        peers.iter().any(|peer| match peer {
            Peer::Pods(peer) => self.pods.iter().any(|form| form.is_of(peer)),
            // Rarer, and not worth a look at each pod.
            Peer::Endpoints(peer) => {
                !self.pods.is_empty() && (peer.selector.is_some() || peer.not_selector.is_some())
            }
            Peer::Block(_)
            | Peer::Fqdn(_)
            | Peer::Entity(_)
            | Peer::Metadata(_)
            | Peer::Nodes(_)
            | Peer::Service(_)
            | Peer::Set(_) => false,
        })
    }
}

impl<'w> Form<'w> {
    fn of(cluster: &'w Cluster, name: &'w NamespacedName) -> Option<Self> {
        let pod = cluster.pods.get(name)?;
        Some(Self { cluster, name, pod })
    }

    fn is_of(&self, peer: &PodPeer) -> bool {
        peer.means(self.cluster, self.name, self.pod)
    }
}

/// Whether a rule means the node of the workload, or the others.
pub(super) fn means_own_node(policy: &Policy) -> bool {
    policy.rules.iter().any(|rule| match &rule.peers {
        Peers::Any => false,
        Peers::Of(peers) => peers
            .iter()
            .any(|peer| matches!(peer, Peer::Entity(Entity::Host | Entity::RemoteNode))),
    })
}

/// Everything that is not a pod is the same. Backends are resolved already: a Service whose backends change differs.
fn differs_by_pods_alone(old: &World, new: &World) -> bool {
    let World {
        host_addresses,
        resolvers,
        search,
        cluster,
    } = old;
    let Cluster {
        namespaces,
        pods: _,
        nodes,
        services,
        service_accounts,
        network_sets,
        host_endpoints,
    } = cluster.objects();
    let after = new.cluster.objects();
    *host_addresses == new.host_addresses
        && *resolvers == new.resolvers
        && *search == new.search
        && *namespaces == after.namespaces
        && *nodes == after.nodes
        && *services == after.services
        && *service_accounts == after.service_accounts
        && *network_sets == after.network_sets
        && *host_endpoints == after.host_endpoints
}

fn differing<'w>(
    old: &'w BTreeMap<NamespacedName, Arc<Pod>>,
    new: &'w BTreeMap<NamespacedName, Arc<Pod>>,
) -> BTreeSet<&'w NamespacedName> {
    let gone_or_changed = old
        .iter()
        .filter(|(name, pod)| new.get(*name) != Some(*pod));
    let come = new.iter().filter(|(name, _)| !old.contains_key(*name));
    gone_or_changed.chain(come).map(|(name, _)| name).collect()
}
