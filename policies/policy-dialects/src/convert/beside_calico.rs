//! NetworkPolicies beside Calico's policies: Calico judges them in its own default tier.

use policy_model::{Action, Order, Policy, TierRef};

use crate::codes;
use crate::convert::Losses;

/// Where Calico puts them among its own.
const ORDER: Order = Order(1000.0);

/// The policies as they are walked where Calico has policies in its default tier.
pub(crate) fn moved(policies: &[Policy], losses: &mut Losses) -> Vec<Policy> {
    let mut policies = policies.to_vec();
    let calico = policies
        .iter()
        .find(|policy| policy.tier.is_same_tier(&TierRef::calico_default()))
        .map(|policy| policy.tier.clone());
    let Some(tier) = calico else { return policies };
    let is_moved = |policy: &Policy| {
        &*policy.id.kind == "NetworkPolicy" && policy.tier.is_same_tier(&TierRef::union())
    };
    let others = policies
        .iter()
        .any(|policy| policy.tier.is_same_tier(&TierRef::union()) && !is_moved(policy));
    for policy in policies.iter_mut().filter(|policy| is_moved(policy)) {
        let only_allows = policy
            .rules
            .iter()
            .all(|rule| matches!(rule.action, Action::Allow | Action::Log));
        if others || !policy.isolates || !only_allows {
            losses.note(
                codes::CONVERT_TIER,
                policy,
                &policy.origin,
                "where no policy of Calico's selects the workload, it stands among the policies of other dialects; here it stands before them",
            );
        }
        let namespace = policy.id.namespace.as_deref().unwrap_or_default();
        let name = format!("knp.default.{}", policy.id.name);
        policy.tie = format!("{name}/{namespace}/NetworkPolicy").into();
        policy.order = ORDER;
        policy.tier = tier.clone();
    }
    policies
}
