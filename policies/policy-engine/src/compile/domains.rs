//! The names of network sets, written out as peers.
use std::sync::Arc;

use policy_model::{
    Action, Cluster, Endpoint, EndpointPeer, EndpointScope, FqdnBy, FqdnPeer, Peer, Peers, Policy,
    Scope, Selects,
};

/// Adds to every Allow the names of the sets its peers select (Calico's `allowedEgressDomains`).
///
/// A peer that also says ranges, or what is not meant, says nothing of names: nobody knows the addresses yet.
pub(super) fn write_out(policy: &mut Arc<Policy>, cluster: &Cluster) {
    let has_domains = |cluster: &Cluster| {
        cluster
            .network_sets
            .values()
            .any(|set| !set.domains.is_empty())
    };
    if !has_domains(cluster) {
        return;
    }
    for rule in &mut Arc::make_mut(policy).rules {
        if let (Action::Allow, Peers::Of(peers)) = (rule.action, &mut rule.peers) {
            let names: Vec<Peer> = peers
                .iter()
                .flat_map(|peer| match peer {
                    Peer::Endpoints(peer) => names(peer, cluster),
                    Peer::Block(_)
                    | Peer::Fqdn(_)
                    | Peer::Entity(_)
                    | Peer::Metadata(_)
                    | Peer::Pods(_)
                    | Peer::Nodes(_)
                    | Peer::Service(_)
                    | Peer::Set(_) => Vec::new(),
                })
                .collect();
            peers.extend(names);
        }
    }
}

fn names(peer: &EndpointPeer, cluster: &Cluster) -> Vec<Peer> {
    let EndpointPeer {
        selector: Some(selector),
        not_selector: None,
        scope: EndpointScope::All,
        nets,
        not_nets,
    } = peer
    else {
        return Vec::new();
    };
    if !nets.is_empty() || !not_nets.is_empty() {
        return Vec::new();
    }
    cluster
        .network_sets
        .iter()
        .filter(|((namespace, _), set)| {
            Endpoint::of_network_set(cluster, namespace.as_ref(), set).selects(selector)
                == Selects::Yes
        })
        .flat_map(|(_, set)| &set.domains)
        .map(|pattern| {
            Peer::Fqdn(FqdnPeer {
                pattern: pattern.clone(),
                by: FqdnBy::Chain,
                scope: Scope::Any,
            })
        })
        .collect()
}
