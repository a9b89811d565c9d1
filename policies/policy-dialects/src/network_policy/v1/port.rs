use policy_model::Protocol;

use crate::codes;
use crate::decode::{Findings, Unknown};
use crate::kubernetes::is_port_name;
use crate::yaml::{Node, Typed};

/// One entry of `ports`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortSpec<'d> {
    pub(crate) protocol: Protocol,
    pub(crate) port: PortRangeSpec<'d>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortRangeSpec<'d> {
    All,
    Range {
        first: u16,
        last: u16,
    },
    /// The port that a container of the destination has by this name.
    Named(&'d str),
}

const PROTOCOLS: &[(&str, Protocol)] = &[
    ("TCP", Protocol::TCP),
    ("UDP", Protocol::UDP),
    ("SCTP", Protocol::SCTP),
];

/// Reads an entry; nothing where it is refused.
pub(super) fn decode_port<'d>(
    node: Node<'d>,
    unknown: &mut Unknown,
    findings: &mut Findings,
) -> Option<PortSpec<'d>> {
    let mut fields = findings.fields(node)?;
    let protocol = fields.take("protocol");
    let port = fields.take("port");
    let end = fields.take("endPort");
    if fields.finish(findings, codes::UNKNOWN_RULE_FIELD) == Unknown::Some {
        *unknown = Unknown::Some;
    }
    let protocol = match protocol {
        None => Some(Protocol::TCP),
        Some(protocol) => findings.word(protocol, PROTOCOLS).map(|at| at.value),
    };
    let port = match port {
        None => Some(PortRangeSpec::All),
        Some(port) => decode_number_or_name(port, findings),
    };
    let port = match (port?, end) {
        (port, None) => port,
        (PortRangeSpec::Range { first, .. }, Some(end)) => {
            let last = decode_number(end, findings)?;
            if last < first {
                findings.report(
                    codes::INVALID_PORT,
                    end,
                    "`endPort` must be greater than or equal to `port`",
                );
                return None;
            }
            PortRangeSpec::Range { first, last }
        }
        (PortRangeSpec::All | PortRangeSpec::Named(_), Some(end)) => {
            findings.report_help(
                codes::INVALID_PORT,
                end,
                "`endPort` may not be specified where `port` is no number",
                "write the first port of the range as `port`",
            );
            return None;
        }
    };
    Some(PortSpec {
        protocol: protocol?,
        port,
    })
}

/// Kubernetes' `IntOrString`: what is in quotes is a name, whatever it looks like.
fn decode_number_or_name<'d>(node: Node<'d>, findings: &mut Findings) -> Option<PortRangeSpec<'d>> {
    let Some(Typed::Str(name)) = node.typed() else {
        let port = decode_number(node, findings)?;
        return Some(PortRangeSpec::Range {
            first: port,
            last: port,
        });
    };
    if is_port_name(name) {
        return Some(PortRangeSpec::Named(name));
    }
    let help = if name.parse::<u16>().is_ok() {
        "leave out the quotes: a port in quotes is the name of a container port"
    } else {
        "a port is a number, or a name of at most 15 of a-z, 0-9 and `-` with a letter in it"
    };
    findings.report_help(
        codes::INVALID_PORT,
        node,
        format!("`{name}` is not the name of a port"),
        help,
    );
    None
}

fn decode_number(node: Node<'_>, findings: &mut Findings) -> Option<u16> {
    let number = findings.integer(node)?.value;
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    if port.is_none() {
        findings.report(
            codes::INVALID_PORT,
            node,
            format!("`{number}` is not a port: must be between 1 and 65535"),
        );
    }
    port
}
