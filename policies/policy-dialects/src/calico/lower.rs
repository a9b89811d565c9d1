//! From Calico's policies to the model.

mod peers;
mod ports;
mod rule;

use std::sync::Arc;

use policy_model::{
    AddressedSubject, Band, DnsFilter, Expression, ObjectRef, Order, Policy, Rule, StagedChange,
    Standing, Subject, TierEnd, TierRef,
};

use super::identity::DEFAULT_TIER;
use super::scope::{self, Selectors};
use super::staged::{self, Stage};
use super::v3::{Direction, PolicySpec, Sort};
use super::{Facts, GROUP, STORED_GROUP, last_applied, lints, tier};
use crate::Context;
use crate::codes;
use crate::decode::Findings;
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

pub(super) use rule::{Lowering, SourceCondition, entity, lower_rule};

/// Before every tier, on host endpoints: Calico judges untracked policies in the raw table.
const UNTRACKED_TIER: &str = "calico-untracked";

/// Reads a policy of any of the four kinds; nothing where it is refused or has no say over egress.
pub(super) fn read(
    object: &Object<'_>,
    surroundings: &Surroundings,
    _context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let mark = findings.mark();
    let facts = &surroundings.calico;
    let sort = Sort {
        global: object.id.namespace.is_none(),
        staged: object.id.kind.starts_with("Staged"),
        stored: object.kind.group == STORED_GROUP,
    };
    let Some(node) = object.spec(findings) else {
        return Vec::new();
    };
    let Some(spec) = PolicySpec::decode(node, sort, findings) else {
        return Vec::new();
    };
    let stage = staged::stage(object, &spec, sort, facts, findings);
    let tier = place(&spec, facts, findings);
    let allow_private = object.metadata.allows_private(findings);
    let (Some(tier), false) = (tier, findings.refused_since(mark)) else {
        return Vec::new();
    };
    let (id, standing) = match stage {
        Stage::InForce => (object.id.clone().in_group(GROUP), Standing::Enforced),
        Stage::Staged(id, change) => (id, Standing::Staged(change)),
        Stage::Idle => return Vec::new(),
    };
    let whole = Policy {
        tie: tie(object),
        origin: findings.origin(node),
        tier,
        order: spec.order.map_or(Order::LAST, |order| Order(order.value)),
        subject: Subject::All,
        isolates: false,
        standing,
        deny_style: None,
        // Calico filters no questions, and its names open no server.
        dns: DnsFilter::Untouched,
        rules: Vec::new(),
        id,
    };
    // What deletes says no more than which policy.
    if standing == Standing::Staged(StagedChange::Delete) {
        return vec![whole];
    }
    let egress = has_egress(&spec, object, findings);
    lints::policy(object, &spec, egress, findings);
    match egress {
        // What is staged replaces a policy even where it says nothing of egress itself.
        false if sort.staged => vec![Policy {
            subject: Subject::Endpoints(Expression::Or(Vec::new())),
            ..whole
        }],
        false => Vec::new(),
        true => {
            let subject = subject(&spec, &object.id);
            lints::subject(&subject, sort, spec.node, findings);
            let pruned = last_applied::rules_with_domains(object);
            let lowering = Lowering {
                namespace: object.id.namespace.as_ref(),
                allow_private,
                pruned: Some(&pruned),
                cluster: &surroundings.cluster,
            };
            by_source(&spec, subject, whole, lowering, findings)
        }
    }
}

/// The rules in order, as policies of one order: those with a condition on the source select fewer endpoints.
fn by_source(
    spec: &PolicySpec<'_>,
    subject: Expression,
    whole: Policy,
    lowering: Lowering<'_>,
    findings: &mut Findings,
) -> Vec<Policy> {
    let mut parts: Vec<(Option<SourceCondition>, Vec<Rule>)> = vec![(None, Vec::new())];
    let rules = spec.egress.iter().flat_map(|at| &at.value);
    for (index, rule) in (0..).zip(rules) {
        for (source, rule) in lower_rule(rule, index, lowering, findings) {
            match parts.last_mut() {
                Some((last, rules)) if *last == source => rules.push(rule),
                Some(_) | None => parts.push((source, vec![rule])),
            }
        }
    }
    // A tier takes part where a policy of it selects, whatever the rules' sources: so a part for every selected endpoint is
    // there, and only there may be none of its rules.
    parts
        .into_iter()
        .enumerate()
        .filter(|(place, (_, rules))| *place == 0 || !rules.is_empty())
        .map(|(_, (source, rules))| Policy {
            subject: narrowed(&subject, source),
            rules,
            ..whole.clone()
        })
        .collect()
}

fn narrowed(subject: &Expression, source: Option<SourceCondition>) -> Subject {
    let Some(SourceCondition {
        endpoints,
        nets,
        not_nets,
    }) = source
    else {
        return Subject::Endpoints(subject.clone());
    };
    let endpoints = match endpoints {
        Some(endpoints) => Expression::And(vec![subject.clone(), endpoints]),
        None => subject.clone(),
    };
    if nets.is_empty() && not_nets.is_empty() {
        return Subject::Endpoints(endpoints);
    }
    Subject::Addressed(AddressedSubject {
        endpoints,
        nets,
        not_nets,
    })
}

fn subject(spec: &PolicySpec<'_>, id: &ObjectRef) -> Expression {
    let selectors = Selectors {
        endpoints: spec.selector.as_ref().map(|at| &at.value),
        namespaces: spec.namespaces.as_ref().map(|at| &at.value),
        accounts: spec.accounts.as_ref().map(|at| &at.value),
        ..Selectors::default()
    };
    let selected = scope::subject(&selectors, id.namespace.as_ref());
    if spec.do_not_track.is_none() {
        return selected;
    }
    // Untracked policies are for host endpoints, which are in no namespace.
    Expression::And(vec![selected, lints::in_no_namespace()])
}

/// The place of its tier; a tier that is not among the facts is refused, as Calico's API server does.
fn place(spec: &PolicySpec<'_>, facts: &Facts, findings: &mut Findings) -> Option<TierRef> {
    if spec.do_not_track.is_some() {
        return Some(TierRef {
            band: Band::Admin,
            order: Order(f64::NEG_INFINITY),
            name: UNTRACKED_TIER.into(),
            end: TierEnd::Next,
        });
    }
    let name = spec.tier.map_or(DEFAULT_TIER, |tier| tier.value);
    let place = tier::place(name, facts);
    if place.is_none() {
        findings.report_help(
            codes::CALICO_TIER_MISSING,
            spec.tier.map_or(spec.node, |tier| tier.node),
            format!("there is no Tier `{name}`, so the policy has no place among the others"),
            "add the Tier object to the policies; its `order` and `defaultAction` decide",
        );
    }
    place
}

/// Whether the policy has a say over egress.
///
/// Without `types`, the API server says so by the rules there are; where Calico's store is written past it, felix takes both.
fn has_egress(spec: &PolicySpec<'_>, object: &Object<'_>, findings: &mut Findings) -> bool {
    let egress: Option<Node<'_>> = spec
        .egress
        .as_ref()
        .filter(|at| !at.value.is_empty())
        .map(|at| at.node);
    match &spec.types {
        Some(types) => {
            let governs = types.contains(&Direction::Egress);
            if let (false, Some(node)) = (governs, egress) {
                findings.report_help(
                    codes::CALICO_EGRESS_WITHOUT_TYPE,
                    node,
                    "the egress rules have no effect: `types` does not name Egress",
                    "add Egress to `types`",
                );
            }
            governs
        }
        None if object.kind.group == STORED_GROUP => {
            findings.report_help(
                codes::CALICO_NOT_DEFAULTED,
                spec.node,
                "nothing is defaulted in `crd.projectcalico.org/v1`: without `types` the policy denies both ways what its rules do not allow",
                "write `types`, or use `projectcalico.org/v3`",
            );
            true
        }
        None => egress.is_some(),
    }
}

/// What equal orders go by: one string, so that `a.b` and `a-b` come before `a`.
fn tie(object: &Object<'_>) -> Arc<str> {
    let ObjectRef {
        kind,
        namespace,
        name,
        group: _,
    } = &object.id;
    let namespace = namespace.as_deref().unwrap_or_default();
    format!("{name}/{namespace}/{kind}").into()
}
