//! Which tiers of Calico's the policies stand in, and what happens at the end of each.
//!
//! The namespace band is one tier, `default`; every other tier is one of its own. What denies only some at its end is said by
//! policies behind all others, and so is what passes only some.

use std::collections::BTreeSet;

use policy_model::{Band, Order, Policy, Standing, TierEnd};

use crate::calico::identity::DEFAULT_TIER;
use crate::codes;
use crate::convert::{Losses, subjects_meet};

/// Where the tier `default` stands.
const DEFAULT_ORDER: f64 = 1_000_000.0;
/// Room between orders, for whoever edits the file.
const STEP: f64 = 100.0;

/// A tier and what stands in it, in order.
#[derive(Debug)]
pub(super) struct Tier<'a> {
    pub(super) name: String,
    /// Nothing: behind every number.
    pub(super) order: Option<Order>,
    /// What no policy of it decides is denied to those it selects.
    pub(super) denies: bool,
    pub(super) items: Vec<Item<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) policy: &'a Policy,
    pub(super) say: Say,
    /// A Pass would leave more than it may.
    pub(super) pass_denies: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    /// The policy's own rules.
    Rules,
    /// For whom it selects, everything is denied.
    Deny,
    /// Or left to the next tier.
    Pass,
}

impl Tier<'_> {
    pub(super) fn is_default(&self) -> bool {
        self.name == DEFAULT_TIER
    }
}

/// The tiers in the order of the walk.
pub(super) fn tiers<'a>(sorted: &[&'a Policy], losses: &mut Losses) -> Vec<Tier<'a>> {
    let of = |bands: [Band; 2]| -> Vec<&'a Policy> {
        let of = |policy: &&&Policy| bands.contains(&policy.tier.band);
        sorted.iter().filter(of).copied().collect()
    };
    let isolating = |policies: &[&'a Policy]| -> Vec<&'a Policy> {
        let isolates = |policy: &&&Policy| policy.isolates && !denies_at_end(policy);
        policies.iter().filter(isolates).copied().collect()
    };
    let (admin, namespace, baseline) = (
        of([Band::Guard, Band::Admin]),
        of([Band::Namespace; 2]),
        of([Band::Baseline, Band::Default]),
    );
    let by_tier = |policies: &[&'a Policy]| -> Vec<Vec<&'a Policy>> {
        policies
            .chunk_by(|a, b| a.tier.is_same_tier(&b.tier))
            .map(<[&Policy]>::to_vec)
            .collect()
    };
    let mut names = Names::default();
    let mut tiers = own_tiers(&by_tier(&admin), &[], &mut names);
    place(&mut tiers, 0.0, |order| order < DEFAULT_ORDER);
    let mut isolated = isolating(&admin);
    isolated.extend(isolating(&namespace));
    let items = default_items(&by_tier(&namespace), &isolated, losses);
    if !items.is_empty() {
        tiers.push(Tier {
            name: DEFAULT_TIER.to_owned(),
            order: Some(Order(DEFAULT_ORDER)),
            denies: true,
            items,
        });
    }
    let mut behind = own_tiers(&by_tier(&baseline), &isolating(&baseline), &mut names);
    place(&mut behind, DEFAULT_ORDER, |order| order > DEFAULT_ORDER);
    tiers.append(&mut behind);
    tiers
}

/// Tiers that stay tiers. Who is isolated is so at the end of the last of them.
fn own_tiers<'a>(
    groups: &[Vec<&'a Policy>],
    isolating: &[&'a Policy],
    names: &mut Names,
) -> Vec<Tier<'a>> {
    let mut tiers = Vec::new();
    let isolates_here = |policy: &Policy| policy.tier.end == TierEnd::DenyIfIsolated;
    let last = groups
        .iter()
        .rposition(|group| group.iter().any(|policy| isolates_here(policy)))
        .or_else(|| groups.len().checked_sub(1));
    for (at, group) in groups.iter().enumerate() {
        let ends_here = last == Some(at);
        let mut items: Vec<Item<'a>> = group
            .iter()
            .map(|policy| Item {
                policy,
                say: Say::Rules,
                pass_denies: ends_here && meets_other(policy, isolating),
            })
            .collect();
        let stops = |policy: &Policy| {
            denies_at_end(policy) || ends_here && isolates_here(policy) && policy.isolates
        };
        let denies = group.iter().all(|policy| stops(policy));
        if !denies {
            let ends = group.iter().filter(|policy| denies_at_end(policy));
            let isolated = isolating.iter().filter(|_| ends_here);
            items.extend(
                ends.chain(isolated)
                    .map(|policy| Item::end(policy, Say::Deny)),
            );
        }
        tiers.push(Tier {
            name: names.take(group),
            order: group.first().map(|policy| policy.tier.order),
            denies,
            items,
        });
    }
    tiers
}

/// The namespace band, one tier behind the other in `default`.
fn default_items<'a>(
    groups: &[Vec<&'a Policy>],
    isolating: &[&'a Policy],
    losses: &mut Losses,
) -> Vec<Item<'a>> {
    // Whoever is isolated as a whole has nothing left to pass on.
    let isolated = |policy: &Policy| {
        let mut others = groups.iter().flatten().chain(isolating);
        others.any(|other| {
            (denies_at_end(other) || other.isolates)
                && other.standing == Standing::Enforced
                && other.subject == policy.subject
        })
    };
    let passes =
        |policy: &&&'a Policy| !denies_at_end(policy) && !policy.isolates && !isolated(policy);
    let passing: Vec<&'a Policy> = groups.iter().flatten().filter(passes).copied().collect();
    let mut items = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        let is_last = at + 1 == groups.len();
        items.extend(group.iter().map(|policy| Item {
            policy,
            say: Say::Rules,
            pass_denies: !is_last || meets_other(policy, isolating),
        }));
        let ends = group.iter().filter(|policy| denies_at_end(policy));
        for policy in ends.filter(|_| !is_last || !passing.is_empty()) {
            let leaves = policy.tier.end == TierEnd::DenyUnlessIsolatedElsewhere
                && isolating
                    .iter()
                    .any(|other| subjects_meet(&other.subject, &policy.subject));
            if leaves && !is_last {
                losses.note(
                    codes::CONVERT_NARROWER,
                    policy,
                    &policy.origin,
                    "its tier leaves undecided flows to policies of other dialects that isolate; here it denies them",
                );
            }
            items.push(Item::end(policy, Say::Deny));
        }
    }
    for policy in isolating {
        let here = policy.tier.band == Band::Namespace;
        if !here || !passing.is_empty() {
            items.push(Item::end(policy, Say::Deny));
        }
    }
    items.extend(passing.iter().map(|policy| Item::end(policy, Say::Pass)));
    items
}

impl<'a> Item<'a> {
    const fn end(policy: &'a Policy, say: Say) -> Self {
        Self {
            policy,
            say,
            pass_denies: false,
        }
    }
}

fn denies_at_end(policy: &Policy) -> bool {
    matches!(
        policy.tier.end,
        TierEnd::Deny | TierEnd::DenyUnlessIsolatedElsewhere
    )
}

/// Whether isolation holds behind a Pass, which lifts that of its own object, and where it stands itself.
fn meets_other(policy: &Policy, isolating: &[&Policy]) -> bool {
    let lifted =
        |other: &Policy| other.id == policy.id && policy.tier.end == TierEnd::DenyIfIsolated;
    isolating
        .iter()
        .any(|other| !lifted(other) && subjects_meet(&other.subject, &policy.subject))
}

/// Keeps the orders of tiers where they can stay, else gives them others.
fn place(tiers: &mut [Tier<'_>], behind: f64, fits: impl Fn(f64) -> bool) {
    let keep = tiers.iter().all(|tier| {
        tier.order.is_some_and(|Order(order)| {
            fits(order) && (whole(order).is_some() || order == f64::MAX)
        })
    });
    let keep =
        keep && tiers.is_sorted_by(|a, b| (a.order, a.name.as_str()) < (b.order, b.name.as_str()));
    let mut next = behind;
    for tier in tiers {
        if keep {
            tier.order = tier.order.filter(|Order(order)| *order != f64::MAX);
        } else {
            next += STEP;
            tier.order = Some(Order(next));
        }
    }
}

/// An order that is a whole number, as text has it.
pub(super) fn whole(order: f64) -> Option<i64> {
    // LIMIT: beyond these a float is no exact whole number.
    if order.fract() != 0.0 || order.abs() > 9_007_199_254_740_992.0 {
        return None;
    }
    format!("{order:.0}").parse().ok()
}

/// Names of tiers, each once.
#[derive(Debug, Default)]
struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    fn take(&mut self, group: &[&Policy]) -> String {
        let name: &str = group.first().map_or("", |policy| &policy.tier.name);
        // Those are Calico's own, or no tier of Calico's at all.
        let name = match name {
            "kube-admin" => "admin".to_owned(),
            "kube-baseline" | DEFAULT_TIER => "baseline".to_owned(),
            other => other.replace('.', "-"),
        };
        let mut free = name.clone();
        let mut number = 1;
        while !self.taken.insert(free.clone()) {
            number += 1;
            free = format!("{name}-{number}");
        }
        free
    }
}
