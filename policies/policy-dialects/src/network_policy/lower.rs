//! From `networking.k8s.io/v1` to the model.

use std::sync::Arc;

use policy_model::{
    Action, Block, DnsFilter, KubernetesSubject, LabelSelector, NamedPort, NamedPorts, ObjectRef,
    Order, Peer, Peers, PodPeer, Policy, PortMatch, Ports, Rule, Standing, Subject, TierRef,
};

use super::v1::{NetworkPolicySpec, PeerSpec, PortRangeSpec, PortSpec, RuleSpec};
use crate::Context;
use crate::codes;
use crate::decode::{Findings, Unknown};
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

/// Reads one object; nothing where it is refused, or is no policy for egress.
pub(crate) fn read(
    object: &Object<'_>,
    _surroundings: &Surroundings,
    context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let mark = findings.mark();
    if object.metadata.namespace.is_none() {
        findings.report_help(
            codes::NETWORK_POLICY_NAMESPACE,
            object.metadata.name.node,
            format!(
                "the policy names no namespace and is taken to be in `{}`",
                context.default_namespace
            ),
            "write `metadata.namespace`, or say where it is applied",
        );
    }
    let Some(node) = object.node.get("spec").filter(|node| !node.is_null()) else {
        findings.report(
            codes::NETWORK_POLICY_INGRESS,
            object.node,
            "without `spec` this policy is about ingress only, which is not enforced",
        );
        return Vec::new();
    };
    let lowered = NetworkPolicySpec::decode(node, findings)
        .and_then(|spec| lower(spec, node, &object.id, context, findings));
    lowered
        .filter(|_| !findings.refused_since(mark))
        .into_iter()
        .collect()
}

/// The policy of a body; nothing where it is none for egress. In the tier `union`: whose pods Calico's default tier selects
/// too is known only where all policies are.
pub(crate) fn lower(
    spec: NetworkPolicySpec<'_>,
    node: Node<'_>,
    id: &ObjectRef,
    context: &Context,
    findings: &Findings,
) -> Option<Policy> {
    let NetworkPolicySpec {
        pod_selector,
        is_egress,
        egress,
    } = spec;
    if !is_egress {
        return None;
    }
    let namespace = id
        .namespace
        .clone()
        .unwrap_or_else(|| Arc::clone(&context.default_namespace));
    let rules = (0..)
        .zip(egress)
        .map(|(index, rule)| lower_rule(rule, index, &namespace, context, findings))
        .collect();
    Some(Policy {
        id: id.clone(),
        origin: findings.origin(node),
        tier: TierRef::union(),
        order: Order(0.0),
        tie: Arc::from(""),
        subject: Subject::Kubernetes(KubernetesSubject {
            namespace: Some(namespace),
            pods: Some(pod_selector.lower()),
            ..KubernetesSubject::default()
        }),
        isolates: true,
        standing: Standing::Enforced,
        deny_style: None,
        dns: DnsFilter::Untouched,
        rules,
    })
}

fn lower_rule(
    spec: RuleSpec<'_>,
    index: u32,
    namespace: &Arc<str>,
    context: &Context,
    findings: &Findings,
) -> Rule {
    let RuleSpec {
        node,
        peers,
        ports,
        unknown,
    } = spec;
    let closed = (unknown == Unknown::Some).then_some(codes::UNKNOWN_RULE_FIELD.id);
    let (ports, named_ports) = lower_ports(ports);
    Rule {
        peers: match peers {
            None => Peers::Any,
            Some(peers) => Peers::Of(
                peers
                    .into_iter()
                    .map(|peer| lower_peer(peer, namespace, context))
                    .collect(),
            ),
        },
        ports,
        named_ports,
        closed,
        ..Rule::new(index, Action::Allow, findings.origin(node))
    }
}

fn lower_peer(spec: PeerSpec<'_>, namespace: &Arc<str>, context: &Context) -> Peer {
    match spec {
        PeerSpec::Block { net, except } => Peer::Block(Block {
            net,
            except,
            scope: context.network_policy_cidr,
        }),
        PeerSpec::Pods { namespaces, pods } => Peer::Pods(PodPeer {
            namespace: namespaces.is_none().then(|| Arc::clone(namespace)),
            namespaces: namespaces.map(|selector| selector.lower()),
            pods: pods.map_or_else(LabelSelector::default, |selector| selector.lower()),
            service_accounts: Vec::new(),
        }),
    }
}

fn lower_ports(specs: Vec<PortSpec<'_>>) -> (Ports, NamedPorts) {
    let mut named = NamedPorts::default();
    if specs.is_empty() {
        return (Ports::Any, named);
    }
    let mut numbers = Vec::new();
    for PortSpec { protocol, port } in specs {
        match port {
            PortRangeSpec::All => numbers.push(PortMatch::all(protocol)),
            PortRangeSpec::Range { first, last } => {
                numbers.push(PortMatch::range(protocol, first, last));
            }
            PortRangeSpec::Named(name) => named.any_of.push(NamedPort {
                protocol: Some(protocol),
                name: name.into(),
            }),
        }
    }
    (Ports::Only(numbers), named)
}
