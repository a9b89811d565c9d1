//! From `egret.dev/v1alpha1` to the model.

mod ports;
mod rule;

use std::sync::Arc;

use policy_model::{
    Action, ContainerSubject, DenyStyle, DnsFilter, KubernetesSubject, LabelSelector, Labels,
    Order, Peer, Peers, PlainSubject, Policy, Rule, Standing, Subject, TierRef,
};

use super::v1alpha1::{DenySpec, EgressPolicySpec, ModeSpec, NetworkSpec, SubjectSpec, TierSpec};
use crate::Context;
use crate::codes;
use crate::decode::{At, Findings};
use crate::kubernetes::{LabelSelectorSpec, MetadataSpec, Scope};
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

use rule::{Around, lower_rule};

pub(super) use rule::lower_names_and_blocks;

/// The priority of a `ClusterEgressPolicy` that says none: after those that do.
const DEFAULT_PRIORITY: f64 = 1000.0;

/// Reads one object of either kind; nothing where it is refused.
pub(crate) fn read(
    object: &Object<'_>,
    surroundings: &Surroundings,
    context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let mark = findings.mark();
    let Some(spec_node) = object.spec(findings) else {
        return Vec::new();
    };
    let Some(spec) = EgressPolicySpec::decode(spec_node, findings) else {
        return Vec::new();
    };
    let lowered = lower(spec, spec_node, object, surroundings, context, findings);
    if !findings.refused_since(mark) {
        crate::nulls::refuse(spec_node, findings);
    }
    if findings.refused_since(mark) {
        Vec::new()
    } else {
        lowered
    }
}

fn lower(
    spec: EgressPolicySpec<'_>,
    node: Node<'_>,
    object: &Object<'_>,
    surroundings: &Surroundings,
    context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let (id, metadata) = (&object.id, &object.metadata);
    let EgressPolicySpec {
        tier,
        priority,
        mode,
        subject,
        default_deny,
        dns_filter,
        dns_resolvers,
        deny,
        egress,
    } = spec;
    let namespaced = object.scope() == Scope::Anywhere;
    if namespaced {
        let cluster_only = [
            tier.map(|at| at.node),
            priority.map(|at| at.node),
            subject.as_ref().and_then(SubjectSpec::of_cluster),
        ];
        for node in cluster_only.into_iter().flatten() {
            findings.report_help(
                codes::NATIVE_CLUSTER_FIELD,
                node,
                "an EgressPolicy has no tier, no priority, and selects pods of its own namespace only",
                "use kind ClusterEgressPolicy, or leave it out",
            );
        }
    }
    let namespace: Option<Arc<str>> = namespaced.then(|| {
        metadata.namespace.map_or_else(
            || Arc::clone(&context.default_namespace),
            |at| at.value.into(),
        )
    });
    let subject = match subject {
        Some(subject) => lower_subject(subject, namespace, findings),
        None if namespaced && metadata.namespace.is_some() => {
            Subject::Kubernetes(KubernetesSubject {
                namespace,
                host_network: true,
                ..KubernetesSubject::default()
            })
        }
        None => Subject::All,
    };

    let isolates = default_deny.unwrap_or(namespaced);
    let around = Around {
        namespace: namespaced.then(|| namespace_of(metadata, context)),
        surroundings,
    };
    let mut rules: Vec<Rule> = Vec::new();
    for (index, rule) in egress.into_iter().enumerate() {
        rules.extend(lower_rule(
            rule,
            u32::try_from(index).unwrap_or(u32::MAX),
            &around,
            findings,
        ));
    }
    let has_names = rules.iter().any(names_hosts);
    let asks = rules.iter().any(|rule| rule.questions.is_some());
    let dns = match (dns_filter, has_names) {
        _ if dns_resolvers == Some(false) => DnsFilter::Untouched,
        (None, _) if asks => DnsFilter::Filter,
        (Some(true), _) => DnsFilter::Filter,
        (Some(false), true) => DnsFilter::Learn,
        (Some(false), false) | (None, false) => DnsFilter::Untouched,
        (None, true) if isolates => DnsFilter::Filter,
        (None, true) => DnsFilter::Learn,
    };
    let whole = Policy {
        tie: Arc::from(""),
        id: id.clone(),
        origin: findings.origin(node),
        tier: match tier.map(|at| at.value) {
            _ if namespaced => TierRef::union(),
            Some(TierSpec::Baseline) => TierRef::kube_baseline(),
            Some(TierSpec::Admin) | None => TierRef::kube_admin(),
        },
        order: match priority {
            _ if namespaced => Order(0.0),
            Some(priority) => {
                Order(i32::try_from(priority.value).map_or(DEFAULT_PRIORITY, f64::from))
            }
            None => Order(DEFAULT_PRIORITY),
        },
        subject,
        isolates,
        standing: match mode {
            Some(ModeSpec::Audit) => Standing::Audit,
            Some(ModeSpec::Enforce) | None => Standing::Enforced,
        },
        deny_style: deny.map(|deny| match deny {
            DenySpec::Reject => DenyStyle::Reject,
            DenySpec::Drop => DenyStyle::Drop,
        }),
        dns,
        rules: Vec::new(),
    };
    if !namespaced {
        return vec![Policy { rules, ..whole }];
    }
    lint_late_denies(&rules, findings);
    for rule in rules.iter().filter(|rule| rule.action == Action::Pass) {
        findings.report_origin(
            codes::NATIVE_PASS_IN_NAMESPACE,
            rule.origin.clone(),
            "a Pass leaves the rules of every namespaced policy: what no baseline denies is allowed",
            "write `Allow` if that is meant, or pass in a ClusterEgressPolicy",
        );
    }
    let (denies, others): (Vec<Rule>, Vec<Rule>) = rules
        .into_iter()
        .partition(|rule| rule.action == Action::Deny);
    let mut policies = Vec::new();
    if !denies.is_empty() {
        policies.push(Policy {
            tier: TierRef::deny(),
            isolates: false,
            rules: denies,
            ..whole.clone()
        });
    }
    policies.push(Policy {
        rules: others,
        ..whole
    });
    policies
}

/// The Deny rules of a namespaced policy stand in the tier `deny`, before every Allow of the namespace.
fn lint_late_denies(rules: &[Rule], findings: &mut Findings) {
    let mut allowed = false;
    for rule in rules {
        match rule.action {
            Action::Allow => allowed = true,
            Action::Deny if allowed => findings.report_origin(
                codes::NATIVE_DENY_FIRST,
                rule.origin.clone(),
                "this Deny holds before the Allow rules above it",
                "Deny rules of a namespaced policy come first, whatever their place; order them in a ClusterEgressPolicy",
            ),
            Action::Deny | Action::Pass | Action::Log => {}
        }
    }
}

fn lower_subject(
    spec: SubjectSpec<'_>,
    namespace: Option<Arc<str>>,
    findings: &mut Findings,
) -> Subject {
    let SubjectSpec {
        node,
        namespaces,
        pods,
        service_accounts,
        nodes,
        network,
        endpoints,
        host_endpoint,
        unit,
        user,
        cgroup,
        container,
        command,
    } = spec;
    let of_pods = namespaces.is_some() || pods.is_some() || service_accounts.is_some();
    let kubernetes = of_pods
        || nodes.is_some()
        || network.is_some()
        || endpoints.is_some()
        || host_endpoint.is_some();
    let plain = unit.is_some()
        || user.is_some()
        || cgroup.is_some()
        || container.is_some()
        || command.is_some();
    if kubernetes && plain {
        findings.report_help(
            codes::NATIVE_SUBJECT,
            node,
            "the subject asks for a pod and for something of plain Linux, which no workload is",
            "write two policies",
        );
    }
    if plain {
        if !kubernetes
            && (unit.is_some() || user.is_some() || cgroup.is_some() || container.is_some())
        {
            findings.report(
                codes::NATIVE_SUBJECT_LATER,
                node,
                "units, users, cgroups and containers are not held by this version: the policy selects no command",
            );
        }
        let text = |at: Option<At<'_, &str>>| at.map(|at| Arc::from(at.value));
        return Subject::Plain(PlainSubject {
            unit: text(unit),
            user: text(user),
            cgroup: text(cgroup),
            container: container.map(|container| ContainerSubject {
                name: text(container.name),
                labels: LabelSelector {
                    match_labels: container
                        .labels
                        .iter()
                        .map(|(key, value)| (Arc::from(*key), Arc::from(value.value)))
                        .collect::<Labels>(),
                    match_expressions: Vec::new(),
                },
            }),
            command,
        });
    }
    if !kubernetes && namespace.is_none() {
        return Subject::All;
    }
    let of_endpoints = endpoints.is_some() || host_endpoint.is_some();
    if of_endpoints && (of_pods || nodes.is_some() || network.is_some())
        || endpoints.is_some() && host_endpoint.is_some()
    {
        findings.report_help(
            codes::NATIVE_SUBJECT,
            node,
            "`endpoints` and `hostEndpoint` stand alone in a subject",
            "say in the expression what the other parts would",
        );
    }
    if let Some(name) = host_endpoint {
        return Subject::HostEndpoint(name.value.into());
    }
    if let Some(subject) = endpoints {
        return subject.value;
    }
    let network = network.map(|at| at.value);
    if network == Some(NetworkSpec::Host) {
        if of_pods {
            findings.report_help(
                codes::NATIVE_SUBJECT,
                node,
                "what runs in the network of a node is chosen by `nodes` alone: it shares that node's address",
                "leave out `namespaces`, `pods` and `serviceAccounts`",
            );
        }
        return Subject::Nodes(nodes.map(LabelSelectorSpec::lower).unwrap_or_default());
    }
    Subject::Kubernetes(KubernetesSubject {
        namespace,
        namespaces: namespaces.map(|at| at.value.lower()),
        pods: pods.map(|pods| pods.lower()),
        service_accounts: service_accounts
            .unwrap_or_default()
            .into_iter()
            .map(|at| at.value.into())
            .collect(),
        nodes: nodes.map(LabelSelectorSpec::lower),
        host_network: network != Some(NetworkSpec::Own),
    })
}

fn names_hosts(rule: &Rule) -> bool {
    match &rule.peers {
        Peers::Any => false,
        Peers::Of(peers) => peers.iter().any(|peer| matches!(peer, Peer::Fqdn(_))),
    }
}

fn namespace_of(metadata: &MetadataSpec<'_>, context: &Context) -> Arc<str> {
    metadata.namespace.map_or_else(
        || Arc::clone(&context.default_namespace),
        |at| at.value.into(),
    )
}
