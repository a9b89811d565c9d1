use std::sync::Arc;

use dns_names::NamePattern;
use ipnet::IpNet;

use crate::cluster::{Cluster, NamespacedName, Node, Pod, Service};
use crate::endpoint::{Endpoint, EndpointScope};
use crate::expression::Expression;
use crate::preset::Preset;
use crate::selector::LabelSelector;
use crate::subject::Selects;

/// One kind of destination.
#[derive(Debug, Clone, PartialEq)]
pub enum Peer {
    Block(Block),
    Fqdn(FqdnPeer),
    Entity(Entity),
    /// A cloud's metadata service on its own ports, and the leave to pass the guard there.
    Metadata(Preset),
    /// Pods by selector. Where no cluster is known: closed.
    Pods(PodPeer),
    /// Nodes by label: every address of theirs, and so what runs in their network. Likewise.
    Nodes(NodePeer),
    /// The backends of Services; likewise.
    Service(ServicePeer),
    /// Endpoints and network sets by expression, ranges and their opposites (Calico); likewise where it selects.
    Endpoints(EndpointPeer),
    /// A named `EgressSet` that was not found among the given objects; closed. Found ones are written out by the dialect.
    Set(Arc<str>),
}

impl Peer {
    /// The range of addresses, where the peer is one.
    pub const fn as_block(&self) -> Option<&Block> {
        match self {
            Self::Block(block) => Some(block),
            Self::Fqdn(_)
            | Self::Entity(_)
            | Self::Metadata(_)
            | Self::Pods(_)
            | Self::Nodes(_)
            | Self::Service(_)
            | Self::Endpoints(_)
            | Self::Set(_) => None,
        }
    }

    /// Whether the peer selects this pod by what the pod is. Addresses that happen to be the pod's are not looked at, nor
    /// the Services it stands behind.
    pub fn selects_pod(&self, cluster: &Cluster, name: &NamespacedName, pod: &Pod) -> bool {
        match self {
            Self::Pods(pods) => pods.means(cluster, name, pod),
            Self::Endpoints(endpoints) => endpoints.selector.as_ref().is_some_and(|selector| {
                Endpoint::of_pod(cluster, name, pod).selects(selector) == Selects::Yes
            }),
            Self::Block(_)
            | Self::Fqdn(_)
            | Self::Entity(_)
            | Self::Metadata(_)
            | Self::Nodes(_)
            | Self::Service(_)
            | Self::Set(_) => false,
        }
    }
}

/// An address range without its exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Block {
    pub net: IpNet,
    pub except: Vec<IpNet>,
    pub scope: Scope,
}

impl Block {
    pub const fn new(net: IpNet, scope: Scope) -> Self {
        Self {
            net,
            except: Vec::new(),
            scope,
        }
    }
}

/// Which classes of destination a peer may mean. In some dialects a CIDR means pods too, in others only what is outside
/// of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Whatever has that address.
    Any,
    /// Never the host itself, its loopback, a pod, a node or a Service.
    Outside,
}

/// Addresses that stood in the answers to a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FqdnPeer {
    pub pattern: NamePattern,
    pub by: FqdnBy,
    pub scope: Scope,
}

/// Which names of a response a pattern is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FqdnBy {
    /// The name that was asked (Cilium).
    Question,
    /// The name that was asked and every owner name on the CNAME chain from it (native, ClusterNetworkPolicy).
    Chain,
}

/// Destinations that are named by what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// Everything outside: `0.0.0.0/0` and `::/0` of scope `outside`.
    World,
    /// The IPv4 half of it.
    WorldIpv4,
    WorldIpv6,
    /// The host's own addresses, loopback not among them; for a pod, those of the node it runs on.
    Host,
    /// The cluster's other nodes.
    RemoteNode,
    /// The host's loopback: 127.0.0.0/8, ::1, and the unspecified addresses, which Linux sends there.
    Loopback,
    /// The known resolvers, over UDP and TCP on the port each listens on, whatever wider ports the rule says.
    Dns,
    /// Everything of the cluster, pods and nodes. Where no cluster is known: closed, as for the two other words of one.
    Cluster,
    /// The cluster's API server: nothing on a machine without one.
    KubeApiserver,
    /// Every destination, of every class.
    All,
}

impl Entity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::World => "world",
            Self::WorldIpv4 => "world-ipv4",
            Self::WorldIpv6 => "world-ipv6",
            Self::RemoteNode => "remote-node",
            Self::Host => "host",
            Self::Loopback => "loopback",
            Self::Dns => "dns",
            Self::Cluster => "cluster",
            Self::KubeApiserver => "kube-apiserver",
            Self::All => "all",
        }
    }
}

/// Pods by namespace and label. Pods in the host's network are their node, and never meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodPeer {
    /// Only this namespace: the policy's own, where `namespaces` is nothing.
    pub namespace: Option<Arc<str>>,
    pub namespaces: Option<LabelSelector>,
    pub pods: LabelSelector,
    /// Any of these; empty is no condition.
    pub service_accounts: Vec<Arc<str>>,
}

/// Nodes by label.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodePeer {
    pub labels: LabelSelector,
    /// Not the node the workload runs on (Cilium's `toNodes`).
    pub remote: bool,
}

/// The backends of one or more Services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePeer {
    /// Nothing: every namespace.
    pub namespace: Option<Arc<str>>,
    pub service: ServiceRef,
    /// Whether only the ports of its backends are meant (Calico, native), not those endpoints on the rule's ports
    /// (Cilium).
    pub with_ports: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceRef {
    Name(Arc<str>),
    Labels(LabelSelector),
}

/// Destinations by everything Calico can say of one; all given parts must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointPeer {
    /// Pods, host endpoints and network sets for whose labels this holds ([`Endpoint::label`](crate::Endpoint::label)).
    pub selector: Option<Expression>,
    /// No address of these.
    pub not_selector: Option<Expression>,
    /// Which kinds of endpoint `selector` means.
    pub scope: EndpointScope,
    /// In one of these; empty is no condition.
    pub nets: Vec<IpNet>,
    /// In none of these.
    pub not_nets: Vec<IpNet>,
}

impl PodPeer {
    /// Whether a pod of the cluster is meant.
    pub fn means(&self, cluster: &Cluster, (of, _): &NamespacedName, pod: &Pod) -> bool {
        let Self {
            namespace,
            namespaces,
            pods,
            service_accounts,
        } = self;
        let in_namespaces = || {
            namespaces.as_ref().is_none_or(|selector| {
                selector.is_empty()
                    || match cluster.namespaces.get(of) {
                        Some(labels) => selector.matches(labels),
                        None => selector.matches(&cluster.namespace_labels(of)),
                    }
            })
        };
        let as_account =
            || service_accounts.is_empty() || service_accounts.contains(&pod.service_account);
        !pod.host_network
            && namespace.as_ref().is_none_or(|namespace| namespace == of)
            && pods.matches(&pod.labels)
            && as_account()
            && in_namespaces()
    }
}

impl NodePeer {
    /// Whether a node of the cluster is meant, to a workload on the node `own`.
    pub fn means(&self, name: &str, node: &Node, own: Option<&str>) -> bool {
        let Self { labels, remote } = self;
        labels.matches(&node.labels) && !(*remote && own == Some(name))
    }
}

impl ServicePeer {
    /// Whether a Service of the cluster is meant.
    pub fn means(&self, (namespace, name): &NamespacedName, service: &Service) -> bool {
        let Self {
            namespace: in_namespace,
            service: which,
            with_ports: _,
        } = self;
        in_namespace.as_ref().is_none_or(|one| one == namespace)
            && match which {
                ServiceRef::Name(wanted) => wanted == name,
                ServiceRef::Labels(selector) => selector.matches(&service.labels),
            }
    }
}
