//! Blocks of one address family in a cluster that has both: what an Allow leaves out is closed, and clients stall until they
//! try the other family; what a Deny leaves out is open.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use policy_model::{
    Action, Block, Cluster, Diagnostic, ObjectRef, Peer, Peers, Policy, Rule, Scope,
};

use super::tell;
use crate::codes;

pub(super) fn lint(policies: &[Policy], cluster: &Cluster, out: &mut Vec<Diagnostic>) {
    let pairs = pairs(cluster);
    if pairs.is_empty() {
        return;
    }
    let mut objects: BTreeMap<&ObjectRef, Vec<&Policy>> = BTreeMap::new();
    for policy in policies {
        objects.entry(&policy.id).or_default().push(policy);
    }
    for policy in policies {
        // One rule as written may be one for each family, in policies of their own.
        let other_half = |rule: &Rule| {
            let parts = objects[&policy.id].iter().flat_map(|part| &part.rules);
            let mut halves = parts.filter(|other| other.index == rule.index);
            halves.any(|other| is_of_families(other) && blocks(other).ne(blocks(rule)))
                && is_of_families(rule)
        };
        let found = policy
            .rules
            .iter()
            .filter(|rule| !other_half(rule))
            .find_map(|rule| Some((rule, missing(policy, rule, &pairs)?)));
        if let Some((rule, (net, other))) = found {
            let left = match rule.action {
                Action::Allow => "stays closed",
                Action::Deny | Action::Pass | Action::Log => "is left out",
            };
            out.push(tell(
                codes::ONE_FAMILY,
                policy,
                &rule.origin,
                format!(
                    "this cluster has IPv4 and IPv6, and `{net}` is one of them: {other} {left}"
                ),
                "write the blocks of both families, or name pods by their labels",
            ));
        }
    }
}

/// Every address of an object that has both families, with one of the other family.
fn pairs(cluster: &Cluster) -> BTreeMap<IpAddr, IpAddr> {
    let pods = cluster.pods.values().map(|pod| &pod.addresses);
    let nodes = cluster.nodes.values().map(|node| &node.addresses);
    let mut pairs = BTreeMap::new();
    for addresses in pods.chain(nodes) {
        for address in addresses {
            let other = addresses
                .iter()
                .find(|other| other.is_ipv4() != address.is_ipv4());
            pairs.extend(other.map(|other| (*address, *other)));
        }
    }
    pairs
}

/// A block that holds one family of what has two, and what of the other family no block of the same action holds.
fn missing(
    policy: &Policy,
    rule: &Rule,
    pairs: &BTreeMap<IpAddr, IpAddr>,
) -> Option<(IpNet, String)> {
    if rule.closed.is_some() || rule.action == Action::Log {
        return None;
    }
    let same_action = policy
        .rules
        .iter()
        .filter(|other| other.action == rule.action);
    let others: Vec<&Block> = same_action.clone().flat_map(blocks).collect();
    // Whatever is not a block may well mean the other family.
    if same_action.clone().any(|rule| !is_of_blocks(rule)) {
        return None;
    }
    blocks(rule).find_map(|block| {
        let net = block.net;
        let is_v4 = net.addr().is_ipv4();
        if net.prefix_len() == 0 {
            let whole = others.iter().any(|one| one.net.addr().is_ipv4() != is_v4);
            let other = if is_v4 { "all of IPv6" } else { "all of IPv4" };
            return (!whole).then(|| (net, other.to_owned()));
        }
        if block.scope == Scope::Outside {
            return None;
        }
        let held = |ip: IpAddr| others.iter().any(|block| block.net.contains(&ip));
        let inside = pairs.range(net.network()..=net.broadcast());
        let left = inside
            .filter(|(ip, _)| !block.except.iter().any(|except| except.contains(*ip)))
            .find(|(_, other)| !held(**other));
        left.map(|(ip, other)| (net, format!("{other}, which is {ip} too,")))
    })
}

fn blocks(rule: &Rule) -> impl Iterator<Item = &Block> {
    rule.peers.given().iter().filter_map(Peer::as_block)
}

/// Whether it means all of one family and nothing else.
fn is_of_families(rule: &Rule) -> bool {
    let mut blocks = blocks(rule);
    blocks
        .next()
        .is_some_and(|block| block.net.prefix_len() == 0)
        && blocks.next().is_none()
}

/// Whether a rule means nothing but blocks, pods and Services: not names, entities or everything.
fn is_of_blocks(rule: &Rule) -> bool {
    match &rule.peers {
        Peers::Any => false,
        Peers::Of(peers) => peers.iter().all(|peer| {
            matches!(
                peer,
                Peer::Block(_) | Peer::Pods(_) | Peer::Service(_) | Peer::Fqdn(_)
            )
        }),
    }
}
