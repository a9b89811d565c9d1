//! Expressions as text, and in parts.

use std::sync::Arc;

use policy_model::Expression;

use crate::calico::expression_text;

/// The text of a selector, in the quotes that people write; nothing where no literal can hold a value.
pub(super) fn text(expression: &Expression) -> Option<String> {
    let mut text = expression_text(expression)?;
    // Only literals have quotes, and no label's name has any.
    if !text.contains('\'') {
        text = text.replace('"', "'");
    }
    // Nor are brackets needed around all of it.
    let bracketed =
        matches!(expression, Expression::And(parts) | Expression::Or(parts) if parts.len() > 1);
    let inner = text
        .strip_prefix('(')
        .and_then(|text| text.strip_suffix(')'));
    Some(match inner {
        Some(inner) if bracketed => inner.to_owned(),
        Some(_) | None => text,
    })
}

/// The text of terms that must all hold, of labels without their prefix.
pub(super) fn text_of(terms: &[Expression], prefix: &str) -> Option<String> {
    let terms: Option<Vec<Expression>> = terms
        .iter()
        .map(|term| with_keys(term, &|key| key.strip_prefix(prefix).map(Arc::from)))
        .collect();
    text(&and(terms?))
}

pub(super) fn and(mut terms: Vec<Expression>) -> Expression {
    match terms.pop() {
        None => Expression::All,
        Some(only) if terms.is_empty() => only,
        Some(last) => {
            terms.push(last);
            Expression::And(terms)
        }
    }
}

pub(super) fn terms(expression: &Expression) -> Vec<Expression> {
    if let Expression::And(parts) = expression {
        return parts.iter().flat_map(terms).collect();
    }
    if *expression == Expression::All {
        return Vec::new();
    }
    vec![expression.clone()]
}

/// Whether it asks for nothing but labels of that prefix.
pub(super) fn is_of(expression: &Expression, prefix: &str) -> bool {
    *expression != Expression::All
        && with_keys(expression, &|key| key.strip_prefix(prefix).map(Arc::from)).is_some()
}

/// The expression over other keys; nothing where one has none, or where nothing is asked of a label.
fn with_keys(
    expression: &Expression,
    key: &impl Fn(&str) -> Option<Arc<str>>,
) -> Option<Expression> {
    let each = |parts: &[Expression]| -> Option<Vec<Expression>> {
        parts.iter().map(|part| with_keys(part, key)).collect()
    };
    Some(match expression {
        // In a selector of namespaces `all()` means less.
        Expression::All => {
            key("")?;
            Expression::All
        }
        Expression::Has(of) => Expression::Has(key(of)?),
        Expression::Equal(of, value) => Expression::Equal(key(of)?, Arc::clone(value)),
        Expression::NotEqual(of, value) => Expression::NotEqual(key(of)?, Arc::clone(value)),
        Expression::In(of, values) => Expression::In(key(of)?, values.clone()),
        Expression::NotIn(of, values) => Expression::NotIn(key(of)?, values.clone()),
        Expression::Contains(of, value) => Expression::Contains(key(of)?, Arc::clone(value)),
        Expression::StartsWith(of, value) => Expression::StartsWith(key(of)?, Arc::clone(value)),
        Expression::EndsWith(of, value) => Expression::EndsWith(key(of)?, Arc::clone(value)),
        Expression::Not(inner) => Expression::Not(Box::new(with_keys(inner, key)?)),
        Expression::And(parts) | Expression::Or(parts) if parts.is_empty() => {
            key("")?;
            expression.clone()
        }
        Expression::And(parts) => Expression::And(each(parts)?),
        Expression::Or(parts) => Expression::Or(each(parts)?),
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("web", Some("app == 'web'"); "a word")]
    #[test_case("it's", Some("app == \"it's\""); "one quote")]
    #[test_case("\"", Some("app == '\"'"); "the other quote")]
    #[test_case("'\"", None; "both quotes")]
    fn texts(value: &str, expected: Option<&str>) {
        let expression = Expression::Equal("app".into(), value.into());
        assert_eq!(text(&expression).as_deref(), expected);
    }

    #[test]
    fn brackets_stand_inside_alone() {
        let has = |key: &str| Expression::Has(key.into());
        let either = Expression::Or(vec![has("b"), has("c")]);
        let both = Expression::And(vec![has("a"), either.clone()]);
        assert_eq!(text(&both).as_deref(), Some("has(a) && (has(b) || has(c))"));
        let two = Expression::Or(vec![either.clone(), either]);
        let said = text(&two).unwrap();
        assert_eq!(said, "(has(b) || has(c)) || (has(b) || has(c))");
    }

    #[test]
    fn quotes_of_either_kind_in_one_text_stay() {
        let both = Expression::In("app".into(), vec!["'".into(), "\"".into()]);
        assert_eq!(text(&both).as_deref(), Some("app in {'\"', \"'\"}"));
    }
}
