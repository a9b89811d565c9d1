use std::sync::Arc;

use policy_model::{
    Action, Block, Entity, FqdnBy, FqdnPeer, Peer, Peers, PodPeer, PortMatch, Ports, Preset, Rule,
    Scope, ServicePeer, ServiceRef, SniCondition,
};

use crate::codes::{self, Code};
use crate::decode::{Findings, Unknown};
use crate::native::v1alpha1::{
    ActionSpec, EntitySpec, PeerKindSpec, PeerSpec, PortRangeSpec, PortSpec, RuleSpec,
};
use crate::suggest;

/// The model's rules of one entry of `egress`: one, or two where an Allow has peers Egret cannot enforce beside others it can.
pub(super) fn lower_rule(
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
        Action::Log => findings.report(
            codes::NATIVE_LOG,
            node,
            "a Log rule changes nothing: a report has every ruling, with or without it",
        ),
        Action::Allow | Action::Deny | Action::Pass => {}
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
                namespace: namespaces.is_none().then(|| Arc::clone(namespace)),
                namespaces: namespaces.map(|selector| selector.lower()),
                pods: pods.lower(),
                service_accounts: Vec::new(),
            })]
        }
        PeerKindSpec::Nodes(selector) => vec![Peer::Nodes(selector.lower())],
        PeerKindSpec::Service {
            namespace: other,
            name,
        } => vec![Peer::Service(ServicePeer {
            namespace: Some(other.map_or_else(|| Arc::clone(namespace), Arc::from)),
            service: ServiceRef::Name(name.into()),
            with_ports: true,
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
