use std::sync::Arc;

use policy_model::{
    Action, Block, FqdnPeer, NamedPorts, NodePeer, Peer, Peers, PodPeer, Ports, Preset, Rule,
    ServicePeer, ServiceRef, SniCondition,
};

use crate::codes::{self, Code};
use crate::decode::{Findings, Unknown};
use crate::native::v1alpha1::{
    ActionSpec, PeerKindSpec, PeerSpec, PodsSpec, RuleSpec, ServiceSpec, WhichSpec,
};
use crate::suggest;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

use super::ports::lower_ports;

/// What a rule's meaning depends on besides itself.
pub(super) struct Around<'a> {
    /// The policy's own, where it is a namespaced one.
    pub(super) namespace: Option<Arc<str>>,
    pub(super) surroundings: &'a Surroundings,
}

/// The model's rules of one entry of `egress`: one, or two where an Allow has peers Egret cannot enforce beside others it can.
pub(super) fn lower_rule(
    spec: RuleSpec<'_>,
    index: u32,
    around: &Around<'_>,
    findings: &mut Findings,
) -> Vec<Rule> {
    let RuleSpec {
        node,
        name,
        action,
        to,
        metadata,
        ports,
        except_ports,
        questions,
        ask_only,
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
    let (mut peers, mut missing) = (Vec::new(), Vec::new());
    for PeerSpec { node, kind } in to.unwrap_or_default() {
        match kind {
            PeerKindSpec::Set(name) => match around.surroundings.egress_sets.get(name) {
                Some(set) => peers.extend(set.peers.iter().cloned()),
                None => {
                    let what =
                        format!("the EgressSet `{name}`, which is not among the objects given,");
                    findings.report_help(
                        codes::NATIVE_SET,
                        node,
                        closed_text(&what, action),
                        "give the set's own file too; a set that is refused does not exist",
                    );
                    missing.push(Peer::Set(name.into()));
                }
            },
            kind @ (PeerKindSpec::Fqdn { .. }
            | PeerKindSpec::Cidr { .. }
            | PeerKindSpec::Pods(_)
            | PeerKindSpec::Nodes { .. }
            | PeerKindSpec::Service(_)
            | PeerKindSpec::Endpoints(_)
            | PeerKindSpec::Entity(_)) => peers.extend(lower_peer(kind, node, around, findings)),
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
        Action::Log => findings.report(
            codes::NATIVE_LOG,
            node,
            "a Log rule changes nothing: a report has every ruling, with or without it",
        ),
        Action::Allow | Action::Deny | Action::Pass => {}
    }
    if let Some(questions) = &questions
        && action != Action::Allow
    {
        findings.report_help(
            codes::NATIVE_QUESTIONS,
            questions.node,
            "`questions` stands in Allow rules only: it says which names may be asked",
            "refuse a name with `fqdn` in a Deny rule",
        );
    }
    let ask_only = ask_only.filter(|at| at.value);
    if let Some(ask_only) = ask_only {
        let names = !peers.is_empty() && peers.iter().all(|peer| matches!(peer, Peer::Fqdn(_)));
        let numbers = ports.is_some() || !except_ports.is_empty();
        if action != Action::Allow || !names || numbers || questions.is_some() {
            findings.report_help(
                codes::NATIVE_QUESTIONS,
                ask_only.node,
                "`askOnly` stands in Allow rules that name hosts and nothing else: they may be asked, and open no port",
                "put other peers and ports into a rule of their own",
            );
        }
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
    if let Some(http) = http.as_ref().filter(|http| !http.value.is_empty()) {
        findings.report_help(
            codes::NATIVE_HTTP,
            http.node,
            closed_text("an HTTP condition", action),
            "leave `http` out to allow the port as such",
        );
        closed = closed.or(Some(codes::NATIVE_HTTP));
    }
    let (ports, named_ports) = match ask_only {
        Some(_) => (Ports::Only(Vec::new()), NamedPorts::default()),
        None => lower_ports(ports, except_ports),
    };
    let rule = Rule {
        name: name.map(|name| name.value.into()),
        ports,
        named_ports,
        questions: questions.map(|at| at.value),
        allow_private: allow_private.is_some_and(|at| at.value),
        sni: tls.map(|_| SniCondition::Match),
        http: http.map(|http| http.value).unwrap_or_default(),
        closed: closed.map(|code| code.id),
        ..Rule::new(index, action, findings.origin(node))
    };
    if !given {
        return vec![rule];
    }
    let set_closed = |rule: &Rule| rule.closed.or(Some(codes::NATIVE_SET.id));
    // What cannot be enforced takes nothing from the rest of an Allow; a Deny it closes whole.
    if !missing.is_empty() && action == Action::Allow && !peers.is_empty() {
        return vec![
            Rule {
                peers: Peers::Of(peers),
                ..rule.clone()
            },
            Rule {
                closed: set_closed(&rule),
                peers: Peers::Of(missing),
                ..rule
            },
        ];
    }
    let closed = if missing.is_empty() {
        rule.closed
    } else {
        set_closed(&rule)
    };
    peers.append(&mut missing);
    vec![Rule {
        peers: Peers::Of(peers),
        closed,
        ..rule
    }]
}

fn closed_text(what: &str, action: Action) -> String {
    match action {
        Action::Allow => format!("{what} cannot be enforced yet: nothing is allowed by it"),
        Action::Deny | Action::Pass => {
            format!("{what} cannot be enforced yet: the rule denies everything")
        }
        Action::Log => format!("{what} cannot be enforced yet: nothing is noted by it"),
    }
}

fn lower_peer(
    kind: PeerKindSpec<'_>,
    node: Node<'_>,
    around: &Around<'_>,
    findings: &mut Findings,
) -> Vec<Peer> {
    match kind {
        kind @ (PeerKindSpec::Fqdn { .. } | PeerKindSpec::Cidr { .. } | PeerKindSpec::Set(_)) => {
            lower_names_and_blocks(kind)
        }
        PeerKindSpec::Pods(PodsSpec {
            namespaces,
            pods,
            service_accounts,
        }) => {
            vec![Peer::Pods(PodPeer {
                // A namespaced policy means its own, one of the cluster those of every namespace.
                namespace: around.namespace.clone().filter(|_| namespaces.is_none()),
                namespaces: namespaces.map(|selector| selector.lower()),
                pods: pods.lower(),
                service_accounts: service_accounts.into_iter().map(Arc::from).collect(),
            })]
        }
        PeerKindSpec::Nodes { labels, remote } => vec![Peer::Nodes(NodePeer {
            labels: labels.lower(),
            remote,
        })],
        PeerKindSpec::Service(ServiceSpec {
            namespace,
            all_namespaces,
            which,
            any_port,
        }) => {
            let namespace = namespace
                .map(Arc::from)
                .or_else(|| around.namespace.clone())
                .filter(|_| !all_namespaces);
            if namespace.is_none() && !all_namespaces {
                findings.report_help(
                    codes::MISSING_FIELD,
                    node,
                    "a ClusterEgressPolicy says the `namespace` of a service: it has none of its own",
                    "write `namespace`, or `allNamespaces: true`",
                );
            }
            vec![Peer::Service(ServicePeer {
                namespace,
                service: match which {
                    WhichSpec::Name(name) => ServiceRef::Name(name.into()),
                    WhichSpec::Labels(labels) => ServiceRef::Labels(labels.lower()),
                },
                with_ports: !any_port,
            })]
        }
        PeerKindSpec::Entity(entity) => vec![Peer::Entity(entity)],
        PeerKindSpec::Endpoints(endpoints) => vec![Peer::Endpoints(endpoints)],
    }
}

/// The peers a set may have too; nothing of any other kind.
pub(in crate::native) fn lower_names_and_blocks(kind: PeerKindSpec<'_>) -> Vec<Peer> {
    match kind {
        PeerKindSpec::Fqdn {
            patterns,
            by,
            scope,
        } => patterns
            .into_iter()
            .map(|pattern| Peer::Fqdn(FqdnPeer { pattern, by, scope }))
            .collect(),
        PeerKindSpec::Cidr { net, except, scope } => {
            vec![Peer::Block(Block { net, except, scope })]
        }
        PeerKindSpec::Pods(_)
        | PeerKindSpec::Nodes { .. }
        | PeerKindSpec::Service(_)
        | PeerKindSpec::Entity(_)
        | PeerKindSpec::Endpoints(_)
        | PeerKindSpec::Set(_) => Vec::new(),
    }
}
