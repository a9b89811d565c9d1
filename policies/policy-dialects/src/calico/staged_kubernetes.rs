//! `StagedKubernetesNetworkPolicy`: a change of a Kubernetes `NetworkPolicy`, written like one.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy_model::{
    DnsFilter, Expression, ObjectRef, Order, Policy, StagedChange, Standing, Subject, TierRef,
};

use super::v3::{StagedActionSpec, refuse_more_than_a_name, staged_action};
use crate::Context;
use crate::codes;
use crate::decode::{Fields, Findings};
use crate::network_policy::{NetworkPolicySpec, lower};
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::{Node, Shape, Typed};

/// The group of the policies it stages.
const STAGES: &str = "networking.k8s.io";

/// Reads one; nothing where it is refused or changes nothing.
pub(super) fn read(
    object: &Object<'_>,
    _surroundings: &Surroundings,
    context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let mark = findings.mark();
    let Some(node) = object.spec(findings) else {
        return Vec::new();
    };
    let Some(mut fields) = findings.fields(node) else {
        return Vec::new();
    };
    let Some(action) = staged_action(&mut fields, findings) else {
        return Vec::new();
    };
    let id = ObjectRef {
        kind: "NetworkPolicy".into(),
        ..object.id.clone().in_group(STAGES)
    };
    let staged = |policy, change| Policy {
        standing: Standing::Staged(change),
        ..policy
    };
    // It selects nobody, and takes the place of the policy it stages.
    let nothing = Policy {
        id: id.clone(),
        origin: findings.origin(node),
        tier: TierRef::union(),
        order: Order(0.0),
        tie: Arc::from(""),
        subject: Subject::Endpoints(Expression::Or(Vec::new())),
        isolates: false,
        standing: Standing::Enforced,
        deny_style: None,
        dns: DnsFilter::Untouched,
        rules: Vec::new(),
    };
    let policy = match action {
        StagedActionSpec::Delete => {
            refuse_more_than_a_name(node, findings);
            // What is left may still be of a type that the server refuses. It is not in force, so nothing is said of its meaning.
            let before = findings.mark();
            decode(node, &mut fields, findings);
            fields.finish(findings, codes::UNKNOWN_FIELD);
            findings.keep_refusals_since(before);
            staged(nothing, StagedChange::Delete)
        }
        StagedActionSpec::Set => {
            let spec = decode(node, &mut fields, findings);
            fields.finish(findings, codes::UNKNOWN_FIELD);
            let lowered = spec.and_then(|spec| lower(spec, node, &id, context, findings));
            staged(lowered.unwrap_or(nothing), StagedChange::Set)
        }
        StagedActionSpec::Learn | StagedActionSpec::Ignore => {
            // It changes nothing, and the server reads it all the same.
            decode(node, &mut fields, findings);
            fields.finish(findings, codes::UNKNOWN_FIELD);
            super::staged::report_idle(node, findings);
            return Vec::new();
        }
    };
    if findings.refused_since(mark) {
        return Vec::new();
    }
    vec![policy]
}

/// What the definition says of `policyTypes` the kind it stages does not.
fn decode<'d>(
    node: Node<'d>,
    fields: &mut Fields<'d>,
    findings: &mut Findings,
) -> Option<NetworkPolicySpec<'d>> {
    if let Some(types) = fields.take("policyTypes")
        && let Shape::Sequence(items) = types.shape()
    {
        if items.is_empty() {
            findings.report_help(
                codes::CALICO_TYPES,
                types,
                "`policyTypes` has at least one entry",
                "leave it out, or write [Ingress], [Egress] or both",
            );
        }
        let mut seen = BTreeSet::new();
        for item in items.iter() {
            if let Some(Typed::Str(word)) = item.typed()
                && !seen.insert(word)
            {
                findings.report(
                    codes::CALICO_TYPES,
                    item,
                    "a type is specified more than once",
                );
            }
        }
    }
    NetworkPolicySpec::decode_fields(node, fields, findings)
}
