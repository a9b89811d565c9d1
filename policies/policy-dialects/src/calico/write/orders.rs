//! The orders of policies in a tier.

use policy_model::{Order, TierRef};

use super::draft::Draft;
use super::tiers::{self, Say, Tier};

/// What Calico gives to policies among which no order counts.
const ANY_ORDER: i64 = 1000;
/// Room between orders, for whoever edits the file.
const STEP: i64 = 100;

/// The order of each: one for all where none counts, their own where they stand as they do here, else new ones. Nothing is
/// behind every number.
pub(super) fn orders(tier: &Tier<'_>, drafts: &[Draft<'_>]) -> Vec<Option<i64>> {
    if tier.is_default() && drafts.iter().all(|draft| draft.is_unordered) {
        return vec![Some(ANY_ORDER); drafts.len()];
    }
    own(drafts).unwrap_or_else(|| {
        (1..)
            .map(|at: i64| Some(at * STEP))
            .take(drafts.len())
            .collect()
    })
}

/// The orders they have where they come from, if they all come from one tier and stand here as they do there.
fn own(drafts: &[Draft<'_>]) -> Option<Vec<Option<i64>>> {
    if !drafts.is_sorted_by(|a, b| a.policy.tier.is_same_tier(&b.policy.tier)) {
        return None;
    }
    let own = drafts.iter().map(|draft| match draft.policy.order {
        _ if draft.say != Say::Rules => None,
        // Nobody gave it one.
        _ if draft.policy.tier.is_same_tier(&TierRef::union()) => None,
        order if order == Order::LAST => Some(None),
        Order(order) => tiers::whole(order).map(Some),
    });
    let own: Vec<Option<i64>> = own.collect::<Option<_>>()?;
    let keys: Vec<(i64, String)> = own
        .iter()
        .zip(drafts)
        .map(|(order, draft)| (order.unwrap_or(i64::MAX), draft.tie()))
        .collect();
    keys.is_sorted_by(|a, b| a < b).then_some(own)
}
