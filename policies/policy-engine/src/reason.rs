use std::fmt;
use std::sync::Arc;

use policy_model::{Action, Band, ObjectRef, Origin, Policy, Rule, TierRef};

use crate::guard::Guard;
use crate::numbering::number;

/// Number of a [`Reason`] in its ruleset, dense from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReasonId(pub u32);

/// Why a flow or a question was decided as it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A rule decided.
    Rule(Arc<RuleReason>),
    /// A tier that denies at its end, and none of its rules decided: these policies make it take part.
    TierEnd { tier: TierRef, by: Vec<ObjectRef> },
    /// No rule allowed it, and these policies isolate the workload.
    Isolated { tier: TierRef, by: Vec<ObjectRef> },
    /// A guard of the house.
    Guard(Guard),
    /// A Service that cannot be judged as its backends.
    Service(ServiceTrouble),
    /// Policies select the workload, none decided, and the default holds.
    Default,
    /// No policy selects the workload.
    NoPolicy,
    /// The address is the workload's own.
    OwnAddress,
    /// A question no rule allows, and these policies filter names.
    NotNamed { by: Vec<ObjectRef> },
    /// A question that a resolver's search list made of a name that is allowed.
    SearchExpansion,
    /// A question of a workload, or to a server, whose names are not filtered.
    NotFiltered,
}

/// Why a Service is denied that no rule denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceTrouble {
    /// It leads nowhere.
    NoBackend,
    /// Some of its backends are allowed and some are not: which one a flow gets is the network's choice.
    BackendsDiffer,
}

impl ServiceTrouble {
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoBackend => "service-no-backend",
            Self::BackendsDiffer => "service-backends-differ",
        }
    }
}

impl fmt::Display for ServiceTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBackend => "the Service has no backend that serves",
            Self::BackendsDiffer => {
                "some backends of the Service are allowed and some are not, so none is"
            }
        })
    }
}

/// The rule of a [`Reason`], with all that is needed to find and fix it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RuleReason {
    pub tier: TierRef,
    pub policy: ObjectRef,
    /// As the author counts, from 0.
    pub index: u32,
    pub name: Option<Arc<str>>,
    pub origin: Origin,
    pub action: Action,
    /// Why the rule is not enforced as written, where it is not: then it denies everything.
    pub closed: Option<&'static str>,
}

impl RuleReason {
    /// `tier` is where the policy stands in the ruling.
    pub(crate) fn new(
        policy: &Policy,
        tier: &TierRef,
        rule: &Rule,
        closed: Option<&'static str>,
    ) -> Self {
        Self {
            tier: tier.clone(),
            policy: policy.id.clone(),
            index: rule.index,
            name: rule.name.clone(),
            origin: rule.origin.clone(),
            action: rule.action,
            closed,
        }
    }
}

impl Reason {
    /// Stable, `lower-case-with-dashes`: for metrics, events and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Rule(_) => "rule",
            Self::TierEnd { .. } => "tier-end",
            Self::Isolated { .. } => "isolated",
            Self::Guard(guard) => guard.code(),
            Self::Service(trouble) => trouble.code(),
            Self::Default => "default",
            Self::NoPolicy => "no-policy",
            Self::OwnAddress => "own-address",
            Self::NotNamed { .. } => "not-named",
            Self::SearchExpansion => "search-expansion",
            Self::NotFiltered => "not-filtered",
        }
    }

    pub fn band(&self) -> Band {
        match self {
            Self::Rule(rule) => rule.tier.band,
            Self::TierEnd { tier, .. } | Self::Isolated { tier, .. } => tier.band,
            Self::Guard(_) => Band::Guard,
            Self::Service(_)
            | Self::Default
            | Self::NoPolicy
            | Self::OwnAddress
            | Self::NotNamed { .. }
            | Self::SearchExpansion
            | Self::NotFiltered => Band::Default,
        }
    }

    pub fn tier(&self) -> Option<&TierRef> {
        match self {
            Self::Rule(rule) => Some(&rule.tier),
            Self::TierEnd { tier, .. } | Self::Isolated { tier, .. } => Some(tier),
            Self::Guard(_)
            | Self::Service(_)
            | Self::Default
            | Self::NoPolicy
            | Self::OwnAddress
            | Self::NotNamed { .. }
            | Self::SearchExpansion
            | Self::NotFiltered => None,
        }
    }

    pub fn rule(&self) -> Option<&RuleReason> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::TierEnd { .. }
            | Self::Isolated { .. }
            | Self::Guard(_)
            | Self::Service(_)
            | Self::Default
            | Self::NoPolicy
            | Self::OwnAddress
            | Self::NotNamed { .. }
            | Self::SearchExpansion
            | Self::NotFiltered => None,
        }
    }

    /// The policies that decided: the rule's, those of a tier that ends in deny, or those that isolate or filter.
    pub fn policies(&self) -> Vec<&ObjectRef> {
        match self {
            Self::Rule(rule) => vec![&rule.policy],
            Self::TierEnd { by, .. } | Self::Isolated { by, .. } | Self::NotNamed { by } => {
                by.iter().collect()
            }
            Self::Guard(_)
            | Self::Service(_)
            | Self::Default
            | Self::NoPolicy
            | Self::OwnAddress
            | Self::SearchExpansion
            | Self::NotFiltered => Vec::new(),
        }
    }
}

impl fmt::Display for Reason {
    /// One line for people, without the verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => rule.fmt(f),
            Self::TierEnd { tier, by } => {
                write!(
                    f,
                    "no rule of tier {tier} decided, and it ends in deny for what "
                )?;
                write_list(f, by)?;
                f.write_str(" select")
            }
            Self::Isolated { by, .. } => {
                f.write_str("no rule allows it, isolated by ")?;
                write_list(f, by)
            }
            Self::Guard(guard) => guard.fmt(f),
            Self::Service(trouble) => trouble.fmt(f),
            Self::Default => f.write_str("no rule decided, the default holds"),
            Self::NoPolicy => f.write_str("no policy selects the workload"),
            Self::OwnAddress => f.write_str("a pod's own address is free"),
            Self::NotNamed { by } => {
                f.write_str("no rule names it, names are filtered by ")?;
                write_list(f, by)
            }
            Self::SearchExpansion => f.write_str("a search-list form of a name that is allowed"),
            Self::NotFiltered => f.write_str("names are not filtered"),
        }
    }
}

impl fmt::Display for RuleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tier,
            policy,
            index,
            name,
            origin,
            action,
            closed,
        } = self;
        write!(f, "{} rule {index}", action.as_str())?;
        if let Some(name) = name {
            write!(f, " `{name}`")?;
        }
        write!(f, " of {policy} ({origin}), tier {tier}")?;
        match closed {
            Some(code) => write!(f, ", closed: {code}"),
            None => Ok(()),
        }
    }
}

/// LIMIT: how many objects one line names. [`Reason::policies`] has all of them.
const NAMED: usize = 3;

fn write_list(f: &mut fmt::Formatter<'_>, objects: &[ObjectRef]) -> fmt::Result {
    // One more is named as shortly as counted.
    let named = match objects.len() {
        few if few <= NAMED + 1 => few,
        _ => NAMED,
    };
    for (index, object) in objects.iter().take(named).enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{object}")?;
    }
    match objects.len().saturating_sub(named) {
        0 => Ok(()),
        others => write!(f, " and {others} others"),
    }
}

/// The reasons of a ruleset while it is being built, equal ones once.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    reasons: Vec<Reason>,
    ids: std::collections::HashMap<Reason, ReasonId>,
}

impl Reasons {
    pub(crate) fn intern(&mut self, reason: Reason) -> ReasonId {
        if let Some(id) = self.ids.get(&reason) {
            return *id;
        }
        let id = ReasonId(number(self.reasons.len()));
        self.reasons.push(reason.clone());
        self.ids.insert(reason, id);
        id
    }

    pub(crate) fn into_vec(self) -> Vec<Reason> {
        self.reasons
    }
}
