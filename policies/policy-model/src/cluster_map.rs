use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::cluster::{Backend, Cluster, NamespacedName, ServicePort};
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
    /// Who claims an address, by name; several do where each has ports of its own.
    services: BTreeMap<IpAddr, Vec<NamespacedName>>,
    /// Ports of every node that lead to a Service: whose, and which of its ports.
    node_ports: BTreeMap<(Protocol, u16), Vec<(NamespacedName, usize)>>,
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
                let claims: &mut Vec<NamespacedName> =
                    services.entry(ip.to_canonical()).or_default();
                claims.push(name.clone());
                claims.dedup();
            }
        }
        let mut node_ports: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, service) in &cluster.services {
            for (at, port) in service.ports.iter().enumerate() {
                if let Some(number) = port.node_port {
                    let claims = node_ports.entry((port.protocol, number)).or_default();
                    claims.push((name.clone(), at));
                }
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
                node_ports,
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

    /// The Service that an address is for: of several that claim it, the first by name.
    pub fn service_of(&self, ip: IpAddr) -> Option<&NamespacedName> {
        self.inner.services.get(&ip.to_canonical())?.first()
    }

    /// Where a flow to a Service's port goes; nothing where the address and port are no Service's. An empty list: nowhere.
    ///
    /// A flow stays in its family. Where several Services claim one port of an address, it may go to the backends of each.
    /// A node's port that leads to a Service is its backends and the node itself: some networks judge the flow before it is
    /// sent on, and some behind that.
    pub fn backends(&self, ip: IpAddr, protocol: Protocol, port: u16) -> Option<Vec<Backend>> {
        let ip = ip.to_canonical();
        let mut found = None;
        for Led {
            to,
            on,
            name: _,
            at: _,
        } in self.leading(ip, Some((protocol, port)))
        {
            let backends = found.get_or_insert_with(Vec::new);
            if on == On::Node {
                backends.push(Backend { address: ip, port });
            }
            let same_family =
                |backend: &&Backend| backend.address.to_canonical().is_ipv4() == ip.is_ipv4();
            backends.extend(to.backends.iter().filter(same_family));
        }
        let mut backends = found?;
        backends.sort_unstable();
        backends.dedup();
        Some(backends)
    }

    /// The addresses with ports that are judged as a Service's backends: those of Services, and of nodes where a port of
    /// theirs leads to one.
    pub fn service_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let nodes = self.inner.classes.iter().filter(|(ip, class)| {
            **class == DestinationClass::Node
                && !self.inner.node_ports.is_empty()
                && !self.inner.services.contains_key(ip)
        });
        let services = self.inner.services.keys();
        services.chain(nodes.map(|(ip, _)| ip)).copied()
    }

    /// Those ports of an address, and the Service of each: of several the first by name.
    pub fn service_ports(&self, ip: IpAddr) -> BTreeMap<(Protocol, u16), &NamespacedName> {
        let mut ports = BTreeMap::new();
        for Led {
            name,
            at,
            to: _,
            on: _,
        } in self.leading(ip.to_canonical(), None)
        {
            ports.entry(at).or_insert(name);
        }
        ports
    }

    /// The ports of Services at an address, or of these only one.
    fn leading(&self, ip: IpAddr, only: Option<(Protocol, u16)>) -> impl Iterator<Item = Led<'_>> {
        let Inner {
            cluster,
            classes,
            services,
            node_ports,
            pod_cidrs: _,
        } = &*self.inner;
        let own = services.get(&ip).into_iter().flatten();
        let own = own.flat_map(move |name| {
            let ports = cluster.services[name].ports.iter();
            ports.map(move |to| Led {
                name,
                at: (to.protocol, to.port),
                to,
                on: On::Service,
            })
        });
        let is_node = !node_ports.is_empty() && classes.get(&ip) == Some(&DestinationClass::Node);
        let through = is_node.then_some(node_ports).into_iter().flatten();
        let through = through.flat_map(move |(at, claims)| {
            claims.iter().map(move |(name, number)| Led {
                name,
                at: *at,
                to: &cluster.services[name].ports[*number],
                on: On::Node,
            })
        });
        own.chain(through)
            .filter(move |led| only.is_none_or(|only| only == led.at))
    }
}

/// A port of an address that is a port of a Service's.
struct Led<'a> {
    name: &'a NamespacedName,
    at: (Protocol, u16),
    to: &'a ServicePort,
    on: On,
}

/// Whose address leads there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Service,
    Node,
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
    use crate::cluster::{Node, Pod, Service};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn backend(address: &str, port: u16) -> Backend {
        Backend {
            address: ip(address),
            port,
        }
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
            addresses: vec![ip("10.96.0.9"), ip("fd00:96::9"), ip("169.254.169.254")],
            ports: vec![ServicePort {
                name: None,
                protocol: Protocol::TCP,
                port: 80,
                node_port: Some(30_080),
                backends: vec![backend("10.0.0.5", 8080), backend("fd00::5", 8080)],
                idle: Vec::new(),
            }],
            ..Service::default()
        };
        // It shares the address, and one of the ports.
        let other = Service {
            addresses: vec![ip("10.96.0.9")],
            ports: [80, 90]
                .map(|port| ServicePort {
                    port,
                    node_port: None,
                    backends: vec![backend("10.0.0.6", 9090)],
                    ..service.ports[0].clone()
                })
                .into(),
            ..Service::default()
        };
        cluster.services.insert(name("web"), service);
        cluster.services.insert(name("other"), other);
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

    #[test_case("10.96.0.9", Protocol::TCP, 80, Some(&["10.0.0.5 8080", "10.0.0.6 9090"]); "a port that two claim")]
    #[test_case("10.96.0.9", Protocol::TCP, 90, Some(&["10.0.0.6 9090"]); "a port of one of them")]
    #[test_case("fd00:96::9", Protocol::TCP, 80, Some(&["fd00::5 8080"]); "the other family")]
    #[test_case("10.96.0.9", Protocol::UDP, 80, None; "another protocol")]
    #[test_case("10.96.0.9", Protocol::TCP, 81, None; "another port")]
    #[test_case("10.0.0.5", Protocol::TCP, 80, None; "a pod")]
    #[test_case("192.0.2.1", Protocol::TCP, 30_080, Some(&["10.0.0.5 8080", "192.0.2.1 30080"]); "a port of a node")]
    #[test_case("192.0.2.1", Protocol::TCP, 80, None; "a node has not the ports of services")]
    #[test_case("10.96.0.9", Protocol::TCP, 30_080, None; "a service has not the port of nodes")]
    fn where_a_flow_is_led(
        address: &str,
        protocol: Protocol,
        port: u16,
        expected: Option<&[&str]>,
    ) {
        let backends = map().backends(ip(address), protocol, port);
        let told = backends.map(|backends| {
            let told = |Backend { address, port }| format!("{address} {port}");
            backends.into_iter().map(told).collect::<Vec<_>>()
        });
        let told: Option<Vec<&str>> = told
            .as_ref()
            .map(|told| told.iter().map(String::as_str).collect());
        assert_eq!(told.as_deref(), expected);
    }

    #[test]
    fn the_ports_of_an_address() {
        let map = map();
        let ports = |address| -> Vec<(u16, String)> {
            let ports = map.service_ports(ip(address)).into_iter();
            ports
                .map(|((_, port), (_, name))| (port, name.to_string()))
                .collect()
        };
        assert_eq!(
            ports("10.96.0.9"),
            [(80, "other".to_owned()), (90, "other".to_owned())]
        );
        assert_eq!(ports("192.0.2.1"), [(30_080, "web".to_owned())]);
        assert_eq!(
            map.service_addresses().collect::<Vec<_>>(),
            [ip("10.96.0.9"), ip("fd00:96::9"), ip("192.0.2.1")]
        );
    }
}
