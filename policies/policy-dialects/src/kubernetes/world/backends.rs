//! Where a Service leads: what its slices say, else its Endpoints (which are copied into slices where a cluster has
//! both), else its selector and the pods.

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
    let backends = |port: &PortSpec| match (slices.as_slice(), endpoints, &spec.selector) {
        ([], Some(subsets), _) => listed(port, subsets),
        ([], None, Some(selector)) => selected(port, name, spec, selector, known, cluster),
        ([], None, None) => Vec::new(),
        (slices, _, _) => listed(port, slices.iter().copied()),
    };
    let ports = spec.ports.iter().map(|port| {
        let mut backends = backends(port);
        backends.retain(|backend| spec.families.holds(backend.address));
        backends.sort_unstable();
        backends.dedup();
        ServicePort {
            name: port.name.clone(),
            protocol: port.protocol,
            port: port.port,
            backends,
        }
    });
    Service {
        labels: spec.labels.clone(),
        addresses: spec.addresses.clone(),
        ports: ports.collect(),
        selectorless: spec.selector.is_none(),
    }
}

/// Endpoints are told by the name of the Service's port.
fn listed<'a>(
    port: &PortSpec,
    endpoints: impl IntoIterator<Item = &'a EndpointsSpec>,
) -> Vec<Backend> {
    let mut backends = Vec::new();
    for part in endpoints {
        let own = part
            .ports
            .iter()
            .filter(|own| own.protocol == port.protocol && own.name == port.name);
        for own in own {
            let number = own.port.unwrap_or(port.port);
            backends.extend(part.addresses.iter().map(|address| Backend {
                address: *address,
                port: number,
            }));
        }
    }
    backends
}

/// A target given by name is each pod's own port.
fn selected(
    port: &PortSpec,
    (namespace, _): &NamespacedName,
    spec: &ServiceSpec,
    selector: &Labels,
    known: &Unfinished,
    cluster: &Cluster,
) -> Vec<Backend> {
    let pods = cluster.pods.iter().filter(|(name, pod)| {
        name.0 == *namespace
            && selector
                .iter()
                .all(|(key, value)| pod.labels.get(key) == Some(value))
            && (spec.publishes_not_ready || !known.idle.contains(*name))
    });
    pods.flat_map(|(_, pod)| {
        let number = target(port, pod);
        let addresses = pod.addresses.iter();
        addresses.filter_map(move |address| {
            number.map(|port| Backend {
                address: *address,
                port,
            })
        })
    })
    .collect()
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
