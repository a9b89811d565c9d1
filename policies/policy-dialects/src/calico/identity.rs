//! Which objects are one object, however they are written.

use policy_model::ObjectRef;

use super::{GROUP, STORED_GROUP};
use crate::object::Object;

/// The tier of a policy that names none.
pub(super) const DEFAULT_TIER: &str = "default";

/// What an object of Calico's is to Calico; nothing for objects of others.
///
/// The two groups are two views of the same objects, and a policy of the tier `default` may be written with the tier before
/// its name or without.
pub(crate) fn identity_of(object: &Object<'_>) -> Option<ObjectRef> {
    if ![GROUP, STORED_GROUP].contains(&object.kind.group) {
        return None;
    }
    let identity = object.id.clone().in_group(GROUP);
    let name = match identity.name.strip_prefix("default.") {
        Some(name) if is_policy(&identity.kind) && tier_of(object) == DEFAULT_TIER => name.into(),
        Some(_) | None => return Some(identity),
    };
    Some(ObjectRef { name, ..identity })
}

fn is_policy(kind: &str) -> bool {
    matches!(
        kind,
        "NetworkPolicy"
            | "GlobalNetworkPolicy"
            | "StagedNetworkPolicy"
            | "StagedGlobalNetworkPolicy"
    )
}

/// The tier a policy says it is in.
fn tier_of<'d>(object: &Object<'d>) -> &'d str {
    object
        .node
        .get("spec")
        .and_then(|spec| spec.get_str("tier"))
        .filter(|tier| !tier.is_empty())
        .unwrap_or(DEFAULT_TIER)
}
