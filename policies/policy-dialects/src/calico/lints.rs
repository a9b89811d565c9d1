//! What holds as written and may surprise.

use policy_model::{Endpoint, Expression, HostEndpoint, Labels, PodIdentity, Selects, Workload};

use super::STORED_GROUP;
use super::identity::DEFAULT_TIER;
use super::labels::NAMESPACE;
use super::lower::Lowering;
use super::v3::{ActionSpec, EntitySpec, PolicySpec, RuleSpec, Sort};
use crate::codes;
use crate::decode::Findings;
use crate::object::Object;
use crate::yaml::Node;

/// What says in a destination whom a rule is about.
const WHOM: &[&str] = &[
    "nets",
    "selector",
    "namespaceSelector",
    "serviceAccounts",
    "domains",
];

/// Holds for host endpoints and global network sets only.
pub(super) fn in_no_namespace() -> Expression {
    Expression::Not(Box::new(Expression::Has(NAMESPACE.into())))
}

/// Lints over a policy as a whole; `egress` says whether it has a say over egress.
pub(super) fn policy(
    object: &Object<'_>,
    spec: &PolicySpec<'_>,
    egress: bool,
    findings: &mut Findings,
) {
    if let Some(ingress) = spec.ingress {
        findings.report_help(
            codes::CALICO_INGRESS,
            ingress,
            "ingress rules are not enforced",
            "Egret holds what a workload sends; leave ingress to the network",
        );
    }
    if !egress && spec.types.is_none() && spec.ingress.is_none() {
        findings.report_help(
            codes::CALICO_INGRESS_ONLY,
            spec.node,
            "a policy without `types` and without rules is for ingress only: it denies no egress",
            "write `types: [Egress]` to deny all egress",
        );
    }
    if let Some(node) = spec.do_not_track {
        findings.report_help(
            codes::CALICO_DO_NOT_TRACK,
            node,
            "an untracked policy is for host endpoints only and is judged before every tier",
            "leave `doNotTrack` out to judge it in its tier",
        );
    } else if let (Some(node), true) = (spec.apply_on_forward, egress) {
        findings.report_help(
            codes::CALICO_APPLY_ON_FORWARD,
            node,
            "flows that a host forwards for others are not judged by Egret, only its own and its pods'",
            "write a policy that selects the pods",
        );
    }
    tier_in_name(object, spec, findings);
}

/// A name that begins with a tier's beside another `tier`: Calico before 3.32 refuses it.
fn tier_in_name(object: &Object<'_>, spec: &PolicySpec<'_>, findings: &mut Findings) {
    let name = object.metadata.name;
    let tier = spec.tier.map_or(DEFAULT_TIER, |tier| tier.value);
    let Some((first, _)) = name.value.split_once('.') else {
        if tier != DEFAULT_TIER && object.kind.group == STORED_GROUP {
            findings.report_help(
                codes::CALICO_NAME_TIER,
                name.node,
                format!("the name of a policy in the tier `{tier}` begins with it where Calico before 3.32 keeps it"),
                format!("call it `{tier}.{}`", name.value),
            );
        }
        return;
    };
    if first != tier {
        findings.report_help(
            codes::CALICO_NAME_TIER,
            name.node,
            format!("the name begins like one of the tier `{first}`, and the policy is in the tier `{tier}`"),
            format!("write `tier: {first}` if that is meant"),
        );
    }
}

/// Says whom a policy selects beside the pods that are meant.
pub(super) fn subject(subject: &Expression, sort: Sort, node: Node<'_>, findings: &mut Findings) {
    if !sort.global {
        return;
    }
    let host = HostEndpoint::default();
    let hosts = Endpoint::of_host_endpoint(&host).selects(subject) == Selects::Yes;
    let system = Workload {
        pod: PodIdentity {
            namespace: Some("kube-system".into()),
            namespace_labels: Some(Labels::new()),
            labels: Some(Labels::new()),
            service_account: Some("default".into()),
            service_account_labels: Some(Labels::new()),
            ..PodIdentity::default()
        },
        ..Workload::default()
    };
    let system = Endpoint::of_workload(&system).selects(subject) == Selects::Yes;
    let whom = match (hosts, system) {
        (true, true) => "host endpoints and the pods of kube-system",
        (true, false) => "host endpoints",
        (false, true) => "the pods of kube-system",
        (false, false) => return,
    };
    findings.report_help(
        codes::CALICO_SELECTS_EVERYTHING,
        node,
        format!("the policy selects {whom} too"),
        "a selector on a namespace holds for what has none too, unless it asks: has(projectcalico.org/namespace) && …",
    );
}

/// Lints over one egress rule.
pub(super) fn rule(spec: &RuleSpec<'_>, lowering: Lowering<'_>, findings: &mut Findings) {
    let Some(destination) = &spec.destination else {
        return;
    };
    if let (Some(not), None, Some(namespace)) = (
        &destination.not_selector,
        &destination.namespaces,
        lowering.namespace,
    ) {
        findings.report_help(
            codes::CALICO_NOT_SELECTOR_NAMESPACE,
            not.node,
            format!("with `notSelector` the rule is about endpoints of the own namespace `{namespace}` only"),
            "add `namespaceSelector: all()` for every namespace; write `notNets` for addresses outside",
        );
    }
    if spec.action == ActionSpec::Allow {
        restricts_nothing(destination, findings);
    }
    if spec.action != ActionSpec::Allow {
        names_of_sets(spec, lowering, findings);
    }
}

/// What is written to restrict a destination and says nothing: the rule is then about every one.
fn restricts_nothing(destination: &EntitySpec<'_>, findings: &mut Findings) {
    let written = |key: &&'static str| {
        let node = destination.node.get(key).filter(|node| !node.is_null());
        node.map(|node| (node, *key))
    };
    let restricted = destination.selects()
        || !destination.nets.is_empty()
        || destination.domains.is_some()
        || destination.service.is_some();
    if !restricted && let Some((node, key)) = WHOM.iter().find_map(written) {
        findings.report_help(
            codes::CALICO_EMPTY_LIST,
            node,
            format!("an empty `{key}` restricts nothing: every address is meant"),
            "leave the rule out to allow nothing",
        );
    }
    if destination.ports.is_empty()
        && destination.not_ports.is_empty()
        && let Some((node, key)) = written(&"ports")
    {
        findings.report_help(
            codes::CALICO_EMPTY_LIST,
            node,
            format!("an empty `{key}` restricts nothing: every port is meant"),
            "leave the rule out to allow nothing",
        );
    }
}

/// Names of network sets count in Allow rules only.
fn names_of_sets(spec: &RuleSpec<'_>, lowering: Lowering<'_>, findings: &mut Findings) {
    let Some(destination) = &spec.destination else {
        return;
    };
    let Some(expression) = super::lower::entity(destination, lowering.namespace) else {
        return;
    };
    let selected = lowering
        .cluster
        .network_sets
        .iter()
        .find(|((namespace, _), set)| {
            !set.domains.is_empty()
                && Endpoint::of_network_set(lowering.cluster, namespace.as_ref(), set)
                    .selects(&expression)
                    == Selects::Yes
        });
    if let Some(((_, name), _)) = selected {
        findings.report_help(
            codes::CALICO_DOMAIN_DENY,
            destination.node,
            format!("the names of the network set `{name}` count in rules that Allow only; its `nets` count here"),
            "deny addresses by `nets`",
        );
    }
}
