//! Rules as entries of a native `egress`.

use policy_model::{Action, Cluster, Entity, Peer, Peers, Policy, Ports, Rule, SniCondition};

use crate::codes;
use crate::convert::Losses;
use crate::yaml::write::Map;

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
    /// The entry a rule becomes; none where it matches nothing or cannot be said.
    pub(super) fn rules(&mut self, rule: &Rule) -> Option<Map> {
        if let Some(why) = closed(rule) {
            return self.unsaid(codes::CONVERT_CLOSED, rule, why);
        }
        if rule.questions.is_some() {
            return self.unsaid(
                codes::CONVERT_PEER,
                rule,
                "which names may be asked of a server",
            );
        }
        let by_name = |peer: &Peer| matches!(peer, Peer::Fqdn(_));
        if rule.action == Action::Pass
            && matches!(&rule.peers, Peers::Of(peers) if peers.iter().any(by_name))
        {
            return self.unsaid(codes::CONVERT_CLOSED, rule, "a Pass by name");
        }
        let mut map = start(rule, rule.action);
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
                    wider,
                } = peers::peers(list, around);
                for what in wider {
                    self.losses
                        .note(codes::CONVERT_WIDER, self.policy, &rule.origin, what);
                }
                for what in &unsaid {
                    // A Deny or Pass that is known in part denies everything.
                    if matches!(rule.action, Action::Deny | Action::Pass) {
                        return self.unsaid(codes::CONVERT_PEER, rule, what);
                    }
                    self.note(codes::CONVERT_PEER, rule, what);
                }
                if to.is_empty() && metadata.is_empty() {
                    return None;
                }
                if !to.is_empty() {
                    map.push("to", to);
                }
                if !metadata.is_empty() {
                    map.push("metadata", metadata);
                }
            }
        }
        match ports::ports(rule) {
            ports::Written::All => {}
            ports::Written::Some(ports) => map.push("ports", ports),
            ports::Written::None => return self.without_ports(rule),
            ports::Written::Unsaid(what) => return self.unsaid(codes::CONVERT_PORTS, rule, what),
        }
        if rule.allow_private && rule.action == Action::Allow {
            map.push("allowPrivate", true);
        }
        if rule.sni == Some(SniCondition::Match) {
            map.push("tls", Map::new().with("sni", "match"));
        }
        Some(map)
    }

    /// A rule whose ports match nothing still has its names: those of a Deny are refused whatever the port, those of an
    /// Allow may be asked.
    fn without_ports(&mut self, rule: &Rule) -> Option<Map> {
        let Peers::Of(list) = &rule.peers else {
            return None;
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
        if names.is_empty() || rule.action == Action::Log {
            return None;
        }
        if rule.action == Action::Deny {
            return self.rules(&Rule {
                peers: Peers::Of(names),
                ports: Ports::Any,
                ..rule.clone()
            });
        }
        self.unsaid(
            codes::CONVERT_PORTS,
            rule,
            "names that may be asked and lead nowhere",
        )
    }

    /// An Allow or Log is left out, a Deny or Pass denies everything.
    fn unsaid(&mut self, code: codes::Code, rule: &Rule, what: &str) -> Option<Map> {
        self.note(code, rule, what);
        match rule.action {
            Action::Allow | Action::Log => None,
            Action::Deny | Action::Pass => Some(start(rule, Action::Deny)),
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
