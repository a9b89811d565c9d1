//! Rules as entries of `egress`.

use policy_model::{Action, DnsFilter, Peers, Policy, Ports, Rule};

use crate::codes::{self, Code};
use crate::convert::{Losses, cluster_dns, dns_flows, dns_ports, is_closed, names_hosts};
use crate::yaml::write::{Map, Value};

use super::name_sets::NameSets;
use super::ports::{self, Part};
use super::{peers, selectors};

/// Writes the rules of one policy.
pub(super) struct RuleWriter<'a> {
    pub(super) policy: &'a Policy,
    /// The namespace of the written object.
    pub(super) namespace: Option<&'a str>,
    /// A Pass would leave more than it may: it denies.
    pub(super) pass_denies: bool,
    /// Whether the cluster's DNS is open for the policy's names.
    pub(super) opened: bool,
    pub(super) sets: &'a mut NameSets,
    pub(super) losses: &'a mut Losses,
}

/// The one rule that matches everything.
pub(super) fn everything(action: &str) -> Map {
    Map::new().with("action", action)
}

impl RuleWriter<'_> {
    /// The entries of a rule, one behind the other; none where it matches nothing or cannot be said.
    pub(super) fn rules(&mut self, rule: &Rule) -> Vec<Map> {
        if is_closed(rule) {
            return self.closed(rule);
        }
        match rule.action {
            Action::Allow => self.allow(rule),
            Action::Deny => self.stop(rule, "Deny"),
            Action::Pass if self.pass_denies => {
                self.note(
                    codes::CONVERT_NARROWER,
                    rule,
                    "what it passes on would no longer meet what stands behind it: it is denied, and less is allowed",
                );
                self.stop(rule, "Deny")
            }
            Action::Pass => self.stop(rule, "Pass"),
            Action::Log => self.log(rule),
        }
    }

    fn closed(&mut self, rule: &Rule) -> Vec<Map> {
        match rule.action {
            Action::Allow => {
                let message = "the rule is not in force where it comes from: it is left out";
                self.note(codes::CONVERT_CLOSED, rule, message);
                self.note_limit(rule);
                Vec::new()
            }
            Action::Deny | Action::Pass => {
                let message =
                    "the rule is not in force where it comes from and denies everything: here too";
                self.note(codes::CONVERT_CLOSED, rule, message);
                vec![everything("Deny")]
            }
            Action::Log => Vec::new(),
        }
    }

    fn allow(&mut self, rule: &Rule) -> Vec<Map> {
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
        // Names mean no server, so they are those of the rule itself.
        let mut peers = self.peers(rule);
        let ports = ports::ports(asking.as_ref().map_or(rule, |(flows, _)| flows));
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
        let mut rules = Vec::new();
        let domains = std::mem::take(&mut peers.domains);
        if !domains.is_empty() {
            match self.sets.destination(self.policy, &domains) {
                Some(destination) => {
                    rules.append(&mut self.opened(rule));
                    peers.to.push(destination);
                }
                None => self.note(
                    codes::CONVERT_PEER,
                    rule,
                    "names would stand in a set that the selector of another rule means too: left out, so less is allowed",
                ),
            }
        }
        if peers.dns {
            rules.append(&mut self.dns(&rule.ports));
        }
        rules.append(&mut entries("Allow", &peers, &ports.parts));
        rules
    }

    /// What names need beside themselves.
    fn opened(&mut self, rule: &Rule) -> Vec<Map> {
        self.note(
            codes::CONVERT_ENTERPRISE,
            rule,
            "names need Calico Enterprise or Cloud: elsewhere their set is empty, and the rule allows nothing by name",
        );
        if self.policy.dns == DnsFilter::Untouched || self.opened {
            return Vec::new();
        }
        self.opened = true;
        self.note(
            codes::CONVERT_NARROWER,
            rule,
            "names open the known DNS servers: of these the cluster's own is meant, on port 53",
        );
        self.dns(&Ports::Any)
    }

    /// The cluster's own DNS, on those ports of it.
    fn dns(&self, ports: &Ports) -> Vec<Map> {
        let flows = Rule {
            ports: Ports::Only(dns_ports(ports)),
            ..Rule::new(0, Action::Allow, self.policy.origin.clone())
        };
        let peers = peers::Written {
            to: selectors::pods(&cluster_dns(), self.namespace)
                .into_iter()
                .collect(),
            ..peers::Written::default()
        };
        entries("Allow", &peers, &ports::ports(&flows).parts)
    }

    /// A Deny or Pass. Where it cannot be said, all that it could mean is denied.
    fn stop(&mut self, rule: &Rule, action: &str) -> Vec<Map> {
        if names_hosts(rule) && rule.action == Action::Deny {
            let message = "names cannot be refused: what another rule allows of them is allowed";
            self.note(codes::CONVERT_DENY, rule, message);
        }
        if rule.questions.is_some() {
            let message = "servers that are not the known ones are denied too";
            self.note(codes::CONVERT_NARROWER, rule, message);
        }
        let mut peers = self.peers(rule);
        let mut ports = ports::ports(rule);
        let mut action = action;
        let lost: Vec<String> = peers
            .unsaid
            .iter()
            .chain(&ports.unsaid)
            .map(|what| format!("{what} cannot be said: everything is denied on its behalf"))
            .collect();
        if !peers.unsaid.is_empty() {
            peers.everything = true;
        }
        if !ports.unsaid.is_empty() {
            ports.parts = vec![Part::default()];
        }
        for message in lost {
            self.note(codes::CONVERT_NARROWER, rule, message);
            action = "Deny";
        }
        for what in &peers.more {
            self.note(
                codes::CONVERT_NARROWER,
                rule,
                format!("{what}: it is denied, and less is allowed"),
            );
            action = "Deny";
        }
        entries(action, &peers, &ports.parts)
    }

    fn log(&mut self, rule: &Rule) -> Vec<Map> {
        let peers = self.peers(rule);
        let ports = ports::ports(rule);
        if names_hosts(rule) || !peers.unsaid.is_empty() || !ports.unsaid.is_empty() {
            let message = "what it notes cannot be said in full";
            self.note(codes::CONVERT_MANNER, rule, message);
        }
        entries("Log", &peers, &ports.parts)
    }

    fn peers(&self, rule: &Rule) -> peers::Written {
        match &rule.peers {
            Peers::Any => peers::Written {
                everything: true,
                ..peers::Written::default()
            },
            Peers::Of(list) => peers::peers(list, rule, self.namespace),
        }
    }

    /// With a rule that says which names may be asked of its servers, the limit goes too.
    fn note_limit(&mut self, rule: &Rule) {
        if rule.questions.is_some() {
            let message =
                "what limits the names that may be asked is left out, so more of them may be";
            self.note(codes::CONVERT_QUESTIONS, rule, message);
        }
    }

    fn note(&mut self, code: Code, rule: &Rule, message: impl Into<String>) {
        self.losses.note(code, self.policy, &rule.origin, message);
    }
}

/// An entry for each destination and each protocol.
fn entries(action: &str, peers: &peers::Written, parts: &[Part]) -> Vec<Map> {
    let mut rules = Vec::new();
    let mut destinations = peers.to.clone();
    if peers.everything {
        destinations.push(Map::new());
    }
    for destination in destinations {
        for part in parts {
            let mut destination = destination.clone();
            for (word, ports) in [("ports", &part.ports), ("notPorts", &part.not_ports)] {
                if !ports.is_empty() {
                    destination.push(word, Value::List(ports.clone()));
                }
            }
            let mut rule = Map::new().with("action", action);
            rule.append(part.rule.clone());
            if !destination.is_empty() {
                rule.push("destination", destination);
            }
            rules.push(rule);
        }
    }
    for service in &peers.services {
        rules.push(
            Map::new()
                .with("action", action)
                .with("destination", service.clone()),
        );
    }
    rules
}
