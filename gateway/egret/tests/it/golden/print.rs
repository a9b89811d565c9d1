//! Policies and rulesets as text that shows everything a reader of a policy can ask about.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use dns_names::Name;
use policy_engine::{LeaseRules, ListId, Lists, PortList, PortVerdict, Reason, Ruleset, Verdict};
use policy_model::{
    AddressedSubject, DenyStyle, FqdnBy, KubernetesSubject, LabelOperator, LabelSelector, Peer,
    Peers, PlainSubject, Policy, PortMatch, Ports, Protocol, Rule, Scope, ServiceRef, Standing,
    Subject, TextPattern,
};

/// An address nobody else uses, for what a name opens.
const SOMEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 250));

pub(super) fn model(policies: &[Policy]) -> String {
    let mut out = String::new();
    for policy in policies {
        let Policy {
            id,
            origin,
            tier,
            order,
            tie: _,
            subject,
            isolates,
            standing,
            deny_style,
            dns,
            rules,
        } = policy;
        write!(out, "{id}  {origin}\n  tier {tier}, order {}", order.0).expect("a string");
        if *isolates {
            out.push_str(", isolates");
        }
        match standing {
            Standing::Enforced => {}
            Standing::Audit => out.push_str(", audit"),
            Standing::Staged(change) => write!(out, ", staged {change:?}").expect("a string"),
        }
        if let Some(style) = deny_style {
            write!(out, ", deny {style:?}").expect("a string");
        }
        write!(out, ", dns {dns:?}\n  subject {}\n", self::subject(subject)).expect("a string");
        for rule in rules {
            self::rule(&mut out, rule);
        }
        out.push('\n');
    }
    out
}

fn rule(out: &mut String, rule: &Rule) {
    let Rule {
        index,
        name,
        origin,
        action,
        peers,
        ports,
        named_ports,
        questions,
        allow_private,
        sni,
        http,
        closed,
    } = rule;
    write!(out, "  rule {index}").expect("a string");
    if let Some(name) = name {
        write!(out, " `{name}`").expect("a string");
    }
    writeln!(out, " {}  {origin}  {}", action.as_str(), origin.path).expect("a string");
    match peers {
        Peers::Any => out.push_str("    to any\n"),
        Peers::Of(peers) if peers.is_empty() => out.push_str("    to nothing\n"),
        Peers::Of(peers) => {
            for peer in peers {
                writeln!(out, "    to {}", self::peer(peer)).expect("a string");
            }
        }
    }
    match ports {
        Ports::Any => {}
        Ports::Only(ports) if ports.is_empty() => out.push_str("    ports none by number\n"),
        Ports::Only(ports) => {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            writeln!(out, "    ports {}", ports.join(", ")).expect("a string");
        }
        Ports::AllBut(ports) => {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            writeln!(out, "    ports all but {}", ports.join(", ")).expect("a string");
        }
    }
    if !named_ports.is_empty() {
        writeln!(out, "    {named_ports:?}").expect("a string");
    }
    if let Some(questions) = questions {
        let questions: Vec<&str> = questions.iter().map(|pattern| pattern.as_str()).collect();
        writeln!(out, "    questions {}", questions.join(", ")).expect("a string");
    }
    if *allow_private {
        out.push_str("    may be private\n");
    }
    if let Some(sni) = sni {
        writeln!(out, "    sni {sni:?}").expect("a string");
    }
    for http in http {
        let texts = |of: &[TextPattern]| {
            let texts: Vec<&str> = of.iter().map(TextPattern::as_str).collect();
            format!("{texts:?}")
        };
        let (methods, paths) = (texts(&http.methods), texts(&http.paths));
        write!(out, "    http {methods} {paths}").expect("a string");
        if !http.hosts.is_empty() {
            write!(out, " hosts {}", texts(&http.hosts)).expect("a string");
        }
        for header in &http.headers {
            let value = header.value.as_ref().map(TextPattern::as_str);
            write!(out, " header {} {value:?}", header.name).expect("a string");
        }
        out.push('\n');
    }
    if let Some(closed) = closed {
        writeln!(out, "    closed {closed}").expect("a string");
    }
}

fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Block(block) => {
            let except: Vec<String> = block.except.iter().map(ToString::to_string).collect();
            let except = if except.is_empty() {
                String::new()
            } else {
                format!(" except {}", except.join(", "))
            };
            format!("{}{except}{}", block.net, scope(block.scope))
        }
        Peer::Fqdn(peer) => {
            let by = match peer.by {
                FqdnBy::Question => ", by question",
                FqdnBy::Chain => ", by chain",
            };
            format!("name {}{by}{}", peer.pattern.as_str(), scope(peer.scope))
        }
        Peer::Entity(entity) => format!("entity {}", entity.as_str()),
        Peer::Metadata(preset) => format!("metadata {}", preset.as_str()),
        Peer::Pods(pods) => {
            let own = pods.namespace.as_deref().unwrap_or("all");
            let namespaces = pods
                .namespaces
                .as_ref()
                .map_or_else(|| own.to_owned(), selector);
            let accounts = if pods.service_accounts.is_empty() {
                String::new()
            } else {
                format!(" as {}", pods.service_accounts.join(", "))
            };
            format!(
                "pods {} in namespaces {namespaces}{accounts}",
                selector(&pods.pods)
            )
        }
        Peer::Nodes(nodes) => {
            let remote = if nodes.remote { "remote " } else { "" };
            format!("{remote}nodes {}", selector(&nodes.labels))
        }
        Peer::Service(service) => {
            let namespace = service.namespace.as_deref().unwrap_or("*");
            let which = match &service.service {
                ServiceRef::Name(name) => name.to_string(),
                ServiceRef::Labels(labels) => selector(labels),
            };
            format!("service {namespace}/{which}")
        }
        Peer::Endpoints(endpoints) => format!("endpoints {endpoints:?}"),
        Peer::Set(name) => format!("set {name}"),
    }
}

const fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Any => "",
        Scope::Outside => ", outside",
    }
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::All => "all".to_owned(),
        Subject::Kubernetes(KubernetesSubject {
            namespace,
            namespaces,
            pods,
            service_accounts,
            nodes,
            host_network: _,
        }) => {
            let mut parts = Vec::new();
            parts.extend(
                namespace
                    .as_ref()
                    .map(|namespace| format!("namespace {namespace}")),
            );
            parts.extend(
                namespaces
                    .as_ref()
                    .map(|namespaces| format!("namespaces {}", selector(namespaces))),
            );
            parts.extend(pods.as_ref().map(|pods| format!("pods {}", selector(pods))));
            parts.extend(
                nodes
                    .as_ref()
                    .map(|nodes| format!("nodes {}", selector(nodes))),
            );
            if !service_accounts.is_empty() {
                parts.push(format!("service accounts {}", service_accounts.join(", ")));
            }
            parts.join(", ")
        }
        Subject::Endpoints(expression) => format!("endpoints {expression:?}"),
        Subject::Addressed(AddressedSubject {
            endpoints,
            nets,
            not_nets,
        }) => format!("endpoints {endpoints:?} in {nets:?}, not in {not_nets:?}"),
        Subject::HostEndpoint(name) => format!("host endpoint {name}"),
        Subject::Nodes(nodes) => format!("in the network of nodes {}", selector(nodes)),
        Subject::Plain(PlainSubject {
            unit,
            user,
            cgroup,
            container,
            command,
        }) => {
            format!(
                "unit {unit:?}, user {user:?}, cgroup {cgroup:?}, container {container:?}, command {command:?}"
            )
        }
    }
}

fn selector(selector: &LabelSelector) -> String {
    let labels = selector
        .match_labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    let expressions =
        selector
            .match_expressions
            .iter()
            .map(|expression| match &expression.operator {
                LabelOperator::In(values) => {
                    format!("{} in ({})", expression.key, values.join(", "))
                }
                LabelOperator::NotIn(values) => {
                    format!("{} not in ({})", expression.key, values.join(", "))
                }
                LabelOperator::Exists => format!("{} exists", expression.key),
                LabelOperator::DoesNotExist => format!("{} does not exist", expression.key),
            });
    format!(
        "{{{}}}",
        labels.chain(expressions).collect::<Vec<_>>().join("; ")
    )
}

pub(super) fn ruleset(ruleset: &Ruleset, lists: &mut Lists, policies: &[Policy]) -> String {
    let mut out = String::new();
    out.push_str(if ruleset.filtered() {
        "names are filtered\n"
    } else {
        "names are not filtered\n"
    });
    let mut shown: Vec<ListId> = Vec::new();
    let number =
        |id: ListId, shown: &mut Vec<ListId>| match shown.iter().position(|known| *known == id) {
            Some(at) => at + 1,
            None => {
                shown.push(id);
                shown.len()
            }
        };
    out.push_str("\nprefixes\n");
    for (net, list) in ruleset.statics() {
        writeln!(
            out,
            "  {:<22} list {}",
            net.to_string(),
            number(*list, &mut shown)
        )
        .expect("a string");
    }
    let mut names: Vec<(String, Name)> = Vec::new();
    for rule in policies.iter().flat_map(|policy| &policy.rules) {
        let Peers::Of(peers) = &rule.peers else {
            continue;
        };
        for peer in peers {
            let Peer::Fqdn(peer) = peer else { continue };
            let text = peer.pattern.as_str();
            let sample = text.replace("**", "a.b").replace('*', "a");
            if let Ok(sample) = Name::parse(&sample)
                && !names.iter().any(|(known, _)| known == text)
            {
                names.push((text.to_owned(), sample));
            }
        }
    }
    if !names.is_empty() {
        out.push_str("\nnames, on an address of their own\n");
    }
    for (pattern, sample) in names {
        let rules = LeaseRules {
            rules: ruleset.name_rules(&sample, &[]),
            expires_at: Duration::from_secs(60),
        };
        let steps = ruleset
            .fold(lists, SOMEWHERE, &[rules])
            .expect("one lease is no limit");
        let list = steps
            .first()
            .map_or_else(|| ruleset.static_list(SOMEWHERE), |step| step.list);
        writeln!(out, "  {pattern:<22} list {}", number(list, &mut shown)).expect("a string");
    }
    for (at, id) in shown.iter().enumerate() {
        writeln!(out, "\nlist {}", at + 1).expect("a string");
        list(&mut out, lists.get(*id), ruleset);
    }
    out
}

fn list(out: &mut String, list: &PortList, ruleset: &Ruleset) {
    let mut protocols: Vec<Protocol> = list.rows().iter().filter_map(|row| row.protocol).collect();
    protocols.sort_unstable();
    protocols.dedup();
    for protocol in protocols {
        let mut first = 0;
        for port in 0..=u16::MAX {
            let verdict = list.look_up(protocol, port);
            let ends = port == u16::MAX || list.look_up(protocol, port + 1) != verdict;
            if ends {
                line(
                    out,
                    &PortMatch::range(protocol, first, port).to_string(),
                    verdict,
                    ruleset,
                );
                first = port.wrapping_add(1);
            }
        }
    }
    let rest = list
        .rows()
        .first()
        .expect("a list has a default row")
        .verdict;
    line(out, "other", rest, ruleset);
}

fn line(out: &mut String, what: &str, verdict: PortVerdict, ruleset: &Ruleset) {
    let style = match (verdict.verdict, verdict.style) {
        (Verdict::Allow, _) => "",
        (Verdict::Deny, DenyStyle::Reject) => " reject",
        (Verdict::Deny, DenyStyle::Drop) => " drop",
    };
    write!(
        out,
        "  {what:<16} {}{style}: {}",
        verdict.verdict.as_str(),
        reason(ruleset.reason(verdict.reason))
    )
    .expect("a string");
    if verdict.would != verdict.verdict || verdict.would_reason != verdict.reason {
        write!(
            out,
            "; would {}: {}",
            verdict.would.as_str(),
            reason(ruleset.reason(verdict.would_reason))
        )
        .expect("a string");
    }
    out.push('\n');
}

fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Guard(guard) => guard.code().to_owned(),
        Reason::Rule(rule) => {
            let closed = rule
                .closed
                .map_or_else(String::new, |code| format!(", closed {code}"));
            format!("rule {} of {}{closed}", rule.index, rule.policy)
        }
        Reason::TierEnd { .. }
        | Reason::Isolated { .. }
        | Reason::Service(_)
        | Reason::Default
        | Reason::NoPolicy
        | Reason::OwnAddress
        | Reason::NotNamed { .. }
        | Reason::SearchExpansion
        | Reason::NotFiltered => reason.to_string(),
    }
}
