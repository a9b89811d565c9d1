use dns_names::{Grammar, NamePattern};
use ipnet::IpNet;

use super::{limits, non_empty};
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
    Fqdn(Vec<NamePattern>),
    Cidr {
        net: IpNet,
        except: Vec<IpNet>,
    },
    Pods(PodsSpec<'d>),
    Nodes(LabelSelectorSpec<'d>),
    Service {
        namespace: Option<&'d str>,
        name: &'d str,
    },
    Entity(EntitySpec),
    Set(&'d str),
}

#[derive(Debug)]
pub(crate) struct PodsSpec<'d> {
    pub(crate) namespaces: Option<LabelSelectorSpec<'d>>,
    pub(crate) pods: LabelSelectorSpec<'d>,
    pub(crate) service_accounts: Vec<&'d str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntitySpec {
    Dns,
    World,
    Cluster,
    Host,
    Loopback,
    KubeApiserver,
}

impl<'d> PeerSpec<'d> {
    pub(super) fn decode(
        node: Node<'d>,
        findings: &mut Findings,
        unknown: &mut Unknown,
    ) -> Option<Self> {
        const ENTITIES: &[(&str, EntitySpec)] = &[
            ("dns", EntitySpec::Dns),
            ("world", EntitySpec::World),
            ("cluster", EntitySpec::Cluster),
            ("host", EntitySpec::Host),
            ("loopback", EntitySpec::Loopback),
            ("kube-apiserver", EntitySpec::KubeApiserver),
        ];
        let mut fields = findings.fields(node)?;
        let fqdn = fields.take("fqdn");
        let cidr = fields.take("cidr");
        let except = fields.take("except");
        let pods = fields.take("pods");
        let nodes = fields.take("nodes");
        let service = fields.take("service");
        let entity = fields.take("entity");
        let set = fields.take("set");
        let strange = fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
        if strange == Unknown::Some {
            *unknown = Unknown::Some;
        }
        let given = [fqdn, cidr, pods, nodes, service, entity, set];
        match given.iter().flatten().count() {
            1 => {}
            0 if strange == Unknown::Some => return None,
            0 => {
                findings.report_help(
                    codes::NATIVE_PEER,
                    node,
                    "this entry names no peer",
                    "write one of `fqdn`, `cidr`, `pods`, `nodes`, `service`, `entity`, `set`",
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
        let kind = if let Some(node) = fqdn {
            PeerKindSpec::Fqdn(patterns(node, findings)?)
        } else if let Some(node) = cidr {
            decode_cidr(node, except, findings)?
        } else if let Some(node) = pods {
            PeerKindSpec::Pods(PodsSpec::decode(node, findings)?)
        } else if let Some(node) = nodes {
            PeerKindSpec::Nodes(LabelSelectorSpec::decode(node, findings)?)
        } else if let Some(node) = service {
            let mut fields = findings.fields(node)?;
            let namespace = fields
                .take("namespace")
                .and_then(|node| non_empty(node, findings))
                .map(|at| at.value);
            let name = match fields.take("name") {
                Some(name) => non_empty(name, findings).map(|at| at.value),
                None => {
                    findings.report(
                        codes::MISSING_FIELD,
                        node,
                        "`name` of the service is missing",
                    );
                    None
                }
            };
            fields.finish(findings, codes::UNKNOWN_FIELD);
            PeerKindSpec::Service {
                namespace,
                name: name?,
            }
        } else if let Some(node) = entity {
            PeerKindSpec::Entity(findings.word(node, ENTITIES)?.value)
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

fn patterns(node: Node<'_>, findings: &mut Findings) -> Option<Vec<NamePattern>> {
    if limits::list(node, limits::NAMES, findings)?.is_empty() {
        findings.report_help(
            codes::EMPTY_LIST,
            node,
            "an empty `fqdn` could mean every name or none",
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
    })
}
