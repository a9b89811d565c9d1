use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use dns_names::NamePattern;
use ipnet::IpNet;

use crate::ports::Protocol;
use crate::selector::Labels;

/// The label every namespace has by itself.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A namespace and a name in it.
pub type NamespacedName = (Arc<str>, Arc<str>);

/// The objects of a cluster that policies speak of, and those around policies that are no policies themselves.
///
/// Nothing in it on a machine without a cluster. Addresses are canonical: IPv4-mapped IPv6 is IPv4.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cluster {
    /// Labels by name; [`NAMESPACE_NAME_LABEL`] is among them.
    pub namespaces: BTreeMap<Arc<str>, Labels>,
    /// Shared, so that a cluster in which one pod differs costs little more than that pod.
    pub pods: BTreeMap<NamespacedName, Arc<Pod>>,
    pub nodes: BTreeMap<Arc<str>, Node>,
    pub services: BTreeMap<NamespacedName, Service>,
    pub service_accounts: BTreeMap<NamespacedName, Labels>,
    /// Calico's `NetworkSet` (with a namespace) and `GlobalNetworkSet`, by namespace and name.
    pub network_sets: BTreeMap<(Option<Arc<str>>, Arc<str>), NetworkSet>,
    /// Calico's host endpoints.
    pub host_endpoints: BTreeMap<Arc<str>, HostEndpoint>,
}

/// A pod that has not finished; finished ones keep an address that is used again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pod {
    pub labels: Labels,
    pub service_account: Arc<str>,
    pub node: Option<Arc<str>>,
    /// Its own; those of its node where it is in the host's network.
    pub addresses: Vec<IpAddr>,
    pub host_network: bool,
    /// The named ports of its containers.
    pub ports: Vec<ContainerPort>,
}

/// A named port of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerPort {
    pub name: Arc<str>,
    pub protocol: Protocol,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    pub labels: Labels,
    pub addresses: Vec<IpAddr>,
    /// The ranges its pods get addresses from.
    pub pod_cidrs: Vec<IpNet>,
}

/// A Service. Flows to its addresses are judged as flows to its backends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    pub labels: Labels,
    /// Cluster addresses, external and load balancer's ones. None: headless.
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<ServicePort>,
    /// Whether it has no `selector`: its backends are whatever its endpoints say, outside of the cluster too.
    pub selectorless: bool,
    /// The pods its selector means, whatever their ports: a rule about the Service means them in Cilium.
    pub selected: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServicePort {
    pub name: Option<Arc<str>>,
    pub protocol: Protocol,
    pub port: u16,
    /// The port of every node that leads to it too.
    pub node_port: Option<u16>,
    /// The backends a flow to this port goes to, those that serve, of either family; sorted.
    pub backends: Vec<Backend>,
    /// Those that no flow is sent to now: they are not ready, or going. A rule about the Service means them too.
    pub idle: Vec<Backend>,
}

/// Where a Service leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Backend {
    pub address: IpAddr,
    pub port: u16,
}

/// A labelled set of addresses and names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkSet {
    pub labels: Labels,
    pub nets: Vec<IpNet>,
    /// `allowedEgressDomains`.
    pub domains: Vec<NamePattern>,
}

/// An interface of a node that Calico's policies speak of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostEndpoint {
    pub labels: Labels,
    pub node: Arc<str>,
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<ContainerPort>,
}

impl ServicePort {
    /// Everything that stands behind it, whether flows are sent there now.
    pub fn members(&self) -> impl Iterator<Item = Backend> {
        self.backends.iter().chain(&self.idle).copied()
    }
}

impl Cluster {
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// The labels of a namespace; of one that nobody listed, its name alone.
    pub fn namespace_labels(&self, namespace: &str) -> Labels {
        self.namespaces.get(namespace).cloned().unwrap_or_else(|| {
            Labels::from([(Arc::from(NAMESPACE_NAME_LABEL), Arc::from(namespace))])
        })
    }

    /// The pod that has an address of its own.
    pub fn pod_at(&self, ip: IpAddr) -> Option<(&NamespacedName, &Pod)> {
        let ip = ip.to_canonical();
        self.pods
            .iter()
            .find(|(_, pod)| !pod.host_network && pod.addresses.contains(&ip))
            .map(|(name, pod)| (name, &**pod))
    }

    /// The node that has an address.
    pub fn node_at(&self, ip: IpAddr) -> Option<(&Arc<str>, &Node)> {
        let ip = ip.to_canonical();
        self.nodes
            .iter()
            .find(|(_, node)| node.addresses.contains(&ip))
    }

    /// The Service that has an address, whatever its ports.
    pub fn service_at(&self, ip: IpAddr) -> Option<(&NamespacedName, &Service)> {
        let ip = ip.to_canonical();
        self.services
            .iter()
            .find(|(_, service)| service.addresses.contains(&ip))
    }

    /// Adds the objects of another; of two of one name the other's stays.
    pub fn extend(&mut self, other: Self) {
        let Self {
            namespaces,
            pods,
            nodes,
            services,
            service_accounts,
            network_sets,
            host_endpoints,
        } = other;
        self.namespaces.extend(namespaces);
        self.pods.extend(pods);
        self.nodes.extend(nodes);
        self.services.extend(services);
        self.service_accounts.extend(service_accounts);
        self.network_sets.extend(network_sets);
        self.host_endpoints.extend(host_endpoints);
    }
}
