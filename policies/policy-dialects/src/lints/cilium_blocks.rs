//! A NetworkPolicy's blocks beside policies of Cilium: where Cilium runs, no block means a pod or a node.

use std::net::IpAddr;

use ipnet::IpNet;
use policy_model::{Cluster, Diagnostic, ObjectRef, Peer, Peers, Policy, Scope};

use super::tell;
use crate::codes;

/// Where clusters have their addresses (RFC 1918, RFC 6598, RFC 4193), as long as nobody knows which.
const PRIVATE: [&str; 5] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

/// Says it once for all files: it is about the cluster more than about the rule.
pub(super) fn lint(policies: &[Policy], cluster: &Cluster, out: &mut Vec<Diagnostic>) {
    if !policies
        .iter()
        .any(|policy| &*policy.id.group == "cilium.io")
    {
        return;
    }
    let inside = inside(cluster);
    let blocks = policies
        .iter()
        .filter(|one| is_network_policy(&one.id))
        .flat_map(|policy| {
            policy.rules.iter().flat_map(move |rule| match &rule.peers {
                Peers::Of(peers) => peers.iter().map(move |peer| (policy, rule, peer)).collect(),
                Peers::Any => Vec::new(),
            })
        });
    for (policy, rule, peer) in blocks {
        let Peer::Block(block) = peer else { continue };
        let holds = |net: &IpNet| {
            (block.net.contains(net) || net.contains(&block.net))
                && !block.except.iter().any(|except| except.contains(net))
        };
        if block.scope == Scope::Any && inside.iter().any(holds) {
            out.push(tell(
                codes::NETWORK_POLICY_BLOCK_BESIDE_CILIUM,
                policy,
                &rule.origin,
                format!("`{}` means pods and nodes with these addresses here, and never where Cilium enforces it", block.net),
                "name pods by their labels; a block is for what lies outside",
            ));
            return;
        }
    }
}

/// The addresses of the cluster, or where they usually are.
fn inside(cluster: &Cluster) -> Vec<IpNet> {
    let pods = cluster.pods.values().flat_map(|pod| &pod.addresses);
    let nodes = cluster.nodes.values();
    let addresses = pods.chain(nodes.clone().flat_map(|node| &node.addresses));
    let mut inside: Vec<IpNet> = addresses
        .copied()
        .map(|ip: IpAddr| ip.to_canonical().into())
        .collect();
    inside.extend(nodes.flat_map(|node| node.pod_cidrs.iter().copied()));
    if inside.is_empty() {
        inside.extend(PRIVATE.iter().filter_map(|net| net.parse::<IpNet>().ok()));
    }
    IpNet::aggregate(&inside)
}

fn is_network_policy(id: &ObjectRef) -> bool {
    &*id.group == "networking.k8s.io" && &*id.kind == "NetworkPolicy"
}
