//! Lints over lowered policies, the same for every dialect.

mod guards;
mod names;
mod unreachable;

use policy_model::Policy;

use crate::decode::Findings;

/// Says what may surprise in the policies of one object.
pub(crate) fn lint(policies: &[Policy], findings: &mut Findings) {
    for policy in policies {
        guards::lint(policy, findings);
        names::lint(policy, findings);
    }
    unreachable::lint(policies, findings);
}
