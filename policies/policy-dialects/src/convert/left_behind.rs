//! What policies speak of and no conversion writes: network sets and host endpoints are no policies.

use policy_model::{
    AddressedSubject, Cluster, Diagnostic, Endpoint, EndpointPeer, EndpointScope, Expression, Peer,
    Peers, Policy, Rule, Selects, Subject,
};

use super::Losses;
use crate::codes;

/// The rules and subjects that mean network sets or host endpoints of `cluster`: where only the written policies are kept,
/// they mean less, and a Deny less than it denied.
#[must_use]
pub fn left_behind(policies: &[Policy], cluster: &Cluster) -> Vec<Diagnostic> {
    let mut losses = Losses::default();
    for policy in policies {
        let hosts = selected_hosts(&policy.subject, cluster);
        if let Some(text) = told("selects", hosts) {
            losses.note(codes::CONVERT_LEFT_BEHIND, policy, &policy.origin, text);
        }
        for rule in &policy.rules {
            if let Some(text) = told("means", meant(rule, cluster)) {
                losses.note(codes::CONVERT_LEFT_BEHIND, policy, &rule.origin, text);
            }
        }
    }
    losses.into_diagnostics()
}

fn told(verb: &str, mut names: Vec<String>) -> Option<String> {
    names.sort_unstable();
    names.dedup();
    let first = names.first()?;
    let others = match names.len() {
        1 => String::new(),
        2 => " and another".to_owned(),
        more => format!(" and {} others", more - 1),
    };
    Some(format!(
        "it {verb} `{first}`{others}, which is no policy and is not written: keep it beside what is"
    ))
}

fn selected_hosts(subject: &Subject, cluster: &Cluster) -> Vec<String> {
    match subject {
        Subject::Endpoints(endpoints) | Subject::Addressed(AddressedSubject { endpoints, .. }) => {
            hosts(endpoints, cluster)
        }
        Subject::HostEndpoint(name) => vec![host(name)],
        Subject::All | Subject::Kubernetes(_) | Subject::Plain(_) | Subject::Nodes(_) => Vec::new(),
    }
}

/// The sets and host endpoints that a rule's destinations are, or are not.
fn meant(rule: &Rule, cluster: &Cluster) -> Vec<String> {
    let Peers::Of(peers) = &rule.peers else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for peer in peers {
        let Peer::Endpoints(EndpointPeer {
            selector,
            not_selector,
            scope,
            nets: _,
            not_nets: _,
        }) = peer
        else {
            continue;
        };
        for expression in selector.iter().chain(not_selector) {
            names.extend(hosts(expression, cluster));
            if *scope == EndpointScope::All {
                names.extend(sets(expression, cluster));
            }
        }
    }
    names
}

fn sets(expression: &Expression, cluster: &Cluster) -> Vec<String> {
    let selected = cluster.network_sets.iter().filter(|((namespace, _), set)| {
        let endpoint = Endpoint::of_network_set(cluster, namespace.as_ref(), set);
        endpoint.selects(expression) != Selects::No
    });
    selected
        .map(|((namespace, name), _)| match namespace {
            Some(namespace) => format!("NetworkSet/{namespace}/{name}"),
            None => format!("GlobalNetworkSet/{name}"),
        })
        .collect()
}

fn hosts(expression: &Expression, cluster: &Cluster) -> Vec<String> {
    let selected = cluster.host_endpoints.iter().filter(|(_, endpoint)| {
        Endpoint::of_host_endpoint(endpoint).selects(expression) != Selects::No
    });
    selected.map(|(name, _)| host(name)).collect()
}

fn host(name: &str) -> String {
    format!("HostEndpoint/{name}")
}
