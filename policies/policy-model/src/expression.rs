use std::sync::Arc;

use crate::subject::Selects;

/// A boolean expression over labels: Calico's selector language, once parsed.
///
/// A label that is not there equals nothing, so `NotEqual`, `NotIn` and `Not` hold for it and all else does not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expression {
    /// Holds for everything (`all()`).
    All,
    Has(Arc<str>),
    Equal(Arc<str>, Arc<str>),
    NotEqual(Arc<str>, Arc<str>),
    In(Arc<str>, Vec<Arc<str>>),
    NotIn(Arc<str>, Vec<Arc<str>>),
    Contains(Arc<str>, Arc<str>),
    StartsWith(Arc<str>, Arc<str>),
    EndsWith(Arc<str>, Arc<str>),
    Not(Box<Self>),
    /// All of them; none at all holds.
    And(Vec<Self>),
    /// Any of them; none at all does not hold.
    Or(Vec<Self>),
}

/// What is known of a label of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelValue<'a> {
    Is(&'a str),
    Absent,
    /// Nobody said which labels there are. Never to be taken for `Absent`.
    Unknown,
}

impl Expression {
    /// Holds the expression against labels that `label` looks up.
    pub fn holds<'a>(&self, label: &impl Fn(&str) -> LabelValue<'a>) -> Selects {
        let value = |key: &str, holds: &dyn Fn(Option<&str>) -> bool| match label(key) {
            LabelValue::Is(value) => Selects::from_bool(holds(Some(value))),
            LabelValue::Absent => Selects::from_bool(holds(None)),
            LabelValue::Unknown => Selects::Unknown,
        };
        let is_in = |values: &[Arc<str>], value: &str| values.iter().any(|one| **one == *value);
        match self {
            Self::All => Selects::Yes,
            Self::Has(key) => value(key, &|value| value.is_some()),
            Self::Equal(key, wanted) => value(key, &|value| value == Some(wanted)),
            Self::NotEqual(key, wanted) => value(key, &|value| value != Some(wanted)),
            Self::In(key, wanted) => value(key, &|value| {
                value.is_some_and(|value| is_in(wanted, value))
            }),
            Self::NotIn(key, wanted) => value(key, &|value| {
                !value.is_some_and(|value| is_in(wanted, value))
            }),
            Self::Contains(key, part) => value(key, &|value| {
                value.is_some_and(|value| value.contains(&**part))
            }),
            Self::StartsWith(key, part) => value(key, &|value| {
                value.is_some_and(|value| value.starts_with(&**part))
            }),
            Self::EndsWith(key, part) => value(key, &|value| {
                value.is_some_and(|value| value.ends_with(&**part))
            }),
            Self::Not(inner) => inner.holds(label).negated(),
            Self::And(all) => all
                .iter()
                .fold(Selects::Yes, |holds, one| holds.and(one.holds(label))),
            Self::Or(any) => any
                .iter()
                .fold(Selects::No, |holds, one| holds.or(one.holds(label))),
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn equal(key: &str, value: &str) -> Expression {
        Expression::Equal(key.into(), value.into())
    }

    #[test_case(Expression::All, Selects::Yes; "all")]
    #[test_case(equal("a", "1"), Selects::Yes; "equal")]
    #[test_case(equal("b", "1"), Selects::No; "a missing label equals nothing")]
    #[test_case(Expression::NotEqual("b".into(), "1".into()), Selects::Yes; "and differs from everything")]
    #[test_case(Expression::NotIn("b".into(), vec!["1".into()]), Selects::Yes; "and is in nothing")]
    #[test_case(Expression::In("a".into(), Vec::new()), Selects::No; "an empty set")]
    #[test_case(Expression::And(Vec::new()), Selects::Yes; "an empty and")]
    #[test_case(Expression::Or(Vec::new()), Selects::No; "an empty or")]
    #[test_case(equal("secret", "1"), Selects::Unknown; "unknown")]
    #[test_case(Expression::Not(Box::new(equal("secret", "1"))), Selects::Unknown; "its negation is as unknown")]
    #[test_case(Expression::Or(vec![equal("secret", "1"), equal("a", "1")]), Selects::Yes; "one yes is enough")]
    #[test_case(Expression::And(vec![equal("secret", "1"), equal("a", "2")]), Selects::No; "one no is enough")]
    fn holds(expression: Expression, expected: Selects) {
        let label = |key: &str| match key {
            "a" => LabelValue::Is("1"),
            "secret" => LabelValue::Unknown,
            _ => LabelValue::Absent,
        };
        assert_eq!(expression.holds(&label), expected);
    }
}
