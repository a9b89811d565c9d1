//! Where a policy stands natively: in its namespace, or in one of the two tiers of the cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy_model::{
    Action, Band, Order, Policy, StagedChange, Standing, Subject, TierEnd, TierRef,
};

use crate::codes;
use crate::convert::Losses;

/// A policy and what it becomes.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) policy: &'a Policy,
    /// The Deny rules of the same object, which stand in a tier of their own in the model.
    pub(super) denies: Option<&'a Policy>,
    pub(super) place: Place,
    pub(super) standing: Standing,
    /// Not the policy but the end of its tier: a Deny for whom it selects, behind all of the tier.
    pub(super) tier_end: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// An `EgressPolicy`; nothing: of plain Linux.
    Namespace(Option<Arc<str>>),
    /// A `ClusterEgressPolicy`.
    Tier {
        tier: TierWord,
        priority: i64,
        /// It stood in the namespace band.
        lifted: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TierWord {
    Admin,
    Baseline,
}

/// Places every policy that can be said, in the order of the walk.
pub(super) fn place<'a>(policies: &'a [Policy], losses: &mut Losses) -> Vec<Placed<'a>> {
    let mut standing: Vec<(&Policy, Standing)> = policies
        .iter()
        .filter_map(|policy| Some((policy, stands(policy, policies, losses)?)))
        .collect();
    standing.sort_by_key(|(policy, _)| rank(policy));
    let of_band = |band: Band| -> Vec<(&'a Policy, Standing)> {
        let of_band = standing
            .iter()
            .filter(|(policy, _)| policy.tier.band == band);
        of_band.copied().collect()
    };
    let (admin, namespace, baseline) = (
        of_band(Band::Admin),
        of_band(Band::Namespace),
        of_band(Band::Baseline),
    );
    // One policy of the namespace band that no namespace can hold takes all of them along, because their order counts.
    let lifts = !namespace.iter().all(|(policy, _)| is_namespaced(policy));
    let mut admin: Vec<Ranked<'a>> = ranked(&admin, false);
    let mut placed = Vec::new();
    if lifts {
        let isolated = admin
            .iter()
            .chain(&ranked(&namespace, true))
            .any(|one| isolates(one.policy));
        for (policy, _) in &namespace {
            if policy.tier.end == TierEnd::DenyUnlessIsolatedElsewhere && isolated {
                losses.note(
                    codes::CONVERT_TIER,
                    policy,
                    &policy.origin,
                    "its tier leaves undecided flows to policies of other dialects that isolate; here it denies them",
                );
            }
        }
        admin.extend(ranked(&namespace, true));
    } else {
        placed = namespaced(&namespace);
    }
    let mut of_cluster = sequence(&admin, TierWord::Admin, losses);
    of_cluster.append(&mut placed);
    of_cluster.append(&mut sequence(
        &ranked(&baseline, false),
        TierWord::Baseline,
        losses,
    ));
    of_cluster
}

/// Whether a policy isolates by itself: a tier that denies at its end says so for its policies.
pub(super) fn isolates(policy: &Policy) -> bool {
    policy.isolates
        && match policy.tier.end {
            TierEnd::Next | TierEnd::DenyIfIsolated => true,
            TierEnd::Deny | TierEnd::DenyUnlessIsolatedElsewhere => false,
        }
}

/// How a policy stands natively: in force, in audit, or not at all.
fn stands(policy: &Policy, all: &[Policy], losses: &mut Losses) -> Option<Standing> {
    let replaces = || {
        all.iter()
            .any(|other| other.id == policy.id && other.standing != policy.standing)
    };
    match policy.standing {
        Standing::Enforced | Standing::Audit => Some(policy.standing),
        // What only adds is what audit is.
        Standing::Staged(StagedChange::Set) if !replaces() => Some(Standing::Audit),
        Standing::Staged(StagedChange::Delete) if !replaces() => None,
        Standing::Staged(_) => {
            losses.note(
                codes::CONVERT_STAGED,
                policy,
                &policy.origin,
                "a staged change of a policy in force cannot be said: it is left out",
            );
            None
        }
    }
}

type Rank = (
    Band,
    Order,
    Arc<str>,
    Order,
    Arc<str>,
    policy_model::ObjectRef,
);

fn rank(policy: &Policy) -> Rank {
    let TierRef {
        band,
        order,
        name,
        end: _,
    } = policy.tier.clone();
    let tie = Arc::clone(&policy.tie);
    (band, order, name, policy.order, tie, policy.id.clone())
}

/// Whether an `EgressPolicy` can say it: the selected are of one namespace or of plain Linux, Denies stand in `deny` and
/// all else in `union`, where no order counts.
fn is_namespaced(policy: &Policy) -> bool {
    let subject = match &policy.subject {
        Subject::Kubernetes(subject) => subject.namespace.is_some() && subject.namespaces.is_none(),
        Subject::All | Subject::Plain(_) => policy.id.namespace.is_none(),
        Subject::Endpoints(_)
        | Subject::Addressed(_)
        | Subject::HostEndpoint(_)
        | Subject::Nodes(_) => false,
    };
    let only = |action: Action| {
        let mut rules = policy.rules.iter();
        rules.all(|rule| rule.action == action || rule.action == Action::Log)
    };
    subject
        && if policy.tier.is_same_tier(&TierRef::deny()) {
            only(Action::Deny) && !policy.isolates
        } else {
            policy.tier.is_same_tier(&TierRef::union()) && only(Action::Allow)
        }
}

/// `EgressPolicies`: the two pieces of one object become one again.
fn namespaced<'a>(policies: &[(&'a Policy, Standing)]) -> Vec<Placed<'a>> {
    let is_deny = |policy: &Policy| policy.tier.is_same_tier(&TierRef::deny());
    let belongs = |deny: &Policy, union: &Policy| {
        deny.id == union.id
            && deny.subject == union.subject
            && deny.standing == union.standing
            && deny.deny_style == union.deny_style
            && (deny.dns == union.dns || deny.dns == policy_model::DnsFilter::Untouched)
    };
    let mut taken = BTreeSet::new();
    let mut placed = Vec::new();
    for (policy, standing) in policies.iter().filter(|(policy, _)| !is_deny(policy)) {
        let denies = policies
            .iter()
            .enumerate()
            .find(|(at, (deny, _))| is_deny(deny) && !taken.contains(at) && belongs(deny, policy));
        if let Some((at, _)) = denies {
            taken.insert(at);
        }
        placed.push(Placed {
            policy,
            denies: denies.map(|(_, (deny, _))| *deny),
            place: Place::Namespace(namespace_of(policy)),
            standing: *standing,
            tier_end: false,
        });
    }
    for (at, (policy, standing)) in policies.iter().enumerate() {
        if is_deny(policy) && !taken.contains(&at) {
            placed.push(Placed {
                policy,
                denies: None,
                place: Place::Namespace(namespace_of(policy)),
                standing: *standing,
                tier_end: false,
            });
        }
    }
    placed
}

fn namespace_of(policy: &Policy) -> Option<Arc<str>> {
    match &policy.subject {
        Subject::Kubernetes(subject) => subject.namespace.clone(),
        Subject::All
        | Subject::Plain(_)
        | Subject::Endpoints(_)
        | Subject::Addressed(_)
        | Subject::HostEndpoint(_)
        | Subject::Nodes(_) => None,
    }
}

/// A policy of the cluster on its way into a tier.
#[derive(Debug, Clone, Copy)]
struct Ranked<'a> {
    policy: &'a Policy,
    standing: Standing,
    lifted: bool,
}

fn ranked<'a>(policies: &[(&'a Policy, Standing)], lifted: bool) -> Vec<Ranked<'a>> {
    policies
        .iter()
        .map(|(policy, standing)| Ranked {
            policy,
            standing: *standing,
            lifted,
        })
        .collect()
}

/// Tiers one behind the other become one: their policies in order, and behind each tier that denies at its end a Deny.
fn sequence<'a>(policies: &[Ranked<'a>], tier: TierWord, losses: &mut Losses) -> Vec<Placed<'a>> {
    let tiers: Vec<&[Ranked<'a>]> = policies
        .chunk_by(|a, b| a.policy.tier.is_same_tier(&b.policy.tier))
        .collect();
    for (at, group) in tiers.iter().enumerate() {
        for Ranked { policy, lifted, .. } in *group {
            // What passes out of `union` is not isolated by it, but is by an admin policy.
            let isolated = *lifted && policy.tier.end == TierEnd::DenyIfIsolated;
            // A Pass lifts the isolation of its own object, which two natively are.
            let pieces = policies.iter().filter(|other| other.policy.id == policy.id);
            let divided = policy.tier.end == TierEnd::DenyIfIsolated && pieces.count() > 1;
            if at + 1 < tiers.len() || isolated || divided {
                merged(policy, losses);
            }
        }
    }
    let mut placed = Vec::new();
    let keep = keeps_priorities(&tiers);
    let mut priority = 0;
    for group in tiers {
        let mut ends: Vec<Ranked<'a>> = Vec::new();
        for one in group {
            priority = match keep {
                true => whole(one.policy.order).unwrap_or(priority),
                false => priority + STEP,
            };
            placed.push(Placed {
                policy: one.policy,
                denies: None,
                place: Place::Tier {
                    tier,
                    priority,
                    lifted: one.lifted,
                },
                standing: one.standing,
                tier_end: false,
            });
            let denies = matches!(
                one.policy.tier.end,
                TierEnd::Deny | TierEnd::DenyUnlessIsolatedElsewhere
            );
            let known = ends.iter().any(|end| {
                end.policy.subject == one.policy.subject && end.standing == one.standing
            });
            if denies && !known {
                ends.push(*one);
            }
        }
        for end in ends {
            priority += STEP;
            placed.push(Placed {
                policy: end.policy,
                denies: None,
                place: Place::Tier {
                    tier,
                    priority,
                    lifted: end.lifted,
                },
                standing: end.standing,
                tier_end: true,
            });
        }
    }
    placed
}

/// Room between priorities, for whoever edits the file.
const STEP: i64 = 10;

/// Says what a tier loses that is no longer one of its own, because another stands behind it in the same.
fn merged(policy: &Policy, losses: &mut Losses) {
    if let Some(pass) = policy.rules.iter().find(|rule| rule.action == Action::Pass) {
        losses.note(
            codes::CONVERT_TIER,
            policy,
            &pass.origin,
            format!(
                "a Pass out of tier {} leaves the tiers behind it too, because they are one tier natively",
                policy.tier
            ),
        );
    }
    if policy.isolates && policy.tier.band == Band::Baseline {
        losses.note(
            codes::CONVERT_TIER,
            policy,
            &policy.origin,
            format!("tier {} isolates before the tiers behind it", policy.tier),
        );
    }
}

/// Whether the orders of the one tier there is can stay: whole numbers in the native range, each once.
fn keeps_priorities(tiers: &[&[Ranked<'_>]]) -> bool {
    let [group] = tiers else { return false };
    let orders: Option<BTreeSet<i64>> = group.iter().map(|one| whole(one.policy.order)).collect();
    let ends = group.iter().any(|one| {
        matches!(
            one.policy.tier.end,
            TierEnd::Deny | TierEnd::DenyUnlessIsolatedElsewhere
        )
    });
    !ends && orders.is_some_and(|orders| orders.len() == group.len())
}

/// The native priority that an order is.
fn whole(order: Order) -> Option<i64> {
    let Order(order) = order;
    // LIMIT: native priorities go up to a million.
    if !(0.0..=1_000_000.0).contains(&order) || order.fract() != 0.0 {
        return None;
    }
    order.to_string().parse().ok()
}
