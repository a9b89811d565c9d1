//! Where a Service leads: what its slices say, else its Endpoints (which are copied into slices where a cluster has
//! both), else its selector and the pods.

use std::net::IpAddr;

use policy_model::{Backend, Cluster, Labels, NamespacedName, Pod, Service, ServicePort};

use super::endpoints::EndpointsSpec;
use super::service::{PortSpec, ServiceSpec, TargetPort};
use super::unfinished::Unfinished;

/// A Service with its backends.
///
/// `internalTrafficPolicy: Local` narrows what a node uses to its own pods. Like a slice's hints it is not followed: all
/// backends count, so that a flow is allowed only where it is allowed to each.
pub(super) fn finished(
    name: &NamespacedName,
    spec: &ServiceSpec,
    known: &Unfinished,
    cluster: &Cluster,
) -> Service {
    let slices: Vec<&EndpointsSpec> = known
        .slices
        .iter()
        .filter(|slice| slice.service == *name)
        .collect();
    let endpoints = known.endpoints.get(name);
    let found = |port: &PortSpec| match (slices.as_slice(), endpoints, &spec.selector) {
        ([], Some(subsets), _) => listed(port, subsets),
        ([], None, Some(selector)) => selected(port, name, spec, selector, known, cluster),
        ([], None, None) => Found::default(),
        (slices, _, _) => listed(port, slices.iter().copied()),
    };
    let ports = spec.ports.iter().map(|port| {
        let Found {
            mut ready,
            mut going,
            mut unready,
        } = found(port);
        // Where none takes new flows, those that are going and still serve do.
        if ready.is_empty() {
            std::mem::swap(&mut ready, &mut going);
        }
        unready.append(&mut going);
        ServicePort {
            name: port.name.clone(),
            protocol: port.protocol,
            port: port.port,
            node_port: port.node_port,
            backends: in_order(ready, spec),
            idle: in_order(unready, spec),
        }
    });
    Service {
        labels: spec.labels.clone(),
        addresses: spec.addresses.clone(),
        ports: ports.collect(),
        selectorless: spec.selector.is_none(),
        selected: spec
            .selector
            .iter()
            .flat_map(|selector| pods(selector, name, cluster))
            .filter(|(_, pod)| !pod.host_network)
            .flat_map(|(_, pod)| pod.addresses.iter().copied())
            .collect(),
    }
}

/// What stands behind a port.
#[derive(Default)]
struct Found {
    /// Flows are sent there.
    ready: Vec<Backend>,
    /// It is going, and still serves.
    going: Vec<Backend>,
    unready: Vec<Backend>,
}

fn in_order(mut backends: Vec<Backend>, spec: &ServiceSpec) -> Vec<Backend> {
    backends.retain(|backend| spec.families.holds(backend.address));
    backends.sort_unstable();
    backends.dedup();
    backends
}

/// Endpoints are told by the name of the Service's port.
fn listed<'a>(port: &PortSpec, endpoints: impl IntoIterator<Item = &'a EndpointsSpec>) -> Found {
    let mut found = Found::default();
    for part in endpoints {
        let own = part
            .ports
            .iter()
            .filter(|own| own.protocol == port.protocol && own.name == port.name);
        for own in own {
            let number = own.port.unwrap_or(port.port);
            let backend = |address: &IpAddr| Backend {
                address: *address,
                port: number,
            };
            found.ready.extend(part.addresses.iter().map(backend));
            found.going.extend(part.going.iter().map(backend));
            found.unready.extend(part.unready.iter().map(backend));
        }
    }
    found
}

/// The pods that a selector means, where nobody lists endpoints. A target given by name is each pod's own port.
fn selected(
    port: &PortSpec,
    name: &NamespacedName,
    spec: &ServiceSpec,
    selector: &Labels,
    known: &Unfinished,
    cluster: &Cluster,
) -> Found {
    let mut found = Found::default();
    for (name, pod) in pods(selector, name, cluster) {
        let Some(port) = target(port, pod) else {
            continue;
        };
        // In the host's network a pod shares the addresses of its node, and is found at those it says itself.
        let addresses = known.own.get(name).unwrap_or(&pod.addresses).iter();
        let (ready, stays) = (!known.unready.contains(name), !known.going.contains(name));
        let list = if spec.publishes_not_ready || (ready && stays) {
            &mut found.ready
        } else if ready {
            &mut found.going
        } else {
            &mut found.unready
        };
        list.extend(addresses.map(|address| Backend {
            address: *address,
            port,
        }));
    }
    found
}

fn pods<'a>(
    selector: &'a Labels,
    (namespace, _): &'a NamespacedName,
    cluster: &'a Cluster,
) -> impl Iterator<Item = (&'a NamespacedName, &'a Pod)> {
    let pods = cluster.pods.iter().filter(move |(name, pod)| {
        name.0 == *namespace
            && selector
                .iter()
                .all(|(key, value)| pod.labels.get(key) == Some(value))
    });
    pods.map(|(name, pod)| (name, &**pod))
}

/// The number of a target port in a pod; of several ports of one name the first, as the endpoints controller does it.
fn target(port: &PortSpec, pod: &Pod) -> Option<u16> {
    match &port.target {
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(name) => pod
            .ports
            .iter()
            .find(|own| own.protocol == port.protocol && own.name == *name)
            .map(|own| own.port),
    }
}
