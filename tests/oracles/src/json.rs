use policy_dialects::yaml::{Node, Shape, Typed};
use serde_json::{Value, json};

/// What our reader of YAML reads, as JSON.
#[must_use]
pub fn json_of(node: Node<'_>) -> Value {
    match node.shape() {
        Shape::Sequence(items) => items.iter().map(json_of).collect(),
        Shape::Mapping(entries) => Value::Object(
            entries
                .iter()
                .map(|entry| (entry.key.to_owned(), json_of(entry.value)))
                .collect(),
        ),
        Shape::Scalar(..) => match node.typed() {
            None | Some(Typed::Null) => Value::Null,
            Some(Typed::Bool(value)) => json!(value),
            Some(Typed::Int(value)) => json!(value),
            Some(Typed::Float(value)) => json!(value),
            Some(Typed::Str(value)) => json!(value),
        },
    }
}
