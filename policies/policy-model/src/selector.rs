use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels of an object.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// A Kubernetes label selector: all requirements must hold; none at all selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    pub match_labels: Labels,
    pub match_expressions: Vec<LabelExpression>,
}

/// One requirement of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelExpression {
    pub key: Arc<str>,
    pub operator: LabelOperator,
}

/// How a label is held against a requirement (`metav1.LabelSelectorRequirement`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelOperator {
    In(Vec<Arc<str>>),
    /// Holds for objects without the label too.
    NotIn(Vec<Arc<str>>),
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|expression| expression.matches(labels))
    }
}

impl LabelExpression {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match &self.operator {
            LabelOperator::In(values) => value.is_some_and(|value| values.contains(value)),
            LabelOperator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(LabelOperator::In(vec!["a".into()]), true, false; "in")]
    #[test_case(LabelOperator::NotIn(vec!["a".into()]), false, true; "not in holds without the label")]
    #[test_case(LabelOperator::Exists, true, false; "exists")]
    #[test_case(LabelOperator::DoesNotExist, false, true; "does not exist")]
    fn operators(operator: LabelOperator, with: bool, without: bool) {
        let selector = LabelSelector {
            match_labels: Labels::new(),
            match_expressions: vec![LabelExpression {
                key: "k".into(),
                operator,
            }],
        };
        let labels = Labels::from([("k".into(), "a".into())]);
        assert_eq!(selector.matches(&labels), with);
        assert_eq!(selector.matches(&Labels::new()), without);
    }

    #[test]
    fn empty_selects_everything() {
        assert!(LabelSelector::default().matches(&Labels::new()));
    }
}
