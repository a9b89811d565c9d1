use policy_model::Protocol;

use crate::codes;
use crate::decode::{At, Findings, digits};
use crate::yaml::{Node, Typed};

/// LIMIT: `maxItems` of `ports` and `notPorts` in the CRDs.
const MAX_PORTS: usize = 50;
/// LIMIT: Calico's longest port name.
const MAX_NAME: usize = 128;

/// One entry of `ports` or `notPorts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum PortSpec<'d> {
    Range { first: u16, last: u16 },
    Named(&'d str),
}

/// Reads `ports` or `notPorts`.
pub(super) fn decode<'d>(node: Node<'d>, findings: &mut Findings) -> Vec<At<'d, PortSpec<'d>>> {
    let items = findings.list(node).unwrap_or_default();
    if items.len() > MAX_PORTS {
        findings.report(
            codes::CALICO_TOO_MANY,
            node,
            format!("at most {MAX_PORTS} ports, found {}", items.len()),
        );
    }
    items
        .into_iter()
        .filter_map(|item| {
            let value = port(item, findings)?;
            Some(At { value, node: item })
        })
        .collect()
}

/// A protocol by name or number.
pub(in super::super) fn protocol<'d>(
    node: Node<'d>,
    findings: &mut Findings,
) -> Option<At<'d, Protocol>> {
    const NAMES: &[(&str, Protocol)] = &[
        ("TCP", Protocol::TCP),
        ("UDP", Protocol::UDP),
        ("ICMP", Protocol::ICMP),
        ("ICMPv6", Protocol::ICMPV6),
        ("SCTP", Protocol::SCTP),
        ("UDPLite", Protocol(136)),
    ];
    let number = match node.typed() {
        Some(Typed::Int(number)) => Some(number),
        Some(Typed::Str(text)) => match digits(text) {
            Some(number) => Some(number),
            None => return findings.word(node, NAMES),
        },
        None | Some(Typed::Null | Typed::Bool(_) | Typed::Float(_)) => None,
    };
    match number.map(u8::try_from) {
        Some(Ok(number @ 1..)) => Some(At {
            value: Protocol(number),
            node,
        }),
        Some(_) | None => {
            findings.report_help(
                codes::CALICO_PROTOCOL,
                node,
                "not a protocol: TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite or a number from 1 to 255",
                "leave `protocol` out for every protocol",
            );
            None
        }
    }
}

fn port<'d>(node: Node<'d>, findings: &mut Findings) -> Option<PortSpec<'d>> {
    let spec = match node.typed() {
        Some(Typed::Int(number)) => u16::try_from(number).ok().map(single),
        Some(Typed::Str(text)) => read(text),
        None | Some(Typed::Null | Typed::Bool(_) | Typed::Float(_)) => None,
    };
    match spec {
        Some(PortSpec::Range { first, last }) if first == 0 || last < first => None,
        other => other,
    }
    .or_else(|| {
        findings.report_help(
            codes::CALICO_PORT,
            node,
            "not a port: a number from 1 to 65535, a range \"8000:8010\" or a name",
            "a range is written with a colon, its lower end first",
        );
        None
    })
}

fn read(text: &str) -> Option<PortSpec<'_>> {
    if let Some(port) = digits(text) {
        return Some(single(port));
    }
    if let Some((first, last)) = text.split_once(':') {
        return Some(PortSpec::Range {
            first: digits(first)?,
            last: digits(last)?,
        });
    }
    let named = (1..=MAX_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"_.-".contains(&octet))
        // A number beyond the ports is no name.
        && !text.bytes().all(|octet| octet.is_ascii_digit());
    named.then_some(PortSpec::Named(text))
}

const fn single<'d>(port: u16) -> PortSpec<'d> {
    PortSpec::Range {
        first: port,
        last: port,
    }
}
