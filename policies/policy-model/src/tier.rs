use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The five bands, in the order they are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// Egret's own closed addresses. No dialect lowers into it.
    Guard,
    Admin,
    Namespace,
    Baseline,
    /// What holds where nothing decided: the kind of subject says it.
    Default,
}

impl Band {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Admin => "admin",
            Self::Namespace => "namespace",
            Self::Baseline => "baseline",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A rank, lower first: a number with a total order (`f64::total_cmp`), because Calico's orders are floats.
#[derive(Debug, Clone, Copy)]
pub struct Order(pub f64);

impl Order {
    /// After every number: Calico's absent `order`.
    pub const LAST: Self = Self(f64::INFINITY);
}

impl PartialEq for Order {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Order {}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Order {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Order {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// What happens to a flow that policies of a tier were asked about and none decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TierEnd {
    /// The next tier.
    Next,
    /// Deny (a Calico tier's default action).
    Deny,
    /// Deny, but next where a policy of another tier of this workload isolates it (`calico-default`).
    DenyUnlessIsolatedElsewhere,
    /// Deny where a selecting policy isolates, else next (`union`, `kube-baseline`).
    DenyIfIsolated,
}

/// A tier: a place in a band. Policies stand in one tier when band, order and name are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TierRef {
    pub band: Band,
    pub order: Order,
    pub name: Arc<str>,
    pub end: TierEnd,
}

impl TierRef {
    /// `kube-admin`: ClusterNetworkPolicy Admin, AdminNetworkPolicy, `ClusterEgressPolicy` with `tier: admin`.
    pub fn kube_admin() -> Self {
        Self::at(Band::Admin, 1_000.0, "kube-admin", TierEnd::Next)
    }

    /// `deny`: Cilium's egressDeny and the Deny rules of namespaced `EgressPolicies`.
    pub fn deny() -> Self {
        Self::at(Band::Namespace, 1.0, "deny", TierEnd::Next)
    }

    /// `calico-default`, only where a Calico policy of that tier selects the workload.
    pub fn calico_default() -> Self {
        Self::at(
            Band::Namespace,
            2.0,
            "calico-default",
            TierEnd::DenyUnlessIsolatedElsewhere,
        )
    }

    /// `union`: the allows of all namespaced dialects.
    pub fn union() -> Self {
        Self::at(Band::Namespace, 3.0, "union", TierEnd::DenyIfIsolated)
    }

    /// `kube-baseline`: ClusterNetworkPolicy Baseline, `ClusterEgressPolicy` with `tier: baseline`.
    pub fn kube_baseline() -> Self {
        Self::at(
            Band::Baseline,
            10_000_000.0,
            "kube-baseline",
            TierEnd::DenyIfIsolated,
        )
    }

    /// The same place, whatever its end.
    pub fn is_same_tier(&self, other: &Self) -> bool {
        (self.band, self.order, &self.name) == (other.band, other.order, &other.name)
    }

    fn at(band: Band, order: f64, name: &str, end: TierEnd) -> Self {
        Self {
            band,
            order: Order(order),
            name: Arc::from(name),
            end,
        }
    }
}

impl fmt::Display for TierRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.band, self.name)
    }
}
