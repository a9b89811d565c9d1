//! The one internal representation of egress policy: every dialect is lowered into it, every engine starts from it.
//!
//! A [`Policy`] stands in a tier ([`TierRef`]) of one of five bands, has a [`Subject`] that selects workloads and a list
//! of ordered [`Rule`]s. The engine walks bands, tiers, policies and rules; the first Allow, Deny or Pass ends a tier.
//! What the model says of the machine around a workload stands in [`World`]; how the house wants its guards is
//! [`Settings`]. What a policy's author must be told is a [`Diagnostic`] with an [`Origin`].
//!
//! What this crate deliberately does not do: it reads no file and no YAML (policy-dialects does), decides nothing
//! (policy-engine does), and has no clock. Times are [`core::time::Duration`] since boot.
#![forbid(unsafe_code)]

mod cluster;
mod cluster_map;
mod cluster_name;
mod diagnostic;
mod endpoint;
mod expression;
mod guarded;
mod origin;
mod peer;
mod policy;
mod ports;
mod preset;
mod rule;
mod selector;
mod settings;
mod subject;
mod tier;
mod workload;
mod world;

pub use cluster::{
    Backend, Cluster, ContainerPort, HostEndpoint, NAMESPACE_NAME_LABEL, NamespacedName,
    NetworkSet, Node, Pod, Service, ServicePort,
};
pub use cluster_map::ClusterMap;
pub use diagnostic::{Diagnostic, Level};
pub use endpoint::{Endpoint, EndpointScope};
pub use expression::{Expression, LabelValue};
pub use guarded::{Guarded, metadata_prefixes};
pub use origin::{ObjectRef, Origin};
pub use peer::{
    Block, EndpointPeer, Entity, FqdnBy, FqdnPeer, NodePeer, Peer, PodPeer, Scope, ServicePeer,
    ServiceRef,
};
pub use policy::{DenyStyle, DnsFilter, Policy, StagedChange, Standing};
pub use ports::{NamedPort, NamedPorts, PortMatch, Ports, Protocol};
pub use preset::{METADATA_ADDRESSES, METADATA_NAMES, Preset};
pub use rule::{Action, HeaderMatch, HttpMatch, Peers, Rule, SniCondition, TextPattern};
pub use selector::{LabelExpression, LabelOperator, LabelSelector, Labels};
pub use settings::{DefaultVerdict, OpenedBy, RefusalCode, Settings};
pub use subject::{
    AddressedSubject, ContainerSubject, KubernetesSubject, PlainSubject, Selects, Subject,
};
pub use tier::{Band, Order, TierEnd, TierRef};
pub use workload::{Container, HostIdentity, PodIdentity, Workload};
pub use world::{DestinationClass, Resolver, World};

/// A point in time: the duration since boot, suspend counted (`CLOCK_BOOTTIME`).
pub type Time = core::time::Duration;
