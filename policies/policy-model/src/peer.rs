use std::sync::Arc;

use dns_names::NamePattern;
use ipnet::IpNet;

use crate::preset::Preset;
use crate::selector::LabelSelector;

/// One kind of destination.
#[derive(Debug, Clone, PartialEq)]
pub enum Peer {
    Block(Block),
    Fqdn(FqdnPeer),
    Entity(Entity),
    /// A cloud's metadata service on its own ports, and the leave to pass the guard there.
    Metadata(Preset),
    /// Pods by selector. No engine of one machine knows pods: closed there.
    Pods(PodPeer),
    /// Nodes by label; likewise.
    Nodes(LabelSelector),
    /// A Service by name; likewise.
    Service(ServicePeer),
    /// A named `EgressSet` that was not found among the given objects; closed. Found ones are written out by the dialect.
    Set(Arc<str>),
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
    /// The host's own addresses, loopback not among them.
    Host,
    /// The host's loopback: 127.0.0.0/8, ::1, and the unspecified addresses, which Linux sends there.
    Loopback,
    /// The known resolvers, over UDP and TCP on the port each listens on, whatever wider ports the rule says.
    Dns,
    /// Everything of the cluster: nothing on a machine without one.
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
            Self::Host => "host",
            Self::Loopback => "loopback",
            Self::Dns => "dns",
            Self::Cluster => "cluster",
            Self::KubeApiserver => "kube-apiserver",
            Self::All => "all",
        }
    }
}

/// Pods by namespace and label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPeer {
    /// Nothing: the policy's own namespace.
    pub namespaces: Option<LabelSelector>,
    pub pods: LabelSelector,
}

/// One Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePeer {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}
