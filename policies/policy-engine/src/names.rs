use std::net::IpAddr;
use std::sync::Arc;

use dns_names::{Name, NamePattern};
use policy_model::{FqdnBy, Guarded, World};

use crate::compile::clauses::{NameEntry, NameTarget};
use crate::faults::{Fault, is_on};
use crate::numbering::index;
use crate::pattern_index::PatternIndex;
use crate::reason::{Reason, ReasonId};
use crate::ruleset::{ByRuling, Effect, Ruleset, Ruling};

/// The name rules of one ruleset that the names of an answer match. Cheap to copy, compare and hash.
///
/// Leases with equal `NameRules` open the same things. Only of use with the ruleset it came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameRules {
    /// Clause numbers, ascending, of each ruling.
    pub(crate) clauses: ByRuling<Arc<[u32]>>,
    /// Which private addresses the name may hold by itself.
    pub(crate) zone: Zone,
}

/// Where a name stands, as far as the rebinding guard asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Zone {
    /// Outside: no private address.
    Outside,
    /// The cluster's own: addresses of the cluster, and no other private ones.
    Cluster,
    /// A private zone of the settings: any.
    Private,
}

impl NameRules {
    /// Whether the name may stand for `ip` without a rule that says so.
    pub(crate) fn may_hold(&self, world: &World, ip: IpAddr) -> bool {
        match (self.zone, world.guarded(ip)) {
            (_, None) | (Zone::Private, _) | (Zone::Cluster, Some(Guarded::Cluster)) => true,
            (Zone::Outside | Zone::Cluster, Some(_)) => false,
        }
    }

    /// Whether no rule of either ruling matches: the answer opens nothing.
    pub fn is_empty(&self) -> bool {
        self.clauses.enforced.is_empty() && self.clauses.proposed.is_empty()
    }
}

/// The name rules of a ruleset, and their patterns at the same positions.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameIndex {
    entries: Vec<NameEntry>,
    patterns: PatternIndex,
}

impl NameIndex {
    pub(crate) fn build(entries: Vec<NameEntry>) -> Self {
        let patterns = entries.iter().map(|entry| entry.pattern.clone()).collect();
        Self {
            entries,
            patterns: PatternIndex::build(patterns),
        }
    }

    fn matching(&self, name: &Name) -> impl Iterator<Item = &NameEntry> {
        self.patterns
            .matching(name)
            .map(|position| &self.entries[position])
    }

    /// What the question and the further names of its chain match.
    pub(crate) fn targets(&self, question: &Name, chain: &[Name]) -> Vec<NameTarget> {
        let by_question = self.matching(question);
        let by_chain = chain
            .iter()
            .flat_map(|name| self.matching(name))
            .filter(|entry| entry.by == FqdnBy::Chain);
        by_question
            .chain(by_chain)
            .map(|entry| entry.target)
            .collect()
    }
}

impl NameIndex {
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &NamePattern> {
        self.patterns.patterns().iter()
    }

    /// What a name matches where an answer leads through it.
    pub(crate) fn on_chain(&self, name: &Name) -> Vec<NameTarget> {
        self.matching(name)
            .filter(|entry| entry.by == FqdnBy::Chain)
            .map(|entry| entry.target)
            .collect()
    }
}

impl Ruleset {
    /// Which FQDN rules the names of one response match: `question`, and the owner names on the CNAME chain from it
    /// (the question may be among them).
    ///
    /// A Deny by name hides the rules behind it in the walk: they learn nothing from this answer.
    pub fn name_rules(&self, question: &Name, chain: &[Name]) -> NameRules {
        let targets = self.names.targets(question, chain);
        let is_in = |zones: &[Name]| zones.iter().any(|zone| question.is_under(zone));
        let clauses = ByRuling::from_fn(|ruling| {
            let rank = |target: &NameTarget| self.name_rank(ruling, *target);
            let refused = targets
                .iter()
                .filter(|target| matches!(target, NameTarget::Refuse(_)))
                .filter_map(rank)
                .min()
                .filter(|_| !is_on(Fault::DenyByNameForgotten));
            let mut clauses: Vec<u32> = targets
                .iter()
                .filter(|target| {
                    let before = |rank| refused.is_none_or(|refused| rank < refused);
                    rank(target).is_some_and(before)
                })
                .filter_map(|target| match target {
                    NameTarget::Clause(clause) => Some(*clause),
                    NameTarget::Refuse(_) => None,
                })
                .collect();
            clauses.sort_unstable();
            clauses.dedup();
            clauses.into()
        });
        let zone = if is_in(&self.settings.private_zones) {
            Zone::Private
        } else if is_in(self.settings.cluster_domain.as_slice()) {
            Zone::Cluster
        } else {
            Zone::Outside
        };
        NameRules { clauses, zone }
    }

    /// The rules that those are, as enforced, in the order of the walk.
    pub fn reasons_of(&self, rules: &NameRules) -> Vec<&Reason> {
        let mut places: Vec<(u32, ReasonId)> = rules
            .clauses
            .enforced
            .iter()
            .filter_map(|clause| self.place(Ruling::Enforced, *clause))
            .filter_map(|place| match place.effect {
                Effect::Decide(outcome) => Some((place.rank, outcome.reason)),
                Effect::Pass | Effect::Log => None,
            })
            .collect();
        places.sort_unstable();
        places.dedup();
        places
            .into_iter()
            .map(|(_, reason)| self.reason(reason))
            .collect()
    }

    /// Where the rule of a pattern stands in the walk; nothing where it is not in that ruling.
    pub(crate) fn name_rank(&self, ruling: Ruling, target: NameTarget) -> Option<u32> {
        let rule = match target {
            NameTarget::Clause(clause) => self.clause(clause).rule,
            NameTarget::Refuse(rule) => rule,
        };
        self.chains.of(ruling).places[index(rule)].map(|place| place.rank)
    }
}
