//! Flows to a Service's ports, which are judged as its backends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use policy_model::{NamespacedName, PortMatch, Ports, Protocol};

use super::cells::{Cell, PortCell, Ruled, cells as cells_of};
use super::grouped::Grouped;
use super::{Destination, Half, NOW, Pair};
use crate::decide::{Age, Flow};
use crate::limits::LimitError;
use crate::port_list::normalised;

/// What changes of each Service that either world has, by address.
pub(super) fn cells(pair: &mut Pair<'_>) -> Result<Vec<(Destination, PortCell)>, LimitError> {
    let mut found = Vec::new();
    for ((name, ip), ports) in all(pair) {
        let mut of_service: Grouped<Cell, PortMatch> = Grouped::default();
        for (protocol, port) in ports {
            let flow = Flow::new(ip, protocol, port);
            let (before, after) = (decide(&mut pair.old, &flow)?, decide(&mut pair.new, &flow)?);
            for cell in cells_of((before, after), &[]) {
                of_service.add(cell, PortMatch::port(protocol, port));
            }
        }
        for (cell, ports) in of_service.into_items() {
            let ports = normalised(Ports::Only(ports.into_iter().collect()));
            let destination = Destination::Service(name.clone(), ip);
            found.push((destination, PortCell { cell, ports }));
        }
    }
    Ok(found)
}

/// The ports of an address that are a Service's, where the prefix is one address: they are judged by themselves.
pub(super) fn ports_at(pair: &Pair<'_>, net: IpNet) -> Vec<PortMatch> {
    if net.prefix_len() < net.max_prefix_len() {
        return Vec::new();
    }
    let mut ports = BTreeSet::new();
    for half in pair.halves() {
        let cluster = &half.ruleset.world.cluster;
        let here = cluster.service_ports(net.addr()).into_keys();
        ports.extend(here.map(|(protocol, port)| PortMatch::port(protocol, port)));
    }
    ports.into_iter().collect()
}

type ByAddress = BTreeMap<(NamespacedName, IpAddr), BTreeSet<(Protocol, u16)>>;

fn all(pair: &Pair<'_>) -> ByAddress {
    let mut all = ByAddress::new();
    for half in pair.halves() {
        let cluster = &half.ruleset.world.cluster;
        for ip in cluster.service_addresses() {
            for (port, name) in cluster.service_ports(ip) {
                let ports = all.entry((name.clone(), ip)).or_default();
                ports.insert(port);
            }
        }
    }
    all
}

fn decide(half: &mut Half<'_>, flow: &Flow) -> Result<Ruled, LimitError> {
    let decision = half
        .ruleset
        .decide(&mut half.lists, flow, &[], Age::New { now: NOW })?;
    Ok(Ruled {
        enforced: (decision.verdict, decision.reason),
        proposed: (decision.would, decision.would_reason),
    })
}
