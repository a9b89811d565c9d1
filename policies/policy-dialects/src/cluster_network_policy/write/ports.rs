//! Ports as `protocols`.

use policy_model::{NamedPort, Protocol, Rule};

use crate::kubernetes::PortList;
use crate::yaml::write::Map;

#[derive(Debug, Default)]
pub(super) struct Written {
    /// Every port and protocol: `protocols` is left out.
    pub(super) all: bool,
    pub(super) numbers: Vec<Map>,
    /// Ports by name, which only pods have.
    pub(super) names: Vec<Map>,
    pub(super) unsaid: Vec<String>,
}

pub(super) fn ports(rule: &Rule) -> Written {
    let mut out = Written::default();
    let matches = match PortList::of(rule) {
        PortList::Every => {
            out.all = true;
            return out;
        }
        PortList::Unsaid(what) => {
            out.unsaid.push(what.to_owned());
            return out;
        }
        PortList::These(matches) => matches,
    };
    for one in matches {
        let Some(word) = word(one.protocol) else {
            out.unsaid.push(format!("protocol {}", one.protocol));
            continue;
        };
        // No flow goes to port 0.
        let first = one.first.max(1);
        let port = if first == one.last {
            Map::new().with("number", first)
        } else if first < one.last {
            let range = Map::new().with("start", first).with("end", one.last);
            Map::new().with("range", range)
        } else {
            continue;
        };
        let port = Map::new().with("destinationPort", port);
        out.numbers.push(Map::new().with(word, port));
    }
    for NamedPort { protocol, name } in &rule.named_ports.any_of {
        if protocol.is_some() {
            out.unsaid
                .push(format!("the port `{name}` of one protocol alone"));
        } else {
            out.names
                .push(Map::new().with("destinationNamedPort", &**name));
        }
    }
    out
}

const fn word(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::TCP => Some("tcp"),
        Protocol::UDP => Some("udp"),
        Protocol::SCTP => Some("sctp"),
        Protocol(_) => None,
    }
}
