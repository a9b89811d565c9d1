//! `icmps`: the names Cilium gives to ICMP types (`pkg/policy/api/icmp.go`; numbers by IANA).
//!
//! `ExtendedEchoReply` and both messages of `HomeAgentAddressDiscovery` are not among them: the agent knows them, and the
//! pattern of the definition in front of it has other spellings, so that no server takes any.

use policy_model::Protocol;

use crate::codes;
use crate::decode::{Findings, digits};
use crate::yaml::{Node, Typed};

/// LIMIT: Cilium's `MaxICMPFields`.
const MAX_FIELDS: usize = 40;

const NAMES_V4: &[(&str, u8)] = &[
    ("EchoReply", 0),
    ("DestinationUnreachable", 3),
    ("Redirect", 5),
    ("Echo", 8),
    ("EchoRequest", 8),
    ("RouterAdvertisement", 9),
    ("RouterSelection", 10),
    ("TimeExceeded", 11),
    ("ParameterProblem", 12),
    ("Timestamp", 13),
    ("TimestampReply", 14),
    ("Photuris", 40),
    ("ExtendedEchoRequest", 42),
];

const NAMES_V6: &[(&str, u8)] = &[
    ("DestinationUnreachable", 1),
    ("PacketTooBig", 2),
    ("TimeExceeded", 3),
    ("ParameterProblem", 4),
    ("EchoRequest", 128),
    ("EchoReply", 129),
    ("MulticastListenerQuery", 130),
    ("MulticastListenerReport", 131),
    ("MulticastListenerDone", 132),
    ("RouterSolicitation", 133),
    ("RouterAdvertisement", 134),
    ("NeighborSolicitation", 135),
    ("NeighborAdvertisement", 136),
    ("RedirectMessage", 137),
    ("RouterRenumbering", 138),
    ("ICMPNodeInformationQuery", 139),
    ("ICMPNodeInformationResponse", 140),
    ("InverseNeighborDiscoverySolicitation", 141),
    ("InverseNeighborDiscoveryAdvertisement", 142),
    ("MobilePrefixSolicitation", 146),
    ("MobilePrefixAdvertisement", 147),
    ("DuplicateAddressRequestCodeSuffix", 157),
    ("DuplicateAddressConfirmationCodeSuffix", 158),
    ("ExtendedEchoRequest", 160),
];

/// One ICMP type of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcmpSpec {
    pub(crate) protocol: Protocol,
    pub(crate) kind: u8,
}

/// Reads `icmps`: nothing where the list has no entry, which limits nothing. Entries without a type make no filter, as in
/// Cilium, so a list of such matches nothing.
pub(crate) fn decode(node: Node<'_>, findings: &mut Findings) -> Option<Vec<IcmpSpec>> {
    let mut read = Vec::new();
    let rules = findings.list(node).unwrap_or_default();
    if rules.is_empty() {
        return None;
    }
    for rule in rules {
        let Some(mut fields) = findings.fields(rule) else {
            continue;
        };
        let items = fields
            .take("fields")
            .and_then(|node| findings.list(node))
            .unwrap_or_default();
        fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
        if items.is_empty() {
            findings.report_help(
                codes::CILIUM_EMPTY_PORTS,
                rule,
                "no `fields` make no entry, so this matches nothing",
                "leave `icmps` out for every protocol, or name the types",
            );
        }
        if items.len() > MAX_FIELDS {
            findings.report(
                codes::CILIUM_TOO_MANY,
                rule,
                format!("too many types, the max is {MAX_FIELDS}"),
            );
        }
        read.extend(
            items
                .into_iter()
                .filter_map(|item| decode_field(item, findings)),
        );
    }
    Some(read)
}

fn decode_field(node: Node<'_>, findings: &mut Findings) -> Option<IcmpSpec> {
    let mut fields = findings.fields(node)?;
    let (protocol, names) = match fields.take("family") {
        Some(family) => {
            findings
                .word(
                    family,
                    &[
                        ("IPv4", (Protocol::ICMP, NAMES_V4)),
                        ("IPv6", (Protocol::ICMPV6, NAMES_V6)),
                    ],
                )?
                .value
        }
        None => (Protocol::ICMP, NAMES_V4),
    };
    let kind = fields.take("type");
    fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
    let Some(kind_node) = kind else {
        findings.report(codes::CILIUM_ICMP, node, "`type` is missing");
        return None;
    };
    let kind = match kind_node.typed() {
        Some(Typed::Int(number)) => u8::try_from(number).ok(),
        Some(Typed::Str(text)) => names
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, kind)| *kind)
            // The definition takes no zero in front.
            .or_else(|| digits(text).filter(|kind: &u8| kind.to_string() == text)),
        Some(Typed::Null | Typed::Bool(_) | Typed::Float(_)) | None => None,
    };
    if kind.is_none() {
        findings.report_help(
            codes::CILIUM_ICMP,
            kind_node,
            "not an ICMP type of this family: a number up to 255, or a name such as EchoRequest",
            "write the number, without a sign or zeros in front",
        );
    }
    Some(IcmpSpec {
        protocol,
        kind: kind?,
    })
}
