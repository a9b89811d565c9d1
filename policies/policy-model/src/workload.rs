use std::net::IpAddr;
use std::sync::Arc;

use crate::cluster::{Cluster, NamespacedName};
use crate::selector::Labels;

/// Who asks: what is known of a workload when policies are held against it.
///
/// A field that is nothing is not known; a subject that needs it then cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Workload {
    /// The command of `egret run`. Policies select it unless their subject names something else.
    pub command: bool,
    /// Its identity in Kubernetes; of a command, what `--labels`, `--namespace` and `--service-account` said.
    pub pod: PodIdentity,
    /// Systemd unit, as `build@1.service`.
    pub unit: Option<Arc<str>>,
    /// Login name.
    pub user: Option<Arc<str>>,
    /// Path below the cgroup root, with the leading slash.
    pub cgroup: Option<Arc<str>>,
    pub container: Option<Container>,
    /// Nothing but its address is known, and that it is nothing a subject could describe: no pod, no node, no process of this
    /// machine. Only policies for every workload select it.
    pub no_identity: bool,
    /// The host endpoint of Calico's that holds it, where it is in its node's network.
    pub host_endpoint: Option<HostIdentity>,
}

/// A host endpoint, as Calico's selectors see what it holds: no pod, and in no namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HostIdentity {
    pub name: Arc<str>,
    pub labels: Labels,
}

/// What Kubernetes knows of a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PodIdentity {
    pub namespace: Option<Arc<str>>,
    pub namespace_labels: Option<Labels>,
    pub labels: Option<Labels>,
    pub service_account: Option<Arc<str>>,
    pub service_account_labels: Option<Labels>,
    pub node: Option<Arc<str>>,
    pub node_labels: Option<Labels>,
    /// It shares the network of its node.
    pub host_network: bool,
    /// Its own addresses; see [`is_own`](Self::is_own).
    pub addresses: Vec<IpAddr>,
}

/// What a container runtime knows of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Container {
    pub name: Arc<str>,
    pub labels: Labels,
}

impl PodIdentity {
    /// Whether a flow to `ip` stays in the pod: that is free, whatever policies say. In the network of its node the addresses
    /// are the node's, and judged; and a Service that leads back to the pod is judged as any Service.
    pub fn is_own(&self, ip: IpAddr) -> bool {
        !self.host_network && self.addresses.contains(&ip.to_canonical())
    }

    /// A pod of a cluster, with everything the cluster says of its surroundings; nothing where it has no such pod.
    pub fn of_pod(cluster: &Cluster, name: &NamespacedName) -> Option<Self> {
        let pod = cluster.pods.get(name)?;
        let (namespace, _) = name;
        Some(Self {
            labels: Some(pod.labels.clone()),
            node: pod.node.clone(),
            host_network: pod.host_network,
            addresses: pod.addresses.clone(),
            ..Self::described(
                cluster,
                namespace,
                &pod.service_account,
                pod.node.as_deref(),
            )
        })
    }

    /// A pod of which only these parts are known: what the cluster says of them. Nothing is known of the labels of a node
    /// that nobody listed; a pod on no node has none.
    pub fn described(
        cluster: &Cluster,
        namespace: &Arc<str>,
        service_account: &Arc<str>,
        node: Option<&str>,
    ) -> Self {
        let account = (Arc::clone(namespace), Arc::clone(service_account));
        let node_labels = match node {
            Some(node) => cluster.nodes.get(node).map(|node| node.labels.clone()),
            None => Some(Labels::new()),
        };
        Self {
            namespace: Some(Arc::clone(namespace)),
            namespace_labels: Some(cluster.namespace_labels(namespace)),
            service_account: Some(Arc::clone(service_account)),
            service_account_labels: Some(
                cluster
                    .service_accounts
                    .get(&account)
                    .cloned()
                    .unwrap_or_default(),
            ),
            node: node.map(Arc::from),
            node_labels,
            ..Self::default()
        }
    }
}

impl Workload {
    /// A pod of a cluster. One in its node's network is held by the node's host endpoint where there is one; of several,
    /// which stand for an interface each, by the first by name, because nobody knows the interface beforehand.
    pub fn of_pod(pod: PodIdentity, cluster: &Cluster) -> Self {
        let host_endpoint = pod.node.as_ref().filter(|_| pod.host_network);
        let host_endpoint = host_endpoint.and_then(|node| {
            let (name, endpoint) = cluster
                .host_endpoints
                .iter()
                .find(|(_, endpoint)| endpoint.node == *node)?;
            Some(HostIdentity {
                name: Arc::clone(name),
                labels: endpoint.labels.clone(),
            })
        });
        Self {
            pod,
            host_endpoint,
            ..Self::default()
        }
    }

    /// Somebody of whom only the address is known.
    pub fn without_identity() -> Self {
        Self {
            no_identity: true,
            ..Self::default()
        }
    }

    /// The command of `egret run`, of which nothing else is known.
    pub fn command() -> Self {
        Self {
            command: true,
            ..Self::default()
        }
    }
}
