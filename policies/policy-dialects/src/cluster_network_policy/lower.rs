//! To the model, from all versions of the API.

use std::sync::Arc;

use policy_model::{
    Action, Band, Block, DnsFilter, FqdnBy, FqdnPeer, LabelSelector, NamedPort, NamedPorts,
    NodePeer, Order, Peer, Peers, PodPeer, Policy, PortMatch, Ports, Rule, Scope, Standing,
    TierRef,
};

use super::api::PortSpec;
use super::peer::{PeerKindSpec, PeerSpec};
use super::rule::RuleSpec;
use super::subject::SubjectSpec;
use crate::codes;
use crate::decode::Findings;
use crate::kubernetes::is_port_name;
use crate::object::Object;
use crate::yaml::Node;

/// A policy of any version.
#[derive(Debug)]
pub(super) struct PolicySpec<'d> {
    pub(super) node: Node<'d>,
    pub(super) tier: TierRef,
    pub(super) order: Order,
    pub(super) subject: SubjectSpec<'d>,
    pub(super) ingress: Option<Node<'d>>,
    pub(super) rules: Vec<RuleSpec<'d>>,
}

/// The greatest `priority` of the API.
const GREATEST_PRIORITY: u16 = 1000;

/// Reads `priority`.
pub(super) fn priority(node: Node<'_>, findings: &mut Findings) -> Option<f64> {
    let number = findings.integer(node)?.value;
    match u16::try_from(number) {
        Ok(priority) if priority <= GREATEST_PRIORITY => Some(f64::from(priority)),
        Ok(_) | Err(_) => {
            findings.report(
                codes::INVALID_VALUE,
                node,
                format!("`priority` is {number}, and must be between 0 and {GREATEST_PRIORITY}"),
            );
            None
        }
    }
}

/// Reads the name of a container port. The API takes any text.
pub(super) fn port_name<'d>(node: Node<'d>, findings: &mut Findings) -> Option<PortSpec<'d>> {
    let name = findings.string(node)?;
    if !is_port_name(name.value) {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_PORT_NAME,
            node,
            format!("no container port can be named `{}`, so it matches nothing", name.value),
            "a port's name has at most 15 of a-z, 0-9 and `-`, and a letter; a number goes elsewhere",
        );
    }
    Some(PortSpec::Named(name))
}

/// Lowers a policy; nothing where it has no egress rules, and so nothing to do with egress. It isolates nobody: what no rule
/// decides goes on to the next tier.
pub(super) fn lower(
    spec: PolicySpec<'_>,
    object: &Object<'_>,
    findings: &mut Findings,
) -> Option<Policy> {
    lint(&spec, findings);
    let allow_private = object.metadata.allows_private(findings);
    let PolicySpec {
        node,
        tier,
        order,
        subject,
        ingress: _,
        rules,
    } = spec;
    if rules.is_empty() {
        return None;
    }
    Some(Policy {
        id: object.id.clone(),
        origin: findings.origin(node),
        tier,
        order,
        tie: Arc::from(""),
        subject: subject.lower(),
        isolates: false,
        standing: Standing::Enforced,
        deny_style: None,
        // NPEP-133: names neither filter questions nor open the DNS server.
        dns: DnsFilter::Untouched,
        rules: (0..)
            .zip(rules)
            .map(|(index, rule)| lower_rule(rule, index, allow_private, findings))
            .collect(),
    })
}

fn lower_rule(spec: RuleSpec<'_>, index: u32, allow_private: bool, findings: &Findings) -> Rule {
    let RuleSpec {
        node,
        name,
        action,
        to,
        ports,
        closing,
    } = spec;
    let (ports, named_ports) = lower_ports(ports);
    let by_address = |peer: &Peer| !matches!(peer, Peer::Fqdn(_));
    Rule {
        name: name.map(Arc::from),
        peers: Peers::Of(
            to.into_iter()
                .flat_map(|peer| lower_peer(peer.kind))
                // A Deny or Pass by name is closed whole; by a name left in it the question would be refused too.
                .filter(|peer| action == Action::Allow || by_address(peer))
                .collect(),
        ),
        ports,
        named_ports,
        allow_private,
        closed: closing.0.map(|code| code.id),
        ..Rule::new(index, action, findings.origin(node))
    }
}

fn lower_peer(kind: PeerKindSpec<'_>) -> Vec<Peer> {
    match kind {
        PeerKindSpec::Namespaces(namespaces) => vec![Peer::Pods(PodPeer {
            namespaces: Some(namespaces.lower()),
            pods: LabelSelector::default(),
            ..PodPeer::default()
        })],
        PeerKindSpec::Pods { namespaces, pods } => vec![Peer::Pods(PodPeer {
            namespaces: Some(namespaces.lower()),
            pods: pods.lower(),
            ..PodPeer::default()
        })],
        PeerKindSpec::Nodes(nodes) => vec![Peer::Nodes(NodePeer {
            labels: nodes.lower(),
            remote: false,
        })],
        PeerKindSpec::Networks(nets) => nets
            .into_iter()
            .map(|net| Peer::Block(Block::new(net, Scope::Any)))
            .collect(),
        PeerKindSpec::Names(patterns) => patterns
            .into_iter()
            .map(|pattern| {
                Peer::Fqdn(FqdnPeer {
                    pattern,
                    by: FqdnBy::Chain,
                    scope: Scope::Any,
                })
            })
            .collect(),
    }
}

fn lower_ports(specs: Option<Vec<PortSpec<'_>>>) -> (Ports, NamedPorts) {
    let mut named = NamedPorts::default();
    let Some(specs) = specs else {
        return (Ports::Any, named);
    };
    let mut numbers = Vec::new();
    for spec in specs {
        match spec {
            PortSpec::Range {
                protocol,
                first,
                last,
            } => numbers.push(PortMatch::range(protocol, first, last)),
            PortSpec::Named(name) => named.any_of.push(NamedPort {
                protocol: None,
                name: name.value.into(),
            }),
        }
    }
    (Ports::Only(numbers), named)
}

fn lint(spec: &PolicySpec<'_>, findings: &mut Findings) {
    let peers = || spec.rules.iter().flat_map(|rule| &rule.to);
    let has_names = |peer: &&PeerSpec<'_>| matches!(peer.kind, PeerKindSpec::Names(_));
    if let Some(peer) =
        peers().find(|peer| has_names(peer) || matches!(peer.kind, PeerKindSpec::Nodes(_)))
    {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_EXPERIMENTAL,
            peer.node,
            "`domainNames` and `nodes` exist in the experimental channel of the API only",
            "a server with the standard channel drops the field, and the rule fails closed: look at what it stored",
        );
    }
    if spec.tier.band == Band::Baseline
        && let Some(peer) = peers().find(has_names)
    {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_BASELINE_BY_NAME,
            peer.node,
            "newer versions of the API refuse `domainNames` in the Baseline tier",
            "accept the names in the Admin tier",
        );
    }
    lint_denied_cluster(&spec.rules, findings);
    let denies = spec.rules.iter().any(|rule| {
        rule.action != Action::Allow && (rule.action == Action::Deny || rule.closing.0.is_some())
    });
    if denies && spec.subject.selects_everything() {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_SELECTS_EVERYTHING,
            spec.subject.node,
            "every pod of every namespace is selected, those of kube-system and Egret's own too",
            "leave namespaces out by `matchExpressions` on `kubernetes.io/metadata.name`",
        );
    }
    if let Some(ingress) = spec.ingress {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_INGRESS,
            ingress,
            "ingress rules are not enforced",
            "Egret holds what a workload sends; leave ingress to the network",
        );
    }
}

/// A Deny of every address, with no rule before it that says something of what lies inside the cluster.
fn lint_denied_cluster(rules: &[RuleSpec<'_>], findings: &mut Findings) {
    for rule in rules {
        let inside = |peer: &PeerSpec<'_>| match peer.kind {
            PeerKindSpec::Namespaces(_) | PeerKindSpec::Pods { .. } => true,
            PeerKindSpec::Nodes(_) | PeerKindSpec::Networks(_) | PeerKindSpec::Names(_) => false,
        };
        if rule.action != Action::Deny && rule.to.iter().any(inside) {
            return;
        }
        let everything = |peer: &&PeerSpec<'_>| match &peer.kind {
            PeerKindSpec::Networks(nets) => nets.iter().any(|net| net.prefix_len() == 0),
            PeerKindSpec::Namespaces(_)
            | PeerKindSpec::Pods { .. }
            | PeerKindSpec::Nodes(_)
            | PeerKindSpec::Names(_) => false,
        };
        if rule.action == Action::Deny
            && rule.ports.is_none()
            && let Some(peer) = rule.to.iter().find(everything)
        {
            findings.report_help(
                codes::CLUSTER_NETWORK_POLICY_DENIES_CLUSTER,
                peer.node,
                "every address is denied: pods, Services, nodes and the cluster's DNS too",
                "accept or pass `namespaces: {}` in a rule before it, or leave the cluster's blocks out",
            );
            return;
        }
    }
}
