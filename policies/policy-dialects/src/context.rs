use std::sync::Arc;

use policy_model::Scope;

/// What a reader must know beside the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The namespace of a namespaced object that names none, as with `kubectl -n`.
    pub default_namespace: Arc<str>,
    /// Which destinations a NetworkPolicy's `ipBlock` means.
    pub network_policy_cidr: Scope,
    pub cilium: CiliumFlags,
    pub others: Others,
}

/// What is done with Kubernetes objects that are no policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// They are refused: a file of policies holds policies.
    #[default]
    Refuse,
    /// What describes a cluster is read too (a test file's `inline`); the rest is refused.
    World,
    /// What describes a cluster is read, and what is neither that nor a policy is left alone: a dump of a cluster holds
    /// everything that runs in it.
    Ignore,
}

/// Flags of Cilium's agent that change which objects it accepts. They are off there by default, and on here: a policy that
/// needs one was written where it is on, and what it says can be judged. The reader says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CiliumFlags {
    /// `enable-node-selector-labels`: `toNodes` is accepted.
    pub node_selector_labels: bool,
    /// `enable-extended-ip-protocols`: protocols without ports, such as VRRP, are accepted.
    pub extended_protocols: bool,
}

impl Default for CiliumFlags {
    fn default() -> Self {
        Self {
            node_selector_labels: true,
            extended_protocols: true,
        }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self {
            default_namespace: Arc::from("default"),
            network_policy_cidr: Scope::Any,
            cilium: CiliumFlags::default(),
            others: Others::Refuse,
        }
    }
}
