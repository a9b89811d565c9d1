//! `projectcalico.org/v3` as written; `crd.projectcalico.org/v1` has the same shape.

mod entity;
mod ports;
mod rule;
mod selectors;

use crate::codes;
use crate::decode::{At, Fields, Findings};
use crate::yaml::{Node, Shape};

use super::selector::Selector;
use super::tier::number;

pub(super) use entity::EntitySpec;
pub(super) use ports::{PortSpec, protocol};
pub(super) use rule::{ActionSpec, IcmpSpec, IpVersion, RuleSpec};
pub(crate) use selectors::decode as decode_selector;

/// LIMIT: `maxItems` of `ingress` and `egress` in the CRDs.
const MAX_RULES: usize = 1024;

/// Which way the flows of a rule go, as seen from the selected endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

/// What sort of policy an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) global: bool,
    pub(super) staged: bool,
    /// In the group of Calico's own storage, whose objects no server of Calico's looks at before they are kept.
    pub(super) stored: bool,
}

/// `spec` of a policy.
#[derive(Debug)]
pub(super) struct PolicySpec<'d> {
    pub(super) node: Node<'d>,
    pub(super) tier: Option<At<'d, &'d str>>,
    pub(super) order: Option<At<'d, f64>>,
    pub(super) selector: Option<At<'d, Selector>>,
    pub(super) namespaces: Option<At<'d, Selector>>,
    pub(super) accounts: Option<At<'d, Selector>>,
    pub(super) types: Option<Vec<Direction>>,
    /// Where ingress rules stand; none: nothing there.
    pub(super) ingress: Option<Node<'d>>,
    pub(super) egress: Option<At<'d, Vec<RuleSpec<'d>>>>,
    pub(super) do_not_track: Option<Node<'d>>,
    pub(super) pre_dnat: Option<Node<'d>>,
    pub(super) apply_on_forward: Option<Node<'d>>,
    pub(super) staged_action: StagedActionSpec,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StagedActionSpec {
    Set,
    Delete,
    Learn,
    Ignore,
}

impl<'d> PolicySpec<'d> {
    /// Reads `spec`; nothing where it is not a mapping. Findings say what else is wrong.
    pub(super) fn decode(node: Node<'d>, sort: Sort, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let staged_action = if sort.staged {
            staged_action(&mut fields, findings)?
        } else {
            StagedActionSpec::Set
        };
        if sort.staged && staged_action == StagedActionSpec::Delete {
            refuse_more_than_a_name(node, findings);
        }
        let tier = fields
            .take("tier")
            .and_then(|node| findings.string(node))
            .filter(|tier| !tier.value.is_empty());
        let order = fields.take("order").and_then(|node| number(node, findings));
        let mut selector = |key| {
            fields
                .take(key)
                .and_then(|node| selectors::decode(node, findings))
        };
        let endpoints = selector("selector");
        let accounts = selector("serviceAccountSelector");
        let namespaces = sort.global.then(|| selector("namespaceSelector")).flatten();
        let mut flag = |key| {
            let node = sort.global.then(|| fields.take(key)).flatten()?;
            (findings.boolean(node) == Some(true)).then_some(node)
        };
        let do_not_track = flag("doNotTrack");
        let pre_dnat = flag("preDNAT");
        let apply_on_forward = flag("applyOnForward");
        let types = fields.take("types").map(|node| types(node, findings));
        if let Some(hints) = fields.take("performanceHints") {
            for hint in findings.list(hints).unwrap_or_default() {
                findings.word(hint, &[("AssumeNeededOnEveryNode", ())]);
            }
        }
        let mut rules = |key, direction| {
            fields.take(key).map(|node| At {
                value: rules(node, direction, sort, findings),
                node,
            })
        };
        let ingress = rules("ingress", Direction::Ingress).filter(|at| !at.value.is_empty());
        let egress = rules("egress", Direction::Egress);
        fields.finish(findings, codes::UNKNOWN_FIELD);
        let spec = Self {
            node,
            tier,
            order,
            selector: endpoints,
            namespaces,
            accounts,
            types,
            ingress: ingress.map(|at| at.node),
            egress,
            do_not_track,
            pre_dnat,
            apply_on_forward,
            staged_action,
        };
        spec.check_flags(findings);
        Some(spec)
    }

    /// What the CRD says of `doNotTrack`, `preDNAT` and `applyOnForward` together.
    fn check_flags(&self, findings: &mut Findings) {
        let code = codes::CALICO_FORWARD;
        if let (Some(node), Some(_)) = (self.pre_dnat, self.do_not_track) {
            findings.report(code, node, "preDNAT and doNotTrack cannot both be true");
        }
        if let Some(node) = self.pre_dnat {
            let egress = self.egress.as_ref().is_some_and(|at| !at.value.is_empty());
            if egress {
                findings.report(code, node, "a preDNAT policy cannot have any egress rules");
            }
            if self
                .types
                .as_ref()
                .is_some_and(|types| types.contains(&Direction::Egress))
            {
                findings.report(code, node, "a preDNAT policy cannot have the type Egress");
            }
        }
        if let (Some(node), None) = (self.pre_dnat.or(self.do_not_track), self.apply_on_forward) {
            findings.report_help(
                code,
                node,
                "applyOnForward must be true if either preDNAT or doNotTrack is true",
                "add `applyOnForward: true`",
            );
        }
    }
}

/// Reads a profile's rules, which are those of a policy.
pub(super) fn profile_rules<'d>(
    node: Node<'d>,
    stored: bool,
    findings: &mut Findings,
) -> Vec<RuleSpec<'d>> {
    let sort = Sort {
        global: true,
        staged: false,
        stored,
    };
    rules(node, Direction::Egress, sort, findings)
}

fn rules<'d>(
    node: Node<'d>,
    direction: Direction,
    sort: Sort,
    findings: &mut Findings,
) -> Vec<RuleSpec<'d>> {
    let items = findings.list(node).unwrap_or_default();
    if items.len() > MAX_RULES {
        findings.report(
            codes::CALICO_TOO_MANY,
            node,
            format!(
                "a policy has at most {MAX_RULES} rules each way, this one has {}",
                items.len()
            ),
        );
        return Vec::new();
    }
    items
        .into_iter()
        .filter_map(|item| RuleSpec::decode(item, direction, sort, findings))
        .collect()
}

fn types(node: Node<'_>, findings: &mut Findings) -> Vec<Direction> {
    const TYPES: &[(&str, Direction)] = &[
        ("Ingress", Direction::Ingress),
        ("Egress", Direction::Egress),
    ];
    let mut types = Vec::new();
    let items = findings.list(node).unwrap_or_default();
    if items.is_empty() {
        findings.report_help(
            codes::CALICO_TYPES,
            node,
            "`types` has at least one entry",
            "leave it out, or write [Ingress], [Egress] or both",
        );
    }
    for item in items {
        let Some(direction) = findings.word(item, TYPES) else {
            continue;
        };
        if types.contains(&direction.value) {
            findings.report(
                codes::CALICO_TYPES,
                item,
                "a type is specified more than once",
            );
        } else {
            types.push(direction.value);
        }
    }
    types
}

/// `stagedAction`; nothing where it is none.
pub(super) fn staged_action(
    fields: &mut Fields<'_>,
    findings: &mut Findings,
) -> Option<StagedActionSpec> {
    const ACTIONS: &[(&str, StagedActionSpec)] = &[
        ("Set", StagedActionSpec::Set),
        ("Delete", StagedActionSpec::Delete),
        ("Learn", StagedActionSpec::Learn),
        ("Ignore", StagedActionSpec::Ignore),
    ];
    match fields.take("stagedAction") {
        Some(node) => findings.word(node, ACTIONS).map(|action| action.value),
        None => Some(StagedActionSpec::Set),
    }
}

/// A staged policy that deletes says which policy, and nothing else.
pub(super) fn refuse_more_than_a_name(node: Node<'_>, findings: &mut Findings) {
    let Shape::Mapping(entries) = node.shape() else {
        return;
    };
    for entry in entries.iter() {
        let empty = match entry.value.shape() {
            Shape::Scalar(text, _) => entry.value.is_null() || text.is_empty() || text == "false",
            Shape::Sequence(items) => items.is_empty(),
            Shape::Mapping(entries) => entries.is_empty(),
        };
        if !empty && !["tier", "stagedAction"].contains(&entry.key) {
            findings.report_key(
                codes::CALICO_STAGED,
                entry,
                "a staged policy with `stagedAction: Delete` has no field but `tier`",
                Some("leave the field out".to_owned()),
            );
        }
    }
}
