//! Rules as entries of `egress`.

use policy_model::{Action, Cluster, DnsFilter, Peer, Policy, Ports, Rule, TierEnd};

use crate::codes::{self, Code};
use crate::convert::{Losses, dns_flows, is_closed};

use super::entry::{Entry, dns, each, is_any};
use super::peers::{self, Around};
use super::ports;
use super::tiers::{TierWord, isolated_by_others};

/// What a rule becomes.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) entries: Vec<Entry>,
    /// No rule behind it decides anything.
    pub(super) last: bool,
}

/// Writes the rules of one policy.
pub(super) struct RuleWriter<'a> {
    pub(super) policy: &'a Policy,
    /// All of them, in the order of the walk.
    pub(super) sorted: &'a [&'a Policy],
    pub(super) cluster: &'a Cluster,
    pub(super) tier: TierWord,
    /// Whether a Pass goes on to where it went.
    pub(super) passes: bool,
    /// Whether the cluster's DNS is open for the policy's names.
    pub(super) opened: bool,
    pub(super) losses: &'a mut Losses,
}

impl RuleWriter<'_> {
    pub(super) fn rule(&mut self, rule: &Rule) -> Rules {
        let closed = is_closed(rule);
        match rule.action {
            Action::Log => {
                self.note(
                    codes::CONVERT_MANNER,
                    rule,
                    "a rule that only notes cannot be said",
                );
                Rules::default()
            }
            Action::Allow if closed => {
                let message = "the rule is not in force where it comes from: it is left out";
                self.note(codes::CONVERT_CLOSED, rule, message);
                Rules::default()
            }
            Action::Deny | Action::Pass if closed => {
                let message =
                    "the rule is not in force where it comes from and denies everything: here too";
                self.note(codes::CONVERT_CLOSED, rule, message);
                Rules {
                    entries: vec![Entry::end()],
                    last: true,
                }
            }
            Action::Allow => Rules {
                entries: self.allow(rule),
                last: false,
            },
            Action::Deny => Rules {
                entries: self.stop(rule, "Deny"),
                last: false,
            },
            Action::Pass => Rules {
                entries: self.pass(rule),
                last: false,
            },
        }
    }

    fn allow(&mut self, rule: &Rule) -> Vec<Entry> {
        let asking = dns_flows(rule);
        if rule.questions.is_some() && asking.is_none() {
            let message = "which names may be asked cannot be said: left out, so less is allowed";
            self.note(codes::CONVERT_PEER, rule, message);
            return Vec::new();
        }
        if let Some((_, true)) = asking {
            let message = "names may be asked on port 53 alone: less is allowed";
            self.note(codes::CONVERT_NARROWER, rule, message);
        }
        let rule = asking.as_ref().map_or(rule, |(flows, _)| flows);
        let peers = peers::peers(rule, self.around());
        let ports = ports::ports(rule);
        for what in &peers.unsaid {
            let message = format!("{what} cannot be said: left out, so less is allowed");
            self.note(codes::CONVERT_PEER, rule, message);
        }
        for what in &ports.unsaid {
            let message = format!("{what} cannot be said: left out, so less is allowed");
            self.note(codes::CONVERT_PORTS, rule, message);
        }
        for what in &peers.less {
            self.note(
                codes::CONVERT_NARROWER,
                rule,
                format!("{what}: less is allowed"),
            );
        }
        for what in &peers.more {
            self.note(
                codes::CONVERT_WIDER,
                rule,
                format!("{what}: more may be allowed"),
            );
        }
        let names_alone = peers::has(rule, |peer| !matches!(peer, Peer::Fqdn(_)));
        if !ports.names.is_empty() && !peers.others.is_empty() && names_alone && !is_any(rule) {
            let message = "ports by name are those of pods that are selected, not of blocks and nodes: less is allowed";
            self.note(codes::CONVERT_PORTS, rule, message);
        }
        let mut entries = Vec::new();
        if peers.names && self.policy.dns != DnsFilter::Untouched && !self.opened {
            self.opened = true;
            self.note(
                codes::CONVERT_NARROWER,
                rule,
                "names open the known DNS servers: of these the cluster's own is meant, on port 53",
            );
            entries.extend(dns(&Ports::Any));
        }
        if peers.cluster_dns {
            entries.extend(dns(&rule.ports));
        }
        let private = peers.names.then_some(rule.allow_private);
        for map in each(rule, "Accept", &peers, &ports) {
            entries.push(Entry { rule: map, private });
        }
        entries
    }

    /// A Deny, or what denies as much and more.
    fn stop(&mut self, rule: &Rule, action: &'static str) -> Vec<Entry> {
        let by_name = |peer: &Peer| matches!(peer, Peer::Fqdn(_));
        if peers::has(rule, by_name) {
            let message = "that names are refused cannot be said: names that lead to these by CNAME may be allowed";
            self.note(codes::CONVERT_DENY, rule, message);
        }
        if rule.questions.is_some() {
            let message = "servers that are not the known ones are denied too";
            self.note(codes::CONVERT_NARROWER, rule, message);
        }
        let mut peers = peers::peers(rule, self.around());
        let mut ports = ports::ports(rule);
        let message = |what: &str, means: &str| format!("{what} cannot be said: {means}");
        if let Some(what) = peers.unsaid.first() {
            let message = message(what, "every destination is denied");
            self.note(codes::CONVERT_NARROWER, rule, message);
        } else if let Some(what) = peers.less.first() {
            let message = format!("{what}: every destination is denied");
            self.note(codes::CONVERT_NARROWER, rule, message);
        }
        if !peers.unsaid.is_empty() || !peers.less.is_empty() {
            peers = peers::everything();
        }
        for what in &peers.more {
            self.note(
                codes::CONVERT_NARROWER,
                rule,
                format!("{what}: less is allowed"),
            );
        }
        // Ports by name stand beside pods alone.
        let of_others = !ports.names.is_empty() && !peers.others.is_empty() && !is_any(rule);
        if let Some(what) = ports.unsaid.first() {
            let message = message(what, "every port is denied");
            self.note(codes::CONVERT_NARROWER, rule, message);
        } else if of_others {
            let message = "ports by name are those of pods that are selected: of blocks and nodes every port is denied";
            self.note(codes::CONVERT_NARROWER, rule, message);
        }
        if !ports.unsaid.is_empty() || of_others {
            ports = ports::Written {
                all: true,
                ..ports::Written::default()
            };
        }
        let maps = each(rule, action, &peers, &ports);
        let entry = |rule| Entry {
            rule,
            private: None,
        };
        maps.into_iter().map(entry).collect()
    }

    fn pass(&mut self, rule: &Rule) -> Vec<Entry> {
        if self.policy.tier.end == TierEnd::DenyIfIsolated
            && isolated_by_others(self.policy, self.sorted)
        {
            let message = "what passes is isolated by other policies: here it is denied";
            self.note(codes::CONVERT_ORDER, rule, message);
            return self.stop(rule, "Deny");
        }
        if !self.passes {
            let message = "there are two tiers, and this Pass goes on to a third: here it denies";
            self.note(codes::CONVERT_ORDER, rule, message);
            return self.stop(rule, "Deny");
        }
        let peers = peers::peers(rule, self.around());
        let ports = ports::ports(rule);
        let of_others = !ports.names.is_empty() && !peers.others.is_empty() && !is_any(rule);
        let exact = rule.questions.is_none()
            && peers.unsaid.is_empty()
            && peers.less.is_empty()
            && peers.more.is_empty()
            && ports.unsaid.is_empty()
            && !of_others;
        if !exact {
            let message = "what passes cannot be said exactly: here it is denied";
            self.note(codes::CONVERT_ORDER, rule, message);
            return self.stop(rule, "Deny");
        }
        self.stop(rule, "Pass")
    }

    const fn around(&self) -> Around<'_> {
        Around {
            policy: self.policy,
            sorted: self.sorted,
            cluster: self.cluster,
            tier: self.tier,
        }
    }

    fn note(&mut self, code: Code, rule: &Rule, message: impl Into<String>) {
        self.losses.note(code, self.policy, &rule.origin, message);
    }
}
