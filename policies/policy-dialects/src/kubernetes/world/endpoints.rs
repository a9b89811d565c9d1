use std::net::IpAddr;
use std::sync::Arc;

use policy_model::{NamespacedName, Protocol};

use crate::decode::Findings;
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

use super::{address, field, items, namespaced, port_number, protocol, text};

/// Addresses that serve a Service, and the ports they do it on.
#[derive(Debug, Clone)]
pub(super) struct EndpointsSpec {
    pub(super) service: NamespacedName,
    pub(super) addresses: Vec<IpAddr>,
    /// Those that still serve and are going: flows are sent to them while there are no others.
    pub(super) going: Vec<IpAddr>,
    pub(super) unready: Vec<IpAddr>,
    pub(super) ports: Vec<EndpointPort>,
}

#[derive(Debug, Clone)]
pub(super) struct EndpointPort {
    /// The name of the Service's port.
    pub(super) name: Option<Arc<str>>,
    pub(super) protocol: Protocol,
    /// Nothing: whatever port was asked for.
    pub(super) port: Option<u16>,
}

/// The Endpoints of the Service of that name.
pub(super) fn read(object: &Object<'_>, surroundings: &mut Surroundings, findings: &mut Findings) {
    let service = namespaced(object);
    let mut subsets = Vec::new();
    for subset in items(Some(object.node), "subsets", findings) {
        let mut addresses = |key| -> Vec<IpAddr> {
            items(Some(subset), key, findings)
                .into_iter()
                .filter_map(|item| field(Some(item), "ip"))
                .filter_map(|value| address(value, findings))
                .collect()
        };
        let (ready, unready) = (addresses("addresses"), addresses("notReadyAddresses"));
        subsets.push(EndpointsSpec {
            service: service.clone(),
            addresses: ready,
            going: Vec::new(),
            unready,
            ports: ports(subset, findings),
        });
    }
    surroundings.unfinished.endpoints.insert(service, subsets);
}

pub(super) fn ports(node: Node<'_>, findings: &mut Findings) -> Vec<EndpointPort> {
    items(Some(node), "ports", findings)
        .into_iter()
        .filter_map(|item| {
            let name = text(Some(item), "name", findings).filter(|name| !name.value.is_empty());
            let protocol = protocol(item, findings);
            let port = match field(Some(item), "port") {
                Some(value) => Some(port_number(value, findings)?),
                None => None,
            };
            Some(EndpointPort {
                name: name.map(|name| Arc::from(name.value)),
                protocol: protocol?,
                port,
            })
        })
        .collect()
}
