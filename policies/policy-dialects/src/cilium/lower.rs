//! From `cilium.io/v2` to the model.

use std::sync::Arc;

use dns_names::{Grammar, NamePattern};
use policy_model::{
    Action, Block, DnsFilter, FqdnBy, FqdnPeer, ObjectRef, Order, Peer, Peers, Policy, PortMatch,
    Ports, Rule, Scope, Standing, Subject, TierRef,
};

use super::labels;
use super::ports::{ANY, PortRuleSpec, PortSpec};
use super::v2::{EgressSpec, EntitySpec, PeersSpec, PolicyRuleSpec, SubjectSpec};
use crate::Context;
use crate::codes::{self, Code};
use crate::decode::{At, Findings};
use crate::kubernetes::MetadataSpec;
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

/// On an object of a dialect that cannot say `allowPrivate`: its names may hold private addresses.
const ALLOW_PRIVATE: &str = "egret.dev/allow-private";

/// Reads one object of either kind; nothing where it is refused.
pub(crate) fn read(
    object: &Object<'_>,
    _surroundings: &Surroundings,
    context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let mark = findings.mark();
    let Object {
        node,
        kind: _,
        id,
        metadata,
        is_repeated: _,
    } = object;
    let scope = object.scope();
    let mut bodies: Vec<Node<'_>> = node
        .get("spec")
        .filter(|node| !node.is_null())
        .into_iter()
        .collect();
    if let Some(specs) = node.get("specs").filter(|node| !node.is_null()) {
        bodies.extend(findings.list(specs).unwrap_or_default());
    }
    if bodies.is_empty() && !findings.refused_since(mark) {
        findings.report(
            codes::CILIUM_NO_SPEC,
            *node,
            "a policy has `spec`, `specs` or both",
        );
    }
    let allow_private = allow_private(metadata, findings);
    let mut policies = Vec::new();
    let mut index = 0;
    for body in bodies {
        if let Some(spec) = PolicyRuleSpec::decode(body, scope, context, findings) {
            lower(spec, id, allow_private, &mut index, findings, &mut policies);
        }
    }
    if findings.refused_since(mark) {
        Vec::new()
    } else {
        policies
    }
}

fn allow_private(metadata: &MetadataSpec<'_>, findings: &mut Findings) -> bool {
    match metadata.annotation(ALLOW_PRIVATE) {
        None => false,
        Some(At { value: "true", .. }) => true,
        Some(At { value: "false", .. }) => false,
        Some(At { value, node }) => {
            findings.report(
                codes::INVALID_VALUE,
                node,
                format!("`{value}` is neither \"true\" nor \"false\""),
            );
            false
        }
    }
}

fn lower(
    spec: PolicyRuleSpec<'_>,
    id: &ObjectRef,
    allow_private: bool,
    index: &mut u32,
    findings: &mut Findings,
    policies: &mut Vec<Policy>,
) {
    let PolicyRuleSpec {
        node,
        subject,
        egress,
        egress_deny,
        ingress,
        default_deny,
    } = spec;
    if let Some(ingress) = ingress {
        findings.report_help(
            codes::CILIUM_INGRESS,
            ingress,
            "ingress rules are not enforced",
            "Egret holds what a workload sends; leave ingress to the network",
        );
    }
    let Some(subject) = subject else { return };
    let subject = match subject {
        SubjectSpec::Endpoints(selector) => {
            Subject::Kubernetes(labels::lower(selector, id.namespace.as_ref(), findings))
        }
        SubjectSpec::Nodes(selector) => Subject::Nodes(selector.lower()),
    };
    let isolates = default_deny.unwrap_or(!egress.is_empty() || !egress_deny.is_empty());
    if default_deny.is_none()
        && egress.is_empty()
        && let Some(deny) = egress_deny.first()
    {
        findings.report_help(
            codes::CILIUM_DENY_ONLY_ISOLATES,
            deny.node,
            "a policy with only `egressDeny` also denies everything no other policy allows",
            "add `enableDefaultDeny: {egress: false}` to deny only what is named",
        );
    }
    let whole = Policy {
        id: id.clone(),
        origin: findings.origin(node),
        tier: TierRef::union(),
        order: Order(0.0),
        tie: Arc::from(""),
        subject,
        isolates,
        standing: Standing::Enforced,
        deny_style: None,
        dns: DnsFilter::Untouched,
        rules: Vec::new(),
    };
    let mut allows = Vec::new();
    for rule in egress {
        lower_egress(
            rule,
            Action::Allow,
            *index,
            allow_private,
            findings,
            &mut allows,
        );
        *index += 1;
    }
    let mut denies = Vec::new();
    for rule in egress_deny {
        lower_egress(rule, Action::Deny, *index, false, findings, &mut denies);
        *index += 1;
    }
    let asks = allows.iter().any(|rule| rule.questions.is_some());
    let names = allows.iter().any(|rule| matches!(&rule.peers, Peers::Of(peers) if peers.iter().any(|peer| matches!(peer, Peer::Fqdn(_)))));
    // `rules.dns` limits names even where the policy isolates nobody (cilium#38676).
    let dns = match (asks, names, isolates) {
        (true, _, _) | (false, true, true) => DnsFilter::Filter,
        (false, true, false) => DnsFilter::Learn,
        (false, false, _) => DnsFilter::Untouched,
    };
    if !denies.is_empty() {
        policies.push(Policy {
            tier: TierRef::deny(),
            isolates: false,
            rules: denies,
            ..whole.clone()
        });
    }
    if isolates || !allows.is_empty() {
        policies.push(Policy {
            dns,
            rules: allows,
            ..whole
        });
    }
}

/// The model's rules of one entry: peers and ports are alternatives, and each pair that can be enforced stands for itself.
fn lower_egress(
    spec: EgressSpec<'_>,
    action: Action,
    index: u32,
    allow_private: bool,
    findings: &Findings,
    rules: &mut Vec<Rule>,
) {
    let EgressSpec {
        node,
        peers,
        ports,
        icmps,
        closed,
    } = spec;
    let base = Rule {
        allow_private,
        ..Rule::new(index, action, findings.origin(node))
    };
    // Without a peer every destination is meant, but an entry without any member matches nothing: `egress: [{}]` is
    // how a policy isolates and allows nothing.
    let absent = if ports.is_empty() && icmps.is_empty() {
        Peers::Of(Vec::new())
    } else {
        Peers::Any
    };
    let peers = match peers {
        Some(at) => lower_peers(at.value, action),
        None => Side {
            open: Some(absent),
            closed: None,
        },
    };
    let ports = lower_ports(
        ports,
        icmps
            .iter()
            .map(|icmp| PortMatch::icmp(icmp.protocol, icmp.kind, None))
            .collect(),
        action,
    );
    let closed = closed.first().copied();
    if action == Action::Deny {
        // A Deny that cannot be known whole denies everything.
        let code = closed
            .or(peers.closed)
            .or_else(|| ports.iter().find_map(|part| part.closed));
        let mut merged = Vec::new();
        let mut any = false;
        for part in ports {
            match part.ports {
                Ports::Any => any = true,
                Ports::Only(mut list) => merged.append(&mut list),
                // This dialect has no such ports; more is denied where it would.
                Ports::AllBut(_) => any = true,
            }
        }
        rules.push(Rule {
            peers: peers.open.unwrap_or(Peers::Of(Vec::new())),
            ports: if any { Ports::Any } else { Ports::Only(merged) },
            closed: code.map(|code| code.id),
            ..base
        });
        return;
    }
    for part in ports {
        let rule = Rule {
            ports: part.ports,
            questions: part.questions,
            ..base.clone()
        };
        let code = closed.or(part.closed);
        if let Some(open) = &peers.open {
            rules.push(Rule {
                peers: open.clone(),
                closed: code.map(|code| code.id),
                ..rule.clone()
            });
        }
        if let Some(peer_code) = peers.closed {
            rules.push(Rule {
                peers: Peers::Of(Vec::new()),
                closed: Some(code.unwrap_or(peer_code).id),
                ..rule
            });
        }
    }
}

/// The peers that can be enforced, and why others cannot.
struct Side {
    open: Option<Peers>,
    closed: Option<Code>,
}

fn lower_peers(spec: PeersSpec<'_>, action: Action) -> Side {
    match spec {
        PeersSpec::Blocks(blocks) => Side {
            open: Some(Peers::Of(blocks.into_iter().map(Peer::Block).collect())),
            closed: None,
        },
        PeersSpec::Names(patterns) => {
            let peer = |pattern| {
                Peer::Fqdn(FqdnPeer {
                    pattern,
                    by: FqdnBy::Question,
                    scope: Scope::Outside,
                })
            };
            Side {
                open: Some(Peers::Of(patterns.into_iter().map(peer).collect())),
                closed: None,
            }
        }
        PeersSpec::Entities(entities) => {
            let mut closed = None;
            let mut open = Vec::new();
            for entity in &entities {
                match entity.value {
                    EntitySpec::Entity(entity) => open.push(Peer::Entity(entity)),
                    EntitySpec::World(net) => {
                        open.push(Peer::Block(Block::new(net, Scope::Outside)))
                    }
                    EntitySpec::Nothing => {}
                    EntitySpec::Cluster(_) => closed = Some(codes::CILIUM_CLUSTER_ENTITY),
                }
            }
            let only_closed = open.is_empty() && closed.is_some() && action == Action::Allow;
            Side {
                open: (!only_closed).then_some(Peers::Of(open)),
                closed,
            }
        }
        PeersSpec::Closed { count: 0, .. } => Side {
            open: Some(Peers::Of(Vec::new())),
            closed: None,
        },
        PeersSpec::Closed { code, .. } => Side {
            open: None,
            closed: Some(code),
        },
    }
}

/// The ports of one model rule.
struct Part {
    ports: Ports,
    questions: Option<Vec<NamePattern>>,
    closed: Option<Code>,
}

fn lower_ports(specs: Vec<PortRuleSpec>, icmps: Vec<PortMatch>, action: Action) -> Vec<Part> {
    if !icmps.is_empty() {
        return vec![Part {
            ports: Ports::Only(icmps),
            questions: None,
            closed: None,
        }];
    }
    if specs.is_empty() {
        return vec![Part {
            ports: Ports::Any,
            questions: None,
            closed: None,
        }];
    }
    let mut plain: Option<Part> = None;
    let mut parts = Vec::new();
    for spec in specs {
        let PortRuleSpec { ports, dns, closed } = spec;
        // Without a port of its own Cilium makes no entry at all: it allows nothing, and a Deny denies nothing.
        let list = lower_port_list(&ports);
        let closed = closed.first().copied();
        if dns.is_none() && closed.is_none() {
            let part = plain.get_or_insert(Part {
                ports: Ports::Only(Vec::new()),
                questions: None,
                closed: None,
            });
            match (&mut part.ports, list) {
                (Ports::Only(known), Ports::Only(mut more)) => known.append(&mut more),
                (known, Ports::Any) => *known = Ports::Any,
                // This dialect has no `AllBut`.
                (Ports::Any | Ports::AllBut(_), Ports::Only(_)) | (_, Ports::AllBut(_)) => {}
            }
            continue;
        }
        let questions = dns.map(|names| {
            if names.is_empty() {
                every_name()
            } else {
                names
            }
        });
        parts.push(Part {
            ports: list,
            questions: questions.filter(|_| action == Action::Allow),
            closed,
        });
    }
    plain.into_iter().chain(parts).collect()
}

/// `rules: {dns: []}`: rules that are there and empty allow every name.
fn every_name() -> Vec<NamePattern> {
    NamePattern::parse(Grammar::Cilium, "*")
        .into_iter()
        .collect()
}

fn lower_port_list(specs: &[PortSpec]) -> Ports {
    let mut matches = Vec::new();
    for spec in specs {
        match *spec {
            PortSpec::Every { protocol: None } => return Ports::Any,
            PortSpec::Every {
                protocol: Some(protocol),
            } => matches.push(PortMatch::all(protocol)),
            PortSpec::Range {
                protocol: Some(protocol),
                first,
                last,
            } => matches.push(PortMatch::range(protocol, first, last)),
            PortSpec::Range {
                protocol: None,
                first,
                last,
            } => {
                matches.extend(ANY.map(|protocol| PortMatch::range(protocol, first, last)));
            }
        }
    }
    Ports::Only(matches)
}
