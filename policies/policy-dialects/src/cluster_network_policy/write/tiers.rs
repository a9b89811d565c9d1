//! The tiers of the walk as the two there are: Admin, and what a Pass out of it goes on to.

use policy_model::{Action, Band, Policy, Subject, TierEnd, TierRef};

use crate::codes;
use crate::convert::{Losses, subjects_meet};

/// One of the two tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TierWord {
    Admin,
    Baseline,
}

impl TierWord {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Baseline => "Baseline",
        }
    }
}

/// A policy in its place.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) policy: &'a Policy,
    /// The Deny rules of the same object, which stand in a tier of their own in the model.
    pub(super) denies: Option<&'a Policy>,
    pub(super) tier: TierWord,
    /// Whether its rules are written; else only its end.
    pub(super) rules: bool,
    /// Whether everything is denied behind them.
    pub(super) ends: bool,
    /// Whether a Pass goes on to where it went.
    pub(super) passes: bool,
}

/// A tier of the walk.
#[derive(Debug)]
struct Step<'a> {
    band: Band,
    policies: Vec<&'a Policy>,
    /// Behind it everything is denied to whom these select.
    ends: Vec<&'a Policy>,
}

/// Policies in their places; they are given in the order of the walk.
pub(super) fn place<'a>(sorted: &[&'a Policy], losses: &mut Losses) -> Vec<Placed<'a>> {
    let steps = steps(sorted, losses);
    // A Pass goes on to the next tier of the walk, and here there is one border between tiers.
    let border = border(&steps);
    let mut placed = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let tier = if at < border {
            TierWord::Admin
        } else {
            TierWord::Baseline
        };
        let passes = at + 1 == border || at + 1 == steps.len();
        step.place(tier, passes, &mut placed);
    }
    joined(placed)
}

/// The two pieces of one object are one again, where nothing for the same workloads stands between them.
fn joined(placed: Vec<Placed<'_>>) -> Vec<Placed<'_>> {
    let mut joined: Vec<Placed<'_>> = Vec::new();
    for mut one in placed {
        let meets = |other: &Placed<'_>| subjects_meet(&other.policy.subject, &one.policy.subject);
        let last = joined.iter().rposition(meets);
        let belongs = last.and_then(|at| joined.get(at)).is_some_and(|other| {
            one.rules
                && other.rules
                && !other.ends
                && other.denies.is_none()
                && other.tier == one.tier
                && other.policy.tier.is_same_tier(&TierRef::deny())
                && !other
                    .policy
                    .rules
                    .iter()
                    .any(|rule| rule.action == Action::Pass)
                && (&other.policy.id, &other.policy.subject)
                    == (&one.policy.id, &one.policy.subject)
        });
        if let Some(at) = last.filter(|_| belongs) {
            one.denies = Some(joined.remove(at).policy);
        }
        joined.push(one);
    }
    joined
}

impl<'a> Step<'a> {
    fn place(&self, tier: TierWord, passes: bool, placed: &mut Vec<Placed<'a>>) {
        let mut ended: Vec<&Subject> = Vec::new();
        for (at, policy) in self.policies.iter().copied().enumerate() {
            let behind = self.policies.get(at + 1..).unwrap_or_default();
            let same = |other: &&Policy| std::ptr::eq(*other, policy);
            // Only the last who says something of these workloads can say that nothing else is allowed.
            let ends = self.ends.iter().any(same)
                && !behind
                    .iter()
                    .any(|other| subjects_meet(&other.subject, &policy.subject));
            if ends {
                ended.push(&policy.subject);
            }
            placed.push(Placed {
                policy,
                denies: None,
                tier,
                rules: true,
                ends,
                passes,
            });
        }
        for policy in self.ends.iter().copied() {
            if ended.contains(&&policy.subject) {
                continue;
            }
            ended.push(&policy.subject);
            placed.push(Placed {
                policy,
                denies: None,
                tier,
                rules: false,
                ends: true,
                passes,
            });
        }
    }
}

fn steps<'a>(sorted: &[&'a Policy], losses: &mut Losses) -> Vec<Step<'a>> {
    let mut steps: Vec<Step<'a>> = Vec::new();
    for tier in sorted.chunk_by(|a, b| a.tier.is_same_tier(&b.tier)) {
        let Some(first) = tier.first() else { continue };
        let band = first.tier.band;
        // The isolation of a whole band is judged where its last tier ends.
        if band > Band::Namespace
            && steps
                .last()
                .is_some_and(|step| step.band <= Band::Namespace)
        {
            end_band(sorted, &mut steps, is_in_namespace_bands);
        }
        let mut ends = Vec::new();
        for policy in tier {
            match policy.tier.end {
                TierEnd::Deny => ends.push(*policy),
                TierEnd::DenyUnlessIsolatedElsewhere => {
                    note_soft_end(policy, sorted, losses);
                    ends.push(*policy);
                }
                TierEnd::Next | TierEnd::DenyIfIsolated => {}
            }
        }
        steps.push(Step {
            band,
            policies: tier.to_vec(),
            ends,
        });
        if band > Band::Namespace && first.tier.end == TierEnd::DenyIfIsolated {
            let isolating = isolating(sorted, is_in_baseline_bands);
            if let Some(step) = steps.last_mut() {
                step.ends.extend(isolating);
            }
        }
    }
    let ends_alone = |policy: &&&Policy| {
        is_in_baseline_bands(policy.tier.band) && policy.tier.end == TierEnd::DenyIfIsolated
    };
    if steps
        .last()
        .is_some_and(|step| step.band <= Band::Namespace)
    {
        end_band(sorted, &mut steps, is_in_namespace_bands);
    } else if !sorted.iter().any(|policy| ends_alone(&policy)) {
        end_band(sorted, &mut steps, is_in_baseline_bands);
    }
    steps
}

/// Isolation where no tier of the bands judges it: at their end, as `union` does.
fn end_band<'a>(sorted: &[&'a Policy], steps: &mut Vec<Step<'a>>, of: fn(Band) -> bool) {
    let isolating = isolating(sorted, of);
    if isolating.is_empty() {
        return;
    }
    match steps.last_mut() {
        Some(step) if step.is_union() => step.ends.extend(isolating),
        last => {
            let band = last.map_or(Band::Namespace, |step| step.band.max(Band::Namespace));
            steps.push(Step {
                band,
                policies: Vec::new(),
                ends: isolating,
            });
        }
    }
}

impl Step<'_> {
    fn is_union(&self) -> bool {
        let union = TierRef::union();
        self.policies
            .first()
            .is_some_and(|policy| policy.tier.is_same_tier(&union))
    }
}

fn is_in_namespace_bands(band: Band) -> bool {
    band <= Band::Namespace
}

fn is_in_baseline_bands(band: Band) -> bool {
    band > Band::Namespace
}

fn isolating<'a>(sorted: &[&'a Policy], of: fn(Band) -> bool) -> Vec<&'a Policy> {
    let isolates = |policy: &&&Policy| {
        policy.isolates
            && of(policy.tier.band)
            && matches!(policy.tier.end, TierEnd::Next | TierEnd::DenyIfIsolated)
    };
    sorted.iter().filter(isolates).copied().collect()
}

/// Policies of another object that isolate some of the same workloads in the bands of this one.
pub(super) fn isolated_by_others(policy: &Policy, sorted: &[&Policy]) -> bool {
    let of = if is_in_namespace_bands(policy.tier.band) {
        is_in_namespace_bands
    } else {
        is_in_baseline_bands
    };
    let other =
        |other: &&Policy| other.id != policy.id && subjects_meet(&other.subject, &policy.subject);
    isolating(sorted, of).iter().any(other)
}

fn note_soft_end(policy: &Policy, sorted: &[&Policy], losses: &mut Losses) {
    let isolating = isolating(sorted, is_in_namespace_bands);
    let mut others = isolating.iter();
    if others.any(|other| subjects_meet(&other.subject, &policy.subject)) {
        losses.note(
            codes::CONVERT_NARROWER,
            policy,
            &policy.origin,
            "its tier leaves undecided flows to policies of other dialects that isolate; here it denies them",
        );
    }
}

/// How many tiers of the walk Admin holds: up to the one with the most rules that pass, else those before the baseline.
fn border(steps: &[Step<'_>]) -> usize {
    let passes = |step: &Step<'_>| {
        let rules = step.policies.iter().flat_map(|policy| &policy.rules);
        rules.filter(|rule| rule.action == Action::Pass).count()
    };
    let before_last = steps.iter().take(steps.len().saturating_sub(1));
    let most = before_last
        .enumerate()
        .map(|(at, step)| (passes(step), at))
        .filter(|(count, _)| *count > 0)
        .max_by_key(|(count, at)| (*count, std::cmp::Reverse(*at)));
    match most {
        Some((_, at)) => at + 1,
        None => steps
            .iter()
            .filter(|step| is_in_namespace_bands(step.band))
            .count(),
    }
}
