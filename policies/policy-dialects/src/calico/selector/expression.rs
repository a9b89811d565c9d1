//! Expressions back as selectors.

use std::sync::Arc;

use policy_model::Expression;

use super::{LabelTest, Selector, parse_selector};

/// The text of a selector that holds where the expression does; nothing where it would be over a limit or holds a value that
/// no literal can have.
pub(crate) fn expression_text(expression: &Expression) -> Option<String> {
    let text = selector(expression).to_string();
    let back = parse_selector(&text).ok()?;
    // A quote inside of a literal could end it.
    (back == selector(expression)).then_some(text)
}

fn selector(expression: &Expression) -> Selector {
    let label = |key: &Arc<str>, test: LabelTest| Selector::Label(Arc::clone(key), test);
    let several = |parts: &[Expression], many: fn(Vec<Selector>) -> Selector| match parts {
        [only] => selector(only),
        parts => many(parts.iter().map(selector).collect()),
    };
    match expression {
        Expression::All => Selector::All,
        Expression::Has(key) => label(key, LabelTest::Exists),
        Expression::Equal(key, value) => label(key, LabelTest::Equal(Arc::clone(value))),
        Expression::NotEqual(key, value) => label(key, LabelTest::NotEqual(Arc::clone(value))),
        Expression::In(key, values) => label(key, LabelTest::In(sorted(values))),
        Expression::NotIn(key, values) => label(key, LabelTest::NotIn(sorted(values))),
        Expression::Contains(key, part) => label(key, LabelTest::Contains(Arc::clone(part))),
        Expression::StartsWith(key, part) => label(key, LabelTest::StartsWith(Arc::clone(part))),
        Expression::EndsWith(key, part) => label(key, LabelTest::EndsWith(Arc::clone(part))),
        // A `!` twice is none, as the parser has it.
        Expression::Not(inner) => negated(selector(inner)),
        Expression::And(parts) if parts.is_empty() => Selector::All,
        Expression::And(parts) => several(parts, Selector::And),
        Expression::Or(parts) if parts.is_empty() => negated(Selector::All),
        Expression::Or(parts) => several(parts, Selector::Or),
    }
}

fn negated(selector: Selector) -> Selector {
    if let Selector::Not(inner) = selector {
        *inner
    } else {
        Selector::Not(Box::new(selector))
    }
}

fn sorted(values: &[Arc<str>]) -> Vec<Arc<str>> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("all()", "all()"; "all")]
    #[test_case("a == 'b' && (has(c) || !d in {'f', 'e'})", "(a == \"b\" && (has(c) || !d in {\"e\", \"f\"}))"; "nested")]
    #[test_case("!!has(a)", "has(a)"; "twice not")]
    fn texts(text: &str, expected: &str) {
        let expression = parse_selector(text).unwrap().expression();
        assert_eq!(expression_text(&expression).as_deref(), Some(expected));
    }

    #[test_case(Expression::And(Vec::new()), Some("all()"); "an empty and")]
    #[test_case(Expression::Or(Vec::new()), Some("!all()"); "an empty or")]
    #[test_case(Expression::Or(vec![Expression::Has("a".into())]), Some("has(a)"); "one part")]
    #[test_case(Expression::Equal("a".into(), "'\"".into()), None; "both quotes")]
    #[test_case(Expression::Has("a b".into()), None; "no label")]
    fn expressions(expression: Expression, expected: Option<&str>) {
        assert_eq!(expression_text(&expression).as_deref(), expected);
    }
}
