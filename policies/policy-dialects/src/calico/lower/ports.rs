use policy_model::{NamedPort, NamedPorts, PortMatch, Ports, Protocol};

use crate::decode::At;

use super::super::v3::{IcmpSpec, PortSpec, RuleSpec};

type Range = (u16, u16);

const WHOLE: Range = (0, u16::MAX);

/// The ports and protocols of a rule: what is given, without what is excluded. An absent protocol is every one.
pub(super) fn lower(rule: &RuleSpec<'_>) -> (Ports, NamedPorts) {
    let none: &[At<'_, PortSpec<'_>>] = &[];
    let (given, not) = rule.destination.as_ref().map_or((none, none), |entity| {
        (entity.ports.as_slice(), entity.not_ports.as_slice())
    });
    let named = |ports: &[At<'_, PortSpec<'_>>]| -> Vec<NamedPort> {
        let names = ports.iter().filter_map(|port| match &port.value {
            PortSpec::Named(name) => Some(NamedPort {
                protocol: rule.protocol,
                name: (*name).into(),
            }),
            PortSpec::Range { .. } => None,
        });
        names.collect()
    };
    let (ports, mut except) = match rule.protocol {
        Some(protocol) if rule.not_protocol == Some(protocol) => {
            (Ports::Only(Vec::new()), vec![PortMatch::all(protocol)])
        }
        Some(protocol) => of_protocol(protocol, rule, given, not),
        None => of_any(rule, given),
    };
    let any_of = named(given);
    if any_of.is_empty() {
        except.clear();
    }
    let named_ports = NamedPorts {
        any_of,
        none_of: named(not),
        except,
    };
    (ports, named_ports)
}

/// The ports, and what a named port may not stand for.
fn of_protocol(
    protocol: Protocol,
    rule: &RuleSpec<'_>,
    given: &[At<'_, PortSpec<'_>>],
    not: &[At<'_, PortSpec<'_>>],
) -> (Ports, Vec<PortMatch>) {
    let is_icmp = [Protocol::ICMP, Protocol::ICMPV6].contains(&protocol);
    let mut ranges = match rule.icmp {
        Some(icmp) if is_icmp => vec![icmp_range(icmp)],
        Some(_) | None if given.is_empty() => vec![WHOLE],
        Some(_) | None => numbers(given),
    };
    let mut excluded = numbers(not);
    let not_icmp = rule.not_icmp.filter(|icmp| is_icmp && excludes(icmp));
    excluded.extend(not_icmp.map(icmp_range));
    for range in &excluded {
        ranges = without(&ranges, *range);
    }
    let matches = |ranges: Vec<Range>| -> Vec<PortMatch> {
        ranges
            .into_iter()
            .map(|(first, last)| PortMatch::range(protocol, first, last))
            .collect()
    };
    (Ports::Only(matches(ranges)), matches(excluded))
}

/// Of a rule that names no protocol: only names may stand in `ports` then.
fn of_any(rule: &RuleSpec<'_>, given: &[At<'_, PortSpec<'_>>]) -> (Ports, Vec<PortMatch>) {
    let mut excluded: Vec<PortMatch> = rule.not_protocol.map(PortMatch::all).into_iter().collect();
    if let Some(icmp) = rule.not_icmp.filter(excludes) {
        let (first, last) = icmp_range(icmp);
        for protocol in [Protocol::ICMP, Protocol::ICMPV6] {
            if rule.not_protocol != Some(protocol) {
                excluded.push(PortMatch::range(protocol, first, last));
            }
        }
    }
    let ports = match (given.is_empty(), excluded.is_empty()) {
        (false, _) => Ports::Only(Vec::new()),
        (true, true) => Ports::Any,
        (true, false) => Ports::AllBut(excluded.clone()),
    };
    (ports, excluded)
}

fn numbers(ports: &[At<'_, PortSpec<'_>>]) -> Vec<Range> {
    let ranges = ports.iter().filter_map(|port| match port.value {
        PortSpec::Range { first, last } => Some((first, last)),
        PortSpec::Named(_) => None,
    });
    ranges.collect()
}

/// Without a type it says nothing.
const fn excludes(icmp: &IcmpSpec) -> bool {
    icmp.kind.is_some()
}

/// ICMP's "port" is type and code.
fn icmp_range(icmp: IcmpSpec) -> Range {
    match (icmp.kind, icmp.code) {
        (None, _) => WHOLE,
        (Some(kind), None) => (u16::from(kind) << 8, (u16::from(kind) << 8) | 0xff),
        (Some(kind), Some(code)) => {
            let port = (u16::from(kind) << 8) | u16::from(code);
            (port, port)
        }
    }
}

fn without(ranges: &[Range], (first, last): Range) -> Vec<Range> {
    let mut left = Vec::new();
    for (from, to) in ranges.iter().copied() {
        if from < first {
            left.push((from, to.min(first - 1)));
        }
        if to > last {
            left.push((from.max(last + 1), to));
        }
    }
    left
}
