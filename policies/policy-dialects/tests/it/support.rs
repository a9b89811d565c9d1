use policy_dialects::{Context, read};
use policy_model::{Diagnostic, LabelSelector, Level, Peer, Peers, Policy, Ports, Rule, Scope};

/// Reads text that is expected to be one file.
pub(crate) fn read_text(text: &str) -> (Vec<Policy>, Vec<Diagnostic>) {
    let reading = read("policy.yaml", text, &Context::default());
    (reading.policies, reading.diagnostics)
}

/// The codes found, in order.
pub(crate) fn codes(diagnostics: &[Diagnostic]) -> Vec<&'static str> {
    diagnostics
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect()
}

pub(crate) fn has_level(diagnostics: &[Diagnostic], level: Level) -> bool {
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic.level == level)
}

/// A policy in one line and its rules in one each, short enough to stand in a table of cases.
pub(crate) fn told(policies: &[Policy]) -> Vec<String> {
    let mut lines = Vec::new();
    for policy in policies {
        let isolates = if policy.isolates { ", isolates" } else { "" };
        lines.push(format!("{} at {}{isolates}", policy.tier, policy.order.0));
        lines.extend(policy.rules.iter().map(rule));
    }
    lines
}

fn rule(rule: &Rule) -> String {
    let peers = match &rule.peers {
        Peers::Any => "anywhere".to_owned(),
        Peers::Of(peers) => {
            let peers: Vec<String> = peers.iter().map(peer).collect();
            format!("[{}]", peers.join(", "))
        }
    };
    let closed = rule
        .closed
        .map_or_else(String::new, |code| format!(" closed by {code}"));
    format!(
        "{} {} to {peers} on {}{closed}",
        rule.index,
        rule.action.as_str(),
        ports(rule)
    )
}

fn ports(rule: &Rule) -> String {
    let mut words: Vec<String> = match &rule.ports {
        Ports::Any => vec!["any".into()],
        Ports::Only(ports) => ports.iter().map(ToString::to_string).collect(),
        Ports::AllBut(ports) => ports.iter().map(|port| format!("not {port}")).collect(),
    };
    words.extend(rule.named_ports.any_of.iter().map(|named| {
        let protocol = named
            .protocol
            .map_or_else(String::new, |protocol| format!("/{protocol}"));
        format!("{}{protocol}", named.name)
    }));
    words.join(" ")
}

fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Block(block) => {
            let except: Vec<String> = block.except.iter().map(|net| format!("-{net}")).collect();
            let scope = match block.scope {
                Scope::Any => "",
                Scope::Outside => " outside",
            };
            format!("{}{}{scope}", block.net, except.concat())
        }
        Peer::Fqdn(fqdn) => fqdn.pattern.to_string(),
        Peer::Pods(pods) => {
            let namespaces = match (&pods.namespace, &pods.namespaces) {
                (Some(namespace), None) => namespace.to_string(),
                (None, Some(selector)) => labels(selector),
                (both, _) => panic!("pods of {both:?} and of a selector"),
            };
            format!("pods {namespaces}/{}", labels(&pods.pods))
        }
        Peer::Nodes(nodes) => {
            let remote = if nodes.remote { "remote " } else { "" };
            format!("{remote}nodes {}", labels(&nodes.labels))
        }
        Peer::Entity(_)
        | Peer::Metadata(_)
        | Peer::Service(_)
        | Peer::Endpoints(_)
        | Peer::Set(_) => {
            format!("{peer:?}")
        }
    }
}

pub(crate) fn labels(selector: &LabelSelector) -> String {
    let equal = selector
        .match_labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    let others = selector
        .match_expressions
        .iter()
        .map(|expression| format!("{} {:?}", expression.key, expression.operator));
    let all: Vec<String> = equal.chain(others).collect();
    format!("{{{}}}", all.join(","))
}
