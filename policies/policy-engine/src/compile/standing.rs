use std::collections::BTreeSet;

use policy_model::{ObjectRef, Policy, StagedChange, Standing};

use crate::ruleset::Ruling;

/// The objects whose enforced policies a staged change replaces or removes, wherever the new ones select.
pub(crate) fn replaced<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> BTreeSet<ObjectRef> {
    policies
        .into_iter()
        .filter(|policy| matches!(policy.standing, Standing::Staged(_)))
        .map(|policy| policy.id.clone())
        .collect()
}

/// Whether a policy counts in a ruling.
pub(super) fn stands(policy: &Policy, ruling: Ruling, replaced: &BTreeSet<ObjectRef>) -> bool {
    match (ruling, policy.standing) {
        (Ruling::Enforced, Standing::Enforced) => true,
        (Ruling::Enforced, Standing::Audit | Standing::Staged(_)) => false,
        (Ruling::Proposed, Standing::Enforced) => !replaced.contains(&policy.id),
        (Ruling::Proposed, Standing::Audit | Standing::Staged(StagedChange::Set)) => true,
        (Ruling::Proposed, Standing::Staged(StagedChange::Delete)) => false,
    }
}
