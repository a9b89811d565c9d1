//! Second check: each rule in CEL refuses an object of its own, by its own message, and so do we.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::client::Client;
use crate::compare::refusal;
use crate::definition::{Definition, documents};

pub(crate) fn each_refuses(definitions: &[Definition], client: &mut Client) -> anyhow::Result<()> {
    let mut written = BTreeSet::new();
    for definition in definitions {
        messages(&definition.schema, &mut written);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules.yaml");
    let cases = documents(&std::fs::read_to_string(&file)?)?;
    let mut tried = BTreeSet::new();
    for case in cases
        .first()
        .and_then(Value::as_array)
        .context("no list of rules")?
    {
        let message = case["message"].as_str().context("no message")?;
        let definition = definitions
            .iter()
            .find(|definition| definition.kind == case["kind"])
            .with_context(|| format!("no kind {}", case["kind"]))?;
        let object = definition.object("p", &case["spec"]);
        let response = client.ask(definition.create(object.clone()))?;
        ensure!(
            !response.is_accepted(),
            "the API server takes what `{message}` should refuse: {object}"
        );
        let causes: Vec<&str> = response.body["details"]["causes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|cause| cause["message"].as_str())
            .collect();
        ensure!(
            !causes.is_empty() && causes.iter().all(|cause| cause.contains(message)),
            "`{message}` is not why the API server refuses {object}: {}",
            response.message()
        );
        ensure!(
            refusal(&object).is_some(),
            "we take what `{message}` refuses: {object}"
        );
        tried.insert(message.to_owned());
    }
    ensure!(
        tried == written,
        "rules and their cases differ: {:?}",
        tried.symmetric_difference(&written).collect::<Vec<_>>()
    );
    eprintln!(
        "each of {} rules refuses an object of its own, and so do we",
        tried.len()
    );
    Ok(())
}

fn messages(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for rule in object
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                found.extend(rule["message"].as_str().map(str::to_owned));
            }
            for inner in object.values() {
                messages(inner, found);
            }
        }
        Value::Array(items) => {
            for inner in items {
                messages(inner, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
