use std::sync::Arc;

use crate::origin::{ObjectRef, Origin};
use crate::rule::Rule;
use crate::subject::Subject;
use crate::tier::{Order, TierRef};

/// One object's rules in one tier. An object with rules in two tiers is two policies with one `id`.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub id: ObjectRef,
    pub origin: Origin,
    pub tier: TierRef,
    /// Rank in the tier, lower first; ties go by `tie`, kind, namespace, name, then by place in the given list.
    pub order: Order,
    /// What equal orders go by first, in dialects that say so (Calico: `name/namespace/kind`); empty in the others.
    pub tie: Arc<str>,
    pub subject: Subject,
    /// Whether what no rule decides is denied to the selected workloads, at the end of the tier or, where the tier has
    /// no such end, of its band (policies of the admin band: of the namespace band). Calico's tiers say that
    /// themselves: false there.
    pub isolates: bool,
    pub standing: Standing,
    pub deny_style: Option<DenyStyle>,
    pub dns: DnsFilter,
    pub rules: Vec<Rule>,
}

/// Whether a policy is in force, and in which of the two rulings it counts.
///
/// `enforced` takes the policies that are [`Enforced`](Self::Enforced). `proposed` is the same walk with the audit
/// policies added and every staged change made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    Enforced,
    /// Not in force: its effect is shown as `would`.
    Audit,
    /// A change that is prepared, keyed by `Policy::id`.
    Staged(StagedChange),
}

/// What a staged policy would do to the enforced policies of its `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StagedChange {
    /// Adds it, or replaces all enforced ones of that id.
    Set,
    /// Removes all enforced ones of that id.
    Delete,
}

/// How a denied flow is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum DenyStyle {
    /// EPERM at the system call, RST or ICMP on the wire.
    #[default]
    Reject,
    /// Silence.
    Drop,
}

/// What a policy does to the name look-ups of the workloads it selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum DnsFilter {
    /// Nothing: no names in it, or names that only watch (ClusterNetworkPolicy, NPEP-133).
    #[default]
    Untouched,
    /// Its names open the known resolvers, and every name may be asked (`dns: {filter: false}`).
    Learn,
    /// Its names open the known resolvers, and only names that a rule allows may be asked.
    Filter,
}

impl DnsFilter {
    /// Whether the policy's FQDN rules imply the flow to the known resolvers.
    pub const fn opens_resolvers(self) -> bool {
        match self {
            Self::Untouched => false,
            Self::Learn | Self::Filter => true,
        }
    }
}
