//! From the model to `cilium.io/v2`.

mod peers;
mod ports;
mod rule;
mod selector;

use dns_names::{Grammar, NamePattern};
use policy_model::{Cluster, DnsFilter, KubernetesSubject, Peer, Peers, Policy, Rule, Subject};

use crate::codes;
use crate::convert::{Flat, Losses, Names, flatten, moved, subjects};
use crate::kubernetes::ALLOW_PRIVATE;
use crate::yaml::write::{Map, Written};

use rule::RuleWriter;

/// Every policy as objects of Cilium's kinds, in the order of the walk.
pub(crate) fn objects(policies: &[Policy], cluster: &Cluster, losses: &mut Losses) -> Vec<Written> {
    let policies = moved(policies, losses);
    let flat = flatten(&policies, losses);
    // Cilium's limits on questions add up over policies; where one has them, the others' names are no part of them.
    let limited = flat
        .iter()
        .flat_map(|one| &one.allows)
        .any(|rule| rule.questions.is_some());
    let mut names = Names::default();
    let mut written = Vec::new();
    for one in &flat {
        for whom in whom(one.policy, losses) {
            written.extend(object(one, &whom, cluster, limited, &mut names, losses));
        }
    }
    written
}

/// Whom an object selects.
enum Whom {
    Pods(KubernetesSubject),
    Nodes(Map),
}

fn whom(policy: &Policy, losses: &mut Losses) -> Vec<Whom> {
    if let Subject::Nodes(nodes) = &policy.subject {
        return vec![Whom::Nodes(crate::kubernetes::selector(nodes))];
    }
    let mut found = Vec::new();
    for subject in subjects(policy, losses) {
        let unsaid = match selector::too_long(subject.namespaces.as_ref()) {
            _ if subject.nodes.is_some() => "pods cannot be selected by their node".to_owned(),
            Some(key) => format!("namespaces cannot be selected by so long a label as `{key}`"),
            None => {
                found.push(Whom::Pods(subject));
                continue;
            }
        };
        losses.note(
            codes::CONVERT_SUBJECT,
            policy,
            &policy.origin,
            format!("{unsaid}: the policy is left out"),
        );
    }
    found
}

fn object(
    flat: &Flat<'_>,
    whom: &Whom,
    cluster: &Cluster,
    limited: bool,
    names: &mut Names,
    losses: &mut Losses,
) -> Option<Written> {
    let policy = flat.policy;
    // A selector of namespaces is one of the whole cluster.
    let namespace = match whom {
        Whom::Pods(subject) if subject.namespaces.is_none() => subject.namespace.as_deref(),
        Whom::Pods(_) | Whom::Nodes(_) => None,
    };
    let mut writer = RuleWriter {
        policy,
        namespace,
        cluster,
        losses,
    };
    let mut egress: Vec<Map> = Vec::new();
    let mut patterns: Vec<NamePattern> = Vec::new();
    for rule in &flat.allows {
        let (mut entries, mut said) = writer.allow(rule);
        egress.append(&mut entries);
        patterns.append(&mut said);
    }
    let mut deny: Vec<Map> = Vec::new();
    for rule in &flat.denies {
        deny.extend(writer.deny(rule));
    }
    egress.extend(dns(flat, &patterns, limited, losses));
    if egress.is_empty() && deny.is_empty() && !flat.isolates {
        return None;
    }
    let (selector_word, selector) = match whom {
        Whom::Pods(subject) => ("endpointSelector", selector::of_subject(subject, namespace)),
        Whom::Nodes(nodes) => ("nodeSelector", nodes.clone()),
    };
    let mut spec = Map::new().with(selector_word, selector);
    if !flat.isolates {
        spec.push("enableDefaultDeny", Map::new().with("egress", false));
    }
    if egress.is_empty() && flat.isolates && deny.is_empty() {
        // An entry without any member isolates and allows nothing.
        egress.push(Map::new());
    }
    if !egress.is_empty() {
        spec.push("egress", egress);
    }
    if !deny.is_empty() {
        spec.push("egressDeny", deny);
    }
    let kind = match namespace {
        Some(_) => "CiliumNetworkPolicy",
        None => "CiliumClusterwideNetworkPolicy",
    };
    let mut metadata = Map::new()
        .with("name", names.take(kind, namespace, policy))
        .with_some("namespace", namespace);
    if private(flat, losses) {
        metadata.push("annotations", Map::new().with(ALLOW_PRIVATE, "true"));
    }
    Some(Written {
        comments: vec![format!("from {} ({})", policy.id, policy.origin)],
        object: Map::new()
            .with("apiVersion", "cilium.io/v2")
            .with("kind", kind)
            .with("metadata", metadata)
            .with("spec", spec),
    })
}

/// The entry by which Cilium sees the look-ups of names, and which names may be asked.
fn dns(
    flat: &Flat<'_>,
    patterns: &[NamePattern],
    limited: bool,
    losses: &mut Losses,
) -> Option<Map> {
    let policy = flat.policy;
    let mut note = |code, message: &str| losses.note(code, policy, &policy.origin, message);
    let asks = flat.allows.iter().any(|rule| rule.questions.is_some());
    if asks && flat.dns != DnsFilter::Filter {
        note(
            codes::CONVERT_NARROWER,
            "`rules.dns` limits the names that may be asked of every server",
        );
    }
    if patterns.is_empty() {
        if flat.dns == DnsFilter::Filter && !asks {
            note(
                codes::CONVERT_QUESTIONS,
                "no names are left by which look-ups would be filtered: every name may be asked of servers that other rules allow",
            );
        }
        return None;
    }
    if flat.dns == DnsFilter::Learn {
        note(
            codes::CONVERT_NARROWER,
            "every name may be asked of the cluster's own DNS only; of other servers those of `toFQDNs`",
        );
    }
    if flat.watches {
        note(
            codes::CONVERT_QUESTIONS,
            "`toFQDNs` opens the known DNS servers",
        );
        note(
            codes::CONVERT_NARROWER,
            "`toFQDNs` needs look-ups that are seen, so names are filtered",
        );
    }
    if limited {
        if flat.dns == DnsFilter::Filter && !flat.isolates && !asks {
            let message =
                "look-ups of names are filtered by policies that isolate; by this one no longer";
            losses.note(codes::CONVERT_QUESTIONS, policy, &policy.origin, message);
        }
        return None;
    }
    let every = || {
        NamePattern::parse(Grammar::Cilium, "*")
            .into_iter()
            .collect()
    };
    let asked: Vec<NamePattern> = match flat.dns {
        DnsFilter::Learn => every(),
        DnsFilter::Filter | DnsFilter::Untouched => patterns.to_vec(),
    };
    let names: Vec<Map> = asked.iter().map(peers::name).collect();
    let ports = vec![Map::new().with("port", "53").with("protocol", "ANY")];
    let rule = Map::new()
        .with("ports", ports)
        .with("rules", Map::new().with("dns", names));
    Some(
        Map::new()
            .with("toEndpoints", vec![selector::cluster_dns()])
            .with("toPorts", vec![rule]),
    )
}

/// Whether the object's names may hold private addresses: all of them, or none.
fn private(flat: &Flat<'_>, losses: &mut Losses) -> bool {
    let by_name = |rule: &&&Rule| match &rule.peers {
        Peers::Any => false,
        Peers::Of(peers) => peers.iter().any(|peer| matches!(peer, Peer::Fqdn(_))),
    };
    let names: Vec<&&Rule> = flat.allows.iter().filter(by_name).collect();
    let all = names.iter().all(|rule| rule.allow_private);
    if !all {
        for rule in names.iter().filter(|rule| rule.allow_private) {
            losses.note(
                codes::CONVERT_NARROWER,
                flat.policy,
                &rule.origin,
                "names may hold private addresses in all rules of an object or in none: no longer here",
            );
        }
    }
    all && !names.is_empty()
}
