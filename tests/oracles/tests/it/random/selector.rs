use policy_engine::testing::Random;
use serde_json::{Map, Value, json};

/// A label's key, and the values it may have.
pub(super) type Vocabulary = &'static [(&'static str, &'static [&'static str])];

pub(super) const POD: Vocabulary = &[
    ("app", &["web", "db", "cache"]),
    ("tier", &["front", "back", ""]),
    ("example.com/release", &["1", "2"]),
];
pub(super) const NAMESPACE: Vocabulary = &[
    ("team", &["red", "blue"]),
    ("stage", &["test", "live", ""]),
    ("kubernetes.io/metadata.name", super::world::NAMESPACES),
];
pub(super) const NODE: Vocabulary = &[
    ("zone", &["east", "west"]),
    ("kubernetes.io/os", &["linux"]),
];

pub(super) const ACCOUNT: Vocabulary = &[("role", &["a", "b"])];

/// Some labels, of the keys that are not given by the API server.
pub(super) fn labels(vocabulary: Vocabulary, random: &mut Random) -> Value {
    let mut labels = Map::new();
    for (key, values) in vocabulary {
        if *key != "kubernetes.io/metadata.name" && random.chance(65) {
            labels.insert((*key).to_owned(), json!(random.pick(values)));
        }
    }
    Value::Object(labels)
}

/// A selector of two or three of its kind; now and then of all, or of none.
pub(super) fn selector(vocabulary: Vocabulary, random: &mut Random) -> Value {
    let mut selector = Map::new();
    if random.chance(55) {
        let mut labels = Map::new();
        for _ in 0..=usize::from(random.chance(20)) {
            let (key, values) = random.pick(vocabulary);
            labels.insert(key.to_owned(), json!(random.pick(values)));
        }
        selector.insert("matchLabels".to_owned(), Value::Object(labels));
    }
    if random.chance(30) {
        let expressions: Vec<Value> = (0..=usize::from(random.chance(25)))
            .map(|_| expression(vocabulary, random))
            .collect();
        selector.insert("matchExpressions".to_owned(), json!(expressions));
    }
    Value::Object(selector)
}

fn expression(vocabulary: Vocabulary, random: &mut Random) -> Value {
    let (key, values) = random.pick(vocabulary);
    match random.below(4) {
        0 => json!({"key": key, "operator": "Exists"}),
        1 => json!({"key": key, "operator": "DoesNotExist"}),
        operator => {
            let mut some: Vec<&str> = vec![random.pick(values)];
            if random.chance(40) {
                some.push(random.pick(values));
            }
            some.dedup();
            let operator = if operator == 2 { "In" } else { "NotIn" };
            json!({"key": key, "operator": operator, "values": some})
        }
    }
}
