//! Profiles: what holds where no tier decided. Every pod has its namespace's, which allows all.

use std::sync::Arc;

use policy_model::{Action, Labels, Ports, Rule};

use super::STORED_GROUP;
use super::lower::{Lowering, lower_rule};
use super::v3::profile_rules;
use crate::Context;
use crate::codes;
use crate::decode::Findings;
use crate::kubernetes::labels_of;
use crate::object::Object;
use crate::surroundings::Surroundings;

/// The profile that allows all, which is always there.
pub(super) const DEFAULT_ALLOW: &str = "projectcalico-default-allow";
/// What Calico makes of namespaces and accounts begins so.
const MADE_BY_CALICO: &[&str] = &["kns.", "ksa."];

#[derive(Debug, Default)]
pub(super) struct Profile {
    /// Given to the endpoints that have it.
    pub(super) labels: Labels,
    pub(super) egress: Vec<Rule>,
}

/// Reads a `Profile`.
pub(super) fn read(
    object: &Object<'_>,
    _context: &Context,
    surroundings: &mut Surroundings,
    findings: &mut Findings,
) {
    let mark = findings.mark();
    let Some(spec) = object.spec(findings) else {
        return;
    };
    let Some(mut fields) = findings.fields(spec) else {
        return;
    };
    let labels = fields
        .take("labelsToApply")
        .map_or_else(Labels::new, |node| labels_of(node, findings));
    let egress = fields.take("egress");
    let specs = egress.map_or_else(Vec::new, |node| {
        profile_rules(node, object.kind.group == STORED_GROUP, findings)
    });
    // Ingress is not held by Egret, and no policy depends on it.
    fields.take("ingress");
    fields.finish(findings, codes::UNKNOWN_FIELD);
    if findings.refused_since(mark) {
        return;
    }
    let made = MADE_BY_CALICO
        .iter()
        .any(|prefix| object.id.name.starts_with(prefix));
    if let Some(egress) = egress.filter(|_| !made) {
        findings.report_help(
            codes::CALICO_PROFILE,
            egress,
            "rules of profiles are deprecated; they hold for the host endpoints that name the profile, behind every tier",
            "write a GlobalNetworkPolicy",
        );
    }
    let lowering = Lowering {
        namespace: None,
        allow_private: false,
        pruned: None,
        cluster: &surroundings.cluster,
    };
    let egress = (0..)
        .zip(&specs)
        .flat_map(|(index, spec)| {
            let parts = lower_rule(spec, index, lowering, findings);
            // Of one rule something is said once.
            let has_source = parts.iter().any(|(source, _)| source.is_some());
            let first = parts.into_iter().next();
            first.map(|(_, rule)| in_a_profile(rule, has_source, findings))
        })
        .collect();
    surroundings
        .calico
        .profiles
        .insert(Arc::clone(&object.id.name), Profile { labels, egress });
}

/// A Pass leads nowhere behind a profile, so it denies; and a condition on the source is not held there.
fn in_a_profile(rule: Rule, has_source: bool, findings: &mut Findings) -> Rule {
    let closed = has_source.then(|| {
        findings.report_origin(
            codes::CALICO_PROFILE_SOURCE,
            rule.origin.clone(),
            "a profile's rule with a condition on the source is not held",
            "write a GlobalNetworkPolicy",
        );
        codes::CALICO_PROFILE_SOURCE.id
    });
    Rule {
        action: match rule.action {
            Action::Pass => Action::Deny,
            other @ (Action::Allow | Action::Deny | Action::Log) => other,
        },
        closed: rule.closed.or(closed),
        ..rule
    }
}

/// The rule of [`DEFAULT_ALLOW`].
pub(super) fn allow_all(origin: policy_model::Origin) -> Rule {
    Rule {
        ports: Ports::Any,
        name: Some(DEFAULT_ALLOW.into()),
        ..Rule::new(0, Action::Allow, origin)
    }
}
