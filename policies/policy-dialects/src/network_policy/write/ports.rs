//! Ports as `ports`.

use policy_model::{NamedPort, Ports, Protocol, Rule};

use crate::kubernetes::is_port_name;
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
    let named = &rule.named_ports;
    if !named.none_of.is_empty() || !named.any_of.is_empty() && !named.except.is_empty() {
        out.unsaid.push("ports but for some by name".to_owned());
        return out;
    }
    let matches = match &rule.ports {
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
    for one in matches.iter().filter(|one| one.first <= one.last) {
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
    for NamedPort { protocol, name } in &named.any_of {
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
