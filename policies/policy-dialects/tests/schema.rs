//! The schema of the native kinds, held against the decoder: each has the fields of the other, and a document is refused by both or
//! by none.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what it found and which seed it used"
)]

use std::collections::{BTreeMap, BTreeSet};

use policy_dialects::{Context, Reading, native_schema, read};
use policy_model::Level;
use serde_json::{Map, Value, json};

const KINDS: [&str; 3] = ["EgressPolicy", "ClusterEgressPolicy", "EgressSet"];

/// Longer than any field and near to none.
const STRANGER: &str = "zzzzzzzzzzzzzzzzzzzzzzzz";

fn schema(kind: &str) -> Value {
    native_schema::spec_of(kind).expect("a kind with a schema")
}

fn object(kind: &str, spec: &Value) -> String {
    json!({"apiVersion": "egret.dev/v1alpha1", "kind": kind, "metadata": {"name": "p"}, "spec": spec}).to_string()
}

/// Words that are right for a field, by its name.
fn word(field: &str) -> &'static str {
    match field {
        "fqdn" => "*.example.com",
        "cidr" => "192.0.2.0/24",
        "except" => "192.0.2.128/25",
        "protocol" => "TCP",
        "values" | "matchLabels" | "labels" => "a",
        "questions" => "*.example.com",
        "nets" | "notNets" => "192.0.2.0/24",
        "selector" | "notSelector" => "has(app)",
        "key" => "app",
        _ => "word",
    }
}

/// A document with every field of the schema, one alternative after another where fields exclude each other.
fn fullest(field: &str, schema: &Value) -> Value {
    if let Some(values) = schema["enum"].as_array() {
        return values[0].clone();
    }
    match schema["type"].as_str() {
        Some("object") => match schema["properties"].as_object() {
            Some(properties) => properties
                .iter()
                .map(|(name, inner)| (name.clone(), fullest(name, inner)))
                .collect::<Map<String, Value>>()
                .into(),
            None => json!({"app": "a"}),
        },
        Some("array") => json!([fullest(field, &schema["items"])]),
        Some("integer") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        _ => json!(word(field)),
    }
}

/// Every mapping of a document that has fixed fields: its path, and the fields the schema gives it.
fn mappings(schema: &Value, path: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    if let Some(properties) = schema["properties"].as_object() {
        found.insert(path.to_owned(), properties.keys().cloned().collect());
        for (name, inner) in properties {
            mappings(inner, &format!("{path}.{name}"), found);
        }
    }
    if schema.get("items").is_some() {
        mappings(&schema["items"], &format!("{path}[0]"), found);
    }
}

/// The document with a field nobody knows at one path, and of each peer on the way to it only that kind.
fn with_stranger(spec: &Value, path: &str) -> Value {
    fn at(value: &mut Value, steps: &[&str]) {
        let Some((step, rest)) = steps.split_first() else {
            value[STRANGER] = json!(1);
            return;
        };
        if let Some(name) = step.strip_suffix("[0]") {
            at(&mut value[name][0], rest);
        } else {
            at(&mut value[*step], rest);
        }
        // Fields that exclude each other: only the one that is looked into stays.
        let name = step.trim_end_matches("[0]");
        let exclusive = [
            "fqdn",
            "cidr",
            "except",
            "scope",
            "chain",
            "pods",
            "nodes",
            "remoteNodes",
            "service",
            "entity",
            "endpoints",
            "set",
        ];
        let linux = ["unit", "user", "cgroup", "container", "command"];
        if let Some(object) = value.as_object_mut() {
            let is_peer = object.contains_key("fqdn");
            let is_subject = object.contains_key("unit");
            object.retain(|key, _| {
                !(is_peer && exclusive.contains(&key.as_str()) && key != name
                    || is_subject && !linux.contains(&name) && linux.contains(&key.as_str()))
            });
        }
    }
    let mut spec = spec.clone();
    let steps: Vec<&str> = path.split('.').skip(1).collect();
    at(&mut spec, &steps);
    spec
}

/// The fields the decoder says it knows where it met the stranger.
fn known_to_the_decoder(kind: &str, spec: &Value) -> Option<BTreeSet<String>> {
    let reading = read("p.yaml", &object(kind, spec), &Context::default());
    let told = reading
        .diagnostics
        .iter()
        .find(|diagnostic| diagnostic.message.contains(STRANGER))?;
    assert!(
        told.level <= Level::Closed,
        "an unknown field is never only a lint"
    );
    let help = told.help.as_deref()?.strip_prefix("known here: ")?;
    Some(
        help.split(", ")
            .map(|word| word.trim_matches('`').to_owned())
            .collect(),
    )
}

#[test]
fn schema_and_decoder_have_the_same_fields() {
    let mut looked = 0;
    for kind in KINDS {
        let schema = schema(kind);
        let spec = fullest("spec", &schema);
        let mut found = BTreeMap::new();
        mappings(&schema, "spec", &mut found);
        for (path, fields) in found {
            let strange = with_stranger(&spec, &path);
            let known = known_to_the_decoder(kind, &strange).unwrap_or_else(|| {
                panic!("{kind} {path}: the decoder passed over a field it cannot know\n{strange}")
            });
            // A peer and a member are one type in the decoder, which says afterwards what a set may have.
            let fields = if kind == "EgressSet" && path == "spec.members[0]" {
                fields
                    .into_iter()
                    .chain(
                        [
                            "pods",
                            "nodes",
                            "remoteNodes",
                            "service",
                            "entity",
                            "endpoints",
                            "set",
                        ]
                        .map(str::to_owned),
                    )
                    .collect()
            } else {
                fields
            };
            assert_eq!(known, fields, "{kind} {path}");
            looked += 1;
        }
    }
    assert!(looked >= 30, "{looked} mappings");
}

/// A document the schema takes; fields come and go.
fn random(field: &str, schema: &Value, dice: &mut Dice) -> Value {
    if let Some(values) = schema["enum"].as_array() {
        return values[dice.below(values.len())].clone();
    }
    match schema["type"].as_str() {
        Some("object") => match schema["properties"].as_object() {
            Some(properties) => {
                let required: Vec<&str> = schema["required"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let mut object = Map::new();
                for (name, inner) in properties {
                    if required.contains(&name.as_str()) || dice.below(3) == 0 {
                        object.insert(name.clone(), random(name, inner, dice));
                    }
                }
                object.into()
            }
            None => json!({"app": "a"}),
        },
        Some("array") => {
            let least = usize::from(schema["minItems"].as_u64().unwrap_or(0) > 0);
            (0..least + dice.below(3))
                .map(|_| random(field, &schema["items"], dice))
                .collect()
        }
        Some("integer") => {
            let bound = |key: &str, other: i64| schema[key].as_i64().unwrap_or(other);
            let (least, most) = (bound("minimum", 0), bound("maximum", 255));
            json!(if dice.below(2) == 0 { least } else { most })
        }
        Some("boolean") => json!(dice.below(2) == 0),
        _ => json!(word(field)),
    }
}

#[test]
fn what_the_schema_takes_is_of_the_right_type_for_the_decoder() {
    let seed = std::env::var("EGRET_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed_u64);
    println!("EGRET_SEED={seed}");
    let mut dice = Dice(seed);
    let schemas = KINDS.map(|kind| (kind, schema(kind)));
    for _ in 0..1_000 {
        for (kind, schema) in &schemas {
            let spec = random("spec", schema, &mut dice);
            let Reading { diagnostics, .. } =
                read("p.yaml", &object(kind, &spec), &Context::default());
            // What fields say together is CEL's part; here each field is looked at by itself.
            let of_type = [
                "wrong-type",
                "unknown-field",
                "unknown-rule-field",
                "missing-field",
                "invalid-value",
                "invalid-cidr",
                "invalid-pattern",
                "empty-list",
            ];
            for diagnostic in diagnostics {
                let together = diagnostic.message.contains("of a service")
                    || diagnostic.message.contains("only UDP");
                assert!(
                    together || !of_type.contains(&diagnostic.code),
                    "{diagnostic:?}\n{spec}"
                );
            }
        }
    }
}

/// Every way to break one value of a document so that the schema refuses it.
fn broken(schema: &Value, value: &Value, broken_ones: &mut Vec<Value>) {
    for wrong in [
        json!(1.5),
        json!("no such word, with blanks"),
        json!(-1),
        json!([]),
        json!({}),
    ] {
        if !takes(schema, &wrong) {
            broken_ones.push(wrong);
        }
    }
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                let mut inner_ones = Vec::new();
                let inner_schema = schema["properties"].get(key);
                if let Some(inner_schema) = inner_schema {
                    broken(inner_schema, inner, &mut inner_ones);
                }
                for one in inner_ones {
                    let mut whole = object.clone();
                    whole.insert(key.clone(), one);
                    broken_ones.push(whole.into());
                }
            }
        }
        Value::Array(items) => {
            let mut inner_ones = Vec::new();
            if let Some(item) = items.first() {
                broken(&schema["items"], item, &mut inner_ones);
            }
            broken_ones.extend(inner_ones.into_iter().map(|one| json!([one])));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The little of JSON schema that the schema uses.
fn takes(schema: &Value, value: &Value) -> bool {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return value.is_string() || value.is_i64();
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.contains(value);
    }
    match schema["type"].as_str() {
        Some("object") => value.as_object().is_some_and(|object| {
            let Some(properties) = schema["properties"].as_object() else {
                return object.values().all(Value::is_string);
            };
            let required = schema["required"].as_array().into_iter().flatten();
            required
                .filter_map(Value::as_str)
                .all(|name| object.contains_key(name))
                && object.iter().all(|(key, value)| {
                    properties.get(key).is_some_and(|inner| takes(inner, value))
                })
        }),
        Some("array") => value.as_array().is_some_and(|items| {
            items.len() as u64 >= schema["minItems"].as_u64().unwrap_or(0)
                && items.iter().all(|item| takes(&schema["items"], item))
        }),
        Some("integer") => value.as_i64().is_some_and(|number| {
            schema["minimum"]
                .as_i64()
                .is_none_or(|least| number >= least)
                && schema["maximum"].as_i64().is_none_or(|most| number <= most)
        }),
        Some("boolean") => value.is_boolean(),
        Some("string") => value.as_str().is_some_and(|text| {
            text.len() as u64 >= schema["minLength"].as_u64().unwrap_or(0)
                && (schema.get("pattern").is_none() || !text.contains(' '))
        }),
        other => panic!("a type the test does not know: {other:?}"),
    }
}

#[test]
fn what_the_schema_refuses_the_decoder_does_not_take() {
    let mut tried = 0;
    for kind in KINDS {
        let schema = schema(kind);
        let spec = fullest("spec", &schema);
        let mut broken_ones = Vec::new();
        broken(&schema, &spec, &mut broken_ones);
        for spec in broken_ones {
            let reading = read("p.yaml", &object(kind, &spec), &Context::default());
            assert!(
                reading
                    .diagnostics
                    .iter()
                    .any(|diagnostic| diagnostic.level == Level::Refused),
                "{kind}: the schema refuses this, the decoder does not: {spec}"
            );
            tried += 1;
        }
    }
    assert!(tried >= 200, "{tried} documents");
}

/// A xorshift generator: reproducible, and no dependency.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).expect("small")
    }
}
