//! What the peers of a cluster stand for: the addresses of pods, nodes, Services and endpoints.
use std::net::IpAddr;

use ipnet::IpNet;
use policy_model::{
    Backend, Block, Cluster, ContainerPort, Endpoint, EndpointPeer, EndpointScope, NamespacedName,
    NodePeer, Pod, PodPeer, PortMatch, Protocol, Scope, Selects, ServicePeer,
};

use super::clauses::canonical;

/// The pods a peer means.
pub(crate) fn pods<'a>(
    cluster: &'a Cluster,
    peer: &'a PodPeer,
) -> impl Iterator<Item = (&'a NamespacedName, &'a Pod)> {
    let PodPeer { namespace, .. } = peer;
    // A policy's own namespace is one range of the map.
    let whole = namespace.is_none().then(|| cluster.pods.iter());
    let own = namespace.iter().flat_map(|namespace| {
        let from = (namespace.clone(), "".into());
        cluster
            .pods
            .range(from..)
            .take_while(move |((of, _), _)| of == namespace)
    });
    whole
        .into_iter()
        .flatten()
        .chain(own)
        .map(|(name, pod)| (name, &**pod))
        .filter(move |(name, pod)| peer.means(cluster, name, pod))
}

/// The addresses of the nodes whose labels a selector matches.
pub(super) fn nodes<'a>(
    cluster: &'a Cluster,
    peer: &'a NodePeer,
    own: Option<&'a str>,
) -> impl Iterator<Item = IpAddr> {
    cluster
        .nodes
        .iter()
        .filter(move |(name, node)| peer.means(name, node, own))
        .flat_map(|(_, node)| node.addresses.iter().copied())
}

/// What stands behind the Services a peer means, with the protocol of the port it stands behind.
pub(super) fn backends<'a>(
    cluster: &'a Cluster,
    peer: &'a ServicePeer,
) -> impl Iterator<Item = (Backend, Protocol)> {
    cluster
        .services
        .iter()
        .filter(|(name, service)| peer.means(name, service))
        .flat_map(|(_, service)| &service.ports)
        .flat_map(|port| {
            let protocol = port.protocol;
            port.members().map(move |one| (one, protocol))
        })
}

/// The same without ports: the addresses of pods that a Service's selector means are among them.
pub(super) fn service_addresses<'a>(
    cluster: &'a Cluster,
    peer: &'a ServicePeer,
) -> impl Iterator<Item = IpAddr> {
    let services = cluster.services.iter();
    let selected = services
        .filter(|(name, service)| peer.means(name, service))
        .flat_map(|(_, service)| service.selected.iter().copied());
    backends(cluster, peer)
        .map(|(backend, _)| backend.address)
        .chain(selected)
}

/// The ranges that an endpoint peer means.
pub(super) fn endpoints(cluster: &Cluster, peer: &EndpointPeer) -> Vec<Block> {
    let EndpointPeer {
        selector,
        not_selector,
        scope,
        nets,
        not_nets,
    } = peer;
    let mut except: Vec<IpNet> = not_nets.iter().copied().map(canonical).collect();
    if let Some(selector) = not_selector {
        except.extend(selected(cluster, selector, EndpointScope::All));
    }
    except.sort_unstable();
    except.dedup();
    let nets: Vec<IpNet> = nets.iter().copied().map(canonical).collect();
    let mut meant = match selector {
        None if nets.is_empty() => everything(),
        None => nets,
        Some(selector) => {
            let members = selected(cluster, selector, *scope);
            if nets.is_empty() {
                members
            } else {
                members
                    .iter()
                    .flat_map(|member| nets.iter().filter_map(|net| intersection(*member, *net)))
                    .collect()
            }
        }
    };
    meant.sort_unstable();
    meant.dedup();
    meant
        .into_iter()
        .map(|net| Block {
            net,
            except: except
                .iter()
                .filter(|except| intersection(**except, net).is_some())
                .copied()
                .collect(),
            scope: Scope::Any,
        })
        .collect()
}

fn selected(
    cluster: &Cluster,
    selector: &policy_model::Expression,
    scope: EndpointScope,
) -> Vec<IpNet> {
    let pods = cluster
        .pods
        .iter()
        .filter(|(_, pod)| !pod.host_network)
        .filter(|(name, pod)| {
            Endpoint::of_pod(cluster, name, pod).selects(selector) == Selects::Yes
        })
        .flat_map(|(_, pod)| &pod.addresses);
    let hosts = cluster
        .host_endpoints
        .values()
        .filter(|host| Endpoint::of_host_endpoint(host).selects(selector) == Selects::Yes)
        .flat_map(|host| &host.addresses);
    let sets = cluster
        .network_sets
        .iter()
        .filter(|_| scope == EndpointScope::All)
        .filter(|((namespace, _), set)| {
            Endpoint::of_network_set(cluster, namespace.as_ref(), set).selects(selector)
                == Selects::Yes
        })
        .flat_map(|(_, set)| set.nets.iter().copied().map(canonical));
    pods.chain(hosts)
        .map(|ip| IpNet::from(ip.to_canonical()))
        .chain(sets)
        .collect()
}

fn everything() -> Vec<IpNet> {
    vec![
        IpNet::V4(ipnet::Ipv4Net::default()),
        IpNet::V6(ipnet::Ipv6Net::default()),
    ]
}

/// Of two prefixes that meet, one lies in the other.
fn intersection(left: IpNet, right: IpNet) -> Option<IpNet> {
    if left.contains(&right) {
        Some(right)
    } else if right.contains(&left) {
        Some(left)
    } else {
        None
    }
}

/// Every address that has named ports, with those.
pub(super) fn with_named_ports(
    cluster: &Cluster,
) -> impl Iterator<Item = (IpAddr, &[ContainerPort])> {
    let pods = cluster
        .pods
        .values()
        .filter(|pod| !pod.host_network && !pod.ports.is_empty())
        .flat_map(|pod| pod.addresses.iter().map(|ip| (*ip, pod.ports.as_slice())));
    let hosts = cluster
        .host_endpoints
        .values()
        .filter(|host| !host.ports.is_empty())
        .flat_map(|host| host.addresses.iter().map(|ip| (*ip, host.ports.as_slice())));
    pods.chain(hosts)
        .map(|(ip, ports)| (ip.to_canonical(), ports))
}

/// The ports of those names there.
pub(super) fn ports_named(
    names: &[policy_model::NamedPort],
    ports: &[ContainerPort],
) -> Vec<PortMatch> {
    ports
        .iter()
        .filter(|port| {
            names.iter().any(|named| {
                named.name == port.name
                    && named
                        .protocol
                        .is_none_or(|protocol| protocol == port.protocol)
            })
        })
        .map(|port| PortMatch::port(port.protocol, port.port))
        .collect()
}

/// Where the Service of the cluster's API leads.
pub(super) fn api_server(cluster: &Cluster) -> impl Iterator<Item = Backend> {
    let name: NamespacedName = ("default".into(), "kubernetes".into());
    cluster
        .services
        .get(&name)
        .into_iter()
        .flat_map(|service| &service.ports)
        .flat_map(|port| port.backends.iter().copied())
}
