//! Where each policy stands in the walk of one ruling.
use std::borrow::Cow;
use std::sync::Arc;

use policy_model::{Band, ObjectRef, Order, Policy, TierRef};

/// The order that a `NetworkPolicy` has among Calico's policies (libcalico-go, conversion of policies).
const NETWORK_POLICY_ORDER: f64 = 1_000.0;
/// The name that Calico gives it, which ties go by.
const NETWORK_POLICY_PREFIX: &str = "knp.default.";

/// A policy in a ruling.
pub(super) struct Placed<'a> {
    /// With the tier and order it has there.
    pub(super) policy: Cow<'a, Policy>,
    /// The number of its first rule.
    pub(super) first_rule: usize,
}

/// The order of the walk: tier, then rank in it, then the object.
pub(super) fn rank(policy: &Policy) -> (Band, Order, Arc<str>, Order, Arc<str>, ObjectRef) {
    let TierRef {
        band,
        order,
        name,
        end: _,
    } = policy.tier.clone();
    let tie = Arc::clone(&policy.tie);
    (band, order, name, policy.order, tie, policy.id.clone())
}

/// The policies that stand in a ruling, in the order of its walk.
///
/// Where one of Calico's default tier is among them, `NetworkPolicies` stand there too, as Calico places them; else they
/// stand in `union`.
pub(super) fn placed(
    policies: &[Arc<Policy>],
    stands: impl Fn(&Policy) -> bool,
) -> Vec<Placed<'_>> {
    let mut first_rule = 0;
    let mut placed = Vec::new();
    for policy in policies {
        if stands(policy) {
            placed.push(Placed {
                policy: Cow::Borrowed(policy),
                first_rule,
            });
        }
        first_rule += policy.rules.len();
    }
    let calico_default = TierRef::calico_default();
    let tier = placed
        .iter()
        .map(|placed| &placed.policy.tier)
        .find(|tier| tier.is_same_tier(&calico_default))
        .cloned();
    if let Some(tier) = tier {
        for Placed { policy, .. } in &mut placed {
            if is_network_policy(policy) {
                let joining = policy.to_mut();
                joining.tier = tier.clone();
                joining.order = Order(NETWORK_POLICY_ORDER);
                joining.tie = calico_tie(&joining.id);
            }
        }
        placed.sort_by_key(|placed| rank(&placed.policy));
    }
    placed
}

fn is_network_policy(policy: &Policy) -> bool {
    &*policy.id.kind == "NetworkPolicy" && policy.tier.is_same_tier(&TierRef::union())
}

fn calico_tie(id: &ObjectRef) -> Arc<str> {
    let namespace = id.namespace.as_deref().unwrap_or_default();
    format!("{NETWORK_POLICY_PREFIX}{}/{namespace}/{}", id.name, id.kind).into()
}
