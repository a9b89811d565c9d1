//! Ports as `protocol`, `icmp`, `ports` and their opposites: one protocol a rule.

use policy_model::{NamedPort, PortMatch, Ports, Protocol, Rule};

use crate::kubernetes::is_port_name;
use crate::yaml::write::{Map, Value};

/// LIMIT: `maxItems` of `ports` and `notPorts` in the CRDs.
const MOST: usize = 50;
/// LIMIT: Calico keeps ICMP type 255 for itself.
const MOST_TYPE: u8 = 254;

/// The protocol and ports of one written rule; nothing in it: every one.
#[derive(Debug, Default, Clone)]
pub(super) struct Part {
    /// What stands in the rule itself.
    pub(super) rule: Map,
    /// What stands in its destination.
    pub(super) ports: Vec<Value>,
    pub(super) not_ports: Vec<Value>,
}

#[derive(Debug, Default)]
pub(super) struct Written {
    /// A rule for each.
    pub(super) parts: Vec<Part>,
    pub(super) unsaid: Vec<String>,
}

pub(super) fn ports(rule: &Rule) -> Written {
    let mut out = Written::default();
    let named = &rule.named_ports;
    if !named.none_of.is_empty() || !named.except.is_empty() {
        out.all_but_named(rule);
        return out;
    }
    match &rule.ports {
        Ports::Any => {
            out.parts.push(Part::default());
            return out;
        }
        Ports::AllBut(list) => out.all_but(list),
        Ports::Only(list) => {
            let mut protocols: Vec<Protocol> = list.iter().map(|one| one.protocol).collect();
            protocols.sort_unstable();
            protocols.dedup();
            for protocol in protocols {
                let of = |one: &&PortMatch| one.protocol == protocol;
                let list: Vec<PortMatch> = list.iter().filter(of).copied().collect();
                out.protocol(protocol, &list);
            }
        }
    }
    out.names(&named.any_of);
    out
}

impl Part {
    fn of(protocol: Protocol) -> Self {
        let mut part = Self::default();
        part.rule.push("protocol", word(protocol));
        part
    }
}

impl Written {
    /// Some ports of one protocol.
    fn protocol(&mut self, protocol: Protocol, list: &[PortMatch]) {
        if protocol.0 == 0 {
            self.unsaid.push("protocol 0".to_owned());
            return;
        }
        if list.iter().any(|one| is_whole(*one)) {
            self.parts.push(Part::of(protocol));
            return;
        }
        let list = list.iter().filter(|one| one.first <= one.last);
        match protocol {
            Protocol::ICMP | Protocol::ICMPV6 => {
                for one in list {
                    self.icmp(*one);
                }
            }
            Protocol::TCP | Protocol::UDP | Protocol::SCTP => {
                let mut numbers = Vec::new();
                for one in list {
                    match number(*one) {
                        Some(number) => numbers.push(number),
                        None => self.unsaid.push("port 0".to_owned()),
                    }
                }
                for ports in numbers.chunks(MOST) {
                    self.parts.push(Part {
                        ports: ports.to_vec(),
                        ..Part::of(protocol)
                    });
                }
            }
            Protocol(_) if list.count() > 0 => self
                .unsaid
                .push(format!("some ports of protocol {protocol}")),
            Protocol(_) => {}
        }
    }

    /// ICMP's "port" is type and code.
    fn icmp(&mut self, one: PortMatch) {
        let ([first, first_code], [last, last_code]) =
            (one.first.to_be_bytes(), one.last.to_be_bytes());
        let whole = (first_code, last_code) == (0, u8::MAX);
        if last > MOST_TYPE || !whole && one.first != one.last {
            self.unsaid
                .push("a range of ICMP codes, or type 255".to_owned());
            return;
        }
        for kind in first..=last {
            let icmp = Map::new().with("type", kind);
            let icmp = if whole {
                icmp
            } else {
                icmp.with("code", first_code)
            };
            let mut part = Part::of(one.protocol);
            part.rule.push("icmp", icmp);
            self.parts.push(part);
        }
    }

    /// Everything but some of one protocol: the other protocols, and what is left of that one.
    fn all_but(&mut self, list: &[PortMatch]) {
        let Some(first) = list.first() else {
            self.parts.push(Part::default());
            return;
        };
        let protocol = first.protocol;
        if list.iter().any(|one| one.protocol != protocol) || protocol.0 == 0 {
            self.unsaid
                .push("every port but some of several protocols".to_owned());
            return;
        }
        let mut others = Part::default();
        others.rule.push("notProtocol", word(protocol));
        self.parts.push(others);
        if list.iter().any(|one| is_whole(*one)) {
            return;
        }
        let has_ports = [Protocol::TCP, Protocol::UDP, Protocol::SCTP].contains(&protocol);
        if !has_ports || list.len() > MOST {
            self.unsaid
                .push(format!("protocol {protocol} but for a part of it"));
            return;
        }
        let not_ports = list.iter().copied().filter_map(number).collect();
        self.parts.push(Part {
            not_ports,
            ..Part::of(protocol)
        });
    }

    /// Ports by name.
    fn names(&mut self, any_of: &[NamedPort]) {
        let mut protocols: Vec<Option<Protocol>> = any_of.iter().map(|one| one.protocol).collect();
        protocols.sort_unstable();
        protocols.dedup();
        for protocol in protocols {
            let of = any_of.iter().filter(|one| one.protocol == protocol);
            let (said, unsaid): (Vec<&NamedPort>, Vec<&NamedPort>) =
                of.partition(|one| can_be_named(one));
            self.unsaid
                .extend(unsaid.iter().map(|one| format!("the port `{}`", one.name)));
            let names: Vec<Value> = said.iter().map(|one| (&*one.name).into()).collect();
            for names in names.chunks(MOST) {
                self.parts.push(Part {
                    ports: names.to_vec(),
                    ..protocol.map_or_else(Part::default, Part::of)
                });
            }
        }
    }

    /// Ports but for some by name: of one protocol, which is how Calico has them.
    fn all_but_named(&mut self, rule: &Rule) {
        let named = &rule.named_ports;
        let names = || named.any_of.iter().chain(&named.none_of);
        let mut protocols: Vec<Option<Protocol>> = names()
            .map(|one| one.protocol)
            .chain(named.except.iter().map(|one| Some(one.protocol)))
            .collect();
        let Ports::Only(list) = &rule.ports else {
            self.unsaid.push("every port but some by name".to_owned());
            return;
        };
        protocols.extend(list.iter().map(|one| Some(one.protocol)));
        protocols.sort_unstable();
        protocols.dedup();
        let [Some(protocol @ (Protocol::TCP | Protocol::UDP | Protocol::SCTP))] = *protocols else {
            self.unsaid
                .push("ports but for some by name, of several protocols".to_owned());
            return;
        };
        let mut ports: Vec<Value> =
            if list.iter().any(|one| is_whole(*one)) && named.any_of.is_empty() {
                Vec::new()
            } else {
                list.iter().copied().filter_map(number).collect()
            };
        let none = ports.is_empty() && !list.iter().any(|one| is_whole(*one));
        if none && named.any_of.is_empty() {
            return;
        }
        ports.extend(named.any_of.iter().map(|one| Value::from(&*one.name)));
        let mut not_ports: Vec<Value> = named.except.iter().copied().filter_map(number).collect();
        not_ports.extend(named.none_of.iter().map(|one| Value::from(&*one.name)));
        if ports.len() > MOST || not_ports.len() > MOST || !names().all(can_be_named) {
            self.unsaid.push("ports but for some by name".to_owned());
            return;
        }
        self.parts.push(Part {
            ports,
            not_ports,
            ..Part::of(protocol)
        });
    }
}

fn word(protocol: Protocol) -> Value {
    match protocol {
        Protocol::TCP | Protocol::UDP | Protocol::SCTP | Protocol::ICMP | Protocol::ICMPV6 => {
            protocol.to_string().into()
        }
        Protocol(number) => Value::from(number),
    }
}

/// No flow goes to port 0, which Calico does not know.
fn number(one: PortMatch) -> Option<Value> {
    let first = one.first.max(1);
    if first > one.last {
        return None;
    }
    Some(if first == one.last {
        first.into()
    } else {
        format!("{first}:{}", one.last).into()
    })
}

/// Flows of a protocol without ports have port 0.
fn is_whole(one: PortMatch) -> bool {
    let icmp = [Protocol::ICMP, Protocol::ICMPV6].contains(&one.protocol);
    one.first == 0 && (one.last == u16::MAX || !one.protocol.has_ports() && !icmp)
}

fn can_be_named(one: &NamedPort) -> bool {
    let protocol = one
        .protocol
        .is_none_or(|protocol| [Protocol::TCP, Protocol::UDP, Protocol::SCTP].contains(&protocol));
    protocol && is_port_name(&one.name)
}
