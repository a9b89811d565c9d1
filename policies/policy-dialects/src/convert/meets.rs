//! Whether two subjects or two rules can be about the same; where that is not certain, they can.

use policy_model::{
    Block, KubernetesSubject, LabelSelector, Peer, Peers, PortMatch, Ports, Rule, Subject,
};

/// Whether one workload can be selected by both.
pub(crate) fn subjects_meet(a: &Subject, b: &Subject) -> bool {
    let (Subject::Kubernetes(a), Subject::Kubernetes(b)) = (a, b) else {
        return true;
    };
    let namespaces = match (&a.namespace, &b.namespace) {
        (Some(a), Some(b)) => a == b,
        (Some(_) | None, _) => true,
    };
    let pods = |subject: &KubernetesSubject| subject.pods.clone().unwrap_or_default();
    namespaces && selectors_meet(&pods(a), &pods(b))
}

fn selectors_meet(a: &LabelSelector, b: &LabelSelector) -> bool {
    a.match_labels
        .iter()
        .all(|(key, value)| b.match_labels.get(key).is_none_or(|other| other == value))
}

/// Whether one flow can be matched by both.
pub(crate) fn rules_meet(a: &Rule, b: &Rule) -> bool {
    ports_meet(a, b) && peers_meet(&a.peers, &b.peers)
}

fn ports_meet(a: &Rule, b: &Rule) -> bool {
    let (Ports::Only(a_ports), Ports::Only(b_ports)) = (&a.ports, &b.ports) else {
        return true;
    };
    let named = !a.named_ports.is_empty() || !b.named_ports.is_empty();
    let meet = |a: &PortMatch, b: &PortMatch| {
        a.protocol == b.protocol && a.first <= b.last && b.first <= a.last
    };
    named || a_ports.iter().any(|a| b_ports.iter().any(|b| meet(a, b)))
}

fn peers_meet(a: &Peers, b: &Peers) -> bool {
    let (Peers::Of(a), Peers::Of(b)) = (a, b) else {
        return true;
    };
    a.iter().any(|a| b.iter().any(|b| peer_meets(a, b)))
}

fn peer_meets(a: &Peer, b: &Peer) -> bool {
    let (Peer::Block(Block { net: a, .. }), Peer::Block(Block { net: b, .. })) = (a, b) else {
        return true;
    };
    // One of the two families may be written in the other.
    a.contains(b) || b.contains(a) || a.max_prefix_len() != b.max_prefix_len()
}
