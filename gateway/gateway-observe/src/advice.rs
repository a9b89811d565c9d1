//! Which line of a policy would have allowed what was denied.

use std::net::IpAddr;

use policy_model::METADATA_ADDRESSES;

use crate::destination::{Destination, Protocol};
use crate::ruling::Ruling;

/// The dialect to answer in: that of the policy that denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Native,
    Cilium,
}

/// What would allow a name to be asked for.
pub(crate) fn for_question(name: &str, ruling: &Ruling) -> Option<String> {
    if ruling.code == "guard-metadata-name" {
        return Some(METADATA.to_owned());
    }
    if let Some(edit) = edit_of_rule(ruling) {
        return Some(edit);
    }
    if !is_lack_of_rule(ruling) || !is_plain(name) {
        return None;
    }
    Some(match dialect(ruling) {
        Dialect::Native => format!("add `- {{action: Allow, to: [{{fqdn: [\"{name}\"]}}]}}`"),
        Dialect::Cilium => format!(
            "add `- toFQDNs: [{{matchName: \"{name}\"}}]`, and where the policy has `rules.dns`, `- matchName: \"{name}\"` there"
        ),
    })
}

/// What would allow a flow: by a name where the client used one, else by its address.
pub(crate) fn for_flow(
    destination: &Destination,
    names: &[String],
    ruling: &Ruling,
) -> Option<String> {
    if ruling.code == "guard-metadata" {
        return Some(METADATA.to_owned());
    }
    if let Some(edit) = edit_of_rule(ruling) {
        return Some(edit);
    }
    if !is_lack_of_rule(ruling) {
        return None;
    }
    if destination.ip.is_loopback() {
        return Some(match dialect(ruling) {
            Dialect::Native => format!(
                "add `- {{action: Allow, to: [{{entity: loopback}}]{}}}`",
                native_ports(destination)
            ),
            Dialect::Cilium => format!(
                "add `- {{toEntities: [host]{}}}`",
                cilium_ports(destination)
            ),
        });
    }
    let whole = whole_prefix(destination.ip);
    let name = names.first().filter(|name| is_plain(name));
    Some(match (dialect(ruling), name) {
        (Dialect::Native, Some(name)) => format!(
            "add `- {{action: Allow, to: [{{fqdn: [\"{name}\"]}}]{}}}`",
            native_ports(destination)
        ),
        (Dialect::Native, None) => format!(
            "add `- {{action: Allow, to: [{{cidr: \"{whole}\"}}]{}}}`, or a rule with the name it is known by",
            native_ports(destination)
        ),
        (Dialect::Cilium, Some(name)) => format!(
            "add `- {{toFQDNs: [{{matchName: \"{name}\"}}]{}}}`",
            cilium_ports(destination)
        ),
        (Dialect::Cilium, None) => format!(
            "add `- {{toCIDR: [\"{whole}\"]{}}}`, or a rule with the name it is known by",
            cilium_ports(destination)
        ),
    })
}

/// What would let a name stand for an inside address, if anything does: `class` is [`GuardRecord::class`].
///
/// [`GuardRecord::class`]: crate::GuardRecord::class
pub(crate) fn for_address(address: IpAddr, class: &str, ruling: &Ruling) -> Option<String> {
    match (class, dialect(ruling)) {
        // A preset opens the addresses themselves, and not their forms in IPv6.
        ("metadata", _) => METADATA_ADDRESSES
            .contains(&address.to_canonical())
            .then(|| METADATA.to_owned()),
        ("unspecified" | "multicast" | "broadcast", _) => None,
        // Cilium's names never stand for these.
        ("loopback" | "host" | "cluster", Dialect::Cilium) => None,
        (_, dialect) => Some(allow_private(dialect, ruling)),
    }
}

fn allow_private(dialect: Dialect, ruling: &Ruling) -> String {
    let place = match &ruling.place {
        Some(place) => format!(" at {place}"),
        None => String::new(),
    };
    match dialect {
        Dialect::Native => format!("if that is meant, say `allowPrivate: true` in the rule{place}"),
        Dialect::Cilium => {
            format!("if that is meant, annotate the policy{place} with `egret.dev/allow-private`")
        }
    }
}

const METADATA: &str =
    "if that is meant, add a rule with `metadata: [PRESET]` (aws-imds, gcp, azure, …)";

/// Another rule would not help where one denies.
fn edit_of_rule(ruling: &Ruling) -> Option<String> {
    let rule = ruling.rule.as_ref()?;
    let place = ruling.place.as_deref()?;
    match &rule.closed {
        Some(code) => Some(format!(
            "the rule at {place} cannot be enforced as written ({code}); see `egret check`"
        )),
        None => Some(format!("change the rule at {place}")),
    }
}

/// Whether it was denied because nothing allows it, which a rule would change.
fn is_lack_of_rule(ruling: &Ruling) -> bool {
    ["isolated", "not-named", "default", "tier-end"].contains(&ruling.code.as_str())
}

/// Whether a name, written into a policy, means itself and nothing else. The workload chose it, and people paste advice: a
/// quote would end the string and let more rules follow, a `*` would allow more names than were asked for.
fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
}

fn dialect(ruling: &Ruling) -> Dialect {
    let cilium = |policy: &String| policy.starts_with("Cilium");
    if !ruling.policies.is_empty() && ruling.policies.iter().all(cilium) {
        Dialect::Cilium
    } else {
        Dialect::Native
    }
}

fn whole_prefix(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{ip}/32"),
        IpAddr::V6(ip) => format!("{ip}/128"),
    }
}

fn native_ports(destination: &Destination) -> String {
    let Destination {
        ip: _,
        protocol,
        port,
        icmp,
    } = destination;
    match (port, icmp) {
        (Some(port), _) => format!(", ports: [{{protocol: {protocol}, port: {port}}}]"),
        (None, Some(icmp)) => format!(", ports: [{{protocol: {protocol}, type: {}}}]", icmp.kind),
        (None, None) => String::new(),
    }
}

fn cilium_ports(destination: &Destination) -> String {
    match (destination.port, destination.icmp) {
        (Some(port), _) => format!(
            ", toPorts: [{{ports: [{{port: \"{port}\", protocol: {}}}]}}]",
            destination.protocol
        ),
        (None, Some(icmp)) => {
            let family = if destination.protocol == Protocol::ICMP {
                "IPv4"
            } else {
                "IPv6"
            };
            format!(
                ", icmps: [{{fields: [{{family: {family}, type: {}}}]}}]",
                icmp.kind
            )
        }
        (None, None) => String::new(),
    }
}
