//! Host endpoints: what policies select, and what holds for them before the first tier and behind the last.
//!
//! Calico lets a host's failsafe ports out before it looks at any policy, so that no policy cuts a node off, and denies what
//! no tier decided unless a profile of the endpoint allows it. Both are said as policies of the endpoint itself, in tiers
//! of their own at both ends, so that every engine and every explanation knows of them. Failsafe ports are Calico's
//! defaults (`FailsafeOutboundHostPorts`): what a `FelixConfiguration` changes is not read.

use std::net::IpAddr;
use std::sync::Arc;

use policy_model::{
    Action, Band, ContainerPort, DnsFilter, HostEndpoint, Order, Policy, PortMatch, Ports,
    Protocol, Rule, Standing, Subject, TierEnd, TierRef,
};

use super::profile::{self, DEFAULT_ALLOW};
use super::{GROUP, labels, v3};
use crate::Context;
use crate::codes;
use crate::decode::{At, Findings};
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

const FAILSAFE: &str = "calico-failsafe";
const PROFILES: &str = "calico-profiles";

/// DHCP, DNS, and what keeps etcd, the API server, BGP and Typha within reach.
const FAILSAFE_PORTS: &[(Protocol, u16)] = &[
    (Protocol::UDP, 53),
    (Protocol::UDP, 67),
    (Protocol::TCP, 179),
    (Protocol::TCP, 2379),
    (Protocol::TCP, 2380),
    (Protocol::TCP, 5473),
    (Protocol::TCP, 6443),
    (Protocol::TCP, 6666),
    (Protocol::TCP, 6667),
];
/// LIMIT: Linux's longest interface name, as in the CRD.
const MAX_INTERFACE: usize = 15;
/// LIMIT: the longest name of a node, as in the CRD.
const MAX_NODE: usize = 253;

/// Reads a `HostEndpoint` as a fact.
pub(super) fn read(
    object: &Object<'_>,
    _context: &Context,
    surroundings: &mut Surroundings,
    findings: &mut Findings,
) {
    let mark = findings.mark();
    let labels = labels::of_object(object, findings);
    let Some(spec) = object.spec(findings) else {
        return;
    };
    let Some(mut fields) = findings.fields(spec) else {
        return;
    };
    let mut text = |key| {
        let text = fields.take(key).and_then(|node| findings.string(node))?;
        (!text.value.is_empty()).then_some(text)
    };
    let (node, interface) = (text("node"), text("interfaceName"));
    let addresses = fields
        .take("expectedIPs")
        .and_then(|node| findings.strings(node))
        .unwrap_or_default();
    let profiles = fields
        .take("profiles")
        .and_then(|node| findings.strings(node))
        .unwrap_or_default();
    let ports = fields
        .take("ports")
        .and_then(|node| findings.list(node))
        .unwrap_or_default();
    let ports = ports
        .into_iter()
        .filter_map(|port| named_port(port, findings))
        .collect();
    fields.finish(findings, codes::UNKNOWN_FIELD);
    check(spec, node, interface, &addresses, findings);
    let addresses: Vec<IpAddr> = addresses
        .into_iter()
        .filter_map(|text| address(text, findings))
        .collect();
    let (Some(node), false) = (node, findings.refused_since(mark)) else {
        return;
    };
    let name = &object.id.name;
    if addresses.is_empty() {
        findings.report_help(
            codes::CALICO_HOST_ENDPOINT_ADDRESSES,
            spec,
            "without `expectedIPs` no rule that selects this endpoint as a destination means any address",
            "add its addresses",
        );
    }
    let profiles = profiles.iter().map(|name| Arc::from(name.value)).collect();
    let endpoint = HostEndpoint {
        labels,
        node: node.value.into(),
        addresses,
        ports,
    };
    surroundings
        .cluster
        .host_endpoints
        .insert(Arc::clone(name), endpoint);
    surroundings
        .calico
        .host_profiles
        .insert(Arc::clone(name), profiles);
}

/// The policies of a host endpoint: failsafe ports first, its profiles last.
pub(super) fn policies(
    object: &Object<'_>,
    surroundings: &Surroundings,
    _context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let facts = &surroundings.calico;
    // One that is refused is no fact.
    let Some(profiles) = facts.host_profiles.get(&object.id.name) else {
        return Vec::new();
    };
    let origin = findings.origin(object.node);
    let failsafe = Rule {
        name: Some("failsafe ports".into()),
        ports: Ports::Only(
            FAILSAFE_PORTS
                .iter()
                .map(|(protocol, port)| PortMatch::port(*protocol, *port))
                .collect(),
        ),
        ..Rule::new(0, Action::Allow, origin.clone())
    };
    let mut rules = Vec::new();
    for name in profiles {
        match facts.profiles.get(name) {
            Some(profile) => rules.extend(profile.egress.iter().cloned()),
            None if **name == *DEFAULT_ALLOW => rules.push(profile::allow_all(origin.clone())),
            None => findings.report_help(
                codes::CALICO_PROFILE_MISSING,
                object.node,
                format!("there is no Profile `{name}`, so it allows nothing"),
                format!("`{DEFAULT_ALLOW}` is always there and allows all"),
            ),
        }
    }
    if profiles.is_empty() {
        findings.report_help(
            codes::CALICO_HOST_ENDPOINT_DENIES,
            object.node,
            "a host endpoint without profiles denies what no policy allows, but for Calico's failsafe ports",
            format!("add `profiles: [{DEFAULT_ALLOW}]` to allow it"),
        );
    }
    let policy = |tier, rules| Policy {
        id: object.id.clone().in_group(GROUP),
        origin: origin.clone(),
        tier,
        order: Order::LAST,
        tie: Arc::from(""),
        subject: Subject::HostEndpoint(Arc::clone(&object.id.name)),
        isolates: false,
        standing: Standing::Enforced,
        deny_style: None,
        dns: DnsFilter::Untouched,
        rules,
    };
    let before_all = TierRef {
        band: Band::Admin,
        order: Order(f64::NEG_INFINITY),
        name: FAILSAFE.into(),
        end: TierEnd::Next,
    };
    let behind_all = TierRef {
        band: Band::Baseline,
        order: Order::LAST,
        name: PROFILES.into(),
        end: TierEnd::Deny,
    };
    vec![
        policy(before_all, vec![failsafe]),
        policy(behind_all, rules),
    ]
}

fn check(
    spec: Node<'_>,
    node: Option<At<'_, &str>>,
    interface: Option<At<'_, &str>>,
    addresses: &[At<'_, &str>],
    findings: &mut Findings,
) {
    let code = codes::CALICO_HOST_ENDPOINT;
    match node {
        None => findings.report(code, spec, "node must be specified"),
        Some(node) if node.value.chars().count() > MAX_NODE => findings.report(
            code,
            node.node,
            format!("a node's name has at most {MAX_NODE} characters"),
        ),
        Some(_) => {}
    }
    if interface.is_none() && addresses.is_empty() {
        findings.report(
            code,
            spec,
            "at least one of interfaceName or expectedIPs must be specified",
        );
    }
    if let Some(interface) = interface
        && interface.value.chars().count() > MAX_INTERFACE
    {
        findings.report(
            code,
            interface.node,
            format!("an interface's name has at most {MAX_INTERFACE} characters"),
        );
    }
}

fn address(text: At<'_, &str>, findings: &mut Findings) -> Option<IpAddr> {
    let address = text.value.parse::<IpAddr>();
    if address.is_err() {
        findings.report(
            codes::CALICO_HOST_ENDPOINT,
            text.node,
            format!("`{}` is not an address", text.value),
        );
    }
    Some(address.ok()?.to_canonical())
}

fn named_port(node: Node<'_>, findings: &mut Findings) -> Option<ContainerPort> {
    let mut fields = findings.fields(node)?;
    let (name, port, protocol) = (
        fields.take("name"),
        fields.take("port"),
        fields.take("protocol"),
    );
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let (Some(name), Some(port), Some(protocol)) = (name, port, protocol) else {
        findings.report(
            codes::CALICO_HOST_ENDPOINT,
            node,
            "a port has `name`, `port` and `protocol`",
        );
        return None;
    };
    let name = findings.string(name)?.value.into();
    let number = findings.integer(port)?.value;
    let protocol = v3::protocol(protocol, findings)?;
    if ![Protocol::TCP, Protocol::UDP, Protocol::SCTP].contains(&protocol.value) {
        findings.report(
            codes::CALICO_HOST_ENDPOINT,
            protocol.node,
            "the protocol does not support ports",
        );
    }
    match u16::try_from(number) {
        Ok(port @ 1..) => Some(ContainerPort {
            name,
            protocol: protocol.value,
            port,
        }),
        Ok(_) | Err(_) => {
            findings.report(
                codes::CALICO_PORT,
                port,
                format!("{number} is not a port: 1 to 65535"),
            );
            None
        }
    }
}
