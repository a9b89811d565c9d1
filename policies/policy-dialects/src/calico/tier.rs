use std::sync::Arc;

use policy_model::{Band, Order, TierEnd, TierRef};

use super::Facts;
use super::identity::DEFAULT_TIER;
use crate::Context;
use crate::codes;
use crate::decode::{At, Findings};
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::{Node, Typed};

/// Where the tier `default` stands; what is before it is of the admin band, what is behind it of the baseline band.
const DEFAULT_ORDER: f64 = 1_000_000.0;
/// Tiers that are always there, with their order and what happens at their end.
const FIXED: &[(&str, f64, DefaultAction)] = &[
    (KUBE_ADMIN, 1_000.0, DefaultAction::Pass),
    (DEFAULT_TIER, DEFAULT_ORDER, DefaultAction::Deny),
    (KUBE_BASELINE, 10_000_000.0, DefaultAction::Pass),
];
const KUBE_ADMIN: &str = "kube-admin";
const KUBE_BASELINE: &str = "kube-baseline";
/// LIMIT: a tier's name is a label's value where Calico keeps it.
const MAX_NAME: usize = 63;

/// A tier as an object says it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tier {
    order: Option<f64>,
    default_action: DefaultAction,
}

/// What happens to a flow that policies of the tier select and none decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DefaultAction {
    Deny,
    Pass,
}

/// Reads a `Tier`.
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
    let order = fields.take("order").and_then(|node| number(node, findings));
    let action = fields.take("defaultAction").and_then(|node| {
        findings.word(
            node,
            &[("Deny", DefaultAction::Deny), ("Pass", DefaultAction::Pass)],
        )
    });
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let tier = Tier {
        order: order.map(|order| order.value),
        default_action: action.map_or(DefaultAction::Deny, |action| action.value),
    };
    let name = object.metadata.name;
    if name.value.contains('.') || name.value.len() > MAX_NAME {
        findings.report(
            codes::CALICO_TIER,
            name.node,
            format!("a tier's name has no dots and at most {MAX_NAME} characters"),
        );
    }
    if let Some((_, order, action)) = FIXED.iter().find(|(fixed, ..)| *fixed == name.value) {
        let expected = Tier {
            order: Some(*order),
            default_action: *action,
        };
        if tier != expected {
            findings.report(
                codes::CALICO_TIER,
                spec,
                format!(
                    "the tier `{}` has order {order} and default action {action:?}, and no others",
                    name.value
                ),
            );
        }
    }
    if !findings.refused_since(mark) {
        surroundings
            .calico
            .tiers
            .insert(Arc::clone(&object.id.name), tier);
    }
}

/// The place of the tier `name`; nothing where it is not among the facts.
pub(super) fn place(name: &str, facts: &Facts) -> Option<TierRef> {
    match name {
        DEFAULT_TIER => return Some(TierRef::calico_default()),
        KUBE_ADMIN => return Some(TierRef::kube_admin()),
        KUBE_BASELINE => return Some(TierRef::kube_baseline()),
        _ => {}
    }
    let Tier {
        order,
        default_action,
    } = *facts.tiers.get(name)?;
    // An order nobody gave is behind every number, and before what Egret adds behind all tiers.
    let order = order.unwrap_or(f64::MAX);
    let before_default = (Order(order), name) < (Order(DEFAULT_ORDER), DEFAULT_TIER);
    Some(TierRef {
        band: if before_default {
            Band::Admin
        } else {
            Band::Baseline
        },
        order: Order(order),
        name: name.into(),
        end: match default_action {
            DefaultAction::Deny => TierEnd::Deny,
            DefaultAction::Pass => TierEnd::Next,
        },
    })
}

/// A finite number: an `order`.
pub(super) fn number<'d>(node: Node<'d>, findings: &mut Findings) -> Option<At<'d, f64>> {
    let value = match node.typed() {
        Some(Typed::Int(value)) => value as f64,
        Some(Typed::Float(value)) if value.is_finite() => value,
        Some(Typed::Float(_)) => {
            findings.report(codes::WRONG_TYPE, node, "not a finite number");
            return None;
        }
        None | Some(Typed::Null | Typed::Bool(_) | Typed::Str(_)) => {
            findings.wrong_type(node, "a number");
            return None;
        }
    };
    Some(At { value, node })
}
