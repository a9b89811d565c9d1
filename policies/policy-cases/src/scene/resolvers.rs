use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use policy_model::{Cluster, NamespacedName, Protocol, Resolver, Service};

use super::SceneError;
use crate::file::{ResolverSpec, SettingsSpec};

/// The Service every cluster answers DNS with, whatever the server behind it.
const CLUSTER_DNS: &str = "kube-system/kube-dns";

const DNS_PORT: u16 = 53;

/// The resolver of a test file that names none, where its world has none.
#[must_use]
pub const fn resolver() -> Resolver {
    Resolver {
        address: IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10)),
        port: DNS_PORT,
    }
}

/// The resolvers a file names, and the cluster's where it names none. A Service is its cluster addresses.
pub(super) fn known(
    settings: &SettingsSpec,
    cluster: &Cluster,
) -> Result<Vec<Resolver>, SceneError> {
    let default = [ResolverSpec::Service(Arc::from(CLUSTER_DNS))];
    let named = match settings.resolvers.as_slice() {
        [] => &default,
        named => named,
    };
    let mut resolvers = Vec::new();
    for one in named {
        match one {
            ResolverSpec::Address(address) => resolvers.push(Resolver {
                address: address.ip().to_canonical(),
                port: address.port(),
            }),
            ResolverSpec::Service(service) => {
                let known = of_service(service, cluster);
                if !known.is_empty() {
                    resolvers.extend(known);
                } else if &**service == CLUSTER_DNS && !is_known(service, cluster) {
                    resolvers.push(resolver());
                } else {
                    return Err(SceneError::ResolverService {
                        service: Arc::clone(service),
                    });
                }
            }
        }
    }
    Ok(resolvers)
}

/// What a Service (`namespace/name`) listens on as a resolver: its addresses, on port 53 where it has that.
pub(super) fn of_service(service: &str, cluster: &Cluster) -> Vec<Resolver> {
    let Some(Service {
        addresses, ports, ..
    }) = name_of(service).and_then(|name| cluster.services.get(&name))
    else {
        return Vec::new();
    };
    let mut asked: Vec<u16> = ports
        .iter()
        .filter(|port| matches!(port.protocol, Protocol::UDP | Protocol::TCP))
        .map(|port| port.port)
        .collect();
    asked.sort_by_key(|port| *port != DNS_PORT);
    let Some(port) = asked.first() else {
        return Vec::new();
    };
    addresses
        .iter()
        .map(|address| Resolver {
            address: *address,
            port: *port,
        })
        .collect()
}

fn is_known(service: &str, cluster: &Cluster) -> bool {
    name_of(service).is_some_and(|name| cluster.services.contains_key(&name))
}

fn name_of(service: &str) -> Option<NamespacedName> {
    let (namespace, name) = service.split_once('/')?;
    Some((Arc::from(namespace), Arc::from(name)))
}
