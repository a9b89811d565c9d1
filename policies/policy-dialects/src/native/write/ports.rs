//! Ports as native `ports`.

use policy_model::{NamedPorts, PortMatch, Ports, Protocol, Rule};

use crate::yaml::write::{Map, Value};

/// What a rule's ports come to.
#[derive(Debug)]
pub(super) enum Written {
    /// Every port and protocol: `ports` is left out.
    All,
    Some(Vec<Map>),
    /// They match nothing.
    None,
    /// They cannot be said, and why.
    Unsaid(&'static str),
}

/// LIMIT: codes of ICMP that are written one by one.
const MOST_CODES: usize = 64;

pub(super) fn ports(rule: &Rule) -> Written {
    let NamedPorts {
        any_of,
        none_of,
        except,
    } = &rule.named_ports;
    if !none_of.is_empty() {
        return Written::Unsaid("all ports but those of a name");
    }
    let matches = match &rule.ports {
        Ports::Any => return Written::All,
        Ports::AllBut(_) => return Written::Unsaid("every protocol and port but some"),
        Ports::Only(matches) => matches,
    };
    if !any_of.is_empty() && !except.is_empty() {
        return Written::Unsaid("ports by name without some numbers");
    }
    let mut entries = Vec::new();
    for one in matches.iter().filter(|one| one.first <= one.last) {
        match entries_of(one) {
            Some(mut more) => entries.append(&mut more),
            None => return Written::Unsaid("a range over types of ICMP"),
        }
    }
    for named in any_of {
        let Some(protocol) = named.protocol else {
            return Written::Unsaid("ports by name of whatever protocol");
        };
        let map = Map::new().with("protocol", word(protocol));
        entries.push(map.with("port", &*named.name));
    }
    if entries.is_empty() {
        Written::None
    } else {
        Written::Some(entries)
    }
}

fn entries_of(one: &PortMatch) -> Option<Vec<Map>> {
    let PortMatch {
        protocol,
        first,
        last,
    } = *one;
    let map = Map::new().with("protocol", word(protocol));
    if (first, last) == (0, u16::MAX) {
        return Some(vec![map]);
    }
    if matches!(protocol, Protocol::ICMP | Protocol::ICMPV6) {
        return icmp(&map, first, last);
    }
    if !protocol.has_ports() {
        // Its flows have port 0.
        return Some(if first == 0 { vec![map] } else { Vec::new() });
    }
    // No flow goes to port 0.
    let first = first.max(1);
    Some(if last < first {
        Vec::new()
    } else if first == last {
        vec![map.with("port", first)]
    } else {
        vec![map.with("port", first).with("endPort", last)]
    })
}

fn icmp(map: &Map, first: u16, last: u16) -> Option<Vec<Map>> {
    let ([first_kind, first_code], [last_kind, last_code]) =
        (first.to_be_bytes(), last.to_be_bytes());
    if (first_code, last_code) == (0, u8::MAX) {
        let kinds = first_kind..=last_kind;
        return Some(kinds.map(|kind| map.clone().with("type", kind)).collect());
    }
    let codes = (first..=last).map(u16::to_be_bytes);
    let entry = |[kind, code]: [u8; 2]| map.clone().with("type", kind).with("code", code);
    (codes.len() <= MOST_CODES).then(|| codes.map(entry).collect())
}

/// The word of a protocol, or its number.
fn word(protocol: Protocol) -> Value {
    match protocol {
        Protocol::TCP | Protocol::UDP | Protocol::SCTP | Protocol::ICMP | Protocol::ICMPV6 => {
            protocol.to_string().into()
        }
        Protocol(number) => number.into(),
    }
}
