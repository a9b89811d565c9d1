//! `metav1.LabelSelector`, as written.

use std::sync::Arc;

use policy_model::{LabelExpression, LabelOperator, LabelSelector};

use crate::codes;
use crate::decode::{At, Fields, Findings, Unknown};
use crate::yaml::{Node, Shape};

/// `matchLabels` and `matchExpressions`; all must hold, none given selects everything.
#[derive(Debug, Clone)]
pub(crate) struct LabelSelectorSpec<'d> {
    pub(crate) match_labels: Vec<(&'d str, At<'d, &'d str>)>,
    pub(crate) match_expressions: Vec<ExpressionSpec<'d>>,
}

#[derive(Debug, Clone)]
pub(crate) struct ExpressionSpec<'d> {
    pub(crate) key: At<'d, &'d str>,
    pub(crate) operator: Operator,
    pub(crate) values: Vec<At<'d, &'d str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl<'d> LabelSelectorSpec<'d> {
    /// Reads a selector; nothing where any part of it could not be read, because a selector that is read in part selects others
    /// than was meant.
    pub(crate) fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let selector = Self::decode_fields(&mut fields, findings);
        let unknown = fields.finish(findings, codes::UNKNOWN_FIELD);
        selector.filter(|_| unknown == Unknown::None)
    }

    /// Reads a selector among the peers of a rule of Kubernetes' own kinds: a field it does not have closes the rule, and a
    /// key has no source prefix (`k8s:app`), which is Cilium's way.
    pub(crate) fn decode_peer(node: Node<'d>, findings: &mut Findings) -> Option<(Self, Unknown)> {
        let mut fields = findings.fields(node)?;
        let selector = Self::decode_fields(&mut fields, findings);
        let unknown = fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
        let selector = selector?.without_prefixes(findings)?;
        Some((selector, unknown))
    }

    /// Reads the selector of a subject of Kubernetes' own kinds, whose keys have no source prefix either.
    pub(crate) fn decode_subject(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        Self::decode(node, findings)?.without_prefixes(findings)
    }

    /// The same among the fields of something that has others too.
    pub(crate) fn decode_fields(fields: &mut Fields<'d>, findings: &mut Findings) -> Option<Self> {
        let mark = findings.mark();
        let match_labels = fields
            .take("matchLabels")
            .map_or_else(Vec::new, |node| labels(node, findings));
        let mut match_expressions = Vec::new();
        if let Some(node) = fields.take("matchExpressions") {
            for item in findings.list(node).unwrap_or_default() {
                match_expressions.extend(ExpressionSpec::decode(item, findings));
            }
        }
        (!findings.refused_since(mark)).then_some(Self {
            match_labels,
            match_expressions,
        })
    }

    /// Itself, where no key has a source prefix.
    fn without_prefixes(self, findings: &mut Findings) -> Option<Self> {
        let mark = findings.mark();
        let labels = self
            .match_labels
            .iter()
            .map(|(key, value)| (*key, value.node));
        let expressions = self
            .match_expressions
            .iter()
            .map(|expression| (expression.key.value, expression.key.node));
        for (key, node) in labels.chain(expressions) {
            if let Some((_, bare)) = key.split_once(':') {
                findings.report_help(
                    codes::INVALID_SELECTOR,
                    node,
                    format!("`{key}` is not a label key"),
                    format!("leave out the prefix: `{bare}`"),
                );
            }
        }
        (!findings.refused_since(mark)).then_some(self)
    }

    /// The selector `{}`.
    pub(crate) const fn everything() -> Self {
        Self {
            match_labels: Vec::new(),
            match_expressions: Vec::new(),
        }
    }

    /// Whether it selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// The selector as the model has it.
    pub(crate) fn lower(self) -> LabelSelector {
        let Self {
            match_labels,
            match_expressions,
        } = self;
        LabelSelector {
            match_labels: match_labels
                .into_iter()
                .map(|(key, value)| (Arc::from(key), Arc::from(value.value)))
                .collect(),
            match_expressions: match_expressions
                .into_iter()
                .map(ExpressionSpec::lower)
                .collect(),
        }
    }
}

impl<'d> ExpressionSpec<'d> {
    fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        const OPERATORS: &[(&str, Operator)] = &[
            ("In", Operator::In),
            ("NotIn", Operator::NotIn),
            ("Exists", Operator::Exists),
            ("DoesNotExist", Operator::DoesNotExist),
        ];
        let mut fields = findings.fields(node)?;
        let key = match fields.take("key") {
            Some(key) => findings.string(key),
            None => {
                findings.report(codes::MISSING_FIELD, node, "`key` is missing");
                None
            }
        };
        let operator = match fields.take("operator") {
            Some(operator) => findings.word(operator, OPERATORS),
            None => {
                findings.report(codes::MISSING_FIELD, node, "`operator` is missing");
                None
            }
        };
        let values = fields
            .take("values")
            .map_or_else(|| Some(Vec::new()), |values| findings.strings(values));
        fields.finish(findings, codes::UNKNOWN_FIELD);
        let (key, operator, values) = (key?, operator?.value, values?);
        check_key(key, findings);
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                findings.report(
                    codes::INVALID_SELECTOR,
                    node,
                    "`In` and `NotIn` need at least one value",
                );
                return None;
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                findings.report(
                    codes::INVALID_SELECTOR,
                    node,
                    "`Exists` and `DoesNotExist` take no values",
                );
                return None;
            }
            Operator::In | Operator::NotIn | Operator::Exists | Operator::DoesNotExist => {}
        }
        for value in &values {
            check_value(*value, findings);
        }
        Some(Self {
            key,
            operator,
            values,
        })
    }

    fn lower(self) -> LabelExpression {
        let values = self
            .values
            .into_iter()
            .map(|value| Arc::from(value.value))
            .collect();
        LabelExpression {
            key: self.key.value.into(),
            operator: match self.operator {
                Operator::In => LabelOperator::In(values),
                Operator::NotIn => LabelOperator::NotIn(values),
                Operator::Exists => LabelOperator::Exists,
                Operator::DoesNotExist => LabelOperator::DoesNotExist,
            },
        }
    }
}

fn labels<'d>(node: Node<'d>, findings: &mut Findings) -> Vec<(&'d str, At<'d, &'d str>)> {
    let Shape::Mapping(entries) = node.shape() else {
        findings.wrong_type(node, "a mapping");
        return Vec::new();
    };
    let mut labels = Vec::new();
    for entry in entries.iter() {
        if let Some(value) = findings.string(entry.value) {
            check_key(
                At {
                    value: entry.key,
                    node: entry.value,
                },
                findings,
            );
            check_value(value, findings);
            labels.push((entry.key, value));
        }
    }
    labels
}

/// A qualified name: `[prefix/]name`. A Cilium source prefix (`k8s:`) is cut off first.
fn check_key(key: At<'_, &str>, findings: &mut Findings) {
    let bare = match key.value.split_once(':') {
        Some((source, rest)) if source.bytes().all(|b| b.is_ascii_alphanumeric()) => rest,
        Some(_) | None => key.value,
    };
    let (prefix, name) = match bare.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, bare),
    };
    let valid = is_label_word(name, 63)
        && !name.is_empty()
        && prefix.is_none_or(|prefix| {
            !prefix.is_empty()
                && prefix.len() <= 253
                && prefix
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
        });
    if !valid {
        findings.report(
            codes::INVALID_SELECTOR,
            key.node,
            format!("`{}` is not a label key", key.value),
        );
    }
}

fn check_value(value: At<'_, &str>, findings: &mut Findings) {
    if !is_label_word(value.value, 63) {
        findings.report(
            codes::INVALID_SELECTOR,
            value.node,
            format!("`{}` is not a label value", value.value),
        );
    }
}

/// At most `longest` of `[-A-Za-z0-9_.]`, alphanumeric at both ends; empty is allowed.
fn is_label_word(text: &str, longest: usize) -> bool {
    let alphanumeric = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= longest
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && alphanumeric(text.chars().next())
        && alphanumeric(text.chars().last())
}
