use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use policy_model::{DenyStyle, ObjectRef, PodIdentity, Policy, Scope, Settings, TierRef, World};

use crate::compile::clauses::Clause;
use crate::faults::{Fault, is_on};
use crate::guard::GuardFacts;
use crate::lists::ListId;
use crate::names::NameIndex;
use crate::numbering::index;
use crate::question::QuestionFilters;
use crate::reason::{Reason, ReasonId};
use crate::starts::Starts;

/// Allow or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    Allow,
    Deny,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// Every flow is ruled on twice: as it is, and as it would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ruling {
    /// Policies in force.
    Enforced,
    /// The same walk with the audit policies and every staged change.
    Proposed,
}

impl Ruling {
    pub const BOTH: [Self; 2] = [Self::Enforced, Self::Proposed];
}

/// What is kept twice, once for each ruling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct ByRuling<T> {
    pub(crate) enforced: T,
    pub(crate) proposed: T,
}

impl<T> ByRuling<T> {
    pub(crate) fn from_fn(mut make: impl FnMut(Ruling) -> T) -> Self {
        Self {
            enforced: make(Ruling::Enforced),
            proposed: make(Ruling::Proposed),
        }
    }

    pub(crate) const fn of(&self, ruling: Ruling) -> &T {
        match ruling {
            Ruling::Enforced => &self.enforced,
            Ruling::Proposed => &self.proposed,
        }
    }
}

/// The compiled policies of one workload. Never changes; a change of policies is a new one.
///
/// Cheap to read from many threads. The port lists it numbers are in the [`Lists`](crate::Lists) it was compiled with.
#[derive(Debug, Clone)]
pub struct Ruleset {
    pub(crate) world: Arc<World>,
    pub(crate) settings: Settings,
    /// The policies that select the workload in either ruling, in the order of the walk.
    pub(crate) policies: Vec<Arc<Policy>>,
    pub(crate) unselected: Arc<[ObjectRef]>,
    pub(crate) clauses: Vec<Clause>,
    pub(crate) chains: ByRuling<Chain>,
    pub(crate) names: NameIndex,
    pub(crate) questions: QuestionFilters,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) starts: Starts,
    pub(crate) statics: Vec<(IpNet, ListId)>,
    /// Whether a rule holds for some classes of address and not for others.
    pub(crate) tells_classes_apart: bool,
    pub(crate) reasons: Vec<Reason>,
    /// The addresses of the one workload it was made for, and the reason why they are free; nothing where several share it.
    pub(crate) own: Option<(PodIdentity, ReasonId)>,
}

/// The walk of one ruling.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// The tiers that exist for the workload, in order.
    pub(crate) tiers: Vec<ChainTier>,
    /// By rule number: its place, where the rule is in this ruling.
    pub(crate) places: Vec<Option<Place>>,
    pub(crate) default: Outcome,
    /// The policies that filter names. None: names are not filtered.
    pub(crate) filters: Vec<ObjectRef>,
    /// Whether one of them does so by the names of all FQDN rules, not by `rules.dns` alone.
    pub(crate) filters_by_names: bool,
    pub(crate) not_named: ReasonId,
    /// Whether answers are of use to it: it has name rules, or filters names.
    pub(crate) learns: bool,
    pub(crate) guard: ByGuard,
    pub(crate) service: ByService,
}

/// Reasons of the guard tier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByGuard {
    pub(crate) metadata: Outcome,
    pub(crate) dns_bypass: Outcome,
}

/// Reasons of Services that cannot be judged as their backends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByService {
    pub(crate) no_backend: Outcome,
    pub(crate) differ: Outcome,
}

#[derive(Debug, Clone)]
pub(crate) struct ChainTier {
    pub(crate) tier: TierRef,
    /// The deny at its end; nothing: next.
    pub(crate) end: Option<Outcome>,
}

/// Where a rule stands in a chain and what it does there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) tier: u32,
    /// Rank in the whole chain.
    pub(crate) rank: u32,
    pub(crate) effect: Effect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Decide(Outcome),
    Pass,
    Log,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) style: DenyStyle,
    pub(crate) reason: ReasonId,
}

/// What the static part of the rules says of an address; many addresses have one shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// Clauses that hold for it, ascending.
    pub(crate) clauses: Vec<u32>,
    pub(crate) facts: GuardFacts,
}

/// A prefix that a rule, a guard or the world names.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) net: IpNet,
    /// Index of the longest prefix that covers it.
    pub(crate) cover: Option<u32>,
    pub(crate) shape: u32,
    pub(crate) outside: bool,
    pub(crate) list: ListId,
}

impl Ruleset {
    /// What holds for every address while no name stands for it: prefixes and their lists, folded down the nesting.
    ///
    /// `0.0.0.0/0` and `::/0` are always there; a longer prefix only where its list differs from that of the longest one
    /// covering it. Sorted by family, address and length. IPv4-mapped IPv6 addresses are IPv4.
    pub fn statics(&self) -> &[(IpNet, ListId)] {
        &self.statics
    }

    /// # Panics
    /// With a number that is not from this ruleset.
    pub fn reason(&self, id: ReasonId) -> &Reason {
        &self.reasons[index(id.0)]
    }

    pub(crate) const fn tells_classes_apart(&self) -> bool {
        self.tells_classes_apart
    }

    /// All reasons; the position is the number.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// Whether questions are refused that no rule names (enforced).
    pub fn filtered(&self) -> bool {
        !self.chains.enforced.filters.is_empty()
    }

    /// Whether names are filtered in either ruling: only then does anybody ask for resolvers around the filter.
    pub(crate) fn filters_in_any_ruling(&self) -> bool {
        Ruling::BOTH
            .iter()
            .any(|ruling| !self.chains.of(*ruling).filters.is_empty())
    }

    /// Whether the workload's look-ups must pass the interceptor: names are filtered, or answers are of use to a rule, in
    /// either ruling.
    pub fn redirects_dns(&self) -> bool {
        Ruling::BOTH
            .iter()
            .any(|ruling| self.chains.of(*ruling).learns)
    }

    /// Whether no policy selects the workload in the enforced ruling: the guards hold it, and nothing else.
    pub fn guards_only(&self) -> bool {
        self.reason(self.chains.enforced.default.reason) == &Reason::NoPolicy
    }

    /// The policies that select the workload in either ruling, in the order of the walk.
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    /// Why a flow to `ip` is free, where it is the workload's own address.
    pub(crate) fn own_address(&self, ip: IpAddr) -> Option<ReasonId> {
        let (pod, reason) = self.own.as_ref()?;
        pod.is_own(ip).then_some(*reason)
    }

    /// The list of `ip` while no name stands for it. The kernel is not asked of a workload's own addresses.
    pub fn static_list(&self, ip: IpAddr) -> ListId {
        self.node(ip).list
    }

    /// The longest prefix that covers `ip`.
    pub(crate) fn node(&self, ip: IpAddr) -> &Node {
        let ip = ip.to_canonical();
        let mut at = self.starts.last_at_or_before(ip);
        let mut found = None;
        while let Some(here) = at {
            let node = &self.nodes[here];
            if node.net.contains(&ip) {
                found = Some(node);
                if !is_on(Fault::ShortestPrefix) {
                    break;
                }
            }
            at = node.cover.map(index);
        }
        found.expect("the roots of both families are always there")
    }

    /// The place of a clause's rule, where the rule is in that ruling.
    pub(crate) fn place(&self, ruling: Ruling, clause: u32) -> Option<Place> {
        let rule = self.clause(clause).rule;
        self.chains.of(ruling).places[index(rule)]
    }

    pub(crate) fn clause(&self, clause: u32) -> &Clause {
        &self.clauses[index(clause)]
    }

    pub(crate) fn shape(&self, shape: u32) -> &Shape {
        &self.shapes[index(shape)]
    }
}

/// Whether a peer of `scope` may mean an address outside (or one of the host).
pub(crate) fn in_scope(scope: Scope, outside: bool) -> bool {
    match scope {
        Scope::Any => true,
        Scope::Outside => outside,
    }
}
