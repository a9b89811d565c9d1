//! Ports as `toPorts` and `icmps`.

use policy_model::{NamedPort, PortMatch, Ports, Protocol, Rule};

use crate::kubernetes::is_port_name;
use crate::yaml::write::Map;

/// LIMIT: ports of one entry, and ICMP types of one.
const MOST: usize = 40;

/// What a rule's ports come to: members of entries, any of which will do.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Every port and protocol: entries have neither.
    pub(super) all: bool,
    /// Lists of `ports`.
    pub(super) ports: Vec<Vec<Map>>,
    /// Lists of `fields` of `icmps`.
    pub(super) icmps: Vec<Vec<Map>>,
    pub(super) unsaid: Vec<String>,
}

pub(super) fn ports(rule: &Rule) -> Written {
    let mut out = Written::default();
    let named = &rule.named_ports;
    if !named.none_of.is_empty() || !named.any_of.is_empty() && !named.except.is_empty() {
        out.unsaid.push("ports but for some by name".to_owned());
        return out;
    }
    // Names are asked over UDP and TCP, and a rule about them names its ports.
    let asks = rule.questions.is_some();
    let matches = match &rule.ports {
        Ports::Any if asks => &vec![PortMatch::all(Protocol::UDP), PortMatch::all(Protocol::TCP)],
        Ports::Any => {
            out.all = true;
            return out;
        }
        Ports::AllBut(_) => {
            out.unsaid.push("every port but some".to_owned());
            return out;
        }
        Ports::Only(matches) => matches,
    };
    let (mut ports, mut icmps) = (Vec::new(), Vec::new());
    for one in matches.iter().filter(|one| one.first <= one.last) {
        match (one.protocol, family(one.protocol)) {
            (Protocol::UDP | Protocol::TCP, None) if asks => {
                ports.extend(asked(one, &mut out.unsaid));
            }
            _ if asks => {}
            (_, Some(family)) => icmps.extend(icmp(one, family, &mut out.unsaid)),
            (Protocol::TCP | Protocol::UDP | Protocol::SCTP, None) => ports.extend(port(one)),
            (protocol, None) => out.unsaid.push(format!("protocol {protocol}")),
        }
    }
    for NamedPort { protocol, name } in &named.any_of {
        let word = match protocol {
            None => "ANY".to_owned(),
            Some(protocol @ (Protocol::TCP | Protocol::UDP | Protocol::SCTP)) => {
                protocol.to_string()
            }
            Some(protocol) => {
                out.unsaid
                    .push(format!("ports by name of protocol {protocol}"));
                continue;
            }
        };
        if is_port_name(name) && !asks {
            ports.push(Map::new().with("port", &**name).with("protocol", word));
        } else {
            out.unsaid.push(format!("the port `{name}`"));
        }
    }
    out.ports = ports.chunks(MOST).map(<[Map]>::to_vec).collect();
    out.icmps = icmps.chunks(MOST).map(<[Map]>::to_vec).collect();
    out
}

/// The port of a rule about names, which is one: that of DNS, where there are more.
fn asked(one: &PortMatch, unsaid: &mut Vec<String>) -> Option<Map> {
    if one.first == one.last {
        return port(one);
    }
    unsaid.push("a range of ports on which names may be asked".to_owned());
    let dns = PortMatch::port(one.protocol, 53);
    (one.first <= 53 && 53 <= one.last)
        .then(|| port(&dns))
        .flatten()
}

fn port(one: &PortMatch) -> Option<Map> {
    let map = |text: String| {
        Map::new()
            .with("port", text)
            .with("protocol", one.protocol.to_string())
    };
    if (one.first, one.last) == (0, u16::MAX) {
        return Some(map("0".to_owned()));
    }
    // No flow goes to port 0, which here means all of them.
    let first = one.first.max(1);
    if first > one.last {
        return None;
    }
    let map = map(first.to_string());
    Some(if first == one.last {
        map
    } else {
        map.with("endPort", one.last)
    })
}

const fn family(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::ICMP => Some("IPv4"),
        Protocol::ICMPV6 => Some("IPv6"),
        Protocol(_) => None,
    }
}

/// Whole types only: a code cannot be said.
fn icmp(one: &PortMatch, family: &str, unsaid: &mut Vec<String>) -> Vec<Map> {
    let ([first, first_code], [last, last_code]) =
        (one.first.to_be_bytes(), one.last.to_be_bytes());
    if (first_code, last_code) != (0, u8::MAX) {
        unsaid.push("an ICMP code".to_owned());
        return Vec::new();
    }
    (first..=last)
        .map(|kind| Map::new().with("type", kind).with("family", family))
        .collect()
}
