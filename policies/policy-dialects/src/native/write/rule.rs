//! Rules as entries of a native `egress`.

use dns_names::{Grammar, NamePattern};
use policy_model::{
    Action, Cluster, Entity, NamedPorts, Peer, Peers, Policy, Ports, Rule, SniCondition,
};

use crate::codes;
use crate::convert::Losses;
use crate::native::v1alpha1::limits;
use crate::yaml::write::{Map, Value};

use super::peers::{self, Around};
use super::ports;

/// Writes the rules of one policy.
pub(super) struct RuleWriter<'a> {
    pub(super) policy: &'a Policy,
    /// The namespace of the written object.
    pub(super) namespace: Option<&'a str>,
    #[expect(dead_code, reason = "sets of addresses are written out from it")]
    pub(super) cluster: &'a Cluster,
    pub(super) lifted: bool,
    pub(super) losses: &'a mut Losses,
}

impl RuleWriter<'_> {
    /// The entries a rule becomes; none where it matches nothing or cannot be said.
    pub(super) fn rules(&mut self, rule: &Rule) -> Vec<Map> {
        if let Some(why) = closed(rule) {
            return self.unsaid(codes::CONVERT_CLOSED, rule, why);
        }
        let by_name = |peer: &Peer| matches!(peer, Peer::Fqdn(_));
        if rule.action == Action::Pass
            && matches!(&rule.peers, Peers::Of(peers) if peers.iter().any(by_name))
        {
            return self.unsaid(codes::CONVERT_CLOSED, rule, "a Pass by name");
        }
        // One entry for each list that fits.
        let mut entries = vec![start(rule, rule.action)];
        match &rule.peers {
            Peers::Any => {}
            Peers::Of(list) => {
                let around = Around {
                    rule,
                    namespace: self.namespace,
                    lifted: self.lifted,
                };
                let peers::Written {
                    to,
                    metadata,
                    unsaid,
                } = peers::peers(list, around);
                for what in &unsaid {
                    // A Deny or Pass that is known in part denies everything.
                    if matches!(rule.action, Action::Deny | Action::Pass) {
                        return self.unsaid(codes::CONVERT_PEER, rule, what);
                    }
                    self.note(codes::CONVERT_PEER, rule, what);
                }
                if to.is_empty() && metadata.is_empty() {
                    return if rule.questions.is_some() && rule.action == Action::Allow {
                        self.asks_nobody(rule)
                    } else {
                        Vec::new()
                    };
                }
                entries = each(&entries, "to", &to, limits::PEERS);
                if let (false, Some(first)) = (metadata.is_empty(), entries.first_mut()) {
                    first.push("metadata", metadata);
                }
            }
        }
        match ports::ports(rule) {
            ports::Written::All => {}
            ports::Written::Some { ports, except } => {
                entries = each(
                    &entries,
                    "ports",
                    &ports.unwrap_or_default(),
                    limits::ENTRIES,
                );
                if !except.is_empty() {
                    for entry in &mut entries {
                        entry.push("exceptPorts", except.clone());
                    }
                }
            }
            ports::Written::None => return self.without_ports(rule),
            ports::Written::Unsaid(what) => return self.unsaid(codes::CONVERT_PORTS, rule, what),
        }
        if let (Some(questions), Action::Allow) = (&rule.questions, rule.action) {
            let Some(questions) = self.questions(rule, questions) else {
                return Vec::new();
            };
            entries = each(&entries, "questions", &questions, limits::NAMES);
        }
        for entry in &mut entries {
            if rule.allow_private && rule.action == Action::Allow {
                entry.push("allowPrivate", true);
            }
            if rule.sni == Some(SniCondition::Match) {
                entry.push("tls", Map::new().with("sni", "match"));
            }
        }
        entries
    }

    /// Names are filtered for such a rule although no server is meant.
    fn asks_nobody(&mut self, rule: &Rule) -> Vec<Map> {
        let message = "names that may be asked of no server cannot be said: they no longer keep the workload to the known servers";
        self.losses
            .note(codes::CONVERT_WIDER, self.policy, &rule.origin, message);
        Vec::new()
    }

    /// The names that may be asked; nothing where none of them can be said.
    fn questions(&mut self, rule: &Rule, questions: &[NamePattern]) -> Option<Vec<String>> {
        let mut said = Vec::new();
        for pattern in questions.iter().filter(|pattern| !pattern.is_never()) {
            match pattern.in_grammar(Grammar::Native) {
                Some(pattern) => said.push(pattern.as_str().to_owned()),
                None => {
                    let what = format!("questions for `{}`", pattern.as_str());
                    self.note(codes::CONVERT_PEER, rule, &what);
                }
            }
        }
        if said.is_empty() {
            self.losses.note(
                codes::CONVERT_WIDER,
                self.policy,
                &rule.origin,
                "a server that no name may be asked of cannot be said: names that other rules allow may be asked of it",
            );
            return None;
        }
        Some(said)
    }

    /// A rule whose ports match nothing still has its names: those of a Deny are refused whatever the port, those of an
    /// Allow may be asked.
    fn without_ports(&mut self, rule: &Rule) -> Vec<Map> {
        if rule.questions.is_some() && rule.action == Action::Allow {
            return self.asks_nobody(rule);
        }
        let Peers::Of(list) = &rule.peers else {
            return Vec::new();
        };
        let names: Vec<Peer> = list
            .iter()
            .filter(|peer| matches!(peer, Peer::Fqdn(_)))
            .cloned()
            .collect();
        // Where a peer is not known, a Deny or Pass denies everything, whatever its ports.
        let may_be_unknown = list.iter().any(|peer| match peer {
            Peer::Entity(entity) => matches!(
                entity,
                Entity::Cluster | Entity::RemoteNode | Entity::KubeApiserver
            ),
            Peer::Block(_) | Peer::Fqdn(_) | Peer::Metadata(_) => false,
            Peer::Pods(_)
            | Peer::Nodes(_)
            | Peer::Service(_)
            | Peer::Endpoints(_)
            | Peer::Set(_) => true,
        });
        if may_be_unknown && matches!(rule.action, Action::Deny | Action::Pass) {
            return self.unsaid(codes::CONVERT_PORTS, rule, "ports that no flow has");
        }
        // Port 0, which no flow has, opens the guard to questions all the same.
        let zero = rule.action == Action::Allow && rule.ports != Ports::Only(Vec::new());
        if zero && list.iter().any(peers::is_guarded) {
            let what = "a metadata service whose name may be asked, on port 0 alone";
            return self.unsaid(codes::CONVERT_PORTS, rule, what);
        }
        if names.is_empty() || rule.action == Action::Log {
            return Vec::new();
        }
        if rule.action == Action::Deny {
            return self.rules(&Rule {
                peers: Peers::Of(names),
                ports: Ports::Any,
                named_ports: NamedPorts::default(),
                ..rule.clone()
            });
        }
        if zero {
            let what = "names that may be asked and open port 0 alone";
            return self.unsaid(codes::CONVERT_PORTS, rule, what);
        }
        let mut entries = self.rules(&Rule {
            peers: Peers::Of(names),
            ports: Ports::Any,
            named_ports: NamedPorts::default(),
            ..rule.clone()
        });
        for entry in &mut entries {
            entry.push("askOnly", true);
        }
        entries
    }

    /// An Allow or Log is left out, a Deny or Pass denies everything.
    fn unsaid(&mut self, code: codes::Code, rule: &Rule, what: &str) -> Vec<Map> {
        self.note(code, rule, what);
        match rule.action {
            Action::Allow | Action::Log => Vec::new(),
            Action::Deny | Action::Pass => vec![start(rule, Action::Deny)],
        }
    }

    fn note(&mut self, code: codes::Code, rule: &Rule, what: &str) {
        let effect = match rule.action {
            Action::Allow => "it is left out",
            Action::Deny | Action::Pass => "the rule denies everything",
            Action::Log => "nothing is noted by it",
        };
        let message = format!("{what} cannot be said natively: {effect}");
        self.losses.note(code, self.policy, &rule.origin, message);
    }
}

/// Every entry with each part of a list that is no longer than a list may be; without the key where the list is empty.
fn each<T: Clone>(entries: &[Map], key: &str, list: &[T], most: usize) -> Vec<Map>
where
    Vec<T>: Into<Value>,
{
    if list.is_empty() {
        return entries.to_vec();
    }
    entries
        .iter()
        .flat_map(|entry| {
            list.chunks(most)
                .map(|part| entry.clone().with(key, part.to_vec()))
        })
        .collect()
}

fn start(rule: &Rule, action: Action) -> Map {
    let word = match action {
        Action::Allow => "Allow",
        Action::Deny => "Deny",
        Action::Pass => "Pass",
        Action::Log => "Log",
    };
    Map::new()
        .with_some("name", rule.name.as_deref())
        .with("action", word)
}

/// Why a rule is not in force where it comes from, unless its native form is not either for the same reason.
fn closed(rule: &Rule) -> Option<&'static str> {
    if !rule.http.is_empty() {
        return Some("a condition on requests");
    }
    // A Deny or Pass with a condition denies everything, whatever else it says.
    let may_ask_tls = !matches!(rule.action, Action::Deny | Action::Pass);
    match (&rule.sni, rule.closed) {
        (Some(SniCondition::Match), None) if may_ask_tls => None,
        (Some(SniCondition::Match), Some(code)) if may_ask_tls && code == codes::NATIVE_TLS.id => {
            None
        }
        (Some(_), _) => Some("a condition on the server name"),
        (None, Some(_)) => Some("a rule that is closed where it comes from"),
        (None, None) => None,
    }
}
