//! From `egret.dev/v1alpha1` to the model.

use std::sync::Arc;

use policy_model::{
    Action, Block, ContainerSubject, DenyStyle, DnsFilter, Entity, FqdnBy, FqdnPeer,
    KubernetesSubject, LabelSelector, Labels, ObjectRef, Order, Peer, Peers, PlainSubject, PodPeer,
    Policy, PortMatch, Ports, Preset, Rule, Scope, ServicePeer, SniCondition, Standing, Subject,
    TierRef,
};

use super::v1alpha1::{
    ActionSpec, DenySpec, EgressPolicySpec, EntitySpec, ModeSpec, PeerKindSpec, PeerSpec,
    PortRangeSpec, PortSpec, RuleSpec, SubjectSpec, TierSpec,
};
use crate::codes::{self, Code};
use crate::decode::{Findings, Unknown};
use crate::kubernetes::{self, MetadataSpec};
use crate::yaml::Node;
use crate::{Context, suggest};

/// The priority of a `ClusterEgressPolicy` that says none: after those that do.
const DEFAULT_PRIORITY: f64 = 1000.0;

/// Reads one object of either kind; nothing where it is refused.
pub(crate) fn read(
    object: Node<'_>,
    scope: kubernetes::Scope,
    id: &ObjectRef,
    metadata: &MetadataSpec<'_>,
    context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let mark = findings.mark();
    let Some(spec_node) = object.get("spec").filter(|node| !node.is_null()) else {
        findings.report(codes::MISSING_FIELD, object, "`spec` is missing");
        return Vec::new();
    };
    let Some(spec) = EgressPolicySpec::decode(spec_node, findings) else {
        return Vec::new();
    };
    let lowered = lower(spec, spec_node, scope, id, metadata, context, findings);
    if findings.refused_since(mark) {
        Vec::new()
    } else {
        lowered
    }
}

fn lower(
    spec: EgressPolicySpec<'_>,
    node: Node<'_>,
    scope: kubernetes::Scope,
    id: &ObjectRef,
    metadata: &MetadataSpec<'_>,
    context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let EgressPolicySpec {
        tier,
        priority,
        mode,
        subject,
        default_deny,
        dns_filter,
        deny,
        egress,
    } = spec;
    let namespaced = scope == kubernetes::Scope::Namespaced;
    if namespaced {
        let cluster_only = [
            tier.map(|at| at.node),
            priority.map(|at| at.node),
            subject
                .as_ref()
                .and_then(|subject| subject.namespaces.as_ref())
                .map(|at| at.node),
        ];
        for node in cluster_only.into_iter().flatten() {
            findings.report_help(
                codes::NATIVE_CLUSTER_FIELD,
                node,
                "an EgressPolicy has no tier, no priority and no namespace selector",
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
                ..KubernetesSubject::default()
            })
        }
        None => Subject::All,
    };

    let isolates = default_deny.unwrap_or(namespaced);
    let owner = namespace_of(metadata, context);
    let mut rules: Vec<Rule> = Vec::new();
    for (index, rule) in egress.into_iter().enumerate() {
        rules.extend(lower_rule(
            rule,
            u32::try_from(index).unwrap_or(u32::MAX),
            &owner,
            findings,
        ));
    }
    let has_names = rules.iter().any(names_hosts);
    let dns = match (dns_filter, has_names) {
        (Some(true), _) => DnsFilter::Filter,
        (Some(false), true) => DnsFilter::Learn,
        (Some(false), false) | (None, false) => DnsFilter::Untouched,
        (None, true) if isolates => DnsFilter::Filter,
        (None, true) => DnsFilter::Learn,
    };
    let whole = Policy {
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
        unit,
        user,
        cgroup,
        container,
        command,
    } = spec;
    let kubernetes = namespaces.is_some() || pods.is_some() || service_accounts.is_some();
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
    if let Some(accounts) = &service_accounts
        && accounts.is_empty()
    {
        findings.report_help(
            codes::EMPTY_LIST,
            node,
            "an empty `serviceAccounts` could mean all of them or none",
            "leave it out for all of them",
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
        let text = |at: Option<crate::decode::At<'_, &str>>| at.map(|at| Arc::from(at.value));
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
    Subject::Kubernetes(KubernetesSubject {
        namespace,
        namespaces: namespaces.map(|at| at.value.lower()),
        pods: pods.map(|pods| pods.lower()),
        service_accounts: service_accounts
            .unwrap_or_default()
            .into_iter()
            .map(|at| at.value.into())
            .collect(),
        nodes: None,
    })
}

/// The model's rules of one entry of `egress`: one, or two where an Allow has peers Egret cannot enforce beside others it can.
fn lower_rule(
    spec: RuleSpec<'_>,
    index: u32,
    namespace: &Arc<str>,
    findings: &mut Findings,
) -> Vec<Rule> {
    let RuleSpec {
        node,
        name,
        action,
        to,
        metadata,
        ports,
        allow_private,
        tls,
        http,
        unknown,
    } = spec;
    let action = match action {
        ActionSpec::Allow => Action::Allow,
        ActionSpec::Deny => Action::Deny,
        ActionSpec::Pass => Action::Pass,
        ActionSpec::Log => Action::Log,
    };
    let mut closed: Option<Code> = (unknown == Unknown::Some).then_some(codes::UNKNOWN_RULE_FIELD);
    let given = to.is_some() || !metadata.is_empty();
    let (mut peers, mut closed_peers) = (Vec::new(), Vec::new());
    let mut closed_by = None;
    for peer in to.unwrap_or_default() {
        match unenforced(&peer.kind) {
            Some((code, what)) => {
                findings.report_help(code, peer.node, closed_text(what, action), CLOSED_HELP);
                closed_by = closed_by.or(Some(code));
                closed_peers.extend(lower_peer(peer, namespace));
            }
            None => peers.extend(lower_peer(peer, namespace)),
        }
    }
    if !metadata.is_empty() && action != Action::Allow {
        findings.report(
            codes::NATIVE_METADATA_ACTION,
            node,
            "`metadata` stands in Allow rules only: it opens a guard",
        );
    }
    for preset in metadata {
        match Preset::parse(preset.value) {
            Some(preset) => peers.push(Peer::Metadata(preset)),
            None => {
                let known: Vec<&str> = Preset::ALL.iter().map(|preset| preset.as_str()).collect();
                let message = format!("`{}` is not a metadata preset", preset.value);
                let help = match suggest::nearest(preset.value, &known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known: {}", crate::decode::listed(&known)),
                };
                findings.report_help(codes::INVALID_VALUE, preset.node, message, help);
            }
        }
    }
    let hosts = peers.iter().any(|peer| matches!(peer, Peer::Fqdn(_)));
    match action {
        Action::Pass if hosts => findings.report_help(
            codes::NATIVE_PASS_BY_NAME,
            node,
            "a Pass rule cannot name a host: who decides would change when a look-up expires",
            "pass by `cidr`, or allow the name in this tier",
        ),
        Action::Deny if hosts => findings.report_help(
            codes::NATIVE_DENY_BY_NAME,
            node,
            if ports.is_some() {
                "the names are refused when they are asked, whatever the port; their addresses are not denied"
            } else {
                "the names are refused when they are asked; their addresses are not denied"
            },
            "deny a `cidr` to close addresses",
        ),
        Action::Allow | Action::Deny | Action::Pass | Action::Log => {}
    }
    if let Some(allow_private) = allow_private
        && allow_private.value
        && !(hosts && action == Action::Allow)
    {
        findings.report(
            codes::NATIVE_ALLOW_PRIVATE,
            allow_private.node,
            "`allowPrivate` has an effect only on names of an Allow rule",
        );
    }
    if let Some(tls) = tls {
        findings.report_help(
            codes::NATIVE_TLS,
            tls,
            closed_text("a TLS condition", action),
            "leave `tls` out to go by the name that was resolved",
        );
        closed = closed.or(Some(codes::NATIVE_TLS));
    }
    if let Some(http) = &http {
        findings.report_help(
            codes::NATIVE_HTTP,
            http.node,
            closed_text("an HTTP condition", action),
            "leave `http` out to allow the port as such",
        );
        closed = closed.or(Some(codes::NATIVE_HTTP));
    }
    let rule = Rule {
        name: name.map(|name| name.value.into()),
        ports: match ports {
            None => Ports::Any,
            Some(ports) => Ports::Only(ports.into_iter().map(lower_port).collect()),
        },
        allow_private: allow_private.is_some_and(|at| at.value),
        sni: tls.map(|_| SniCondition::Match),
        http: http.map(|http| http.value).unwrap_or_default(),
        closed: closed.map(|code| code.id),
        ..Rule::new(index, action, findings.origin(node))
    };
    if !given {
        return vec![rule];
    }
    match closed_by {
        None => vec![Rule {
            peers: Peers::Of(peers),
            ..rule
        }],
        // What cannot be enforced takes nothing from the rest of an Allow; a Deny it closes whole.
        Some(code) if action == Action::Allow && !peers.is_empty() => vec![
            Rule {
                peers: Peers::Of(peers),
                ..rule.clone()
            },
            Rule {
                peers: Peers::Of(closed_peers),
                closed: rule.closed.or(Some(code.id)),
                ..rule
            },
        ],
        Some(code) => {
            peers.append(&mut closed_peers);
            vec![Rule {
                peers: Peers::Of(peers),
                closed: rule.closed.or(Some(code.id)),
                ..rule
            }]
        }
    }
}

const CLOSED_HELP: &str = "on one machine, name the hosts by `fqdn` or the addresses by `cidr`";

fn closed_text(what: &str, action: Action) -> String {
    match action {
        Action::Allow => format!("{what} cannot be enforced yet: nothing is allowed by it"),
        Action::Deny | Action::Pass => {
            format!("{what} cannot be enforced yet: the rule denies everything")
        }
        Action::Log => format!("{what} cannot be enforced yet: nothing is noted by it"),
    }
}

/// Which peers wait for a cluster.
const fn unenforced(kind: &PeerKindSpec<'_>) -> Option<(Code, &'static str)> {
    match kind {
        PeerKindSpec::Fqdn(_) | PeerKindSpec::Cidr { .. } => None,
        PeerKindSpec::Pods { .. } => Some((codes::NATIVE_PODS, "a peer by pod")),
        PeerKindSpec::Nodes(_) => Some((codes::NATIVE_NODES, "a peer by node")),
        PeerKindSpec::Service { .. } => Some((codes::NATIVE_SERVICE, "a peer by service")),
        PeerKindSpec::Set(_) => Some((codes::NATIVE_SET, "a set")),
        PeerKindSpec::Entity(EntitySpec::Cluster) => {
            Some((codes::NATIVE_ENTITY, "the entity `cluster`"))
        }
        PeerKindSpec::Entity(EntitySpec::KubeApiserver) => {
            Some((codes::NATIVE_ENTITY, "the entity `kube-apiserver`"))
        }
        PeerKindSpec::Entity(
            EntitySpec::Dns | EntitySpec::World | EntitySpec::Host | EntitySpec::Loopback,
        ) => None,
    }
}

fn lower_peer(spec: PeerSpec<'_>, namespace: &Arc<str>) -> Vec<Peer> {
    match spec.kind {
        PeerKindSpec::Fqdn(patterns) => patterns
            .into_iter()
            .map(|pattern| {
                Peer::Fqdn(FqdnPeer {
                    pattern,
                    by: FqdnBy::Chain,
                    scope: Scope::Any,
                })
            })
            .collect(),
        PeerKindSpec::Cidr { net, except } => vec![Peer::Block(Block {
            net,
            except,
            scope: Scope::Any,
        })],
        PeerKindSpec::Pods { namespaces, pods } => {
            vec![Peer::Pods(PodPeer {
                namespaces: namespaces.map(|selector| selector.lower()),
                pods: pods.lower(),
            })]
        }
        PeerKindSpec::Nodes(selector) => vec![Peer::Nodes(selector.lower())],
        PeerKindSpec::Service {
            namespace: other,
            name,
        } => vec![Peer::Service(ServicePeer {
            namespace: other.map_or_else(|| Arc::clone(namespace), Arc::from),
            name: name.into(),
        })],
        PeerKindSpec::Entity(entity) => vec![Peer::Entity(match entity {
            EntitySpec::Dns => Entity::Dns,
            EntitySpec::World => Entity::World,
            EntitySpec::Cluster => Entity::Cluster,
            EntitySpec::Host => Entity::Host,
            EntitySpec::Loopback => Entity::Loopback,
            EntitySpec::KubeApiserver => Entity::KubeApiserver,
        })],
        PeerKindSpec::Set(name) => vec![Peer::Set(name.into())],
    }
}

const fn lower_port(spec: PortSpec) -> PortMatch {
    match spec.range {
        PortRangeSpec::All => PortMatch::all(spec.protocol),
        PortRangeSpec::Ports { first, last } => PortMatch::range(spec.protocol, first, last),
        PortRangeSpec::Icmp { kind, code } => PortMatch::icmp(spec.protocol, kind, code),
    }
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
