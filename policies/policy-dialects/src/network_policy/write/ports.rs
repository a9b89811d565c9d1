//! Ports as `ports`.

use policy_model::{NamedPort, Protocol, Rule};

use crate::kubernetes::{PortList, is_port_name};
use crate::yaml::write::Map;

#[derive(Debug, Default)]
pub(super) struct Written {
    /// Every port and protocol: `ports` is left out.
    pub(super) all: bool,
    pub(super) ports: Vec<Map>,
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
        if !is_known(one.protocol) {
            out.unsaid.push(format!("protocol {}", one.protocol));
            continue;
        }
        let map = Map::new().with("protocol", one.protocol.to_string());
        // No flow goes to port 0.
        let first = one.first.max(1);
        if (one.first, one.last) == (0, u16::MAX) {
            out.ports.push(map);
        } else if first == one.last {
            out.ports.push(map.with("port", first));
        } else if first < one.last {
            out.ports
                .push(map.with("port", first).with("endPort", one.last));
        }
    }
    for NamedPort { protocol, name } in &rule.named_ports.any_of {
        let protocols = match protocol {
            None => vec![Protocol::TCP, Protocol::UDP, Protocol::SCTP],
            Some(protocol) => vec![*protocol],
        };
        for protocol in protocols {
            if is_known(protocol) && is_port_name(name) {
                out.ports.push(
                    Map::new()
                        .with("protocol", protocol.to_string())
                        .with("port", &**name),
                );
            } else {
                out.unsaid
                    .push(format!("the port `{name}` of protocol {protocol}"));
            }
        }
    }
    out
}

const fn is_known(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::TCP | Protocol::UDP | Protocol::SCTP)
}
