use policy_model::{LabelExpression, LabelOperator, LabelSelector, NAMESPACE_NAME_LABEL};

use crate::yaml::write::{Map, Value};

/// A label selector as Kubernetes writes it; `{}` selects everything.
pub(crate) fn selector(selector: &LabelSelector) -> Map {
    let LabelSelector {
        match_labels,
        match_expressions,
    } = selector;
    let mut map = Map::new();
    if !match_labels.is_empty() {
        let labels = match_labels
            .iter()
            .fold(Map::new(), |map, (key, value)| map.with(key, &**value));
        map.push("matchLabels", labels);
    }
    if !match_expressions.is_empty() {
        let expressions: Vec<Map> = match_expressions.iter().map(expression).collect();
        map.push("matchExpressions", expressions);
    }
    map
}

/// A selector that also asks for a namespace by its name.
pub(crate) fn in_namespace(of: &LabelSelector, namespace: &str) -> LabelSelector {
    let mut of = of.clone();
    match of.match_labels.get(NAMESPACE_NAME_LABEL) {
        None => {
            of.match_labels
                .insert(NAMESPACE_NAME_LABEL.into(), namespace.into());
        }
        Some(_) => of.match_expressions.push(LabelExpression {
            key: NAMESPACE_NAME_LABEL.into(),
            operator: LabelOperator::In(vec![namespace.into()]),
        }),
    }
    of
}

fn expression(expression: &LabelExpression) -> Map {
    let LabelExpression { key, operator } = expression;
    let map = Map::new().with("key", &**key);
    let values = |values: &[std::sync::Arc<str>]| -> Value {
        let values: Vec<&str> = values.iter().map(|value| &**value).collect();
        values.into()
    };
    match operator {
        LabelOperator::In(of) => map.with("operator", "In").with("values", values(of)),
        LabelOperator::NotIn(of) => map.with("operator", "NotIn").with("values", values(of)),
        LabelOperator::Exists => map.with("operator", "Exists"),
        LabelOperator::DoesNotExist => map.with("operator", "DoesNotExist"),
    }
}
