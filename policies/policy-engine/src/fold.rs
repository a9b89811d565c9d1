use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use policy_model::{Guarded, Time};

use crate::compile::clauses::ClausePeer;
use crate::faults::{Fault, is_on};
use crate::limits::{LimitError, MAX_LISTS};
use crate::lists::{ListId, Lists};
use crate::names::NameRules;
use crate::ruleset::{ByRuling, Node, Ruleset, Ruling, in_scope};
use crate::walk::port_list;

/// Steps an entry of the kernel's learned table holds. Random worlds need two in 5 % of the addresses that several names
/// share and three in 0.03 %.
pub const MAX_STEPS: usize = 4;

/// A live lease of an address: the rules its names match, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRules {
    pub rules: NameRules,
    /// The last instant at which it holds.
    pub expires_at: Time,
}

/// The list of an address up to and including an instant. The step after the last is the answer of the prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub expires_at: Time,
    pub list: ListId,
}

impl Ruleset {
    /// Folds the leases of `ip` into at most [`MAX_STEPS`] steps, ascending.
    ///
    /// Exact, because names only allow: with fewer leases a list only shrinks. Of more steps the latest are cut, which
    /// never opens anything; whoever folds does so again at each expiry. No steps: the prefixes say it all. Leases that
    /// are over already must be left out by the caller, or give steps that are never used.
    ///
    /// # Errors
    /// The ruleset has more different lists than [`MAX_LISTS`]: nothing is opened then.
    pub fn fold(
        &self,
        lists: &mut Lists,
        ip: IpAddr,
        leases: &[LeaseRules],
    ) -> Result<Vec<Step>, LimitError> {
        self.fold_at(lists, ip, self.node(ip), leases)
    }

    pub(crate) fn fold_at(
        &self,
        lists: &mut Lists,
        ip: IpAddr,
        node: &Node,
        leases: &[LeaseRules],
    ) -> Result<Vec<Step>, LimitError> {
        let mut by_expiry: BTreeMap<Time, Vec<ByRuling<Vec<u32>>>> = BTreeMap::new();
        for lease in leases {
            let clauses = self.counting(ip, node, &lease.rules);
            if !(clauses.enforced.is_empty() && clauses.proposed.is_empty()) {
                by_expiry.entry(lease.expires_at).or_default().push(clauses);
            }
        }
        if is_on(Fault::LastLeaseOnly)
            && let Some(last) = by_expiry.pop_last()
        {
            by_expiry = BTreeMap::from([last]);
        }
        let mut live: ByRuling<BTreeSet<u32>> = ByRuling::default();
        if is_on(Fault::StepsNeverShrink) {
            for clauses in by_expiry.values().flatten() {
                live.enforced.extend(&clauses.enforced);
                live.proposed.extend(&clauses.proposed);
            }
        }
        // From the latest step back: each has the rules of the one after it and of the leases that end with it. What
        // equals the answer after it is not a step.
        let mut steps = Vec::new();
        let mut after = node.list;
        for (expires_at, ending) in by_expiry.into_iter().rev() {
            for clauses in ending {
                live.enforced.extend(clauses.enforced);
                live.proposed.extend(clauses.proposed);
            }
            let list = self.folded_list(lists, node, &live)?;
            if list != after {
                steps.push(Step { expires_at, list });
                after = list;
            }
        }
        if is_on(Fault::CutsEarliest) {
            steps.truncate(MAX_STEPS);
        }
        steps.reverse();
        steps.truncate(MAX_STEPS);
        if is_on(Fault::LastStepForEver)
            && let Some(last) = steps.last_mut()
        {
            last.expires_at = Time::MAX;
        }
        if is_on(Fault::FirstStepLost) && steps.len() > 1 {
            steps.remove(0);
        }
        Ok(steps)
    }

    /// Whether names that match those rules may stand for `ip`, as enforced: true where the address is not private, where
    /// no guard stands, and where no enforced rule matches, because such an answer opens nothing.
    ///
    /// What the rebinding guard asks before a record is handed out; the fold applies the same per rule. A metadata address
    /// is let in where a rule opens it, whatever `allow_private` says.
    pub fn allows_private(&self, rules: &NameRules, ip: IpAddr) -> bool {
        let opens = !rules.clauses.enforced.is_empty();
        if !opens || !self.settings.guards || !self.world.is_private(ip) {
            return true;
        }
        let shape = self.node(ip).shape;
        if self.shape(shape).facts.metadata || self.world.guarded(ip) == Some(Guarded::Metadata) {
            return self.opener(Ruling::Enforced, shape).is_some();
        }
        rules.may_hold(&self.world, ip) || self.any_allows_private(rules)
    }

    fn any_allows_private(&self, rules: &NameRules) -> bool {
        rules
            .clauses
            .enforced
            .iter()
            .any(|clause| match self.clause(*clause).peer {
                ClausePeer::Names { allow_private, .. } => allow_private,
                ClausePeer::Everywhere
                | ClausePeer::Outside
                | ClausePeer::Class(_)
                | ClausePeer::Block(_)
                | ClausePeer::Nets(..) => false,
            })
    }

    /// The name clauses that count on an address: those whose scope covers it and, on a private one, may.
    pub(crate) fn counting(
        &self,
        ip: IpAddr,
        node: &Node,
        rules: &NameRules,
    ) -> ByRuling<Vec<u32>> {
        let guarded = self.settings.guards
            && !rules.may_hold(&self.world, ip)
            && !is_on(Fault::RebindingForgotten);
        let outside = node.outside || is_on(Fault::ScopeForgotten);
        let counts = |clause: &u32| match &self.clause(*clause).peer {
            ClausePeer::Names {
                scope,
                allow_private,
            } => in_scope(*scope, outside) && (*allow_private || !guarded),
            ClausePeer::Everywhere
            | ClausePeer::Outside
            | ClausePeer::Class(_)
            | ClausePeer::Block(_)
            | ClausePeer::Nets(..) => false,
        };
        let filter = |clauses: &[u32]| clauses.iter().copied().filter(|c| counts(c)).collect();
        ByRuling {
            enforced: filter(&rules.clauses.enforced),
            proposed: filter(&rules.clauses.proposed),
        }
    }

    fn folded_list(
        &self,
        lists: &mut Lists,
        node: &Node,
        live: &ByRuling<BTreeSet<u32>>,
    ) -> Result<ListId, LimitError> {
        let names = ByRuling {
            enforced: live.enforced.iter().copied().collect::<Vec<u32>>(),
            proposed: live.proposed.iter().copied().collect::<Vec<u32>>(),
        };
        let key = (node.shape, names.enforced.clone(), names.proposed.clone());
        if let Some(list) = lists.folds.get(&key) {
            return Ok(*list);
        }
        let list = lists.intern(port_list(self, node.shape, &names))?;
        if lists.folds.len() < MAX_LISTS {
            lists.folds.insert(key, list);
        }
        Ok(list)
    }
}
