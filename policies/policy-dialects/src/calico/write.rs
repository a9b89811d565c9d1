//! From the model to `projectcalico.org/v3`.

mod draft;
mod endpoints;
mod expressions;
mod name_sets;
mod orders;
mod peers;
mod ports;
mod rule;
mod selectors;
mod tiers;
mod whom;

use policy_model::{Cluster, Order, Policy, StagedChange, Standing};

use crate::codes;
use crate::convert::{Losses, Names, moved, rank};
use crate::yaml::write::{Map, Written};

use draft::Drafter;
use name_sets::NameSets;
use tiers::Tier;

const API: &str = "projectcalico.org/v3";

/// Every policy as Calico's, in the order of the walk, with the tiers they stand in; before them the sets of names they mean.
pub(crate) fn objects(policies: &[Policy], cluster: &Cluster, losses: &mut Losses) -> Vec<Written> {
    let policies = moved(policies, losses);
    let mut sorted: Vec<&Policy> = policies
        .iter()
        .filter(|policy| stands(policy, &policies, losses))
        .collect();
    sorted.sort_by_key(|policy| rank(policy));
    let mut sets = NameSets::beside(&policies, cluster);
    let mut names = Names::default();
    let mut written = Vec::new();
    for tier in tiers::tiers(&sorted, losses) {
        let mut drafter = Drafter {
            tier: &tier,
            names: &mut names,
            sets: &mut sets,
            losses,
        };
        let drafts: Vec<_> = tier
            .items
            .iter()
            .flat_map(|item| drafter.drafts(item))
            .collect();
        let drafts = draft::joined(drafts);
        if drafts.is_empty() {
            continue;
        }
        written.extend(tier_object(&tier));
        let orders = orders::orders(&tier, &drafts);
        for (draft, order) in drafts.into_iter().zip(orders) {
            written.push(draft.object(&tier, order));
        }
    }
    let mut objects = sets.objects();
    objects.append(&mut written);
    objects
}

/// Whether it is written; staged, where it only adds.
fn stands(policy: &Policy, all: &[Policy], losses: &mut Losses) -> bool {
    let replaces = || {
        all.iter()
            .any(|other| other.id == policy.id && other.standing != policy.standing)
    };
    match policy.standing {
        Standing::Enforced | Standing::Audit => true,
        Standing::Staged(StagedChange::Set) if !replaces() => true,
        Standing::Staged(StagedChange::Delete) if !replaces() => false,
        Standing::Staged(_) => {
            losses.note(
                codes::CONVERT_STAGED,
                policy,
                &policy.origin,
                "a staged change of a policy in force is left out: that policy may become several objects",
            );
            false
        }
    }
}

fn tier_object(tier: &Tier<'_>) -> Option<Written> {
    if tier.is_default() {
        return None;
    }
    let order = tier.order.and_then(|Order(order)| tiers::whole(order));
    let action = if tier.denies { "Deny" } else { "Pass" };
    Some(Written {
        comments: Vec::new(),
        object: Map::new()
            .with("apiVersion", API)
            .with("kind", "Tier")
            .with("metadata", Map::new().with("name", tier.name.as_str()))
            .with(
                "spec",
                Map::new()
                    .with_some("order", order)
                    .with("defaultAction", action),
            ),
    })
}
