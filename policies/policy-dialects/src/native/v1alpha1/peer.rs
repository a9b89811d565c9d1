use dns_names::{Grammar, NamePattern};
use ipnet::IpNet;
use policy_model::{EndpointPeer, Entity, FqdnBy, Scope};

use super::service::ServiceSpec;
use super::{endpoints, limits, non_empty};
use crate::codes;
use crate::decode::{At, Findings, Unknown};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::Node;

/// One entry of `to`.
#[derive(Debug)]
pub(crate) struct PeerSpec<'d> {
    pub(crate) node: Node<'d>,
    pub(crate) kind: PeerKindSpec<'d>,
}

#[derive(Debug)]
pub(crate) enum PeerKindSpec<'d> {
    Fqdn {
        patterns: Vec<NamePattern>,
        by: FqdnBy,
        scope: Scope,
    },
    Cidr {
        net: IpNet,
        except: Vec<IpNet>,
        scope: Scope,
    },
    Pods(PodsSpec<'d>),
    Nodes {
        labels: LabelSelectorSpec<'d>,
        remote: bool,
    },
    Service(ServiceSpec<'d>),
    Entity(Entity),
    Endpoints(EndpointPeer),
    Set(&'d str),
}

#[derive(Debug)]
pub(crate) struct PodsSpec<'d> {
    pub(crate) namespaces: Option<LabelSelectorSpec<'d>>,
    pub(crate) pods: LabelSelectorSpec<'d>,
    pub(crate) service_accounts: Vec<&'d str>,
}

const ENTITIES: &[(&str, Entity)] = &[
    ("all", Entity::All),
    ("world", Entity::World),
    ("world-ipv4", Entity::WorldIpv4),
    ("world-ipv6", Entity::WorldIpv6),
    ("dns", Entity::Dns),
    ("cluster", Entity::Cluster),
    ("host", Entity::Host),
    ("remote-node", Entity::RemoteNode),
    ("loopback", Entity::Loopback),
    ("kube-apiserver", Entity::KubeApiserver),
];

impl<'d> PeerSpec<'d> {
    pub(super) fn decode(
        node: Node<'d>,
        findings: &mut Findings,
        unknown: &mut Unknown,
    ) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let fqdn = fields.take("fqdn");
        let cidr = fields.take("cidr");
        let except = fields.take("except");
        let scope = fields.take("scope");
        let chain = fields.take("chain");
        let pods = fields.take("pods");
        let nodes = fields.take("nodes");
        let remote_nodes = fields.take("remoteNodes");
        let service = fields.take("service");
        let entity = fields.take("entity");
        let endpoints = fields.take("endpoints");
        let set = fields.take("set");
        let strange = fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
        if strange == Unknown::Some {
            *unknown = Unknown::Some;
        }
        let given = [
            fqdn,
            cidr,
            pods,
            nodes,
            remote_nodes,
            service,
            entity,
            endpoints,
            set,
        ];
        match given.iter().flatten().count() {
            1 => {}
            0 if strange == Unknown::Some => return None,
            0 => {
                findings.report_help(
                    codes::NATIVE_PEER,
                    node,
                    "this entry names no peer",
                    "write one of `fqdn`, `cidr`, `pods`, `nodes`, `remoteNodes`, `service`, `entity`, `endpoints`, `set`",
                );
                return None;
            }
            _ => {
                findings.report_help(
                    codes::NATIVE_PEER,
                    node,
                    "this entry names more than one kind of peer",
                    "put each into an entry of its own: entries of `to` are alternatives",
                );
                return None;
            }
        }
        if let (Some(except), None) = (except, cidr) {
            findings.report(codes::NATIVE_PEER, except, "`except` belongs to `cidr`");
            return None;
        }
        if let (Some(scope), None, None) = (scope, cidr, fqdn) {
            findings.report(
                codes::NATIVE_PEER,
                scope,
                "`scope` belongs to `cidr` and `fqdn`",
            );
            return None;
        }
        if let (Some(chain), None) = (chain, fqdn) {
            findings.report(codes::NATIVE_PEER, chain, "`chain` belongs to `fqdn`");
            return None;
        }
        let scope = match scope {
            Some(node) => {
                findings
                    .word(node, &[("any", Scope::Any), ("outside", Scope::Outside)])?
                    .value
            }
            None => Scope::Any,
        };
        let kind = if let Some(node) = fqdn {
            PeerKindSpec::Fqdn {
                patterns: patterns(node, findings)?,
                by: match chain {
                    Some(node) if !findings.boolean(node)? => FqdnBy::Question,
                    Some(_) | None => FqdnBy::Chain,
                },
                scope,
            }
        } else if let Some(node) = cidr {
            decode_cidr(node, except, scope, findings)?
        } else if let Some(node) = pods {
            PeerKindSpec::Pods(PodsSpec::decode(node, findings)?)
        } else if let Some(node) = nodes {
            PeerKindSpec::Nodes {
                labels: LabelSelectorSpec::decode(node, findings)?,
                remote: false,
            }
        } else if let Some(node) = remote_nodes {
            PeerKindSpec::Nodes {
                labels: LabelSelectorSpec::decode(node, findings)?,
                remote: true,
            }
        } else if let Some(node) = service {
            PeerKindSpec::Service(ServiceSpec::decode(node, findings)?)
        } else if let Some(node) = entity {
            PeerKindSpec::Entity(findings.word(node, ENTITIES)?.value)
        } else if let Some(node) = endpoints {
            PeerKindSpec::Endpoints(endpoints::decode(node, findings)?)
        } else {
            PeerKindSpec::Set(non_empty(set?, findings)?.value)
        };
        Some(Self { node, kind })
    }
}

impl<'d> PodsSpec<'d> {
    fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let namespaces = match fields.take("namespaces") {
            Some(node) => Some(LabelSelectorSpec::decode(node, findings)?),
            None => None,
        };
        let accounts = fields.take("serviceAccounts");
        let pods = LabelSelectorSpec::decode_fields(&mut fields, findings);
        fields.finish(findings, codes::UNKNOWN_FIELD);
        let service_accounts = match accounts {
            Some(node) => service_accounts(node, findings)?,
            None => Vec::new(),
        };
        Some(Self {
            namespaces,
            pods: pods?,
            service_accounts: service_accounts.into_iter().map(|at| at.value).collect(),
        })
    }
}

/// `serviceAccounts`, of a subject or of a peer: never an empty list.
pub(super) fn service_accounts<'d>(
    node: Node<'d>,
    findings: &mut Findings,
) -> Option<Vec<At<'d, &'d str>>> {
    let items = limits::list(node, limits::ENTRIES, findings)?;
    if items.is_empty() {
        findings.report_help(
            codes::EMPTY_LIST,
            node,
            "an empty `serviceAccounts` could mean all of them or none",
            "leave it out for all of them",
        );
        return None;
    }
    findings.strings(node)
}

/// Names of `fqdn` or `questions`: never an empty list.
pub(super) fn patterns(node: Node<'_>, findings: &mut Findings) -> Option<Vec<NamePattern>> {
    if limits::list(node, limits::NAMES, findings)?.is_empty() {
        findings.report_help(
            codes::EMPTY_LIST,
            node,
            "an empty list of names could mean every name or none",
            "write \"*\" for every name, or leave the entry out",
        );
        return None;
    }
    let texts = findings.strings(node)?;
    Some(
        texts
            .into_iter()
            .filter_map(|text| pattern(text, findings))
            .collect(),
    )
}

fn pattern(text: At<'_, &str>, findings: &mut Findings) -> Option<NamePattern> {
    match NamePattern::parse(Grammar::Native, text.value) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            match error.help() {
                Some(help) => {
                    findings.report_help(codes::INVALID_PATTERN, text.node, error.to_string(), help)
                }
                None => findings.report(codes::INVALID_PATTERN, text.node, error.to_string()),
            }
            None
        }
    }
}

fn decode_cidr<'d>(
    node: Node<'d>,
    except: Option<Node<'d>>,
    scope: Scope,
    findings: &mut Findings,
) -> Option<PeerKindSpec<'d>> {
    let net = crate::cidr::decode(node, codes::INVALID_CIDR, findings)?;
    let mut excepts = Vec::new();
    if let Some(except) = except {
        for item in limits::list(except, limits::ENTRIES, findings)? {
            let inner = crate::cidr::decode(item, codes::INVALID_CIDR, findings)?;
            if !net.contains(&inner) {
                findings.report(
                    codes::INVALID_EXCEPT,
                    item,
                    format!("`{inner}` does not lie inside `{net}`"),
                );
                return None;
            }
            excepts.push(inner);
        }
    }
    Some(PeerKindSpec::Cidr {
        net,
        except: excepts,
        scope,
    })
}
