//! Policies of one rank that decide differently: then their names decide, or nothing that is written anywhere.

use policy_model::{Diagnostic, ObjectRef, Order, Policy, Standing, TierRef};

use super::meeting::decide_differently;
use super::tell;
use crate::codes;

/// LIMIT: every two policies of a tier are held against each other; tiers with more in them are not looked through.
const MOST: usize = 500;

/// Where Calico places a NetworkPolicy among its own (libcalico-go, conversion of policies), and what it calls it there.
const NETWORK_POLICY_ORDER: Order = Order(1_000.0);
const NETWORK_POLICY_PREFIX: &str = "knp.default.";

pub(super) fn lint(policies: &[Policy], out: &mut Vec<Diagnostic>) {
    let mut ranked = ranked(policies);
    ranked.sort_by_cached_key(Ranked::tier_key);
    for tier in ranked.chunk_by(|a, b| a.tier_key() == b.tier_key()) {
        if tier.len() <= MOST {
            of_tier(tier, out);
        }
    }
}

fn of_tier(tier: &[Ranked<'_>], out: &mut Vec<Diagnostic>) {
    for (at, one) in tier.iter().enumerate() {
        let mut told_of = Vec::new();
        for other in &tier[..at] {
            let (first, second) = if one.key() < other.key() {
                (one, other)
            } else {
                (other, one)
            };
            let two_apis = are_two_apis(&one.policy.id, &other.policy.id);
            let tie = one.order == other.order;
            if !(tie || two_apis)
                || one.policy.id == other.policy.id
                || told_of.contains(&(&other.policy.id, two_apis))
                || !decide_differently(one.policy, other.policy)
            {
                continue;
            }
            told_of.push((&other.policy.id, two_apis));
            let (first, second) = (first.policy, second.policy);
            out.push(if two_apis {
                tell(
                    codes::CLUSTER_NETWORK_POLICY_TWO_APIS,
                    second,
                    &second.origin,
                    format!("`{}` decides some of this differently, and no text says which of the two APIs goes first", first.id),
                    "Egret goes by priority over both; move the older kind to ClusterNetworkPolicy",
                )
            } else {
                tell(
                    codes::ORDER_TIE,
                    second,
                    &second.origin,
                    format!("`{}` has the same rank in the tier {} and decides some of this differently: it goes first because of its name", first.id, first.tier.name),
                    "give one of them a lower number",
                )
            });
        }
    }
}

/// A policy with the rank it has beside the others.
struct Ranked<'a> {
    policy: &'a Policy,
    tier: TierRef,
    order: Order,
    tie: String,
}

impl Ranked<'_> {
    fn tier_key(&self) -> (TierRef, Standing) {
        (self.tier.clone(), self.policy.standing)
    }

    fn key(&self) -> (Order, &str, &ObjectRef) {
        (self.order, &self.tie, &self.policy.id)
    }
}

/// Every policy where it stands; NetworkPolicies stand in Calico's default tier where a policy of Calico does.
fn ranked(policies: &[Policy]) -> Vec<Ranked<'_>> {
    let calico = TierRef::calico_default();
    let calico = policies
        .iter()
        .map(|policy| &policy.tier)
        .find(|tier| tier.is_same_tier(&calico));
    policies
        .iter()
        .map(|policy| match calico {
            Some(tier) if is_network_policy(&policy.id) => {
                let ObjectRef {
                    kind,
                    namespace,
                    name,
                    ..
                } = &policy.id;
                let namespace = namespace.as_deref().unwrap_or_default();
                Ranked {
                    policy,
                    tier: tier.clone(),
                    order: NETWORK_POLICY_ORDER,
                    tie: format!("{NETWORK_POLICY_PREFIX}{name}/{namespace}/{kind}"),
                }
            }
            Some(_) | None => Ranked {
                policy,
                tier: policy.tier.clone(),
                order: policy.order,
                tie: policy.tie.to_string(),
            },
        })
        .collect()
}

fn is_network_policy(id: &ObjectRef) -> bool {
    &*id.group == "networking.k8s.io" && &*id.kind == "NetworkPolicy"
}

fn are_two_apis(one: &ObjectRef, other: &ObjectRef) -> bool {
    let is_new = |id: &ObjectRef| &*id.kind == "ClusterNetworkPolicy";
    let is_old = |id: &ObjectRef| {
        matches!(
            &*id.kind,
            "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy"
        )
    };
    is_new(one) && is_old(other) || is_old(one) && is_new(other)
}
