//! Rules as entries of `egress` and `egressDeny`.

use dns_names::{Grammar, NamePattern};
use policy_model::{Cluster, Peers, Policy, Rule};

use crate::codes::{self, Code};
use crate::convert::Losses;
use crate::yaml::write::{Map, Value};

use super::{peers, ports, selector};

/// Writes the rules of one policy.
pub(super) struct RuleWriter<'a> {
    pub(super) policy: &'a Policy,
    /// The namespace of the written object.
    pub(super) namespace: Option<&'a str>,
    pub(super) cluster: &'a Cluster,
    pub(super) losses: &'a mut Losses,
}

impl RuleWriter<'_> {
    /// The entries of an Allow, and the names it opens.
    pub(super) fn allow(&mut self, rule: &Rule) -> (Vec<Map>, Vec<NamePattern>) {
        let peers = self.peers(rule);
        let ports = ports::ports(rule);
        for what in peers.unsaid.iter().chain(&ports.unsaid) {
            let message = format!("{what} cannot be said: left out, so less is allowed");
            self.note(codes::CONVERT_PEER, rule, message);
        }
        for what in &peers.less {
            self.note(
                codes::CONVERT_NARROWER,
                rule,
                format!("{what}: less is allowed"),
            );
        }
        if rule.questions.is_some() && !(peers.unsaid.is_empty() && ports.unsaid.is_empty()) {
            let message = "where the servers of this rule are not meant any more, other names may be asked of them";
            self.note(codes::CONVERT_QUESTIONS, rule, message);
        }
        let questions = match &rule.questions {
            None => None,
            Some(questions) => match self.questions(rule, questions) {
                Some(names) => Some(names),
                None => return (Vec::new(), Vec::new()),
            },
        };
        let entries = entries(&peers, &ports, rule, questions.as_deref());
        if entries.is_empty() && questions.is_some() {
            let message = "names that may be asked of no server cannot be said: they limit no other names any more";
            self.note(codes::CONVERT_QUESTIONS, rule, message);
        }
        if entries.is_empty() && !peers.patterns.is_empty() && ports.unsaid.is_empty() {
            let message = "names that may be asked and open no port cannot be said: left out, so less is allowed";
            self.note(codes::CONVERT_PORTS, rule, message);
        }
        let patterns = if entries.is_empty() {
            Vec::new()
        } else {
            peers.patterns
        };
        (entries, patterns)
    }

    /// The entries of a Deny.
    pub(super) fn deny(&mut self, rule: &Rule) -> Vec<Map> {
        let peers = self.peers(rule);
        let ports = ports::ports(rule);
        for what in peers.unsaid.iter().chain(&ports.unsaid) {
            let message =
                format!("{what} cannot be said: it is not denied, so more may be allowed");
            self.note(codes::CONVERT_DENY, rule, message);
        }
        for what in &peers.less {
            self.note(
                codes::CONVERT_DENY,
                rule,
                format!("{what}: more may be allowed"),
            );
        }
        for what in &peers.more {
            self.note(
                codes::CONVERT_NARROWER,
                rule,
                format!("{what}: less is allowed"),
            );
        }
        entries(&peers, &ports, rule, None)
    }

    fn peers(&self, rule: &Rule) -> peers::Written {
        match &rule.peers {
            Peers::Any => peers::Written {
                entities: vec!["all"],
                ..peers::Written::default()
            },
            Peers::Of(list) => peers::peers(list, rule, self.namespace, self.cluster),
        }
    }

    /// `rules.dns` of a rule with questions; nothing where it has none that can be said.
    fn questions(&mut self, rule: &Rule, questions: &[NamePattern]) -> Option<Vec<Map>> {
        let mut names = Vec::new();
        for pattern in questions.iter().filter(|pattern| !pattern.is_never()) {
            match pattern.in_grammar(Grammar::Cilium) {
                Some(pattern) => names.push(peers::name(&pattern)),
                None => {
                    let message = format!("questions for `{}` cannot be said", pattern.as_str());
                    self.note(codes::CONVERT_PEER, rule, message);
                }
            }
        }
        if names.is_empty() {
            self.note(
                codes::CONVERT_QUESTIONS,
                rule,
                "a server that no name may be asked of cannot be said: names that other rules allow may be asked of it",
            );
            return None;
        }
        Some(names)
    }

    fn note(&mut self, code: Code, rule: &Rule, message: impl Into<String>) {
        self.losses.note(code, self.policy, &rule.origin, message);
    }
}

/// An entry for each kind of member and each list of ports.
fn entries(
    peers: &peers::Written,
    ports: &ports::Written,
    rule: &Rule,
    questions: Option<&[Map]>,
) -> Vec<Map> {
    let mut members: Vec<(&str, Value)> = peers
        .groups
        .iter()
        .map(|(word, members)| (*word, members.clone().into()))
        .collect();
    if !peers.entities.is_empty() {
        members.push(("toEntities", peers.entities.clone().into()));
    }
    let mut entries = Vec::new();
    for (word, value) in members {
        let entry = Map::new().with(word, value);
        if ports.all {
            entries.push(entry.clone());
        }
        let mut rules: Vec<Map> = ports
            .ports
            .iter()
            .map(|list| Map::new().with("ports", list.clone()))
            .collect();
        if let Some(names) = questions {
            for rule in &mut rules {
                rule.push("rules", Map::new().with("dns", names.to_vec()));
            }
        }
        if !rules.is_empty() {
            entries.push(entry.clone().with("toPorts", rules));
        }
        for list in &ports.icmps {
            let icmps = vec![Map::new().with("fields", list.clone())];
            entries.push(entry.clone().with("icmps", icmps));
        }
    }
    if peers.cluster_dns && questions.is_none() {
        entries.extend(cluster_dns(rule));
    }
    entries
}

/// The cluster's DNS on those of its ports that the rule has.
fn cluster_dns(rule: &Rule) -> Option<Map> {
    use policy_model::{Ports, Protocol};
    let holds = |protocol: Protocol| match &rule.ports {
        Ports::Any => true,
        Ports::Only(list) => list
            .iter()
            .any(|one| one.protocol == protocol && one.first <= 53 && 53 <= one.last),
        Ports::AllBut(_) => false,
    };
    let ports: Vec<Map> = [Protocol::UDP, Protocol::TCP]
        .into_iter()
        .filter(|protocol| holds(*protocol))
        .map(|protocol| {
            Map::new()
                .with("port", "53")
                .with("protocol", protocol.to_string())
        })
        .collect();
    (!ports.is_empty()).then(|| {
        Map::new()
            .with("toEndpoints", vec![selector::cluster_dns()])
            .with("toPorts", vec![Map::new().with("ports", ports)])
    })
}
