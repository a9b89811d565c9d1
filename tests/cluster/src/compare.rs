//! Third check: what the API server refuses we never take in silence, and what it takes we refuse for a reason that is known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use policy_dialects::{Context, read};
use policy_engine::testing::Random;
use policy_model::{Diagnostic, Level};
use serde_json::Value;

use crate::client::{Client, Response};
use crate::definition::{Definition, documents};
use crate::known;
use crate::random::{mutate, value};

/// Objects that are asked about at once.
const CHUNK: usize = 250;

/// What was seen, over all kinds.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    kinds: BTreeMap<String, Counts>,
    unknown: BTreeMap<String, Example>,
    reasons: BTreeMap<(String, &'static str), usize>,
}

#[derive(Debug, Default)]
struct Counts {
    both_take: usize,
    both_refuse: usize,
    known: usize,
}

#[derive(Debug)]
struct Example {
    count: usize,
    object: String,
    told: String,
}

impl Comparison {
    /// Compares as many random objects of a kind, half of them with something broken.
    pub(crate) fn at_random(
        &mut self,
        definition: &Definition,
        objects: usize,
        random: &mut Random,
        client: &mut Client,
    ) -> anyhow::Result<()> {
        let schema = &definition.schema["properties"]["spec"];
        for _ in 0..objects / CHUNK {
            let asked: Vec<Value> = (0..CHUNK)
                .map(|_| {
                    let mut spec = value("spec", schema, random);
                    if random.chance(60) {
                        mutate(&mut spec, schema, random);
                    }
                    definition.object(name(definition), &spec)
                })
                .collect();
            self.objects(definition, &asked, client)?;
        }
        Ok(())
    }

    /// Compares every native object in the files of the project.
    pub(crate) fn files(
        &mut self,
        root: &Path,
        definitions: &[Definition],
        client: &mut Client,
    ) -> anyhow::Result<()> {
        let mut files = vec![root.join("README.md")];
        for folder in ["deploy/examples", "tests/corpus", "policies/policy-cases"] {
            every_file(&root.join(folder), &mut files)?;
        }
        files.sort();
        let mut seen = 0;
        for file in files {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("failed to read `{}`", file.display()))?;
            for mut object in objects_in(&text) {
                let definition = definitions.iter().find(|definition| {
                    definition.kind == object["kind"]
                        && object["apiVersion"] == "egret.dev/v1alpha1"
                });
                if let Some(definition) = definition {
                    if definition.namespaced && object["metadata"].is_object() {
                        object["metadata"]["namespace"] = "default".into();
                    }
                    self.objects(definition, &[object], client)?;
                    seen += 1;
                }
            }
        }
        ensure!(
            seen >= 40,
            "only {seen} native objects in the project's files"
        );
        eprintln!("{seen} native objects of the project's own files");
        Ok(())
    }

    fn objects(
        &mut self,
        definition: &Definition,
        objects: &[Value],
        client: &mut Client,
    ) -> anyhow::Result<()> {
        let requests: Vec<_> = objects
            .iter()
            .map(|object| definition.create(object.clone()))
            .collect();
        for (object, response) in objects.iter().zip(client.ask_all(&requests)?) {
            self.judge(definition, object, &response)?;
        }
        Ok(())
    }

    fn judge(
        &mut self,
        definition: &Definition,
        object: &Value,
        response: &Response,
    ) -> anyhow::Result<()> {
        let kind = format!("{} {}", definition.kind, definition.group);
        let ours = refusal(object);
        let counts = self.kinds.entry(kind.clone()).or_default();
        let (told, reason) = match (response.status, ours) {
            (200..300, None) => {
                counts.both_take += 1;
                return Ok(());
            }
            (200..300, Some(ours)) if ours.level == Level::Closed => {
                counts.both_take += 1;
                return Ok(());
            }
            (400 | 413 | 422, Some(_)) => {
                counts.both_refuse += 1;
                return Ok(());
            }
            (200..300, Some(ours)) => (
                format!("{kind}: we refuse: {} {}", ours.code, ours.message),
                known::refused_by_us(definition, &ours),
            ),
            (400 | 413 | 422, None) => (
                format!("{kind}: they refuse: {}", response.message()),
                known::refused_by_them(definition, response),
            ),
            (status, _) => bail!(
                "the API server says {status} of {object}: {}",
                response.message()
            ),
        };
        if let Some(reason) = reason {
            counts.known += 1;
            *self.reasons.entry((kind, reason)).or_default() += 1;
            return Ok(());
        }
        let object = object.to_string();
        let example = self.unknown.entry(gist(&told)).or_insert_with(|| Example {
            count: 0,
            object: object.clone(),
            told: told.clone(),
        });
        example.count += 1;
        if object.len() < example.object.len() {
            (example.object, example.told) = (object, told);
        }
        Ok(())
    }

    /// Says what was seen; an error where there is a difference that nobody knows.
    pub(crate) fn tell(self, mut say: impl FnMut(&str)) -> anyhow::Result<()> {
        for (kind, counts) in &self.kinds {
            say(&format!(
                "{kind}: {} taken by both, {} refused by both, {} differ for known reasons",
                counts.both_take, counts.both_refuse, counts.known
            ));
            for ((of, reason), count) in &self.reasons {
                if of == kind {
                    say(&format!("{count:8} {reason}"));
                }
            }
        }
        for example in self.unknown.values() {
            say(&format!(
                "{} × {}\n    {}",
                example.count, example.told, example.object
            ));
        }
        ensure!(
            self.unknown.is_empty(),
            "{} differences that nobody knows",
            self.unknown.len()
        );
        Ok(())
    }
}

/// Why we do not take an object, if so: the first that refuses it, or else that closes a rule.
pub(crate) fn refusal(object: &Value) -> Option<Diagnostic> {
    let mut diagnostics = read("object", &object.to_string(), &Context::default()).diagnostics;
    diagnostics.retain(|diagnostic| diagnostic.level != Level::Lint);
    let refused = diagnostics
        .iter()
        .position(|diagnostic| diagnostic.level == Level::Refused)
        .unwrap_or(0);
    (!diagnostics.is_empty()).then(|| diagnostics.swap_remove(refused))
}

fn name(definition: &Definition) -> &'static str {
    // There is one of these.
    if definition.kind == "BaselineAdminNetworkPolicy" {
        "default"
    } else {
        "p"
    }
}

/// A message without what differs from object to object.
fn gist(told: &str) -> String {
    let mut gist = String::new();
    let mut quoted = false;
    for c in told.chars() {
        if matches!(c, '"' | '`') {
            quoted = !quoted;
        } else if !quoted && !c.is_ascii_digit() {
            gist.push(c);
        }
    }
    gist.chars().take(140).collect()
}

/// The objects of a text: its documents, what test files hold `inline`, and what stands between the fences of a document for
/// people. What is broken on purpose is left out.
fn objects_in(text: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    let fenced: Vec<&str> = text.split("```yaml\n").skip(1).collect();
    let texts = if fenced.is_empty() {
        vec![text]
    } else {
        fenced
            .iter()
            .filter_map(|rest| rest.split("\n```").next())
            .collect()
    };
    for document in texts
        .into_iter()
        .flat_map(|text| documents(text).unwrap_or_default())
    {
        match document["inline"].as_str() {
            Some(inline) => objects.extend(documents(inline).unwrap_or_default()),
            None => objects.push(document),
        }
    }
    objects
}

fn every_file(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)
        .with_context(|| format!("failed to read `{}`", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            every_file(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|kind| kind == "yaml" || kind == "md")
        {
            files.push(path);
        }
    }
    Ok(())
}
