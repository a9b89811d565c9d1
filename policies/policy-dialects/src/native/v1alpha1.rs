//! `egret.dev/v1alpha1` as written.

use dns_names::{Grammar, NamePattern};
use ipnet::IpNet;
use policy_model::{HttpMatch, Protocol};

use crate::codes;
use crate::decode::{At, Findings, Unknown};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::{Node, Shape, Typed};

/// LIMIT: priorities are small numbers; this keeps them apart from the orders of other dialects' tiers.
const MAX_PRIORITY: i64 = 1_000_000;

/// `spec` of both kinds; what belongs to one of them only is checked on lowering.
#[derive(Debug)]
pub(crate) struct EgressPolicySpec<'d> {
    pub(crate) tier: Option<At<'d, TierSpec>>,
    pub(crate) priority: Option<At<'d, i64>>,
    pub(crate) mode: Option<ModeSpec>,
    pub(crate) subject: Option<SubjectSpec<'d>>,
    pub(crate) default_deny: Option<bool>,
    pub(crate) dns_filter: Option<bool>,
    pub(crate) deny: Option<DenySpec>,
    pub(crate) egress: Vec<RuleSpec<'d>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TierSpec {
    Admin,
    Baseline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModeSpec {
    Enforce,
    Audit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DenySpec {
    Reject,
    Drop,
}

/// Whom the policy is for: all given parts must match.
#[derive(Debug)]
pub(crate) struct SubjectSpec<'d> {
    pub(crate) node: Node<'d>,
    pub(crate) namespaces: Option<At<'d, LabelSelectorSpec<'d>>>,
    pub(crate) pods: Option<LabelSelectorSpec<'d>>,
    pub(crate) service_accounts: Option<Vec<At<'d, &'d str>>>,
    pub(crate) unit: Option<At<'d, &'d str>>,
    pub(crate) user: Option<At<'d, &'d str>>,
    pub(crate) cgroup: Option<At<'d, &'d str>>,
    pub(crate) container: Option<ContainerSpec<'d>>,
    pub(crate) command: Option<bool>,
}

#[derive(Debug)]
pub(crate) struct ContainerSpec<'d> {
    pub(crate) labels: Vec<(&'d str, At<'d, &'d str>)>,
    pub(crate) name: Option<At<'d, &'d str>>,
}

/// One entry of `egress`.
#[derive(Debug)]
pub(crate) struct RuleSpec<'d> {
    pub(crate) node: Node<'d>,
    pub(crate) name: Option<At<'d, &'d str>>,
    pub(crate) action: ActionSpec,
    pub(crate) to: Option<Vec<PeerSpec<'d>>>,
    pub(crate) metadata: Vec<At<'d, &'d str>>,
    pub(crate) ports: Option<Vec<PortSpec>>,
    pub(crate) allow_private: Option<At<'d, bool>>,
    pub(crate) tls: Option<Node<'d>>,
    pub(crate) http: Option<At<'d, Vec<HttpMatch>>>,
    /// A field that does not exist stands in it, so what was meant is unknown.
    pub(crate) unknown: Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionSpec {
    Allow,
    Deny,
    Pass,
    Log,
}

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
    Pods {
        namespaces: Option<LabelSelectorSpec<'d>>,
        pods: LabelSelectorSpec<'d>,
    },
    Nodes(LabelSelectorSpec<'d>),
    Service {
        namespace: Option<&'d str>,
        name: &'d str,
    },
    Entity(EntitySpec),
    Set(&'d str),
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

/// One entry of `ports`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PortSpec {
    pub(crate) protocol: Protocol,
    pub(crate) range: PortRangeSpec,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortRangeSpec {
    All,
    Ports { first: u16, last: u16 },
    Icmp { kind: u8, code: Option<u8> },
}

impl<'d> EgressPolicySpec<'d> {
    /// Reads `spec`; nothing where it is not a mapping. Findings say what else is wrong.
    pub(crate) fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let tier = fields.take("tier").and_then(|node| {
            findings.word(
                node,
                &[("admin", TierSpec::Admin), ("baseline", TierSpec::Baseline)],
            )
        });
        let priority = fields
            .take("priority")
            .and_then(|node| bounded(node, 0, MAX_PRIORITY, findings));
        let mode = fields
            .take("mode")
            .and_then(|node| {
                findings.word(
                    node,
                    &[("enforce", ModeSpec::Enforce), ("audit", ModeSpec::Audit)],
                )
            })
            .map(|mode| mode.value);
        let subject = fields
            .take("subject")
            .and_then(|node| SubjectSpec::decode(node, findings));
        let default_deny = fields
            .take("defaultDeny")
            .and_then(|node| findings.boolean(node));
        let dns_filter = fields.take("dns").and_then(|node| {
            let mut fields = findings.fields(node)?;
            let filter = fields
                .take("filter")
                .and_then(|node| findings.boolean(node));
            fields.finish(findings, codes::UNKNOWN_FIELD);
            filter
        });
        let deny = fields
            .take("deny")
            .and_then(|node| {
                findings.word(
                    node,
                    &[("reject", DenySpec::Reject), ("drop", DenySpec::Drop)],
                )
            })
            .map(|deny| deny.value);
        let mut egress = Vec::new();
        if let Some(node) = fields.take("egress") {
            for item in findings.list(node).unwrap_or_default() {
                egress.extend(RuleSpec::decode(item, findings));
            }
        }
        fields.finish(findings, codes::UNKNOWN_FIELD);
        Some(Self {
            tier,
            priority,
            mode,
            subject,
            default_deny,
            dns_filter,
            deny,
            egress,
        })
    }
}

impl<'d> SubjectSpec<'d> {
    fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let namespaces = fields.take("namespaces").and_then(|node| {
            LabelSelectorSpec::decode(node, findings).map(|value| At { value, node })
        });
        let pods = fields
            .take("pods")
            .and_then(|node| LabelSelectorSpec::decode(node, findings));
        let service_accounts = fields
            .take("serviceAccounts")
            .and_then(|node| findings.strings(node));
        let unit = fields
            .take("unit")
            .and_then(|node| non_empty(node, findings));
        let user = fields
            .take("user")
            .and_then(|node| non_empty(node, findings));
        let cgroup = fields
            .take("cgroup")
            .and_then(|node| non_empty(node, findings));
        let container = fields
            .take("container")
            .and_then(|node| ContainerSpec::decode(node, findings));
        let command = fields
            .take("command")
            .and_then(|node| findings.boolean(node));
        fields.finish(findings, codes::UNKNOWN_FIELD);
        Some(Self {
            node,
            namespaces,
            pods,
            service_accounts,
            unit,
            user,
            cgroup,
            container,
            command,
        })
    }
}

impl<'d> ContainerSpec<'d> {
    fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let mut labels = Vec::new();
        if let Some(node) = fields.take("labels") {
            let Shape::Mapping(entries) = node.shape() else {
                findings.wrong_type(node, "a mapping");
                return None;
            };
            labels.extend(
                entries
                    .iter()
                    .filter_map(|entry| Some((entry.key, findings.string(entry.value)?))),
            );
        }
        let name = fields
            .take("name")
            .and_then(|node| non_empty(node, findings));
        fields.finish(findings, codes::UNKNOWN_FIELD);
        if labels.is_empty() && name.is_none() {
            findings.report(
                codes::NATIVE_SUBJECT,
                node,
                "a container is chosen by `labels`, by `name` or by both",
            );
            return None;
        }
        Some(Self { labels, name })
    }
}

impl<'d> RuleSpec<'d> {
    fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        const ACTIONS: &[(&str, ActionSpec)] = &[
            ("Allow", ActionSpec::Allow),
            ("Deny", ActionSpec::Deny),
            ("Pass", ActionSpec::Pass),
            ("Log", ActionSpec::Log),
        ];
        let mut fields = findings.fields(node)?;
        let name = fields.take("name").and_then(|node| findings.string(node));
        let action = match fields.take("action") {
            Some(action) => findings.word(action, ACTIONS).map(|action| action.value),
            None => {
                findings.report_help(
                    codes::MISSING_FIELD,
                    node,
                    "`action` is missing",
                    "a rule says `action: Allow`, `Deny`, `Pass` or `Log`",
                );
                None
            }
        };
        let mut unknown = Unknown::None;
        let to = fields.take("to").map(|node| {
            let items = findings.list(node).unwrap_or_default();
            if items.is_empty() {
                findings.report_help(
                    codes::EMPTY_LIST,
                    node,
                    "an empty `to` could mean every destination or none",
                    "leave `to` out for every destination, or leave the rule out for none",
                );
            }
            items
                .into_iter()
                .filter_map(|item| PeerSpec::decode(item, findings, &mut unknown))
                .collect()
        });
        let metadata = fields
            .take("metadata")
            .and_then(|node| findings.strings(node))
            .unwrap_or_default();
        let ports = fields.take("ports").map(|node| {
            let items = findings.list(node).unwrap_or_default();
            if items.is_empty() {
                findings.report_help(
                    codes::EMPTY_LIST,
                    node,
                    "an empty `ports` could mean every port or none",
                    "leave `ports` out for every port and protocol",
                );
            }
            items
                .into_iter()
                .filter_map(|item| PortSpec::decode(item, findings, &mut unknown))
                .collect()
        });
        let allow_private = fields
            .take("allowPrivate")
            .and_then(|node| findings.boolean(node).map(|value| At { value, node }));
        let tls = fields
            .take("tls")
            .inspect(|node| check_tls(*node, findings));
        let http = fields.take("http").map(|node| At {
            value: http(node, findings),
            node,
        });
        if fields.finish(findings, codes::UNKNOWN_RULE_FIELD) == Unknown::Some {
            unknown = Unknown::Some;
        }
        Some(Self {
            node,
            name,
            action: action?,
            to,
            metadata,
            ports,
            allow_private,
            tls,
            http,
            unknown,
        })
    }
}

impl<'d> PeerSpec<'d> {
    fn decode(node: Node<'d>, findings: &mut Findings, unknown: &mut Unknown) -> Option<Self> {
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
            let mut fields = findings.fields(node)?;
            let namespaces = match fields.take("namespaces") {
                Some(node) => Some(LabelSelectorSpec::decode(node, findings)?),
                None => None,
            };
            let pods = LabelSelectorSpec::decode_fields(&mut fields, findings);
            fields.finish(findings, codes::UNKNOWN_FIELD);
            PeerKindSpec::Pods {
                namespaces,
                pods: pods?,
            }
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

impl PortSpec {
    fn decode(node: Node<'_>, findings: &mut Findings, unknown: &mut Unknown) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let protocol_node = fields.take("protocol");
        let port = fields.take("port");
        let end_port = fields.take("endPort");
        let kind = fields.take("type");
        let code = fields.take("code");
        if fields.finish(findings, codes::UNKNOWN_RULE_FIELD) == Unknown::Some {
            *unknown = Unknown::Some;
        }
        // As in NetworkPolicy, a port without a protocol is TCP's.
        let protocol = match protocol_node {
            Some(node) => decode_protocol(node, findings)?,
            None => Protocol::TCP,
        };
        if matches!(protocol, Protocol::ICMP | Protocol::ICMPV6) {
            if let Some(port) = port.or(end_port) {
                findings.report_help(
                    codes::INVALID_PORT,
                    port,
                    "ICMP has no ports",
                    "write `type` and, if you like, `code`",
                );
                return None;
            }
            let range = match (kind, code) {
                (Some(kind), code) => {
                    let kind = narrow(bounded(kind, 0, 255, findings)?.value)?;
                    let code = match code {
                        Some(code) => Some(narrow(bounded(code, 0, 255, findings)?.value)?),
                        None => None,
                    };
                    PortRangeSpec::Icmp { kind, code }
                }
                (None, Some(code)) => {
                    findings.report(codes::INVALID_PORT, code, "an ICMP `code` needs its `type`");
                    return None;
                }
                (None, None) => PortRangeSpec::All,
            };
            return Some(Self { protocol, range });
        }
        if let Some(kind) = kind.or(code) {
            findings.report(
                codes::INVALID_PORT,
                kind,
                "`type` and `code` belong to ICMP and ICMPv6",
            );
            return None;
        }
        let range = match (port, end_port) {
            (None, None) => PortRangeSpec::All,
            (None, Some(end)) => {
                findings.report(codes::INVALID_PORT, end, "`endPort` needs a `port`");
                return None;
            }
            (Some(port), end) => {
                if !protocol.has_ports() {
                    findings.report(
                        codes::INVALID_PORT,
                        port,
                        "only TCP, UDP, UDP-Lite, DCCP and SCTP have ports",
                    );
                    return None;
                }
                let first = decode_port(port, findings)?;
                let last = match end {
                    Some(end) => decode_port(end, findings)?,
                    None => first,
                };
                if last < first {
                    findings.report(
                        codes::INVALID_PORT,
                        end.unwrap_or(port),
                        format!("the range ends at {last}, before its start {first}"),
                    );
                    return None;
                }
                PortRangeSpec::Ports { first, last }
            }
        };
        Some(Self { protocol, range })
    }
}

/// A list of patterns, or one alone.
fn patterns(node: Node<'_>, findings: &mut Findings) -> Option<Vec<NamePattern>> {
    let texts = match node.shape() {
        Shape::Scalar(..) => vec![findings.string(node)?],
        Shape::Sequence(items) => {
            if items.is_empty() {
                findings.report_help(
                    codes::EMPTY_LIST,
                    node,
                    "an empty `fqdn` could mean every name or none",
                    "write \"*\" for every name, or leave the entry out",
                );
                return None;
            }
            findings.strings(node)?
        }
        Shape::Mapping(_) => findings.strings(node)?,
    };
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
        for item in findings.list(except)? {
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

fn decode_protocol(node: Node<'_>, findings: &mut Findings) -> Option<Protocol> {
    const NAMES: &[(&str, Protocol)] = &[
        ("TCP", Protocol::TCP),
        ("UDP", Protocol::UDP),
        ("SCTP", Protocol::SCTP),
        ("ICMP", Protocol::ICMP),
        ("ICMPv6", Protocol::ICMPV6),
    ];
    if let Some(Typed::Int(_) | Typed::Float(_)) = node.typed() {
        return narrow(bounded(node, 0, 255, findings)?.value).map(Protocol);
    }
    findings.word(node, NAMES).map(|protocol| protocol.value)
}

fn decode_port(node: Node<'_>, findings: &mut Findings) -> Option<u16> {
    let port = findings.integer(node)?;
    match u16::try_from(port.value) {
        Ok(port) if port > 0 => Some(port),
        Ok(_) | Err(_) => {
            findings.report(
                codes::INVALID_PORT,
                node,
                format!("{} is not a port: 1 to 65535", port.value),
            );
            None
        }
    }
}

fn bounded<'d>(
    node: Node<'d>,
    least: i64,
    most: i64,
    findings: &mut Findings,
) -> Option<At<'d, i64>> {
    let number = findings.integer(node)?;
    if (least..=most).contains(&number.value) {
        return Some(number);
    }
    findings.report(
        codes::INVALID_VALUE,
        node,
        format!("{} is out of range: {least} to {most}", number.value),
    );
    None
}

fn narrow(value: i64) -> Option<u8> {
    u8::try_from(value).ok()
}

fn non_empty<'d>(node: Node<'d>, findings: &mut Findings) -> Option<At<'d, &'d str>> {
    let text = findings.string(node)?;
    if text.value.is_empty() {
        findings.report(
            codes::INVALID_VALUE,
            node,
            "an empty string chooses nothing",
        );
        return None;
    }
    Some(text)
}

/// `tls: {sni: match}`
fn check_tls(node: Node<'_>, findings: &mut Findings) {
    if let Some(mut fields) = findings.fields(node) {
        if let Some(sni) = fields.take("sni") {
            findings.word(sni, &[("match", ())]);
        }
        fields.finish(findings, codes::UNKNOWN_FIELD);
    }
}

/// `http: [{methods: [GET], paths: ["/v1/*"]}]`
fn http(node: Node<'_>, findings: &mut Findings) -> Vec<HttpMatch> {
    let mut matches = Vec::new();
    for item in findings.list(node).unwrap_or_default() {
        let Some(mut fields) = findings.fields(item) else {
            continue;
        };
        let mut texts = |key| {
            let texts = fields
                .take(key)
                .and_then(|node| findings.strings(node))
                .unwrap_or_default();
            texts.into_iter().map(|text| text.value.into()).collect()
        };
        let (methods, paths) = (texts("methods"), texts("paths"));
        fields.finish(findings, codes::UNKNOWN_FIELD);
        matches.push(HttpMatch {
            methods,
            paths,
            hosts: Vec::new(),
        });
    }
    matches
}
