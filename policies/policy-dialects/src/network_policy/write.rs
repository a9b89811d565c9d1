//! From the model to `networking.k8s.io/v1`.

mod cut;
mod peers;
mod ports;

use policy_model::{Cluster, DnsFilter, KubernetesSubject, Peers, Policy, Rule};

use crate::codes::{self, Code};
use crate::convert::{Flat, Losses, Names, dns_flows, flatten, moved, names_hosts, subjects};
use crate::kubernetes::selector;
use crate::yaml::write::{Map, Written};

/// Every policy as NetworkPolicies, in the order of the walk.
pub(crate) fn objects(policies: &[Policy], cluster: &Cluster, losses: &mut Losses) -> Vec<Written> {
    let policies = moved(policies, losses);
    let flat = flatten(&policies, losses);
    let denied: Vec<(&Policy, &Rule)> = flat
        .iter()
        .flat_map(|one| one.denies.iter().map(|deny| (one.policy, *deny)))
        .collect();
    let mut names = Names::default();
    let mut written = Vec::new();
    for one in &flat {
        let said = pods(one, losses);
        if said.is_empty() {
            continue;
        }
        denies(one, &flat, losses);
        filter(one, losses);
        if !one.isolates && !is_isolated(one, &flat) {
            if !one.allows.is_empty() {
                let message = "a policy that isolates nobody cannot be said: it is left out, and less is allowed where others isolate";
                losses.note(
                    codes::CONVERT_NARROWER,
                    one.policy,
                    &one.policy.origin,
                    message,
                );
            }
            continue;
        }
        let mut writer = RuleWriter {
            policy: one.policy,
            denied: &denied,
            cluster,
            losses,
        };
        for (subject, namespace) in said {
            let egress: Vec<Map> = one
                .allows
                .iter()
                .flat_map(|rule| writer.rules(rule, &namespace))
                .collect();
            written.push(object(one.policy, &subject, &namespace, egress, &mut names));
        }
    }
    written
}

fn object(
    policy: &Policy,
    subject: &KubernetesSubject,
    namespace: &str,
    egress: Vec<Map>,
    names: &mut Names,
) -> Written {
    let pods = subject.pods.clone().unwrap_or_default();
    let mut spec = Map::new()
        .with("podSelector", selector(&pods))
        .with("policyTypes", vec!["Egress"]);
    if !egress.is_empty() {
        spec.push("egress", egress);
    }
    let metadata = Map::new()
        .with("name", names.take("NetworkPolicy", Some(namespace), policy))
        .with("namespace", namespace);
    Written {
        comments: vec![format!("from {} ({})", policy.id, policy.origin)],
        object: Map::new()
            .with("apiVersion", "networking.k8s.io/v1")
            .with("kind", "NetworkPolicy")
            .with("metadata", metadata)
            .with("spec", spec),
    }
}

/// Whom it selects, each in the one namespace an object has.
fn pods(flat: &Flat<'_>, losses: &mut Losses) -> Vec<(KubernetesSubject, String)> {
    let mut found = Vec::new();
    for subject in subjects(flat.policy, losses) {
        let plain = subject.namespaces.is_none()
            && subject.service_accounts.is_empty()
            && subject.nodes.is_none();
        match subject.namespace.clone().filter(|_| plain) {
            Some(namespace) => found.push((subject, namespace.to_string())),
            None => losses.note(
                codes::CONVERT_SUBJECT,
                flat.policy,
                &flat.policy.origin,
                "only pods of one namespace can be selected, by their labels: the policy is left out",
            ),
        }
    }
    found
}

/// What is denied is denied by isolation, because no Allow is written that it may be a part of.
fn denies(flat: &Flat<'_>, all: &[Flat<'_>], losses: &mut Losses) {
    let isolated = flat.isolates || is_isolated(flat, all);
    for deny in &flat.denies {
        if !isolated {
            let message = "a Deny cannot be said where nothing isolates: what it denies is allowed";
            losses.note(codes::CONVERT_DENY, flat.policy, &deny.origin, message);
        }
        // Whatever the ports.
        if names_hosts(deny) {
            let message = "that names are refused cannot be said: they may be asked";
            losses.note(codes::CONVERT_QUESTIONS, flat.policy, &deny.origin, message);
        }
    }
}

/// Whether another policy isolates the very pods this one selects.
fn is_isolated(flat: &Flat<'_>, all: &[Flat<'_>]) -> bool {
    all.iter()
        .any(|other| other.isolates && other.policy.subject == flat.policy.subject)
}

fn filter(flat: &Flat<'_>, losses: &mut Losses) {
    let asks = flat.allows.iter().any(|rule| rule.questions.is_some());
    if flat.dns == DnsFilter::Filter || asks {
        let message =
            "names are not filtered: every name may be asked of whatever server a rule allows";
        losses.note(
            codes::CONVERT_QUESTIONS,
            flat.policy,
            &flat.policy.origin,
            message,
        );
    }
}

struct RuleWriter<'a> {
    policy: &'a Policy,
    /// Every Deny, of whatever policy.
    denied: &'a [(&'a Policy, &'a Rule)],
    cluster: &'a Cluster,
    losses: &'a mut Losses,
}

impl RuleWriter<'_> {
    /// The entries of an Allow in an object of that namespace; none where it matches nothing or cannot be said.
    fn rules(&mut self, rule: &Rule, namespace: &str) -> Vec<Map> {
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
        let cut::Cut { rule, less } = cut::cut(rule, self.policy, self.denied);
        let rule = &rule;
        if less {
            let message = "a Deny takes from it and cannot be said: what may be denied is left out, and less is allowed";
            self.note(codes::CONVERT_NARROWER, rule, message);
        }
        let mut entries = Vec::new();
        match &rule.peers {
            Peers::Any => entries.push(Map::new()),
            Peers::Of(list) => {
                let written = peers::peers(list, namespace, self.cluster);
                for what in &written.unsaid {
                    let message = format!("{what} cannot be said: left out, so less is allowed");
                    self.note(codes::CONVERT_PEER, rule, message);
                }
                for what in &written.less {
                    self.note(
                        codes::CONVERT_NARROWER,
                        rule,
                        format!("{what}: less is allowed"),
                    );
                }
                for what in &written.more {
                    self.note(
                        codes::CONVERT_WIDER,
                        rule,
                        format!("{what}: more may be allowed"),
                    );
                }
                if written.everything {
                    entries.push(Map::new());
                }
                // Beside every destination too: an address that is named may open more than one that is not.
                if !written.to.is_empty() {
                    entries.push(Map::new().with("to", written.to));
                }
            }
        }
        let written = ports::ports(rule);
        for what in &written.unsaid {
            let message = format!("{what} cannot be said: left out, so less is allowed");
            self.note(codes::CONVERT_PORTS, rule, message);
        }
        if written.all {
            return entries;
        }
        if written.ports.is_empty() {
            return Vec::new();
        }
        for entry in &mut entries {
            entry.push("ports", written.ports.clone());
        }
        entries
    }

    fn note(&mut self, code: Code, rule: &Rule, message: impl Into<String>) {
        self.losses.note(code, self.policy, &rule.origin, message);
    }
}
