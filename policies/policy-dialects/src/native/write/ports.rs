//! Ports as native `ports`.

use policy_model::{NamedPort, NamedPorts, PortMatch, Ports, Protocol, Rule};

use crate::native::v1alpha1::limits;
use crate::yaml::write::{Map, Value};

/// What a rule's ports come to.
#[derive(Debug)]
pub(super) enum Written {
    /// Every port and protocol: both lists are left out.
    All,
    Some {
        /// Nothing: every one.
        ports: Option<Vec<Map>>,
        except: Vec<Map>,
    },
    /// They match nothing.
    None,
    /// They cannot be said, and why.
    Unsaid(&'static str),
}

/// LIMIT: codes of ICMP that are written one by one.
const MOST_CODES: usize = 64;

/// Every protocol that has ports: a port by name of whatever protocol is one of these.
const WITH_PORTS: [Protocol; 5] = [
    Protocol::TCP,
    Protocol::UDP,
    Protocol::SCTP,
    Protocol(33),
    Protocol(136),
];

pub(super) fn ports(rule: &Rule) -> Written {
    const ICMP_RANGE: &str = "a range over types of ICMP";
    let NamedPorts {
        any_of,
        none_of,
        except,
    } = &rule.named_ports;
    let (given, excepted) = match &rule.ports {
        Ports::Only(matches) => (Some(matches), except),
        Ports::Any if any_of.is_empty() => (None, except),
        Ports::AllBut(matches) if any_of.is_empty() => (None, matches),
        Ports::Any if except.is_empty() => (None, except),
        Ports::Any | Ports::AllBut(_) => {
            return Written::Unsaid("ports by name beside every port but some");
        }
    };
    let Some(mut except) = numbers(excepted) else {
        return Written::Unsaid(ICMP_RANGE);
    };
    except.extend(none_of.iter().flat_map(named));
    if except.len() > limits::ENTRIES {
        return Written::Unsaid("every port but more than a list holds");
    }
    let Some(given) = given else {
        return if except.is_empty() {
            Written::All
        } else {
            let ports = None;
            Written::Some { ports, except }
        };
    };
    let Some(mut ports) = numbers(given) else {
        return Written::Unsaid(ICMP_RANGE);
    };
    ports.extend(any_of.iter().flat_map(named));
    if ports.is_empty() {
        return Written::None;
    }
    // What is excepted by number is out of the numbers already.
    if any_of.is_empty() && none_of.is_empty() {
        except.clear();
    }
    let ports = Some(ports);
    Written::Some { ports, except }
}

fn numbers(matches: &[PortMatch]) -> Option<Vec<Map>> {
    let entries: Option<Vec<Vec<Map>>> = matches
        .iter()
        .filter(|one| one.first <= one.last)
        .map(entries_of)
        .collect();
    Some(entries?.into_iter().flatten().collect())
}

fn named(port: &NamedPort) -> Vec<Map> {
    let protocols = match &port.protocol {
        Some(protocol) => std::slice::from_ref(protocol),
        None => WITH_PORTS.as_slice(),
    };
    let entry = |protocol: &Protocol| {
        Map::new()
            .with("protocol", word(*protocol))
            .with("name", &*port.name)
    };
    protocols.iter().map(entry).collect()
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
