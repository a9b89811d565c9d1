//! Random objects of a kind, made by its schema, and ways to break them.

use policy_engine::testing::Random;
use serde_json::{Map, Value, json};

/// A value that the schema may take: fields come and go, words are taken from what people write there.
pub(crate) fn value(field: &str, schema: &Value, random: &mut Random) -> Value {
    if let Some(values) = schema["enum"].as_array() {
        return random.pick(values);
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return random.pick(&[
            json!(80),
            json!(443),
            json!("http"),
            json!("TCP"),
            json!(6),
            json!("1000:2000"),
        ]);
    }
    match schema["type"].as_str() {
        Some("object") => object(schema, random),
        Some("array") => {
            let least = usize::from(schema["minItems"].as_u64().unwrap_or(0) > 0);
            let most = if random.chance(80) { 2 } else { 4 };
            (0..least + random.below(most))
                .map(|_| value(field, &schema["items"], random))
                .collect()
        }
        Some("integer") => number(schema, random),
        Some("number") => random.pick(&[json!(0), json!(1.5), json!(1000)]),
        Some("boolean") => json!(random.chance(50)),
        Some(_) | None => random.pick(words(field)).into(),
    }
}

fn object(schema: &Value, random: &mut Random) -> Value {
    let Some(properties) = schema["properties"].as_object() else {
        let mut labels = Map::new();
        for _ in 0..random.below(3) {
            labels.insert(
                random.pick(&["app", "team", "example.com/x"]).to_owned(),
                value("values", &schema["additionalProperties"], random),
            );
        }
        return labels.into();
    };
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    // Where a value may be one of several kinds, mostly one is taken.
    let single = schema["maxProperties"] == 1
        || properties.contains_key("fqdn")
        || properties.contains_key("networks")
        || (properties.contains_key("namespaces") && properties.contains_key("pods"))
        || properties.contains_key("portNumber")
        || properties.contains_key("ipBlock");
    let optional: Vec<&String> = properties
        .keys()
        .filter(|name| !required.contains(&name.as_str()))
        .collect();
    let mut chosen: Vec<&str> = required.clone();
    if single && !optional.is_empty() && random.chance(85) {
        chosen.push(random.pick(&optional).as_str());
    } else {
        let share = random.pick(&[15, 30, 50]);
        for name in optional {
            if random.chance(share) {
                chosen.push(name);
            }
        }
    }
    chosen
        .into_iter()
        .map(|name| (name.to_owned(), value(name, &properties[name], random)))
        .collect::<Map<_, _>>()
        .into()
}

fn number(schema: &Value, random: &mut Random) -> Value {
    let least = schema["minimum"].as_i64().unwrap_or(0);
    let most = schema["maximum"].as_i64().unwrap_or(70_000);
    match random.below(6) {
        0 => json!(least),
        1 => json!(most),
        2 => json!(least.saturating_add(1)),
        _ => json!(random.pick(&[80, 443, 8080, 53]).clamp(least, most)),
    }
}

/// What people write in a field, by its name.
fn words(field: &str) -> &'static [&'static str] {
    match field {
        "fqdn" | "questions" | "domainNames" => &[
            "example.com",
            "*.example.com",
            "api.example.com",
            "**.example.com",
        ],
        "cidr" | "except" | "nets" | "notNets" | "networks" => &[
            "192.0.2.0/24",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "0.0.0.0/0",
            "2001:db8::/32",
            "::/0",
            "192.0.2.1/32",
            "192.0.2.7/24",
        ],
        "protocol" | "notProtocol" => &["TCP", "UDP", "SCTP", "ICMP"],
        "action" => &["Allow", "Deny", "Accept", "Pass", "Log"],
        "operator" => &["In", "NotIn", "Exists", "DoesNotExist"],
        "policyTypes" => &["Ingress", "Egress"],
        "types" => &["Ingress", "Egress"],
        "selector" | "notSelector" | "namespaceSelector" | "serviceAccountSelector" => &[
            "all()",
            "app == 'a'",
            "has(app)",
            "app in {'a', 'b'}",
            "!has(app)",
            "app != 'a' && team == 'b'",
            "",
        ],
        "key" => &["app", "team", "example.com/x"],
        "port" | "name" | "portNumber" => &["http", "dns-tcp", "a"],
        "namespace" => &["default", "kube-system", "a"],
        _ => &["a", "b", "web", "a-b"],
    }
}

/// Breaks one thing, somewhere: it may still be right.
pub(crate) fn mutate(spec: &mut Value, schema: &Value, random: &mut Random) {
    let mut paths = Vec::new();
    every_path(spec, &mut Vec::new(), &mut paths);
    let path: Vec<Step> = random.pick(&paths);
    let Some((last, above)) = path.split_last() else {
        *spec = other(&Value::Null, random);
        return;
    };
    let mut at = &mut *spec;
    let mut of = schema;
    for step in above {
        (at, of) = step.both_inside(at, of);
    }
    match (last, random.below(10)) {
        (Step::Key(key), 0 | 1) => {
            if let Some(object) = at.as_object_mut() {
                object.remove(key);
            }
        }
        (Step::Index(index), 0) => {
            if let Some(items) = at.as_array_mut() {
                items.remove(*index);
            }
        }
        (Step::Index(index), 1) => {
            if let Some(items) = at.as_array_mut() {
                items.push(items[*index].clone());
            }
        }
        // A field more: one that the kind has, or one that nobody has.
        (Step::Key(_), 2 | 3) => {
            if let Some(object) = at.as_object_mut() {
                let names: Vec<&String> = of["properties"]
                    .as_object()
                    .into_iter()
                    .flat_map(Map::keys)
                    .collect();
                if names.is_empty() || random.chance(30) {
                    object.insert("stranger".into(), json!("x"));
                } else {
                    let name = random.pick(&names);
                    let field = value(name, &of["properties"][name], random);
                    object.insert(name.clone(), field);
                }
            }
        }
        (step, _) => {
            let (here, _) = step.both_inside(at, of);
            *here = other(here, random);
        }
    }
}

/// Something else than a value, near to it or not.
fn other(value: &Value, random: &mut Random) -> Value {
    let strange = [
        json!(null),
        json!(""),
        json!(" "),
        json!("x"),
        json!("X"),
        json!("a b"),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(80.0),
        json!("80"),
        json!(65_535),
        json!(65_536),
        json!(2_147_483_648_u64),
        json!(9_223_372_036_854_775_807_u64),
        json!(9_223_372_036_854_775_808_u64),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!([null]),
        json!([""]),
        json!({"a": "b"}),
        json!("a".repeat(300)),
        json!("é"),
        json!("-"),
        json!("a/b"),
        json!("a/b/c"),
        json!("-a"),
        json!("a_b"),
    ];
    let near: Vec<Value> = match value {
        Value::Number(number) => {
            let number = number.as_i64().unwrap_or(0);
            vec![
                json!(number + 1),
                json!(number - 1),
                json!(-number),
                json!(number.to_string()),
                json!(number as f64 + 0.5),
            ]
        }
        Value::String(text) => vec![
            json!(text.to_uppercase()),
            json!(text.to_lowercase()),
            json!(format!("{text} ")),
            json!(format!("{text}.")),
            json!(format!("{text}x")),
            json!(format!("-{text}")),
            json!(format!("{text}/8")),
            json!(text.get(1..).unwrap_or_default()),
            json!(format!("*.{text}")),
            json!(format!("{text}*")),
            json!([text]),
            json!("192.0.2.0/33"),
            json!("192.0.2.1"),
            json!("010.0.0.0/8"),
            json!("::ffff:10.0.0.0/104"),
            json!("::ffff:10.0.0.0/8"),
            json!("10.0.0.0/08"),
            json!("2001:DB8::/32"),
            json!("fe80::1%eth0/64"),
            json!("10.0.0.0/"),
            json!("10.0.0/8"),
            json!("1.2.3.4/+8"),
        ],
        Value::Bool(flag) => vec![
            json!(!flag),
            json!(flag.to_string()),
            json!(u8::from(*flag)),
        ],
        Value::Array(items) => vec![
            json!([items.clone(), items.clone()].concat()),
            json!(items.first()),
            json!(vec![items.first().cloned().unwrap_or_default(); 130]),
            json!([items.clone(), vec![json!(null)]].concat()),
        ],
        Value::Object(_) => vec![json!([value]), json!(value.to_string())],
        Value::Null => vec![],
    };
    if near.is_empty() || random.chance(40) {
        random.pick(&strange)
    } else {
        random.pick(&near)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(usize),
}

impl Step {
    fn both_inside<'v, 's>(
        &self,
        value: &'v mut Value,
        schema: &'s Value,
    ) -> (&'v mut Value, &'s Value) {
        match self {
            Self::Key(key) => {
                let inner = schema["properties"]
                    .get(key)
                    .unwrap_or_else(|| &schema["additionalProperties"]);
                (&mut value[key], inner)
            }
            Self::Index(index) => (&mut value[index], &schema["items"]),
        }
    }
}

fn every_path(value: &Value, here: &mut Vec<Step>, paths: &mut Vec<Vec<Step>>) {
    paths.push(here.clone());
    let steps: Vec<(Step, &Value)> = match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, inner)| (Step::Key(key.clone()), inner))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, inner)| (Step::Index(index), inner))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (step, inner) in steps {
        here.push(step);
        every_path(inner, here, paths);
        here.pop();
    }
}
