//! `toPorts`: ports, `rules`, and the fields that need a proxy.

use dns_names::{Grammar, Name, NamePattern};
use policy_model::{HttpMatch, NamedPort, Protocol};

use super::http;
use crate::Context;
use crate::codes::{self, Code};
use crate::decode::{Findings, Unknown, digits};
use crate::yaml::{Node, Shape, Typed};

/// LIMIT: Cilium's `maxPorts` of one port rule.
const MAX_PORTS: usize = 40;

/// Where a port rule stands, which decides which layer 7 rules Cilium accepts in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) ingress: bool,
    pub(crate) deny: bool,
    pub(crate) host: bool,
}

/// One entry of `toPorts`.
#[derive(Debug)]
pub(crate) struct PortRuleSpec {
    pub(crate) ports: Vec<PortSpec>,
    /// The names of `rules.dns`; present and empty allows every name, as in Cilium.
    pub(crate) dns: Option<Vec<NamePattern>>,
    /// `rules.http`: any of these.
    pub(crate) http: Vec<HttpMatch>,
    /// `serverNames`; nothing where none were asked for.
    pub(crate) server_names: Vec<NamePattern>,
    /// What Egret cannot enforce in it; any of these closes the entry.
    pub(crate) closed: Vec<Code>,
}

/// One entry of `ports`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortSpec {
    /// `first..=last` of one protocol; no protocol is Cilium's ANY: TCP, UDP and SCTP.
    Range {
        protocol: Option<Protocol>,
        first: u16,
        last: u16,
    },
    /// Port 0: every port of a protocol, and with ANY of these three. ICMP and the rest are meant by rules without ports
    /// alone.
    Every { protocol: Option<Protocol> },
    /// A port of the destination's containers.
    Named(NamedPort),
}

/// The protocols of Cilium's ANY in a port rule, port 0 too (`mergeL4Filter`).
pub(crate) const ANY: [Protocol; 3] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];

impl PortRuleSpec {
    pub(crate) fn decode(
        node: Node<'_>,
        position: Position,
        context: &Context,
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut closed = Vec::new();
        let mut fields = findings.fields(node)?;
        let ports_node = fields.take("ports");
        let mut rest = (None, None, None, None, None);
        if !position.deny {
            rest = (
                fields.take("rules"),
                fields.take("serverNames"),
                fields.take("listener"),
                fields.take("terminatingTLS"),
                fields.take("originatingTLS"),
            );
        }
        let (rules, server_names, listener, terminating, originating) = rest;
        if fields.finish(findings, codes::UNKNOWN_RULE_FIELD) == Unknown::Some {
            closed.push(codes::UNKNOWN_RULE_FIELD);
        }
        let l7 = match rules {
            Some(rules) => L7Spec::decode(rules, position, findings, &mut closed),
            None => L7Spec::default(),
        };
        let items = ports_node
            .and_then(|node| findings.list(node))
            .unwrap_or_default();
        if items.len() > MAX_PORTS {
            findings.report(
                codes::CILIUM_TOO_MANY,
                ports_node.unwrap_or(node),
                format!("too many ports, the max is {MAX_PORTS}"),
            );
        }
        let ports = items
            .iter()
            .filter_map(|item| decode_port(*item, &l7, context, findings, &mut closed))
            .collect();
        if items.is_empty() && l7.dns.is_some() {
            findings.report_help(
                codes::CILIUM_L7,
                node,
                "port 53 must be specified for DNS rules",
                "write `ports: [{port: \"53\", protocol: ANY}]`",
            );
        }
        if ports_node.is_some() && items.is_empty() {
            findings.report_help(
                codes::CILIUM_EMPTY_PORTS,
                ports_node.unwrap_or(node),
                "an empty `ports` makes no entry, so this matches nothing",
                "leave `toPorts` out for every port",
            );
        }
        let mut names = Vec::new();
        if let Some(node) = server_names {
            names = decode_server_names(node, &l7, terminating.is_some(), findings);
            if !names.is_empty() {
                findings.report_help(
                    codes::CILIUM_SERVER_NAMES,
                    node,
                    "`serverNames` are not checked yet, so this entry allows nothing",
                    "`toFQDNs` limits by the name that was resolved",
                );
                closed.push(codes::CILIUM_SERVER_NAMES);
            }
        }
        if let Some(listener) = listener {
            if position.ingress {
                findings.report(
                    codes::CILIUM_LISTENER,
                    listener,
                    "Listener is not allowed on ingress",
                );
            }
            if l7.any {
                findings.report(
                    codes::CILIUM_LISTENER,
                    listener,
                    "Listener is not allowed with L7 rules",
                );
            }
            findings.report(
                codes::CILIUM_ENVOY_LISTENER,
                listener,
                "traffic is not sent to an Envoy listener, so this entry allows nothing",
            );
            closed.push(codes::CILIUM_ENVOY_LISTENER);
        }
        for tls in [terminating, originating].into_iter().flatten() {
            findings.report(
                codes::CILIUM_TLS,
                tls,
                "TLS is neither ended nor begun here, so this entry allows nothing",
            );
            closed.push(codes::CILIUM_TLS);
        }
        Some(Self {
            ports,
            dns: l7.dns,
            http: l7.http,
            server_names: names,
            closed,
        })
    }
}

/// `rules` of a port rule.
#[derive(Debug, Default)]
struct L7Spec {
    dns: Option<Vec<NamePattern>>,
    /// `http` is there and has an entry. Without one Cilium takes the port for one without rules.
    has_http: bool,
    http: Vec<HttpMatch>,
    any: bool,
}

impl L7Spec {
    fn decode(
        node: Node<'_>,
        position: Position,
        findings: &mut Findings,
        closed: &mut Vec<Code>,
    ) -> Self {
        let mut spec = Self::default();
        let Some(mut fields) = findings.fields(node) else {
            return spec;
        };
        let http = fields.take("http");
        let dns = fields.take("dns");
        let kafka = fields.take("kafka");
        let l7proto = fields.take("l7proto");
        let l7 = fields.take("l7");
        let unknown = fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
        if unknown == Unknown::Some {
            closed.push(codes::UNKNOWN_RULE_FIELD);
        }
        let given = [http, dns, kafka, l7proto].iter().flatten().count();
        if given > 1 {
            findings.report(
                codes::CILIUM_L7,
                node,
                "multiple L7 protocol rule types specified in one rule",
            );
        }
        if given == 0 && l7.is_none() && unknown == Unknown::None {
            // The definition asks for one of them. Without any, the port would be open as such.
            findings.report_help(
                codes::CILIUM_L7,
                node,
                "`rules` says neither `http` nor `dns`",
                "leave `rules` out to allow the port as such",
            );
        }
        if let Some(http) = http {
            let rules = http::decode(http, findings, closed);
            spec.has_http = !is_empty(http);
            if !spec.has_http {
                findings.report_help(
                    codes::EMPTY_MEANS_EVERYTHING,
                    http,
                    "an empty list limits nothing: whatever goes to the port is meant, as without `rules`",
                    "leave `rules` out, or say which requests are meant",
                );
            } else if position.host {
                let way = if position.ingress {
                    "L7 policy is not supported on host ingress yet"
                } else {
                    "L7 protocol HTTP is not supported on host egress yet"
                };
                findings.report(codes::CILIUM_L7, http, way);
            }
            if spec.has_http && !position.ingress {
                spec.http = rules;
                findings.report_help(
                    codes::CILIUM_HTTP,
                    http,
                    "HTTP rules are not enforced yet, so this entry allows nothing",
                    "leave `rules.http` out to allow the port as such",
                );
                closed.push(codes::CILIUM_HTTP);
            }
        }
        spec.any = spec.has_http || dns.or(kafka).or(l7proto).is_some();
        for other in [kafka, l7proto, l7].into_iter().flatten() {
            if !position.ingress && http.is_none() && dns.is_none() {
                findings.report(
                    codes::CILIUM_L7_OTHER,
                    other,
                    "layer 7 rules of this kind are not enforced, so this entry allows nothing",
                );
                closed.push(codes::CILIUM_L7_OTHER);
            }
        }
        if let Some(dns) = dns {
            if position.ingress {
                findings.report(
                    codes::CILIUM_L7,
                    dns,
                    "L7 protocol DNS is not supported on ingress yet",
                );
            }
            let names = findings.list(dns).unwrap_or_default();
            if names.is_empty() {
                findings.report_help(
                    codes::EMPTY_MEANS_EVERYTHING,
                    dns,
                    "an empty list limits nothing: every name may be asked",
                    "name the zones the workload needs",
                );
            }
            spec.dns = Some(
                names
                    .into_iter()
                    .filter_map(|name| decode_dns(name, findings))
                    .collect(),
            );
        }
        spec
    }
}

fn is_empty(node: Node<'_>) -> bool {
    matches!(node.shape(), Shape::Sequence(items) if items.is_empty())
}

/// One entry of `rules.dns`.
fn decode_dns(node: Node<'_>, findings: &mut Findings) -> Option<NamePattern> {
    let pattern = decode_name_selector(node, findings)?;
    if pattern.is_match_all() {
        findings.report_help(
            codes::CILIUM_DNS_WILDCARD,
            node,
            "every name may be asked, so data can leave inside of names that are looked up",
            "name the zones the workload needs; names of its `toFQDNs` may be asked without any `rules.dns`",
        );
    }
    Some(pattern)
}

/// A `matchName` or a `matchPattern`, as `toFQDNs` and `rules.dns` have it.
pub(crate) fn decode_name_selector(node: Node<'_>, findings: &mut Findings) -> Option<NamePattern> {
    let mut fields = findings.fields(node)?;
    let name = fields.take("matchName");
    let pattern = fields.take("matchPattern");
    if fields.finish(findings, codes::UNKNOWN_FIELD) == Unknown::Some {
        return None;
    }
    let (text_node, grammar) = match (name, pattern) {
        (Some(_), Some(pattern)) => {
            findings.report(
                codes::CILIUM_FQDN,
                pattern,
                "only one of MatchName or MatchPattern is allowed in an FQDNSelector",
            );
            return None;
        }
        (Some(name), None) => (name, Grammar::CiliumName),
        (None, Some(pattern)) => (pattern, Grammar::Cilium),
        (None, None) => {
            // Cilium's agent accepts it: the empty name is the root.
            findings.report_help(
                codes::CILIUM_DNS_WITHOUT_NAMES,
                node,
                "neither `matchName` nor `matchPattern`: only the root name `.` is meant",
                "write `matchPattern: \"*\"` for every name",
            );
            return Some(NamePattern::exactly(&Name::root()));
        }
    };
    let text = findings.string(text_node)?.value;
    // The CRD's own pattern `^([-a-zA-Z0-9_*]+[.]?)+$`: no empty labels.
    let labels = text.strip_suffix('.').unwrap_or(text);
    if labels.split('.').any(str::is_empty) {
        findings.report(
            codes::CILIUM_FQDN,
            text_node,
            format!("`{text}` has an empty label"),
        );
        return None;
    }
    match NamePattern::parse(grammar, text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            match error.help() {
                Some(help) => {
                    findings.report_help(codes::CILIUM_FQDN, text_node, error.to_string(), help)
                }
                None => findings.report(codes::CILIUM_FQDN, text_node, error.to_string()),
            }
            None
        }
    }
}

fn decode_port(
    node: Node<'_>,
    l7: &L7Spec,
    context: &Context,
    findings: &mut Findings,
    closed: &mut Vec<Code>,
) -> Option<PortSpec> {
    let mut fields = findings.fields(node)?;
    let port_node = fields.take("port");
    let end_node = fields.take("endPort");
    let protocol_node = fields.take("protocol");
    if fields.finish(findings, codes::UNKNOWN_RULE_FIELD) == Unknown::Some {
        closed.push(codes::UNKNOWN_RULE_FIELD);
    }
    let protocol = match protocol_node {
        Some(node) => decode_protocol(node, context, findings)?,
        None => None,
    };
    if l7.has_http && protocol != Some(Protocol::TCP) {
        let given = protocol.map_or_else(|| "ANY".to_owned(), |protocol| protocol.to_string());
        findings.report_help(
            codes::CILIUM_L7,
            node,
            format!("L7 rules can only apply to TCP (not {given}) except for DNS rules"),
            "write `protocol: TCP`",
        );
    }
    if l7.dns.is_some()
        && protocol.is_some_and(|protocol| protocol != Protocol::TCP && protocol != Protocol::UDP)
    {
        findings.report(
            codes::CILIUM_L7,
            node,
            "DNS rules apply to TCP, UDP and ANY",
        );
    }
    let Some(port_node) = port_node else {
        if context.cilium.extended_protocols
            && protocol.is_some_and(|protocol| !protocol.has_ports())
        {
            return Some(PortSpec::Every { protocol });
        }
        findings.report(
            codes::CILIUM_PORT,
            node,
            "port must be specified (unless enable-extended-ip-protocols)",
        );
        return None;
    };
    if let Some(Typed::Int(_)) = port_node.typed() {
        findings.wrong_type(port_node, "a string");
        return None;
    }
    let text = findings.string(port_node)?.value;
    let end = match end_node {
        Some(end) => Some(findings.integer(end)?.value),
        None => None,
    };
    let Some(first) = decode_number(text, port_node, findings) else {
        if !is_service_name(text) {
            findings.report_help(
                codes::CILIUM_PORT,
                port_node,
                format!("unable to parse port: `{text}`"),
                "a number up to 65535 in quotes, or a service's name",
            );
            return None;
        }
        if end.is_some() {
            findings.report(
                codes::CILIUM_PORT,
                port_node,
                "a named port cannot begin a range",
            );
            return None;
        }
        if l7.dns.is_some() {
            findings.report_help(
                codes::CILIUM_NAMED_PORT,
                port_node,
                format!("names are filtered on known servers, not on a port called `{text}`: nothing is allowed by it"),
                "write the number in quotes",
            );
            closed.push(codes::CILIUM_NAMED_PORT);
            return None;
        }
        return Some(PortSpec::Named(NamedPort {
            protocol,
            name: text.to_ascii_lowercase().into(),
        }));
    };
    let last = match end {
        None | Some(0) => first,
        Some(end) => match u16::try_from(end) {
            Ok(end) if end >= first => end,
            Ok(_) | Err(_) => {
                findings.report(
                    codes::CILIUM_PORT,
                    end_node.unwrap_or(node),
                    format!("endPort {end} is not between {first} and 65535"),
                );
                return None;
            }
        },
    };
    if l7.dns.is_some() && first == 0 {
        findings.report(codes::CILIUM_PORT, port_node, "DNS rules need a port");
        return None;
    }
    if l7.any && l7.dns.is_none() && first == 0 {
        findings.report(
            codes::CILIUM_L7,
            port_node,
            "L7 rules can not be used when a port is 0",
        );
        return None;
    }
    if l7.dns.is_some() && last != first {
        findings.report(
            codes::CILIUM_PORT,
            end_node.unwrap_or(node),
            "DNS rules do not support port ranges",
        );
        return None;
    }
    Some(if first == 0 {
        PortSpec::Every { protocol }
    } else {
        PortSpec::Range {
            protocol,
            first,
            last,
        }
    })
}

/// A port's number as Go's `ParseUint` with base 0 reads it: a leading zero makes it octal.
fn decode_number(text: &str, node: Node<'_>, findings: &mut Findings) -> Option<u16> {
    let octal = text.strip_prefix('0').filter(|rest| !rest.is_empty());
    let number = match octal {
        None => return digits(text),
        Some(rest) if rest.starts_with('+') => return None,
        Some(rest) => u16::from_str_radix(rest, 8).ok()?,
    };
    findings.report_help(
        codes::YAML_SURPRISING_NUMBER,
        node,
        format!("Cilium reads the port `{text}` as {number}"),
        format!("write \"{number}\", or the number you mean without the leading zero"),
    );
    Some(number)
}

/// The number of a protocol; none for ANY.
fn decode_protocol(
    node: Node<'_>,
    context: &Context,
    findings: &mut Findings,
) -> Option<Option<Protocol>> {
    const PLAIN: &[(&str, Option<Protocol>)] = &[
        ("TCP", Some(Protocol::TCP)),
        ("UDP", Some(Protocol::UDP)),
        ("SCTP", Some(Protocol::SCTP)),
        ("ANY", None),
    ];
    const EXTENDED: &[(&str, Option<Protocol>)] = &[
        ("IGMP", Some(Protocol(2))),
        ("IPIP", Some(Protocol(4))),
        ("IPV6", Some(Protocol(41))),
        ("GRE", Some(Protocol(47))),
        ("ESP", Some(Protocol(50))),
        ("AH", Some(Protocol(51))),
        ("VRRP", Some(Protocol(112))),
    ];
    let text = findings.string(node)?.value;
    if let Some((_, protocol)) = PLAIN.iter().find(|(name, _)| *name == text) {
        return Some(*protocol);
    }
    if let Some((_, protocol)) = EXTENDED.iter().find(|(name, _)| *name == text) {
        if context.cilium.extended_protocols {
            findings.report_help(
                codes::CILIUM_NEEDS_FLAG,
                node,
                format!("Cilium's agent refuses protocol {text} unless it runs with enable-extended-ip-protocols"),
                "Egret judges every protocol and needs no flag",
            );
            return Some(*protocol);
        }
        findings.report(
            codes::CILIUM_PORT,
            node,
            format!("protocol {text} needs Cilium's flag enable-extended-ip-protocols"),
        );
        return None;
    }
    if text.starts_with("ICMP") {
        findings.report_help(
            codes::CILIUM_PORT,
            node,
            "ICMP has no ports",
            "write `icmps` in a rule of its own",
        );
        return None;
    }
    findings.word(node, PLAIN).map(|protocol| protocol.value)
}

fn decode_server_names(
    node: Node<'_>,
    l7: &L7Spec,
    terminating: bool,
    findings: &mut Findings,
) -> Vec<NamePattern> {
    if l7.any && !terminating {
        findings.report(
            codes::CILIUM_SERVER_NAME,
            node,
            "ServerNames are not allowed with L7 rules",
        );
    }
    let texts = findings.strings(node).unwrap_or_default();
    if texts.is_empty() {
        findings.report_help(
            codes::EMPTY_MEANS_EVERYTHING,
            node,
            "an empty list limits nothing: every server name is meant",
            "leave the list out, or say what is meant",
        );
    }
    let mut names = Vec::new();
    for text in texts {
        if text.value.is_empty() {
            findings.report(
                codes::CILIUM_SERVER_NAME,
                text.node,
                "empty server name is not allowed",
            );
            continue;
        }
        match NamePattern::parse(Grammar::Cilium, text.value) {
            Ok(pattern) => names.push(pattern),
            Err(error) => findings.report(codes::CILIUM_SERVER_NAME, text.node, error.to_string()),
        }
    }
    names
}

/// RFC 6335, section 5.1: at most 15 letters, digits and hyphens, one of them a letter, no hyphen at an end or beside another.
fn is_service_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 15
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && text.bytes().any(|b| b.is_ascii_alphabetic())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}
