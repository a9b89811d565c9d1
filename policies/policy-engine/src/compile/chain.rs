//! One ruling's walk: which tiers exist, where each rule stands in them, what it does there, and how tiers end.
use std::sync::Arc;

use policy_model::{
    Action, Band, DefaultVerdict, DenyStyle, DnsFilter, ObjectRef, Order, Policy, Rule, Settings,
    TierEnd, TierRef, World,
};

use super::clauses::{CONDITION_NOT_ENFORCED, Force, force_of, has_names};
use super::lowering::Here;
use super::placement::{Placed, placed};
use crate::guard::Guard;
use crate::numbering::number;
use crate::reason::{Reason, Reasons, RuleReason, ServiceTrouble};
use crate::ruleset::{ByGuard, ByService, Chain, ChainTier, Effect, Outcome, Place, Verdict};

/// Builds the chain of the policies that `stands` takes; `policies` are in the order of the walk.
pub(super) fn build_chain(
    policies: &[Arc<Policy>],
    stands: impl Fn(&Policy) -> bool,
    here: Here<'_>,
    reasons: &mut Reasons,
) -> Chain {
    let Here {
        workload: _,
        world,
        settings,
    } = here;
    let placed = placed(policies, stands);
    let standing: Vec<&Policy> = placed.iter().map(|placed| &*placed.policy).collect();
    let isolation = Isolation::of(&standing);
    let tiers = tiers(&standing, &isolation);
    let mut builder = Builder {
        settings,
        world,
        reasons,
        isolation,
        tiers: &tiers,
    };
    let rules: usize = policies.iter().map(|policy| policy.rules.len()).sum();
    let mut places = vec![None; rules];
    let mut rank = 0;
    for Placed {
        policy, first_rule, ..
    } in &placed
    {
        for (rule, at) in policy.rules.iter().zip(*first_rule..) {
            places[at] = Some(builder.place(policy, rule, rank));
            rank += 1;
        }
    }
    let ends = tiers
        .iter()
        .map(|tier| ChainTier {
            tier: tier.clone(),
            end: builder.end(tier, &standing),
        })
        .collect();
    let default = builder.default(&standing);
    let guard = builder.guard();
    let service = builder.service();
    let filters = filters(&standing, world);
    let learns = !filters.is_empty()
        || standing.iter().any(|policy| {
            policy
                .rules
                .iter()
                .any(|rule| has_names(rule) && force_of(rule, world) == Force::AsWritten)
        });
    let filters_by_names = standing
        .iter()
        .any(|policy| policy.dns == DnsFilter::Filter);
    let not_named = reasons.intern(Reason::NotNamed {
        by: filters.clone(),
    });
    Chain {
        tiers: ends,
        places,
        default,
        filters,
        filters_by_names,
        not_named,
        learns,
        guard,
        service,
    }
}

/// The policies that isolate the workload, by the tier ends they act at.
struct Isolation<'a> {
    /// Of the bands up to namespace: they act at the end of `union`.
    namespace: Vec<&'a Policy>,
    /// Of the bands behind it.
    baseline: Vec<&'a Policy>,
}

impl<'a> Isolation<'a> {
    fn of(policies: &[&'a Policy]) -> Self {
        // A tier that denies by itself says so for its policies.
        let isolating = policies.iter().copied().filter(|policy| {
            policy.isolates
                && match policy.tier.end {
                    TierEnd::Next | TierEnd::DenyIfIsolated => true,
                    TierEnd::Deny | TierEnd::DenyUnlessIsolatedElsewhere => false,
                }
        });
        let (namespace, baseline) =
            isolating.partition(|policy| policy.tier.band <= Band::Namespace);
        Self {
            namespace,
            baseline,
        }
    }

    fn at(&self, tier: &TierRef) -> &[&'a Policy] {
        if tier.band <= Band::Namespace {
            &self.namespace
        } else {
            &self.baseline
        }
    }
}

/// The tiers that exist, in order: those of the policies, and one to isolate at where policies isolate and no tier of
/// theirs ends so.
fn tiers(policies: &[&Policy], isolation: &Isolation<'_>) -> Vec<TierRef> {
    let mut tiers: Vec<TierRef> = Vec::new();
    for policy in policies {
        match tiers.last_mut() {
            Some(tier) if tier.is_same_tier(&policy.tier) => {
                tier.end = stricter(tier.end, policy.tier.end);
            }
            Some(_) | None => tiers.push(policy.tier.clone()),
        }
    }
    let ends_isolated = |tiers: &[TierRef], from: Band, to: Band| {
        tiers
            .iter()
            .any(|tier| tier.end == TierEnd::DenyIfIsolated && from <= tier.band && tier.band <= to)
    };
    if !isolation.namespace.is_empty() && !ends_isolated(&tiers, Band::Namespace, Band::Namespace) {
        tiers.push(TierRef::union());
    }
    if !isolation.baseline.is_empty() && !ends_isolated(&tiers, Band::Baseline, Band::Default) {
        tiers.push(TierRef {
            order: Order::LAST,
            ..TierRef::kube_baseline()
        });
    }
    tiers.sort_by(|a, b| (a.band, a.order, &a.name).cmp(&(b.band, b.order, &b.name)));
    tiers
}

/// Of two ends of one tier, the one that denies more.
fn stricter(left: TierEnd, right: TierEnd) -> TierEnd {
    let denies = |end| match end {
        TierEnd::Next => 0,
        TierEnd::DenyIfIsolated => 1,
        TierEnd::DenyUnlessIsolatedElsewhere => 2,
        TierEnd::Deny => 3,
    };
    if denies(left) < denies(right) {
        right
    } else {
        left
    }
}

/// The objects whose policies filter names, each once.
fn filters(policies: &[&Policy], world: &World) -> Vec<ObjectRef> {
    let limits_questions = |rule: &Rule| {
        rule.questions.is_some()
            && rule.action == Action::Allow
            && force_of(rule, world) == Force::AsWritten
    };
    let mut filters: Vec<ObjectRef> = policies
        .iter()
        .filter(|policy| {
            policy.dns == DnsFilter::Filter || policy.rules.iter().any(limits_questions)
        })
        .map(|policy| policy.id.clone())
        .collect();
    filters.sort_unstable();
    filters.dedup();
    filters
}

struct Builder<'a> {
    settings: &'a Settings,
    world: &'a World,
    reasons: &'a mut Reasons,
    isolation: Isolation<'a>,
    tiers: &'a [TierRef],
}

impl Builder<'_> {
    fn place(&mut self, policy: &Policy, rule: &Rule, rank: u32) -> Place {
        let tier = self
            .tiers
            .iter()
            .position(|tier| tier.is_same_tier(&policy.tier))
            .expect("the tier of a policy that stands exists");
        let force = force_of(rule, self.world);
        let action = if matches!(force, Force::DenyEverything(_)) {
            Action::Deny
        } else {
            rule.action
        };
        let effect = match action {
            Action::Allow => Effect::Decide(self.outcome(Verdict::Allow, policy, rule, force)),
            Action::Deny => Effect::Decide(self.outcome(Verdict::Deny, policy, rule, force)),
            Action::Pass => self.pass(&self.tiers[tier].clone(), policy),
            Action::Log => Effect::Log,
        };
        Place {
            tier: number(tier),
            rank,
            effect,
        }
    }

    fn outcome(&mut self, verdict: Verdict, policy: &Policy, rule: &Rule, force: Force) -> Outcome {
        let closed = match force {
            Force::AsWritten => None,
            Force::Nothing => rule.closed.or(Some(CONDITION_NOT_ENFORCED)),
            Force::DenyEverything(code) => Some(code),
        };
        let reason = Reason::Rule(Arc::new(RuleReason::new(
            policy,
            &policy.tier,
            rule,
            closed,
        )));
        let style = match verdict {
            Verdict::Allow => DenyStyle::Reject,
            Verdict::Deny => policy.deny_style.unwrap_or(self.settings.deny_style),
        };
        Outcome {
            verdict,
            style,
            reason: self.reasons.intern(reason),
        }
    }

    /// A Pass lifts the isolation of its own object, never that of another.
    fn pass(&mut self, tier: &TierRef, policy: &Policy) -> Effect {
        if tier.end != TierEnd::DenyIfIsolated {
            return Effect::Pass;
        }
        let others: Vec<&Policy> = self
            .isolation
            .at(tier)
            .iter()
            .copied()
            .filter(|other| other.id != policy.id)
            .collect();
        if others.is_empty() {
            Effect::Pass
        } else {
            Effect::Decide(self.isolated(tier, &others))
        }
    }

    fn end(&mut self, tier: &TierRef, standing: &[&Policy]) -> Option<Outcome> {
        let isolating = self.isolation.at(tier).to_vec();
        let denies = match tier.end {
            TierEnd::Next => false,
            TierEnd::Deny => true,
            TierEnd::DenyUnlessIsolatedElsewhere => isolating.is_empty(),
            TierEnd::DenyIfIsolated if isolating.is_empty() => false,
            TierEnd::DenyIfIsolated => return Some(self.isolated(tier, &isolating)),
        };
        denies.then(|| {
            let reason = Reason::TierEnd {
                tier: tier.clone(),
                by: objects(
                    standing
                        .iter()
                        .filter(|policy| policy.tier.is_same_tier(tier)),
                ),
            };
            self.deny(self.settings.deny_style, reason)
        })
    }

    fn isolated(&mut self, tier: &TierRef, by: &[&Policy]) -> Outcome {
        let style = self.style_of(by);
        self.deny(
            style,
            Reason::Isolated {
                tier: tier.clone(),
                by: objects(by.iter()),
            },
        )
    }

    fn default(&mut self, policies: &[&Policy]) -> Outcome {
        let reason = if policies.is_empty() {
            Reason::NoPolicy
        } else {
            Reason::Default
        };
        match self.settings.default {
            DefaultVerdict::DenyOnceSelected if !policies.is_empty() => {
                self.deny(self.style_of(policies), reason)
            }
            DefaultVerdict::Allow | DefaultVerdict::DenyOnceSelected => Outcome {
                verdict: Verdict::Allow,
                style: DenyStyle::Reject,
                reason: self.reasons.intern(reason),
            },
        }
    }

    fn guard(&mut self) -> ByGuard {
        let style = self.settings.deny_style;
        ByGuard {
            metadata: self.deny(style, Reason::Guard(Guard::Metadata)),
            dns_bypass: self.deny(style, Reason::Guard(Guard::DnsBypass)),
        }
    }

    fn service(&mut self) -> ByService {
        let style = self.settings.deny_style;
        ByService {
            no_backend: self.deny(style, Reason::Service(ServiceTrouble::NoBackend)),
            differ: self.deny(style, Reason::Service(ServiceTrouble::BackendsDiffer)),
        }
    }

    /// The style of the first policy that says one.
    fn style_of(&self, policies: &[&Policy]) -> DenyStyle {
        policies
            .iter()
            .find_map(|policy| policy.deny_style)
            .unwrap_or(self.settings.deny_style)
    }

    fn deny(&mut self, style: DenyStyle, reason: Reason) -> Outcome {
        Outcome {
            verdict: Verdict::Deny,
            style,
            reason: self.reasons.intern(reason),
        }
    }
}

/// The objects of policies, each once.
fn objects<'a>(policies: impl Iterator<Item = &'a &'a Policy>) -> Vec<ObjectRef> {
    let mut objects: Vec<ObjectRef> = policies.map(|policy| policy.id.clone()).collect();
    objects.sort_unstable();
    objects.dedup();
    objects
}
