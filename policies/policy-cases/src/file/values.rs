//! Values that stand in several parts of a file.

use dns_names::{Name, Rcode};
use policy_dialects::codes;
use policy_dialects::decode::Findings;
use policy_dialects::yaml::Node;

pub(super) fn decode_rcode(node: Node<'_>, findings: &mut Findings) -> Option<Rcode> {
    const RCODES: &[(&str, Rcode)] = &[
        ("NOERROR", Rcode::NOERROR),
        ("FORMERR", Rcode::FORMERR),
        ("SERVFAIL", Rcode::SERVFAIL),
        ("NXDOMAIN", Rcode::NXDOMAIN),
        ("NOTIMP", Rcode::NOTIMP),
        ("REFUSED", Rcode::REFUSED),
    ];
    findings.word(node, RCODES).map(|rcode| rcode.value)
}

pub(super) fn decode_name(node: Node<'_>, findings: &mut Findings) -> Option<Name> {
    let text = findings.string(node)?;
    match Name::parse(text.value) {
        Ok(name) => Some(name),
        Err(error) => {
            findings.report(
                codes::INVALID_VALUE,
                text.node,
                format!("`{}` is not a name: {error}", text.value),
            );
            None
        }
    }
}

/// A name that a program looks up: anything else is reached by nobody, so a test that expects a deny of it would always pass.
pub(super) fn decode_host(node: Node<'_>, findings: &mut Findings) -> Option<Name> {
    let name = decode_name(node, findings)?;
    if name.is_host() {
        return Some(name);
    }
    let written = findings.string(node)?.value;
    findings.report_help(
        codes::INVALID_VALUE,
        node,
        format!("`{written}` is no name of a host"),
        "letters, digits, dashes and dots; a pattern is none, and an address is written as `ip`",
    );
    None
}

pub(super) fn decode_seconds(node: Node<'_>, findings: &mut Findings) -> Option<u32> {
    decode_number(node, "number of seconds", findings)
}

/// A whole number that is a `what`, for who reads of it.
pub(super) fn decode_number(node: Node<'_>, what: &str, findings: &mut Findings) -> Option<u32> {
    let number = findings.integer(node)?;
    let decoded = u32::try_from(number.value).ok();
    if decoded.is_none() {
        findings.report(
            codes::INVALID_VALUE,
            node,
            format!("{} is no {what}", number.value),
        );
    }
    decoded
}

pub(super) fn required<'d>(
    value: Option<Node<'d>>,
    key: &str,
    parent: Node<'_>,
    findings: &mut Findings,
) -> Option<Node<'d>> {
    if value.is_none() {
        findings.report(codes::MISSING_FIELD, parent, format!("`{key}` is missing"));
    }
    value
}
