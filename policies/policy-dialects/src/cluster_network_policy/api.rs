use policy_model::{Action, Protocol};

use crate::codes::{self, Code};
use crate::decode::{At, Findings, Unknown};
use crate::yaml::Node;

/// What differs between the versions of the API.
#[derive(Debug)]
pub(super) struct Api {
    /// LIMIT: of the CRD: most rules, peers of a rule, ports of a rule.
    pub(super) most: usize,
    pub(super) actions: &'static [(&'static str, Action)],
    /// The field of a rule's ports.
    pub(super) ports: &'static str,
    pub(super) decode_port: DecodePort,
    /// Whether a peer can be a name.
    pub(super) has_names: bool,
    /// Whether `pods` must say of which namespaces.
    pub(super) namespaces_required: bool,
}

pub(super) type DecodePort =
    for<'d> fn(Node<'d>, &mut Closing, &mut Findings) -> Option<PortSpec<'d>>;

/// One entry of a rule's ports.
#[derive(Debug, Clone, Copy)]
pub(super) enum PortSpec<'d> {
    Range {
        protocol: Protocol,
        first: u16,
        last: u16,
    },
    /// A container port of the destination by its name, of whatever protocol.
    Named(At<'d, &'d str>),
}

/// Why a rule fails closed, once something in it did: the first reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Closing(pub(super) Option<Code>);

impl Closing {
    pub(super) fn because(&mut self, code: Code) {
        self.0 = self.0.or(Some(code));
    }

    /// Because there was a field that nobody knows.
    pub(super) fn note(&mut self, unknown: Unknown) {
        if unknown == Unknown::Some {
            self.because(codes::UNKNOWN_RULE_FIELD);
        }
    }
}

/// The items of a list of the CRD, which has at least one and at most `most`.
pub(super) fn items<'d>(
    node: Node<'d>,
    what: &str,
    most: usize,
    findings: &mut Findings,
) -> Vec<Node<'d>> {
    let Some(items) = findings.list(node) else {
        return Vec::new();
    };
    if items.is_empty() {
        findings.report(
            codes::EMPTY_LIST,
            node,
            format!("`{what}` must have at least one entry"),
        );
    }
    at_most(node, items.len(), what, most, findings);
    items
}

/// Reports what is over a limit of the CRD.
pub(super) fn at_most(
    node: Node<'_>,
    count: usize,
    what: &str,
    most: usize,
    findings: &mut Findings,
) {
    if count > most {
        findings.report_help(
            codes::CLUSTER_NETWORK_POLICY_TOO_MANY,
            node,
            format!("`{what}` has {count} entries, the API takes {most}"),
            "split it",
        );
    }
}

/// A port number.
pub(super) fn port(node: Node<'_>, findings: &mut Findings) -> Option<u16> {
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

/// A field that must be there.
pub(super) fn required<'d>(
    field: Option<Node<'d>>,
    name: &str,
    parent: Node<'_>,
    findings: &mut Findings,
) -> Option<Node<'d>> {
    if field.is_none() {
        findings.report(codes::MISSING_FIELD, parent, format!("`{name}` is missing"));
    }
    field
}
