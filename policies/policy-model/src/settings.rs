use std::time::Duration;

use dns_names::Name;

use crate::peer::Scope;
use crate::policy::DenyStyle;

/// How the house wants things, apart from any policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Metadata, rebinding and DNS guards. Off disables all of them.
    pub guards: bool,
    /// Who may open a guarded metadata address.
    pub opened_by: OpenedBy,
    /// What holds where no band decided.
    pub default: DefaultVerdict,
    /// How a deny looks where its policy does not say.
    pub deny_style: DenyStyle,
    /// How a refused question is answered.
    pub refusal: RefusalCode,
    /// The cluster's own zone (`cluster.local.`); nothing on a machine without a cluster.
    pub cluster_domain: Option<Name>,
    /// How NetworkPolicy's `ipBlock` reads addresses of the cluster.
    pub network_policy_cidr: Scope,
    /// Zones whose names may hold private addresses (split-horizon DNS).
    pub private_zones: Vec<Name>,
    /// Least life of a lease.
    pub min_ttl: Duration,
    /// How much longer than its TTL a lease lives.
    pub grace: Duration,
}

impl Default for Settings {
    /// `egret run` and `egret host`: guards on, deny once a policy selects.
    fn default() -> Self {
        Self {
            guards: true,
            opened_by: OpenedBy::Admin,
            default: DefaultVerdict::DenyOnceSelected,
            deny_style: DenyStyle::Reject,
            refusal: RefusalCode::NxDomain,
            cluster_domain: None,
            network_policy_cidr: Scope::Any,
            private_zones: Vec::new(),
            min_ttl: Duration::ZERO,
            grace: Duration::ZERO,
        }
    }
}

/// Who may open a guarded address (`guards.openedBy`). Only an Allow does, and never by a prefix that is not full-length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpenedBy {
    /// A rule with a `metadata:` preset.
    Preset,
    /// That, or a rule of the admin band with the address as /32 or /128.
    Admin,
    /// That, or such a rule of any band.
    Any,
}

/// What the default band does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefaultVerdict {
    /// Allow (pods).
    Allow,
    /// Deny once any policy of the ruling selects the workload, else allow (`egret run`, `egret host`).
    DenyOnceSelected,
}

/// The rcode of a refused question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalCode {
    /// Resolvers go on with their search list (musl stops it at REFUSED).
    NxDomain,
    Refused,
}
