use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::cluster::{Backend, Cluster, NamespacedName};
use crate::endpoint::Endpoint;
use crate::expression::Expression;
use crate::peer::EndpointPeer;
use crate::ports::Protocol;
use crate::preset::METADATA_ADDRESSES;
use crate::subject::Selects;
use crate::world::DestinationClass;

/// A cluster, with what each of its addresses is. Cheap to clone; a change of the cluster is a new one.
#[derive(Debug, Clone, Default)]
pub struct ClusterMap {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    cluster: Cluster,
    classes: BTreeMap<IpAddr, DestinationClass>,
    services: BTreeMap<IpAddr, NamespacedName>,
    /// Sorted, none inside another.
    pod_cidrs: Vec<IpNet>,
}

impl ClusterMap {
    /// Where objects claim one address, it is a node's before a Service's before a pod's: what is shared is judged as what
    /// more workloads depend on.
    pub fn new(cluster: Cluster) -> Self {
        let mut classes = BTreeMap::new();
        let pods = cluster.pods.values().filter(|pod| !pod.host_network);
        for ip in pods.flat_map(|pod| &pod.addresses) {
            classes.insert(ip.to_canonical(), DestinationClass::Pod);
        }
        let mut services = BTreeMap::new();
        for (name, service) in &cluster.services {
            // Whoever may write `externalIPs` must not take the guard off an address of the cloud.
            let own = service.addresses.iter();
            for ip in own.filter(|ip| !METADATA_ADDRESSES.contains(&ip.to_canonical())) {
                classes.insert(ip.to_canonical(), DestinationClass::Service);
                services.insert(ip.to_canonical(), name.clone());
            }
        }
        for ip in cluster.nodes.values().flat_map(|node| &node.addresses) {
            classes.insert(ip.to_canonical(), DestinationClass::Node);
        }
        let pod_cidrs: Vec<IpNet> = cluster
            .nodes
            .values()
            .flat_map(|node| node.pod_cidrs.iter().copied())
            .collect();
        Self {
            inner: Arc::new(Inner {
                cluster,
                classes,
                services,
                pod_cidrs: IpNet::aggregate(&pod_cidrs),
            }),
        }
    }

    pub fn objects(&self) -> &Cluster {
        &self.inner.cluster
    }

    /// Whether nothing is known of pods, nodes and Services. Sets and host endpoints may be known all the same.
    pub fn is_unknown(&self) -> bool {
        let Cluster {
            namespaces,
            pods,
            nodes,
            services,
            service_accounts,
            network_sets: _,
            host_endpoints: _,
        } = &self.inner.cluster;
        namespaces.is_empty()
            && pods.is_empty()
            && nodes.is_empty()
            && services.is_empty()
            && service_accounts.is_empty()
    }

    /// Whether nobody knows what a peer's selectors mean: pods are not known, and no set or host endpoint that is known is one
    /// that they select.
    pub fn is_unknown_to(&self, peer: &EndpointPeer) -> bool {
        let mut selectors = peer.selector.iter().chain(&peer.not_selector).peekable();
        selectors.peek().is_some()
            && self.is_unknown()
            && !selectors.any(|by| self.knows_endpoint_of(by))
    }

    fn knows_endpoint_of(&self, by: &Expression) -> bool {
        let cluster = &self.inner.cluster;
        let mut sets = cluster.network_sets.iter();
        let mut hosts = cluster.host_endpoints.values();
        let selects = |endpoint: Endpoint<'_>| endpoint.selects(by) == Selects::Yes;
        sets.any(|((namespace, _), set)| {
            selects(Endpoint::of_network_set(cluster, namespace.as_ref(), set))
        }) || hosts.any(|host| selects(Endpoint::of_host_endpoint(host)))
    }

    /// What an address is; outside where no object has it and no range of pods holds it.
    pub fn class_of(&self, ip: IpAddr) -> DestinationClass {
        let ip = ip.to_canonical();
        if let Some(class) = self.inner.classes.get(&ip) {
            return *class;
        }
        if self.inner.pod_cidrs.iter().any(|net| net.contains(&ip)) {
            DestinationClass::Pod
        } else {
            DestinationClass::Outside
        }
    }

    /// The ranges that pods have their addresses from, none inside another.
    pub fn pod_cidrs(&self) -> &[IpNet] {
        &self.inner.pod_cidrs
    }

    /// Every address that an object has, with its class, in order.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, DestinationClass)> {
        self.inner.classes.iter().map(|(ip, class)| (*ip, *class))
    }

    /// The Service that flows to an address are for: of several that claim it, one.
    pub fn service_of(&self, ip: IpAddr) -> Option<&NamespacedName> {
        self.inner.services.get(&ip.to_canonical())
    }

    /// Where a flow to a Service's port goes; nothing where the address and port are no Service's. An empty list: nowhere.
    pub fn backends(&self, ip: IpAddr, protocol: Protocol, port: u16) -> Option<&[Backend]> {
        let name = self.inner.services.get(&ip.to_canonical())?;
        self.inner.cluster.services[name]
            .ports
            .iter()
            .find(|one| one.protocol == protocol && one.port == port)
            .map(|one| one.backends.as_slice())
    }
}

impl From<Cluster> for ClusterMap {
    fn from(cluster: Cluster) -> Self {
        Self::new(cluster)
    }
}

impl PartialEq for ClusterMap {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner) || self.objects() == other.objects()
    }
}

impl Eq for ClusterMap {}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::cluster::{Node, Pod, Service, ServicePort};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn map() -> ClusterMap {
        let mut cluster = Cluster::default();
        let name = |name: &str| (Arc::from("shop"), Arc::from(name));
        let pod = |address: &str, host_network| Pod {
            addresses: vec![ip(address)],
            host_network,
            ..Pod::default()
        };
        cluster
            .pods
            .insert(name("web"), Arc::new(pod("10.0.0.5", false)));
        cluster
            .pods
            .insert(name("agent"), Arc::new(pod("192.0.2.1", true)));
        let node = Node {
            addresses: vec![ip("192.0.2.1")],
            pod_cidrs: vec!["10.0.0.0/24".parse().unwrap()],
            ..Node::default()
        };
        cluster.nodes.insert("n1".into(), node);
        let service = Service {
            addresses: vec![ip("10.96.0.9"), ip("169.254.169.254")],
            ports: vec![ServicePort {
                name: None,
                protocol: Protocol::TCP,
                port: 80,
                backends: vec![Backend {
                    address: ip("10.0.0.5"),
                    port: 8080,
                }],
            }],
            ..Service::default()
        };
        cluster.services.insert(name("web"), service);
        ClusterMap::new(cluster)
    }

    #[test_case("10.0.0.5", DestinationClass::Pod; "a pod")]
    #[test_case("::ffff:10.0.0.5", DestinationClass::Pod; "a pod, mapped")]
    #[test_case("10.0.0.77", DestinationClass::Pod; "a pod that nobody knows yet")]
    #[test_case("10.0.1.1", DestinationClass::Outside; "beside the pods")]
    #[test_case("192.0.2.1", DestinationClass::Node; "a node, whoever shares its network")]
    #[test_case("10.96.0.9", DestinationClass::Service; "a service")]
    #[test_case("169.254.169.254", DestinationClass::Outside; "what no service may take")]
    fn classes(address: &str, expected: DestinationClass) {
        assert_eq!(map().class_of(ip(address)), expected);
    }

    #[test]
    fn only_a_services_own_ports_lead_somewhere() {
        let map = map();
        let backends = |protocol, port| map.backends(ip("10.96.0.9"), protocol, port);
        assert_eq!(backends(Protocol::TCP, 80).map(<[Backend]>::len), Some(1));
        assert_eq!(backends(Protocol::UDP, 80), None);
        assert_eq!(backends(Protocol::TCP, 81), None);
        assert_eq!(map.backends(ip("10.0.0.5"), Protocol::TCP, 80), None);
    }
}
