use std::sync::Arc;

use dns_names::NamePattern;
use policy_model::{HttpMatch, TextPattern};

use super::limits;
use super::peer::{PeerSpec, patterns};
use super::ports::PortSpec;
use crate::codes;
use crate::decode::{At, Findings, Unknown};
use crate::yaml::{Node, Shape};

/// One entry of `egress`.
#[derive(Debug)]
pub(crate) struct RuleSpec<'d> {
    pub(crate) node: Node<'d>,
    pub(crate) name: Option<At<'d, &'d str>>,
    pub(crate) action: ActionSpec,
    pub(crate) to: Option<Vec<PeerSpec<'d>>>,
    pub(crate) metadata: Vec<At<'d, &'d str>>,
    pub(crate) ports: Option<Vec<PortSpec>>,
    /// Every port and protocol of the rule but these.
    pub(crate) except_ports: Vec<PortSpec>,
    /// The names that may be asked of the servers the rule allows.
    pub(crate) questions: Option<At<'d, Vec<NamePattern>>>,
    /// Its names may be asked and open nothing.
    pub(crate) ask_only: Option<At<'d, bool>>,
    pub(crate) allow_private: Option<At<'d, bool>>,
    pub(crate) tls: Option<Node<'d>>,
    pub(crate) http: Option<At<'d, Vec<HttpMatch>>>,
    /// A field that does not exist stands in it, so what was meant is unknown.
    pub(crate) unknown: Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionSpec {
    Allow,
    Deny,
    Pass,
    Log,
}

impl<'d> RuleSpec<'d> {
    pub(super) fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        const ACTIONS: &[(&str, ActionSpec)] = &[
            ("Allow", ActionSpec::Allow),
            ("Deny", ActionSpec::Deny),
            ("Pass", ActionSpec::Pass),
            ("Log", ActionSpec::Log),
        ];
        let mut fields = findings.fields(node)?;
        let name = fields.take("name").and_then(|node| findings.string(node));
        let action = match fields.take("action") {
            Some(action) => findings.word(action, ACTIONS).map(|action| action.value),
            None => {
                findings.report_help(
                    codes::MISSING_FIELD,
                    node,
                    "`action` is missing",
                    "a rule says `action: Allow`, `Deny`, `Pass` or `Log`",
                );
                None
            }
        };
        let mut unknown = Unknown::None;
        let to = fields.take("to").map(|node| {
            let items = limits::list(node, limits::PEERS, findings).unwrap_or_default();
            if matches!(node.shape(), Shape::Sequence(items) if items.is_empty()) {
                findings.report_help(
                    codes::EMPTY_LIST,
                    node,
                    "an empty `to` could mean every destination or none",
                    "leave `to` out for every destination, or leave the rule out for none",
                );
            }
            items
                .into_iter()
                .filter_map(|item| PeerSpec::decode(item, findings, &mut unknown))
                .collect()
        });
        let metadata = fields
            .take("metadata")
            .and_then(|node| metadata(node, findings))
            .unwrap_or_default();
        let ports = fields
            .take("ports")
            .map(|node| ports(node, findings, &mut unknown));
        let except_ports = fields
            .take("exceptPorts")
            .map(|node| self::ports(node, findings, &mut unknown))
            .unwrap_or_default();
        let questions = fields
            .take("questions")
            .and_then(|node| patterns(node, findings).map(|value| At { value, node }));
        let ask_only = fields
            .take("askOnly")
            .and_then(|node| findings.boolean(node).map(|value| At { value, node }));
        let allow_private = fields
            .take("allowPrivate")
            .and_then(|node| findings.boolean(node).map(|value| At { value, node }));
        let tls = fields
            .take("tls")
            .inspect(|node| check_tls(*node, findings));
        let http = fields.take("http").map(|node| At {
            value: http(node, findings),
            node,
        });
        if fields.finish(findings, codes::UNKNOWN_RULE_FIELD) == Unknown::Some {
            unknown = Unknown::Some;
        }
        Some(Self {
            node,
            name,
            action: action?,
            to,
            metadata,
            ports,
            except_ports,
            questions,
            ask_only,
            allow_private,
            tls,
            http,
            unknown,
        })
    }
}

/// `ports` or `exceptPorts`: never an empty list.
fn ports(node: Node<'_>, findings: &mut Findings, unknown: &mut Unknown) -> Vec<PortSpec> {
    let items = limits::list(node, limits::ENTRIES, findings).unwrap_or_default();
    if matches!(node.shape(), Shape::Sequence(items) if items.is_empty()) {
        findings.report_help(
            codes::EMPTY_LIST,
            node,
            "an empty list of ports could mean every port or none",
            "leave it out for every port and protocol",
        );
    }
    items
        .into_iter()
        .filter_map(|item| PortSpec::decode(item, findings, unknown))
        .collect()
}

/// Presets; an empty list would leave a rule without any peer, which means every destination.
fn metadata<'d>(node: Node<'d>, findings: &mut Findings) -> Option<Vec<At<'d, &'d str>>> {
    if limits::list(node, limits::ENTRIES, findings)?.is_empty() {
        findings.report_help(
            codes::EMPTY_LIST,
            node,
            "an empty `metadata` opens nothing, and without `to` it could mean every destination",
            "name a preset, or leave the rule out",
        );
    }
    findings.strings(node)
}

/// `tls: {sni: match}`
fn check_tls(node: Node<'_>, findings: &mut Findings) {
    if let Some(mut fields) = findings.fields(node) {
        if let Some(sni) = fields.take("sni") {
            findings.word(sni, &[("match", ())]);
        }
        fields.finish(findings, codes::UNKNOWN_FIELD);
    }
}

/// `http: [{methods: [GET], paths: ["/v1/*"]}]`
fn http(node: Node<'_>, findings: &mut Findings) -> Vec<HttpMatch> {
    let items = limits::list(node, limits::ENTRIES, findings).unwrap_or_default();
    if items.is_empty() {
        findings.report_help(
            codes::EMPTY_LIST,
            node,
            "an empty `http` could mean every request or none",
            "leave `http` out to allow the port as such",
        );
    }
    let mut matches = Vec::new();
    for item in items {
        let Some(mut fields) = findings.fields(item) else {
            continue;
        };
        let mut texts = |key, pattern: fn(Arc<str>) -> TextPattern| {
            let texts = fields
                .take(key)
                .and_then(|node| findings.strings(node))
                .unwrap_or_default();
            let pattern = |text: At<'_, &str>| pattern(text.value.into());
            texts.into_iter().map(pattern).collect()
        };
        let methods = texts("methods", TextPattern::Exact);
        let paths = texts("paths", TextPattern::Glob);
        fields.finish(findings, codes::UNKNOWN_FIELD);
        matches.push(HttpMatch {
            methods,
            paths,
            ..HttpMatch::default()
        });
    }
    matches
}
