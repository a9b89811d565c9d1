//! Values as block YAML, so that a set which shows a difference can be read, and pasted into a file.

use std::fmt::Write;

use serde_json::Value;

pub(crate) fn documents(objects: &[Value]) -> String {
    let mut text = String::new();
    for object in objects {
        text.push_str("---\n");
        block(object, 0, &mut text);
    }
    text
}

/// A value on lines of its own.
fn block(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                pad(indent, text);
                write!(text, "{}:", scalar(&Value::String(key.clone()))).unwrap();
                after(value, indent + 2, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                pad(indent, text);
                text.push('-');
                if is_block(item) {
                    // The first line of the item goes on this one.
                    let mut inner = String::new();
                    block(item, indent + 2, &mut inner);
                    writeln!(text, " {}", inner.trim()).unwrap();
                } else {
                    after(item, indent + 2, text);
                }
            }
        }
        flow @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)) => {
            pad(indent, text);
            writeln!(text, "{}", scalar(flow)).unwrap();
        }
    }
}

fn after(value: &Value, indent: usize, text: &mut String) {
    if is_block(value) {
        text.push('\n');
        block(value, indent, text);
    } else {
        writeln!(text, " {}", scalar(value)).unwrap();
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Plain where nothing else could be meant; JSON, which is YAML, otherwise.
fn scalar(value: &Value) -> String {
    let plain = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_uppercase())
            && text.len() > 3
            && !matches!(
                text.to_ascii_lowercase().as_str(),
                "true" | "false" | "null"
            )
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-./_".contains(c))
    };
    if let Value::String(text) = value
        && plain(text)
    {
        text.clone()
    } else {
        value.to_string()
    }
}

fn pad(indent: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', indent));
}

#[test]
fn what_could_be_misread_is_quoted() {
    let value = serde_json::json!({
        "kind": "Pod-like",
        "labels": {"y": "", "port": "8080"},
        "list": [{"a": 1, "bcde": ["true", "long-word"]}, [], [["deep"]], null],
    });
    let expected = r#"---
kind: Pod-like
labels:
  port: "8080"
  "y": ""
list:
  - "a": 1
    bcde:
      - "true"
      - long-word
  - []
  - - - deep
  - null
"#;
    assert_eq!(documents(&[value]), expected);
}
