//! Names as sets that rules select.
//!
//! Where Calico is not Enterprise, its server drops the names of a rule and of a set. A rule without its `domains` would be for
//! every destination; a set without its `allowedEgressDomains` is empty, and so is what the rule allows.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy_model::{
    Action, Cluster, Endpoint, Expression, Labels, NetworkSet, Peer, Peers, Policy, Selects,
};

use crate::convert::Names;
use crate::yaml::write::{Map, Written};

use super::API;
use super::expressions::text;

/// The label by which a rule selects its set: the set's own name.
const LABEL: &str = "egret.dev/names";
/// LIMIT: characters of a label's value, with room for a number behind it.
const LONGEST: usize = 56;

/// The sets of names that rules mean.
#[derive(Debug, Default)]
pub(super) struct NameSets {
    names: Names,
    /// What other rules select by: a set that one of them selects would be meant by that rule too.
    selectors: Vec<Expression>,
    /// Names of sets and values of the label that are there already.
    taken: BTreeSet<Arc<str>>,
    sets: Vec<NameSet>,
}

#[derive(Debug)]
struct NameSet {
    name: String,
    domains: Vec<String>,
    comment: String,
}

impl NameSets {
    /// None yet, beside those policies and what they speak of.
    pub(super) fn beside(policies: &[Policy], cluster: &Cluster) -> Self {
        let global = cluster.network_sets.iter();
        let global = global.filter(|((namespace, _), _)| namespace.is_none());
        let names = global.clone().map(|((_, name), _)| name);
        let hosts = cluster.host_endpoints.values().map(|host| &host.labels);
        let labels = global.map(|(_, set)| &set.labels).chain(hosts);
        let values = labels.filter_map(|labels| labels.get(LABEL));
        Self {
            selectors: policies.iter().flat_map(selectors).collect(),
            taken: names.chain(values).cloned().collect(),
            ..Self::default()
        }
    }

    /// The destination that means those names for a policy's rule; nothing where another rule would mean them too.
    pub(super) fn destination(&mut self, policy: &Policy, domains: &[String]) -> Option<Map> {
        let there = self.sets.iter().find(|set| set.domains == domains);
        if let Some(set) = there {
            return destination(&set.name);
        }
        let name = self.free(policy);
        let selected = |by: &Expression| {
            let set = NetworkSet {
                labels: Labels::from([(LABEL.into(), name.as_str().into())]),
                ..NetworkSet::default()
            };
            let cluster = Cluster::default();
            Endpoint::of_network_set(&cluster, None, &set).selects(by) != Selects::No
        };
        if self.selectors.iter().any(selected) {
            return None;
        }
        let destination = destination(&name)?;
        self.sets.push(NameSet {
            name,
            domains: domains.to_vec(),
            comment: format!("names of {} ({})", policy.id, policy.origin),
        });
        Some(destination)
    }

    pub(super) fn objects(self) -> Vec<Written> {
        self.sets.into_iter().map(NameSet::object).collect()
    }

    /// A name that no set has and that fits into a label.
    fn free(&mut self, policy: &Policy) -> String {
        let own = match policy.id.namespace.as_deref() {
            Some(namespace) => format!("{namespace}.{}", policy.id.name),
            None => policy.id.name.to_string(),
        };
        let own = if fits(&own) { own } else { "names".to_owned() };
        loop {
            let name = self.names.free("GlobalNetworkSet", None, &own);
            if !self.taken.contains(name.as_str()) {
                return name;
            }
        }
    }
}

impl NameSet {
    fn object(self) -> Written {
        let labels = Map::new().with(LABEL, self.name.as_str());
        Written {
            comments: vec![
                self.comment,
                "`allowedEgressDomains` needs Calico Enterprise or Cloud: elsewhere it is dropped, and the set is empty"
                    .to_owned(),
            ],
            object: Map::new()
                .with("apiVersion", API)
                .with("kind", "GlobalNetworkSet")
                .with(
                    "metadata",
                    Map::new().with("name", self.name).with("labels", labels),
                )
                .with(
                    "spec",
                    Map::new().with("allowedEgressDomains", self.domains),
                ),
        }
    }
}

fn destination(name: &str) -> Option<Map> {
    let selector = text(&Expression::Equal(LABEL.into(), name.into()))?;
    Some(
        Map::new()
            .with("selector", selector)
            .with("namespaceSelector", "global()"),
    )
}

/// The expressions by which a policy's rules could mean a set of names: names only allow, and what is not meant by a rule is
/// so whatever the rule does.
fn selectors(policy: &Policy) -> Vec<Expression> {
    let mut selectors = Vec::new();
    for rule in &policy.rules {
        let Peers::Of(peers) = &rule.peers else {
            continue;
        };
        for peer in peers {
            let Peer::Endpoints(endpoints) = peer else {
                continue;
            };
            let selector = endpoints.selector.iter();
            selectors.extend(selector.filter(|_| rule.action == Action::Allow).cloned());
            selectors.extend(endpoints.not_selector.iter().cloned());
        }
    }
    selectors
}

fn fits(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() <= LONGEST
        && ends(name.chars().next())
        && ends(name.chars().next_back())
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"-.".contains(&octet))
}
