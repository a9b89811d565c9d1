//! `egret.dev/v1alpha1` as written.

mod endpoints;
pub(super) mod limits;
mod peer;
mod ports;
mod rule;
mod service;
mod subject;

use crate::codes;
use crate::decode::{At, Findings, Unknown};
use crate::yaml::Node;

pub(crate) use peer::{PeerKindSpec, PeerSpec, PodsSpec};
pub(crate) use ports::{PortRangeSpec, PortSpec};
pub(crate) use rule::{ActionSpec, RuleSpec};
pub(crate) use service::{ServiceSpec, WhichSpec};
pub(crate) use subject::{NetworkSpec, SubjectSpec};

/// LIMIT: priorities are small numbers; this keeps them apart from the orders of other dialects' tiers.
const MAX_PRIORITY: i64 = 1_000_000;

/// `spec` of both kinds; what belongs to one of them only is checked on lowering.
#[derive(Debug)]
pub(crate) struct EgressPolicySpec<'d> {
    pub(crate) tier: Option<At<'d, TierSpec>>,
    pub(crate) priority: Option<At<'d, i64>>,
    pub(crate) mode: Option<ModeSpec>,
    pub(crate) subject: Option<SubjectSpec<'d>>,
    pub(crate) default_deny: Option<bool>,
    pub(crate) dns_filter: Option<bool>,
    /// Whether its names open the known resolvers.
    pub(crate) dns_resolvers: Option<bool>,
    pub(crate) deny: Option<DenySpec>,
    pub(crate) egress: Vec<RuleSpec<'d>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TierSpec {
    Admin,
    Baseline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModeSpec {
    Enforce,
    Audit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DenySpec {
    Reject,
    Drop,
}

impl<'d> EgressPolicySpec<'d> {
    /// Reads `spec`; nothing where it is not a mapping. Findings say what else is wrong.
    pub(crate) fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let tier = fields.take("tier").and_then(|node| {
            findings.word(
                node,
                &[("admin", TierSpec::Admin), ("baseline", TierSpec::Baseline)],
            )
        });
        let priority = fields
            .take("priority")
            .and_then(|node| bounded(node, 0, MAX_PRIORITY, findings));
        let mode = fields
            .take("mode")
            .and_then(|node| {
                findings.word(
                    node,
                    &[("enforce", ModeSpec::Enforce), ("audit", ModeSpec::Audit)],
                )
            })
            .map(|mode| mode.value);
        let subject = fields
            .take("subject")
            .and_then(|node| SubjectSpec::decode(node, findings));
        let default_deny = fields
            .take("defaultDeny")
            .and_then(|node| findings.boolean(node));
        let (dns_filter, dns_resolvers) = fields
            .take("dns")
            .map_or((None, None), |node| dns(node, findings));
        let deny = fields
            .take("deny")
            .and_then(|node| {
                findings.word(
                    node,
                    &[("reject", DenySpec::Reject), ("drop", DenySpec::Drop)],
                )
            })
            .map(|deny| deny.value);
        let mut egress = Vec::new();
        if let Some(node) = fields.take("egress") {
            for item in limits::list(node, limits::RULES, findings).unwrap_or_default() {
                egress.extend(RuleSpec::decode(item, findings));
            }
        }
        fields.finish(findings, codes::UNKNOWN_FIELD);
        Some(Self {
            tier,
            priority,
            mode,
            subject,
            default_deny,
            dns_filter,
            dns_resolvers,
            deny,
            egress,
        })
    }
}

/// `dns: {filter: …, resolvers: …}`
fn dns(node: Node<'_>, findings: &mut Findings) -> (Option<bool>, Option<bool>) {
    let Some(mut fields) = findings.fields(node) else {
        return (None, None);
    };
    let filter = fields
        .take("filter")
        .and_then(|node| findings.boolean(node));
    let resolvers = fields.take("resolvers");
    let opens = resolvers.and_then(|node| findings.boolean(node));
    fields.finish(findings, codes::UNKNOWN_FIELD);
    if let (Some(true), Some(false), Some(node)) = (filter, opens, resolvers) {
        findings.report_help(
            codes::NATIVE_DNS,
            node,
            "names cannot be filtered by a policy that leaves the resolvers alone",
            "write `filter: false`, or leave `resolvers` out",
        );
    }
    (filter, opens)
}

/// Reads `spec.members` of an `EgressSet`.
pub(crate) fn decode_members<'d>(node: Node<'d>, findings: &mut Findings) -> Vec<PeerSpec<'d>> {
    let Some(mut fields) = findings.fields(node) else {
        return Vec::new();
    };
    let members = fields.take("members");
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let Some(members) = members else {
        findings.report(codes::MISSING_FIELD, node, "`members` is missing");
        return Vec::new();
    };
    let items = limits::list(members, limits::MEMBERS, findings).unwrap_or_default();
    items
        .into_iter()
        .filter_map(|item| {
            let mut unknown = Unknown::None;
            let member = PeerSpec::decode(item, findings, &mut unknown)?;
            if unknown == Unknown::Some {
                // A rule would be closed for it; a set has no other rule to fall back on.
                findings.report(
                    codes::UNKNOWN_FIELD,
                    item,
                    "a member with an unknown field could mean more or less than it says",
                );
            }
            Some(member)
        })
        .collect()
}

fn bounded<'d>(
    node: Node<'d>,
    least: i64,
    most: i64,
    findings: &mut Findings,
) -> Option<At<'d, i64>> {
    let number = findings.integer(node)?;
    if (least..=most).contains(&number.value) {
        return Some(number);
    }
    findings.report(
        codes::INVALID_VALUE,
        node,
        format!("{} is out of range: {least} to {most}", number.value),
    );
    None
}

fn non_empty<'d>(node: Node<'d>, findings: &mut Findings) -> Option<At<'d, &'d str>> {
    let text = findings.string(node)?;
    if text.value.is_empty() {
        findings.report(
            codes::INVALID_VALUE,
            node,
            "an empty string chooses nothing",
        );
        return None;
    }
    Some(text)
}
