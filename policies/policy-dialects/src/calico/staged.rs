//! Staged policies: a change that is shown and not made.

use policy_model::{ObjectRef, StagedChange};

use super::identity::identity_of;
use super::v3::{PolicySpec, Sort, StagedActionSpec};
use super::{Facts, GROUP};
use crate::codes;
use crate::decode::Findings;
use crate::object::Object;
use crate::yaml::Node;

/// Whether a policy is in force.
pub(super) enum Stage {
    InForce,
    /// A change of that policy.
    Staged(ObjectRef, StagedChange),
    /// Neither, and no change either.
    Idle,
}

pub(super) fn stage(
    object: &Object<'_>,
    spec: &PolicySpec<'_>,
    sort: Sort,
    facts: &Facts,
    findings: &mut Findings,
) -> Stage {
    if !sort.staged {
        return Stage::InForce;
    }
    let change = match spec.staged_action {
        StagedActionSpec::Set => StagedChange::Set,
        StagedActionSpec::Delete => StagedChange::Delete,
        StagedActionSpec::Learn | StagedActionSpec::Ignore => {
            report_idle(spec.node, findings);
            return Stage::Idle;
        }
    };
    let target = target(object);
    // The policy it stages may write the tier before its name where this one does not.
    let id = facts.as_written(&target);
    if change == StagedChange::Delete && id.is_none() {
        findings.report_help(
            codes::CALICO_STAGED_MISSING,
            object.metadata.name.node,
            format!("there is no {} `{}` to delete", target.kind, target.name),
            "give it the name of the policy that is to go",
        );
    }
    let as_staged = || ObjectRef {
        name: object.id.name.clone(),
        ..target.clone()
    };
    Stage::Staged(id.unwrap_or_else(as_staged), change)
}

/// Says of a `spec` that it changes nothing.
pub(super) fn report_idle(spec: Node<'_>, findings: &mut Findings) {
    findings.report_help(
        codes::CALICO_STAGED_IDLE,
        spec.get("stagedAction").unwrap_or(spec),
        "a staged policy that learns or is ignored changes nothing, so it is not in the proposed ruling",
        "write `stagedAction: Set` to see what it would do",
    );
}

/// The policy an object stages.
fn target(object: &Object<'_>) -> ObjectRef {
    let identity = identity_of(object).unwrap_or_else(|| object.id.clone().in_group(GROUP));
    let kind = identity
        .kind
        .strip_prefix("Staged")
        .unwrap_or(&identity.kind)
        .into();
    ObjectRef { kind, ..identity }
}
