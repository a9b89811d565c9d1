use std::fmt;

use dns_names::Name;
use policy_model::{Action, DestinationClass, ObjectRef, Rule, TierRef, Time};

use crate::compile::clauses::{Clause, ClausePeer, Force, force_of};
use crate::decide::{Age, Decision, Flow};
use crate::fold::LeaseRules;
use crate::guard::Guard;
use crate::limits::LimitError;
use crate::lists::Lists;
use crate::numbering::{index, number};
use crate::port_list::{PortKey, covers};
use crate::reason::{Reason, RuleReason};
use crate::ruleset::{Chain, Effect, Place, Ruleset, Ruling, Verdict};

/// A lease with the names it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLease {
    pub question: Name,
    /// Owner names on the CNAME chain; the question may be among them.
    pub chain: Vec<Name>,
    /// The last instant at which it holds.
    pub expires_at: Time,
}

/// A decision of one ruling, and every step that led to it.
#[derive(Debug, Clone)]
pub struct Explanation {
    pub flow: Flow,
    pub ruling: Ruling,
    pub class: DestinationClass,
    pub decision: Decision,
    /// The verdict and reason of `ruling`.
    pub verdict: Verdict,
    pub reason: Reason,
    pub leases: Vec<LeaseTrace>,
    /// The guards that close the flow unless a rule of their kind opens it.
    pub guards: Vec<Guard>,
    /// The tiers in order, those behind the deciding one too.
    pub tiers: Vec<TierTrace>,
    /// What holds where no tier decides.
    pub default: (Verdict, Reason),
    /// Objects whose subject does not select the workload.
    pub unselected: Vec<ObjectRef>,
}

/// A lease given, and whether it counts.
#[derive(Debug, Clone)]
pub struct LeaseTrace {
    pub lease: NamedLease,
    pub live: bool,
}

/// A tier, its rules in the order of the walk, and how it ended.
#[derive(Debug, Clone)]
pub struct TierTrace {
    pub tier: TierRef,
    pub rules: Vec<RuleTrace>,
    pub outcome: TierOutcome,
}

/// How a tier ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierOutcome {
    /// The rule of that position in [`TierTrace::rules`] decided.
    Decided(usize),
    /// That rule passed on to the next tier.
    Passed(usize),
    /// No rule decided, and the tier ends in deny.
    DeniedAtEnd,
    /// No rule decided: the next tier.
    Next,
    /// The flow was decided before.
    NotReached,
}

/// A rule, and what it has to say of the flow, whether or not the walk came to it.
#[derive(Debug, Clone)]
pub struct RuleTrace {
    pub rule: RuleReason,
    /// The lease it matches by, as an index into [`Explanation::leases`]; nothing where it needs none or misses.
    pub lease: Option<usize>,
    /// Why it does not match; nothing: it matches.
    pub miss: Option<Miss>,
}

/// Why a rule does not match, the nearest miss first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miss {
    /// It would, but a guard asks for a rule that names the address.
    Guarded(Guard),
    /// It would by a lease that is over since then.
    Expired { lease: usize },
    /// It would by a name, and names may not hold this private address.
    Private { lease: usize },
    /// It would by a name, and a Deny by name stands before it.
    NameRefused { lease: usize },
    /// It means the destination, on other ports or protocols.
    Ports,
    /// It means names, and none of the address's names.
    Name,
    /// It means other addresses.
    Address,
    /// It is closed, and so matches nothing.
    Closed(&'static str),
}

impl Ruleset {
    /// Decides a flow and tells every step, in one ruling.
    ///
    /// # Errors
    /// See [`fold`](Self::fold).
    pub fn explain(
        &self,
        lists: &mut Lists,
        flow: &Flow,
        leases: &[NamedLease],
        age: Age,
        ruling: Ruling,
    ) -> Result<Explanation, LimitError> {
        let rules: Vec<LeaseRules> = leases
            .iter()
            .map(|lease| LeaseRules {
                rules: self.name_rules(&lease.question, &lease.chain),
                expires_at: lease.expires_at,
            })
            .collect();
        let decision = self.decide(lists, flow, &rules, age)?;
        let (verdict, reason) = match ruling {
            Ruling::Enforced => (decision.verdict, decision.reason),
            Ruling::Proposed => (decision.would, decision.would_reason),
        };
        let tracer = Tracer {
            ruleset: self,
            chain: self.chains.of(ruling),
            flow,
            leases,
            rules,
            age,
            ruling,
        };
        let chain = self.chains.of(ruling);
        Ok(Explanation {
            flow: *flow,
            ruling,
            class: self.world.class_of(flow.ip),
            decision,
            verdict,
            reason: self.reason(reason).clone(),
            guards: tracer.guards(),
            tiers: tracer.tiers(),
            leases: leases
                .iter()
                .map(|lease| LeaseTrace {
                    lease: lease.clone(),
                    live: is_live(lease.expires_at, age),
                })
                .collect(),
            default: (
                chain.default.verdict,
                self.reason(chain.default.reason).clone(),
            ),
            unselected: self.unselected.clone(),
        })
    }
}

fn is_live(expires_at: Time, age: Age) -> bool {
    match age {
        Age::New { now } => now <= expires_at,
        Age::Established => true,
    }
}

struct Tracer<'a> {
    ruleset: &'a Ruleset,
    chain: &'a Chain,
    flow: &'a Flow,
    leases: &'a [NamedLease],
    rules: Vec<LeaseRules>,
    age: Age,
    ruling: Ruling,
}

impl Tracer<'_> {
    fn key(&self) -> PortKey {
        PortKey {
            protocol: Some(self.flow.protocol),
            port: self.flow.port,
        }
    }

    fn guards(&self) -> Vec<Guard> {
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

    fn tiers(&self) -> Vec<TierTrace> {
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
        let mut rule_number = 0;
        for policy in &self.ruleset.policies {
            for rule in &policy.rules {
                let place = self.chain.places[index(rule_number)];
                if let Some(Place { tier, effect, .. }) = place {
                    let tier = index(tier);
                    let (lease, miss) = self.judge(rule, rule_number);
                    let closed = match force_of(rule) {
                        Force::AsWritten | Force::Nothing => rule.closed,
                        Force::DenyEverything(code) => Some(code),
                    };
                    let rule = RuleReason {
                        tier: policy.tier.clone(),
                        policy: policy.id.clone(),
                        index: rule.index,
                        name: rule.name.clone(),
                        origin: rule.origin.clone(),
                        action: rule.action,
                        closed,
                    };
                    traces[tier].rules.push(RuleTrace { rule, lease, miss });
                    effects[tier].push(effect);
                }
                rule_number += 1;
            }
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
        if force_of(rule) == Force::Nothing {
            let code = rule
                .closed
                .unwrap_or(crate::compile::clauses::CONDITION_NOT_ENFORCED);
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
        (None, Some(nearest))
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
            | ClausePeer::Block(_) => {
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
                let refused = targets.contains(&crate::compile::clauses::NameTarget::Clause(index));
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
            } else if is_live(rules.expires_at, self.age) {
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

impl fmt::Display for Explanation {
    /// One line for each step, the decision last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for LeaseTrace { lease, live } in &self.leases {
            let state = if *live { "live" } else { "over" };
            writeln!(
                f,
                "lease    {} until {} s: {state}",
                lease.question,
                lease.expires_at.as_secs()
            )?;
        }
        for object in &self.unselected {
            writeln!(f, "policy   {object}: does not select this workload")?;
        }
        for guard in &self.guards {
            writeln!(f, "{guard}")?;
        }
        for tier in &self.tiers {
            writeln!(f, "tier     {}: {}", tier.tier, tier.outcome)?;
            for (index, rule) in tier.rules.iter().enumerate() {
                let mark = match tier.outcome {
                    TierOutcome::Decided(at) | TierOutcome::Passed(at) if at == index => "->",
                    TierOutcome::Decided(_)
                    | TierOutcome::Passed(_)
                    | TierOutcome::DeniedAtEnd
                    | TierOutcome::Next
                    | TierOutcome::NotReached => "  ",
                };
                write!(f, "  {mark} {}: ", rule.rule)?;
                match (rule.miss, rule.lease) {
                    (Some(miss), _) => self.write_miss(f, miss)?,
                    (None, Some(lease)) => write!(f, "matches by {}", self.lease_name(lease))?,
                    (None, None) => f.write_str("matches")?,
                }
                writeln!(f)?;
            }
        }
        let (verdict, reason) = &self.default;
        writeln!(f, "default  {}: {reason}", verdict.as_str())?;
        write!(f, "{}: {}", self.verdict.as_str(), self.reason)
    }
}

impl Explanation {
    fn lease_name(&self, lease: usize) -> &str {
        self.leases
            .get(lease)
            .map_or("", |trace| trace.lease.question.without_dot())
    }

    fn write_miss(&self, f: &mut fmt::Formatter<'_>, miss: Miss) -> fmt::Result {
        match miss {
            Miss::Guarded(_) => {
                f.write_str("would match, but the guard asks for a rule that names the address")
            }
            Miss::Expired { lease } => {
                write!(
                    f,
                    "would match by {}, which is over",
                    self.lease_name(lease)
                )
            }
            Miss::Private { lease } => write!(
                f,
                "would match by {}, which may not stand for a private address or one of this host",
                self.lease_name(lease)
            ),
            Miss::NameRefused { lease } => {
                write!(
                    f,
                    "would match by {}, which a Deny before it refuses",
                    self.lease_name(lease)
                )
            }
            Miss::Ports => f.write_str("other ports"),
            Miss::Name => f.write_str("no name of the address matches"),
            Miss::Address => f.write_str("other addresses"),
            Miss::Closed(code) => write!(f, "closed ({code}), matches nothing"),
        }
    }
}

impl fmt::Display for TierOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decided(_) => "decided",
            Self::Passed(_) => "passed on",
            Self::DeniedAtEnd => "no rule decided, denied at its end",
            Self::Next => "no rule decided, next",
            Self::NotReached => "not reached",
        })
    }
}
