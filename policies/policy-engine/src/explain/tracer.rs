use ipnet::IpNet;
use policy_model::{Action, Peer, Peers, Rule};

use super::{Miss, NamedLease, RuleTrace, TierOutcome, TierTrace};
use crate::compile::clauses::{
    CONDITION_NOT_ENFORCED, Clause, ClausePeer, Force, NameTarget, force_of,
};
use crate::decide::{Age, Flow};
use crate::fold::LeaseRules;
use crate::guard::Guard;
use crate::numbering::{index, number};
use crate::port_list::{PortKey, covers};
use crate::reason::RuleReason;
use crate::ruleset::{Chain, Effect, Place, Ruleset, Ruling, Verdict};

/// One flow on its way through a chain.
pub(super) struct Tracer<'a> {
    pub(super) ruleset: &'a Ruleset,
    pub(super) chain: &'a Chain,
    pub(super) flow: &'a Flow,
    pub(super) leases: &'a [NamedLease],
    pub(super) rules: Vec<LeaseRules>,
    pub(super) age: Age,
    pub(super) ruling: Ruling,
}

impl Tracer<'_> {
    fn key(&self) -> PortKey {
        PortKey {
            protocol: Some(self.flow.protocol),
            port: self.flow.port,
        }
    }

    pub(super) fn guards(&self) -> Vec<Guard> {
        let facts = &self
            .ruleset
            .shape(self.ruleset.node(self.flow.ip).shape)
            .facts;
        let mut guards = Vec::new();
        if self.ruleset.settings.guards && facts.closes_metadata(self.key()) {
            guards.push(Guard::Metadata);
        }
        let filtered = !self.chain.filters.is_empty();
        if self.ruleset.settings.guards && filtered && facts.bypasses_dns(self.key()) {
            guards.push(Guard::DnsBypass);
        }
        guards
    }

    pub(super) fn tiers(&self) -> Vec<TierTrace> {
        let mut traces: Vec<TierTrace> = self
            .chain
            .tiers
            .iter()
            .map(|tier| TierTrace {
                tier: tier.tier.clone(),
                rules: Vec::new(),
                outcome: TierOutcome::NotReached,
            })
            .collect();
        let mut effects: Vec<Vec<Effect>> = vec![Vec::new(); traces.len()];
        let mut found = Vec::new();
        let mut rule_number = 0;
        for policy in &self.ruleset.policies {
            for rule in &policy.rules {
                let place = self.chain.places[index(rule_number)];
                if let Some(Place { tier, rank, effect }) = place {
                    let tier = index(tier);
                    let (lease, miss) = self.judge(rule, rule_number);
                    let closed = match force_of(rule, self.ruleset.world()) {
                        Force::AsWritten | Force::Nothing => rule.closed,
                        Force::DenyEverything(code) => Some(code),
                    };
                    let told = match effect {
                        Effect::Decide(outcome) => self.ruleset.reason(outcome.reason).rule(),
                        Effect::Pass | Effect::Log => None,
                    };
                    let rule = told.cloned().unwrap_or_else(|| {
                        RuleReason::new(policy, &traces[tier].tier, rule, closed)
                    });
                    found.push((rank, tier, RuleTrace { rule, lease, miss }, effect));
                }
                rule_number += 1;
            }
        }
        found.sort_by_key(|(rank, ..)| *rank);
        for (_, tier, trace, effect) in found {
            traces[tier].rules.push(trace);
            effects[tier].push(effect);
        }
        let decided_by_guard = self.decided_by_metadata_guard(&traces, &effects);
        if !decided_by_guard {
            for ((trace, effects), tier) in traces.iter_mut().zip(effects).zip(&self.chain.tiers) {
                trace.outcome = outcome_of(&trace.rules, &effects, tier.end.is_some());
                if matches!(
                    trace.outcome,
                    TierOutcome::Decided(_) | TierOutcome::DeniedAtEnd
                ) {
                    break;
                }
            }
        }
        traces
    }

    fn decided_by_metadata_guard(&self, traces: &[TierTrace], effects: &[Vec<Effect>]) -> bool {
        if !self.guards().contains(&Guard::Metadata) {
            return false;
        }
        debug_assert_eq!(traces.len(), effects.len());
        let shape = self.ruleset.shape(self.ruleset.node(self.flow.ip).shape);
        !shape.clauses.iter().any(|clause| {
            let opens = self.ruleset.clause(*clause);
            opens.opens_metadata
                && covers(&opens.ports, self.key())
                && self
                    .ruleset
                    .place(self.ruling, *clause)
                    .is_some_and(|place| match place.effect {
                        Effect::Decide(outcome) => outcome.verdict == Verdict::Allow,
                        Effect::Pass | Effect::Log => false,
                    })
        })
    }

    /// Whether the rule matches, by which lease, or its nearest miss.
    fn judge(&self, rule: &Rule, rule_number: u32) -> (Option<usize>, Option<Miss>) {
        if force_of(rule, self.ruleset.world()) == Force::Nothing {
            let code = rule.closed.unwrap_or(CONDITION_NOT_ENFORCED);
            return (None, Some(Miss::Closed(code)));
        }
        let first = self
            .ruleset
            .clauses
            .partition_point(|clause| clause.rule < rule_number);
        let mut nearest = Miss::Address;
        for (at, clause) in self.ruleset.clauses.iter().enumerate().skip(first) {
            if clause.rule != rule_number {
                break;
            }
            match self.judge_clause(rule.action, number(at), clause) {
                Ok(lease) => return (lease, None),
                Err(miss) => nearest = nearest.min(miss),
            }
        }
        if let Some(by) = self.exception(rule) {
            nearest = nearest.min(Miss::Excepted { by });
        }
        (None, Some(nearest))
    }

    /// The exception that takes the address out of a block that has it.
    fn exception(&self, rule: &Rule) -> Option<IpNet> {
        let Peers::Of(peers) = &rule.peers else {
            return None;
        };
        let has = |net: &IpNet| net.contains(&self.flow.ip.to_canonical());
        let excepted = peers.iter().filter_map(|peer| {
            let Peer::Block(block) = peer else {
                return None;
            };
            let exceptions = block.except.iter().copied();
            exceptions.filter(|net| has(&block.net) && has(net)).min()
        });
        excepted.min()
    }

    fn judge_clause(
        &self,
        action: Action,
        index: u32,
        clause: &Clause,
    ) -> Result<Option<usize>, Miss> {
        let node = self.ruleset.node(self.flow.ip);
        let lease = match &clause.peer {
            ClausePeer::Names { .. } => Some(self.judge_names(index)?),
            ClausePeer::Everywhere
            | ClausePeer::Outside
            | ClausePeer::Class(_)
            | ClausePeer::Block(_)
            | ClausePeer::Nets(..) => {
                if self
                    .ruleset
                    .shape(node.shape)
                    .clauses
                    .binary_search(&index)
                    .is_err()
                {
                    return Err(Miss::Address);
                }
                None
            }
        };
        if !covers(&clause.ports, self.key()) {
            return Err(Miss::Ports);
        }
        let guarded = self.guards().contains(&Guard::DnsBypass) && !clause.names_address;
        if guarded && action == Action::Allow {
            return Err(Miss::Guarded(Guard::DnsBypass));
        }
        Ok(lease)
    }

    /// The live lease that counts for a name clause, or why none does.
    fn judge_names(&self, index: u32) -> Result<usize, Miss> {
        let node = self.ruleset.node(self.flow.ip);
        let mut nearest = Miss::Name;
        for (number, (lease, rules)) in self.leases.iter().zip(&self.rules).enumerate() {
            let matched = rules.rules.clauses.of(self.ruling);
            let miss = if !matched.contains(&index) {
                let targets = self.ruleset.names.targets(&lease.question, &lease.chain);
                let refused = targets.contains(&NameTarget::Clause(index));
                if refused {
                    Miss::NameRefused { lease: number }
                } else {
                    Miss::Name
                }
            } else if !self
                .ruleset
                .counting(self.flow.ip, node, &rules.rules)
                .of(self.ruling)
                .contains(&index)
            {
                Miss::Private { lease: number }
            } else if self.age.admits(rules.expires_at) {
                return Ok(number);
            } else {
                Miss::Expired { lease: number }
            };
            nearest = nearest.min(miss);
        }
        Err(nearest)
    }
}

fn outcome_of(rules: &[RuleTrace], effects: &[Effect], denies_at_end: bool) -> TierOutcome {
    for (index, (rule, effect)) in rules.iter().zip(effects).enumerate() {
        if rule.miss.is_some() {
            continue;
        }
        match effect {
            Effect::Decide(_) => return TierOutcome::Decided(index),
            Effect::Pass => return TierOutcome::Passed(index),
            Effect::Log => {}
        }
    }
    if denies_at_end {
        TierOutcome::DeniedAtEnd
    } else {
        TierOutcome::Next
    }
}
