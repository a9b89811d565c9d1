use std::sync::Arc;

use policy_model::Protocol;

use super::{bounded, non_empty};
use crate::codes;
use crate::decode::{Findings, Unknown};
use crate::yaml::{Node, Typed};

/// One entry of `ports`.
#[derive(Debug, Clone)]
pub(crate) struct PortSpec {
    pub(crate) protocol: Protocol,
    pub(crate) range: PortRangeSpec,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortRangeSpec {
    All,
    Ports {
        first: u16,
        last: u16,
    },
    Icmp {
        kind: u8,
        code: Option<u8>,
    },
    /// A port of the destination's containers.
    Named(Arc<str>),
}

impl PortSpec {
    pub(super) fn decode(
        node: Node<'_>,
        findings: &mut Findings,
        unknown: &mut Unknown,
    ) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let protocol_node = fields.take("protocol");
        let port = fields.take("port");
        let end_port = fields.take("endPort");
        let name = fields.take("name");
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
        if let Some(name) = name {
            if let Some(other) = port.or(end_port).or(kind).or(code) {
                findings.report(
                    codes::INVALID_PORT,
                    other,
                    "a port is given by `name` or by number, not by both",
                );
                return None;
            }
            if !protocol.has_ports() {
                findings.report(
                    codes::INVALID_PORT,
                    name,
                    "this protocol has no ports to name",
                );
                return None;
            }
            let range = PortRangeSpec::Named(non_empty(name, findings)?.value.into());
            return Some(Self { protocol, range });
        }
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

fn narrow(value: i64) -> Option<u8> {
    u8::try_from(value).ok()
}
