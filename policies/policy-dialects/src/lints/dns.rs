//! Workloads that are denied what no rule allows, are allowed something by name, and may ask no resolver.
//!
//! A policy that denies everything on purpose is no mistake, and an address can be reached without a name. So there must be a
//! rule that is of little use without names, policies that close the rest, and nothing that may let them ask: whatever
//! mentions the port counts, and whatever is so wide that a resolver may be meant.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use policy_model::{
    Action, Cluster, Diagnostic, Entity, Peer, Peers, Policy, PortMatch, Ports, Protocol, Rule,
    Scope, Standing, Subject, TierEnd,
};

use super::meeting::{Crowd, Fixed, as_subject};
use super::tell;
use crate::codes;

/// Where DNS servers listen; the second is that of OpenShift's pods.
const DNS_PORTS: [u16; 2] = [53, 5353];

/// What is everywhere on these ports is reached by name.
const WEB_PORTS: [u16; 2] = [80, 443];

/// The address that NodeLocal DNSCache has on every node, and the label of its pods.
const NODE_LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 20, 10));
const NODE_LOCAL_LABEL: (&str, &str) = ("k8s-app", "node-local-dns");

pub(super) fn lint(policies: &[Policy], cluster: &Cluster, out: &mut Vec<Diagnostic>) {
    let enforced: Vec<&Policy> = policies.iter().filter(|one| is_about_pods(one)).collect();
    let of =
        |holds: fn(&Policy) -> bool| Crowd::of(enforced.iter().copied().filter(|one| holds(one)));
    let closing = of(closes);
    if closing.is_empty() {
        return;
    }
    let asking = of(lets_ask);
    // One finding for a namespace is enough: one rule mends them all.
    let mut told = BTreeSet::new();
    let mut told_of: Vec<&Policy> = Vec::new();
    for policy in enforced.iter().copied() {
        let Some(rule) = policy.rules.iter().find(|rule| needs_names(policy, rule)) else {
            continue;
        };
        if !told.contains(&place(policy))
            && closing.meeting(policy).next().is_some()
            && asking.meeting(policy).next().is_none()
        {
            told.insert(place(policy));
            told_of.push(policy);
            out.push(tell(
                codes::DNS_NOT_ALLOWED,
                policy,
                &rule.origin,
                "this is reached by name, and no rule lets the workloads ask a DNS server",
                ALLOW_DNS,
            ));
        }
    }
    let told_of = Crowd::of(told_of);
    let inside = of(|policy| policy.rules.iter().any(leads_inside));
    for closed in enforced.iter().copied().filter(|one| is_default_deny(one)) {
        let mut allowing = inside
            .meeting(closed)
            .filter(|policy| asking.meeting(policy).next().is_none());
        if told_of.meeting(closed).next().is_none()
            && let Some(allowing) = allowing.next()
            && told.insert(place(allowing))
        {
            out.push(tell(
                codes::DNS_NOT_ALLOWED,
                closed,
                &closed.origin,
                format!(
                    "DNS is denied with everything else, and `{}` allows what is reached by name",
                    allowing.id
                ),
                ALLOW_DNS,
            ));
        }
    }
    node_local(&closing, &enforced, cluster, out);
}

const ALLOW_DNS: &str = "allow UDP and TCP port 53 to the cluster's DNS pods (`k8s-app: kube-dns` of kube-system), to `entity: dns`, or to the servers in use";

/// Rules for DNS that mean pods, in a cluster whose pods ask a cache on their node.
fn node_local(
    closing: &Crowd<'_>,
    enforced: &[&Policy],
    cluster: &Cluster,
    out: &mut Vec<Diagnostic>,
) {
    let (key, value) = NODE_LOCAL_LABEL;
    let runs = cluster
        .pods
        .values()
        .any(|pod| pod.host_network && pod.labels.get(key).is_some_and(|own| **own == *value));
    if !runs {
        return;
    }
    let reaches = |policy: &Policy| {
        policy.dns.opens_resolvers() && has_names(policy)
            || policy.rules.iter().any(|rule| {
                allows(rule) && on_dns(rule) != OnDns::No && may_be(rule, may_be_on_a_node)
            })
    };
    let reaching = Crowd::of(enforced.iter().copied().filter(|one| reaches(one)));
    let mut told = BTreeSet::new();
    for policy in enforced {
        let rule = policy.rules.iter().find(|rule| {
            allows(rule) && on_dns(rule) == OnDns::Named && matches!(rule.peers, Peers::Of(_))
        });
        if let Some(rule) = rule
            && closing.meeting(policy).next().is_some()
            && reaching.meeting(policy).next().is_none()
            && told.insert(place(policy))
        {
            out.push(tell(
                codes::DNS_NODE_LOCAL,
                policy,
                &rule.origin,
                format!("pods of this cluster ask a cache on their node ({NODE_LOCAL}), which is no pod that a selector means"),
                "allow port 53 to that address too",
            ));
        }
    }
}

/// In force, and not about the hosts themselves.
fn is_about_pods(policy: &Policy) -> bool {
    policy.standing == Standing::Enforced
        && !matches!(policy.subject, Subject::HostEndpoint(_) | Subject::Nodes(_))
}

/// Whether it denies what no rule allows, DNS too.
fn closes(policy: &Policy) -> bool {
    let everything = |action: Action| {
        policy.rules.iter().any(|rule| {
            rule.action == action
                && rule.closed.is_none()
                && rule.ports == Ports::Any
                && is_everywhere(rule)
        })
    };
    let by_its_end = match policy.tier.end {
        TierEnd::Deny | TierEnd::DenyUnlessIsolatedElsewhere => !everything(Action::Pass),
        TierEnd::Next | TierEnd::DenyIfIsolated => false,
    };
    policy.isolates || by_its_end || everything(Action::Deny)
}

/// Whether every address is meant, the cluster's too.
fn is_everywhere(rule: &Rule) -> bool {
    match &rule.peers {
        Peers::Any => true,
        Peers::Of(peers) => peers.iter().any(|peer| {
            matches!(peer, Peer::Block(block) if block.net.prefix_len() == 0 && block.scope == Scope::Any)
        }),
    }
}

/// Denies everything that its namespaces or the cluster have, and allows nothing.
fn is_default_deny(policy: &Policy) -> bool {
    closes(policy)
        && !policy.rules.iter().any(allows)
        && Fixed::of(&policy.subject).is_whole_namespace()
}

fn allows(rule: &Rule) -> bool {
    rule.action == Action::Allow && rule.closed.is_none()
}

fn has_names(policy: &Policy) -> bool {
    let named = |rule: &Rule| matches!(&rule.peers, Peers::Of(peers) if peers.iter().any(|peer| matches!(peer, Peer::Fqdn(_))));
    policy.rules.iter().any(|rule| allows(rule) && named(rule))
}

/// Whether a rule is of little use to who may ask no resolver: names, and the web anywhere.
fn needs_names(policy: &Policy, rule: &Rule) -> bool {
    if !allows(rule) {
        return false;
    }
    let web = on_dns(rule) == OnDns::No && on_web(rule);
    match &rule.peers {
        Peers::Any => web,
        Peers::Of(peers) => peers.iter().any(|peer| match peer {
            Peer::Fqdn(_) => !policy.dns.opens_resolvers(),
            Peer::Block(block) => web && block.net.prefix_len() == 0,
            Peer::Entity(entity) => web && is_wide(*entity),
            Peer::Metadata(_)
            | Peer::Pods(_)
            | Peer::Nodes(_)
            | Peer::Service(_)
            | Peer::Endpoints(_)
            | Peer::Set(_) => false,
        }),
    }
}

/// Whether the ports of the web are chosen.
fn on_web(rule: &Rule) -> bool {
    match &rule.ports {
        Ports::Only(ports) => ports.iter().any(|port| {
            matches!(port.protocol, Protocol::TCP | Protocol::UDP)
                && WEB_PORTS
                    .iter()
                    .any(|web| (port.first..=port.last).contains(web))
        }),
        Ports::Any | Ports::AllBut(_) => false,
    }
}

fn is_wide(entity: Entity) -> bool {
    match entity {
        Entity::World | Entity::WorldIpv4 | Entity::WorldIpv6 | Entity::Cluster | Entity::All => {
            true
        }
        Entity::Host
        | Entity::RemoteNode
        | Entity::Loopback
        | Entity::Dns
        | Entity::KubeApiserver => false,
    }
}

/// Whether a rule leads to what a cluster gives names to.
fn leads_inside(rule: &Rule) -> bool {
    let inside =
        |peer: &Peer| matches!(peer, Peer::Pods(_) | Peer::Service(_) | Peer::Endpoints(_));
    allows(rule) && matches!(&rule.peers, Peers::Of(peers) if peers.iter().any(inside))
}

/// Whether a policy may let somebody ask a resolver.
fn lets_ask(policy: &Policy) -> bool {
    policy.dns.opens_resolvers() && has_names(policy)
        || policy.rules.iter().any(|rule| {
            allows(rule)
                && match on_dns(rule) {
                    OnDns::Named => !only_names(rule),
                    OnDns::Covered => may_be(rule, may_be_a_resolver),
                    OnDns::No => false,
                }
        })
}

/// How a rule's ports have to do with DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnDns {
    /// The port is written: somebody thought of it.
    Named,
    /// Every port is meant, or a range that holds it.
    Covered,
    No,
}

fn on_dns(rule: &Rule) -> OnDns {
    let is_dns = |port: &PortMatch| {
        matches!(port.protocol, Protocol::UDP | Protocol::TCP)
            && DNS_PORTS
                .iter()
                .any(|dns| (port.first..=port.last).contains(dns))
    };
    let by_name = rule
        .named_ports
        .any_of
        .iter()
        .any(|port| port.name.contains("dns"));
    match &rule.ports {
        _ if by_name || rule.questions.is_some() => OnDns::Named,
        Ports::Any => OnDns::Covered,
        Ports::Only(ports) => match ports.iter().find(|port| is_dns(port)) {
            Some(port) if port.first == port.last => OnDns::Named,
            Some(_) => OnDns::Covered,
            None => OnDns::No,
        },
        Ports::AllBut(ports) if ports.iter().any(is_dns) => OnDns::No,
        Ports::AllBut(_) => OnDns::Covered,
    }
}

fn only_names(rule: &Rule) -> bool {
    matches!(&rule.peers, Peers::Of(peers) if peers.iter().all(|peer| matches!(peer, Peer::Fqdn(_))))
}

fn may_be(rule: &Rule, holds: fn(&Peer) -> bool) -> bool {
    match &rule.peers {
        Peers::Any => true,
        Peers::Of(peers) => peers.iter().any(holds),
    }
}

/// Whether one of the destinations may be a DNS server: all but what lies in a namespace that has none.
fn may_be_a_resolver(peer: &Peer) -> bool {
    let namespace = match peer {
        Peer::Fqdn(_) | Peer::Metadata(_) => return false,
        Peer::Block(_) | Peer::Entity(_) | Peer::Nodes(_) | Peer::Set(_) => return true,
        Peer::Service(service) => service.namespace.clone(),
        Peer::Pods(_) | Peer::Endpoints(_) => {
            as_subject(peer).and_then(|subject| Fixed::of(&subject).namespace().cloned())
        }
    };
    namespace.is_none_or(|name| *name == *"kube-system" || name.contains("dns"))
}

fn may_be_on_a_node(peer: &Peer) -> bool {
    match peer {
        Peer::Block(block) => {
            block.net.contains(&NODE_LOCAL)
                && !block.except.iter().any(|net| net.contains(&NODE_LOCAL))
        }
        Peer::Entity(_) | Peer::Nodes(_) | Peer::Set(_) => true,
        // A set may hold the address.
        Peer::Endpoints(_) => true,
        Peer::Fqdn(_) | Peer::Metadata(_) | Peer::Pods(_) | Peer::Service(_) => false,
    }
}

fn place(policy: &Policy) -> String {
    policy
        .id
        .namespace
        .as_ref()
        .map_or_else(|| policy.id.to_string(), ToString::to_string)
}
