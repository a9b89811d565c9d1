use std::net::IpAddr;
use std::sync::Arc;

use policy_model::{Labels, Protocol};

use crate::codes;
use crate::decode::Findings;
use crate::kubernetes::{labels_of, object_labels};
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::{Node, Typed};

use super::{add_once, address, field, items, namespaced, port_number, protocol, text, truth};

/// A Service as written; its backends follow from other objects.
#[derive(Debug, Clone)]
pub(super) struct ServiceSpec {
    pub(super) labels: Labels,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) families: Families,
    pub(super) ports: Vec<PortSpec>,
    /// Nothing: whatever its endpoints say.
    pub(super) selector: Option<Labels>,
    pub(super) publishes_not_ready: bool,
}

/// Which addresses of its pods a Service leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Families {
    v4: bool,
    v6: bool,
}

#[derive(Debug, Clone)]
pub(super) struct PortSpec {
    pub(super) name: Option<Arc<str>>,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    pub(super) node_port: Option<u16>,
    pub(super) target: TargetPort,
}

#[derive(Debug, Clone)]
pub(super) enum TargetPort {
    Number(u16),
    /// A port of its containers.
    Name(Arc<str>),
}

impl Families {
    pub(super) const fn holds(self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        }
    }
}

/// A Service. An `ExternalName` is only a name, and has neither address nor backend.
pub(super) fn read(object: &Object<'_>, surroundings: &mut Surroundings, findings: &mut Findings) {
    let spec = field(Some(object.node), "spec");
    let kind = text(spec, "type", findings).map_or("ClusterIP", |kind| kind.value);
    let selector = field(spec, "selector")
        .map(|node| labels_of(node, findings))
        .filter(|labels| !labels.is_empty());
    let mut service = ServiceSpec {
        labels: object_labels(object.node, findings),
        addresses: Vec::new(),
        families: Families { v4: true, v6: true },
        ports: Vec::new(),
        selector,
        publishes_not_ready: truth(spec, "publishNotReadyAddresses", findings).unwrap_or(false),
    };
    if kind != "ExternalName" {
        service.addresses = addresses(object.node, findings);
        service.families = families(spec, &service.addresses, findings);
        for port in items(spec, "ports", findings) {
            service.ports.extend(PortSpec::decode(port, findings));
        }
    }
    let name = namespaced(object);
    surroundings.unfinished.services.insert(name, service);
}

/// Every address that stands for it: cluster addresses, `externalIPs` and a load balancer's. `None` is a headless one.
fn addresses(object: Node<'_>, findings: &mut Findings) -> Vec<IpAddr> {
    let spec = field(Some(object), "spec");
    let status = field(Some(object), "status");
    let mut values: Vec<Node<'_>> = field(spec, "clusterIP").into_iter().collect();
    values.extend(items(spec, "clusterIPs", findings));
    values.retain(|value| !matches!(value.typed(), Some(Typed::Str("None"))));
    values.extend(items(spec, "externalIPs", findings));
    let balancer = field(status, "loadBalancer");
    for entry in items(balancer, "ingress", findings) {
        // `Proxy`: packets to it leave the cluster, and come back as somebody else's.
        let proxied = entry.get_str("ipMode") == Some("Proxy");
        values.extend(field(Some(entry), "ip").filter(|_| !proxied));
    }
    let mut addresses = Vec::new();
    for value in values {
        let ip = address(value, findings);
        add_once(&mut addresses, ip);
    }
    addresses
}

/// `ipFamilies`; where a file leaves them out, those of its cluster addresses; of a headless one both.
fn families(spec: Option<Node<'_>>, addresses: &[IpAddr], findings: &mut Findings) -> Families {
    let written: Vec<&str> = items(spec, "ipFamilies", findings)
        .into_iter()
        .filter_map(|item| findings.string(item))
        .map(|family| family.value)
        .collect();
    if !written.is_empty() {
        return Families {
            v4: written.contains(&"IPv4"),
            v6: written.contains(&"IPv6"),
        };
    }
    if addresses.is_empty() {
        return Families { v4: true, v6: true };
    }
    Families {
        v4: addresses.iter().any(IpAddr::is_ipv4),
        v6: addresses.iter().any(IpAddr::is_ipv6),
    }
}

impl PortSpec {
    fn decode(node: Node<'_>, findings: &mut Findings) -> Option<Self> {
        let name = text(Some(node), "name", findings).filter(|name| !name.value.is_empty());
        let protocol = protocol(node, findings);
        let Some(port) = field(Some(node), "port") else {
            findings.report(codes::MISSING_FIELD, node, "`port` is missing");
            return None;
        };
        let port = port_number(port, findings)?;
        // The API server takes 0 for a field that was left out.
        let node_port = field(Some(node), "nodePort")
            .filter(|value| !matches!(value.typed(), Some(Typed::Int(0))))
            .and_then(|value| port_number(value, findings));
        let target = match field(Some(node), "targetPort") {
            None => TargetPort::Number(port),
            Some(value) => match value.typed() {
                Some(Typed::Str(name)) => TargetPort::Name(name.into()),
                // Likewise.
                Some(Typed::Int(0)) => TargetPort::Number(port),
                None | Some(Typed::Null | Typed::Bool(_) | Typed::Int(_) | Typed::Float(_)) => {
                    TargetPort::Number(port_number(value, findings)?)
                }
            },
        };
        Some(Self {
            name: name.map(|name| Arc::from(name.value)),
            protocol: protocol?,
            port,
            node_port,
            target,
        })
    }
}
