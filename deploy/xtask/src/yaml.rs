//! YAML from JSON values: blocks, and every text in quotes, so that nothing is read as something else.

use serde_json::Value;

pub(crate) fn print(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                out.push_str(&" ".repeat(indent));
                entry(&plain_key(key), inner, indent, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                out.push_str(&" ".repeat(indent));
                if is_block(item) {
                    let mut inner = String::new();
                    block(item, indent + 2, &mut inner);
                    out.push_str("- ");
                    out.push_str(inner.trim_start());
                } else {
                    line(&format!("- {item}"), out);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            line(&value.to_string(), out);
        }
    }
}

fn entry(key: &str, value: &Value, indent: usize, out: &mut String) {
    if is_block(value) {
        line(&format!("{key}:"), out);
        block(value, indent + 2, out);
    } else {
        line(&format!("{key}: {value}"), out);
    }
}

fn line(text: &str, out: &mut String) {
    out.push_str(text);
    out.push('\n');
}

/// Empty ones and scalars stand on their key's line, as in JSON.
fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(object) => !object.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn plain_key(key: &str) -> String {
    let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    // YAML 1.1 reads some bare words as truth values.
    let word = matches!(
        key,
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
    );
    if plain && !word {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::print;

    #[test]
    fn nests_as_kubectl_would_write_it() {
        let value = json!({"a": [{"b": 1, "c": []}, "x: y"], "d": {"y": true}, "e": {}});
        assert_eq!(
            print(&value),
            "a:\n  - b: 1\n    c: []\n  - \"x: y\"\nd:\n  \"y\": true\ne: {}\n"
        );
    }
}
