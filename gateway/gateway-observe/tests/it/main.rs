//! The committed schema is the one the types have, and what is written has the shape it says.

use std::path::Path;
use std::time::UNIX_EPOCH;

use gateway_observe::{
    CutRecord, Destination, FlowRecord, GuardRecord, LimitEffect, LimitRecord, Protocol,
    QueryRecord, Record, Ruling, Tally, Times, Timestamp, Verdict,
};
use serde_json::Value;

/// `EGRET_UPDATE=1` writes it anew.
#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("report.schema.json");
    let mut current = serde_json::to_string_pretty(&schema()).expect("a schema is JSON");
    current.push('\n');
    if std::env::var_os("EGRET_UPDATE").is_some() {
        std::fs::write(&path, &current).expect("the source tree can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        committed, current,
        "run `EGRET_UPDATE=1 cargo test -p gateway-observe` and commit the file"
    );
}

/// Every kind of line with everything left out that may be.
#[test]
fn what_is_written_has_the_shape_of_the_schema() {
    let ts = Timestamp(UNIX_EPOCH);
    let ruling = Ruling::plain("guard-rebinding", "");
    let flow = FlowRecord {
        ts,
        times: Times::ONCE,
        verdict: Verdict::Deny,
        would: Verdict::Deny,
        workload: "run".to_owned(),
        hook: "connect",
        pid: None,
        comm: None,
        destination: Destination::new([198, 51, 100, 66].into(), Protocol(6), 80),
        names: Vec::new(),
        established: false,
        ruling: ruling.clone(),
    };
    let query = QueryRecord {
        ts,
        times: Times::ONCE,
        verdict: Verdict::Deny,
        would: Verdict::Deny,
        workload: "run".to_owned(),
        name: "api.example.com".to_owned(),
        record_type: "A".to_owned(),
        server: ([192, 0, 2, 53], 53).into(),
        protocol: Protocol(17),
        client_port: 4000,
        rcode: None,
        ruling: ruling.clone(),
    };
    let guard = GuardRecord {
        ts,
        times: Times::ONCE,
        verdict: Verdict::Deny,
        workload: "run".to_owned(),
        name: "api.example.com".to_owned(),
        address: [10, 0, 0, 1].into(),
        class: "private",
        ruling,
    };
    let limit = LimitRecord {
        ts,
        times: Times::ONCE,
        verdict: Verdict::Deny,
        workload: "run".to_owned(),
        effect: LimitEffect::Withheld,
        name: "many.example.com".to_owned(),
        addresses: vec![[203, 0, 113, 1].into()],
        code: "limit-addresses-of-name".to_owned(),
        reason: String::new(),
    };
    let mut records = vec![
        Record::Flow(flow),
        Record::Query(query),
        Record::Guard(guard),
        Record::Limit(limit),
        Record::Cut(CutRecord { ts, limit: 1 }),
    ];
    let mut tally = Tally::default();
    records.iter().for_each(|record| tally.note(record));
    records.push(Record::Summary(tally.summary(ts, 0, 0)));

    let schema = schema();
    for record in &records {
        let line = serde_json::to_value(record).expect("JSON");
        let shapes = schema["oneOf"].as_array().expect("a shape for each kind");
        let shape = shapes
            .iter()
            .find(|shape| shape["properties"]["kind"]["const"] == line["kind"])
            .expect("a shape for this kind");
        assert_eq!(difference(&schema, shape, &line, "line"), None, "{line}");
    }
}

fn schema() -> Value {
    // What is written, not what could be read: a part that may be left out is not required.
    schemars::generate::SchemaSettings::default()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Record>()
        .to_value()
}

/// The first part of `value` that is not as the schema says: absent and required, or there and not described.
fn difference(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let target = schema["$ref"]
        .as_str()
        .and_then(|reference| root.pointer(reference.trim_start_matches('#')));
    let parts: Vec<&Value> = [Some(schema), target].into_iter().flatten().collect();
    match value {
        Value::Object(object) => {
            let required = parts
                .iter()
                .filter_map(|part| part["required"].as_array())
                .flatten();
            for name in required.filter_map(Value::as_str) {
                if !object.contains_key(name) {
                    return Some(format!("{at}.{name} is required and not there"));
                }
            }
            object.iter().find_map(|(name, value)| {
                let Some(described) = parts
                    .iter()
                    .find_map(|part| part["properties"].get(name.as_str()))
                else {
                    return Some(format!("{at}.{name} is not described"));
                };
                difference(root, described, value, &format!("{at}.{name}"))
            })
        }
        Value::Array(values) => {
            let items = parts.iter().find_map(|part| part.get("items"))?;
            values
                .iter()
                .find_map(|value| difference(root, items, value, &format!("{at}[]")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
