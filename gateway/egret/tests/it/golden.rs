//! `tests/corpus/<dialect>/<case>/input.yaml`, and what it becomes: the model, the ruleset, the diagnostics.
//!
//! `EGRET_UPDATE=1 cargo test -p egret --test it golden` writes the files anew; the difference is read in review.

mod print;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use egret::policy_files::PolicyFile;
use egret::render::{self, Look};
use policy_dialects::{Context, Reading, read};
use policy_engine::compile;
use policy_model::{Policy, Settings, Subject, Workload, World};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus")
}

fn cases() -> Vec<PathBuf> {
    let folders = |path: &Path| -> BTreeSet<PathBuf> {
        let entries = path
            .read_dir()
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let all = folders(&corpus())
        .into_iter()
        .flat_map(|dialect| folders(&dialect));
    all.filter(|case| case.join("input.yaml").exists())
        .collect()
}

#[test]
fn every_case_becomes_what_it_became() {
    let update = std::env::var_os("EGRET_UPDATE").is_some();
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() >= 10, "{} cases", cases.len());
    for case in cases {
        for (name, text) in golden(&case) {
            let path = case.join(name);
            // A file that would be empty is not there.
            let known = std::fs::read_to_string(&path).unwrap_or_default();
            if known == text {
                continue;
            }
            if update {
                if text.is_empty() {
                    std::fs::remove_file(&path).expect("the corpus can be written");
                } else {
                    std::fs::write(&path, &text).expect("the corpus can be written");
                }
                println!("wrote {}", path.display());
            } else {
                wrong.push(format!(
                    "{}:\n--- expected\n{known}\n--- is\n{text}",
                    path.display()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "EGRET_UPDATE=1 writes these files anew\n{}",
        wrong.join("\n")
    );
}

fn golden(case: &Path) -> [(&'static str, String); 3] {
    let text = std::fs::read_to_string(case.join("input.yaml")).expect("text");
    let Reading {
        policies,
        mut diagnostics,
        ..
    } = read("input.yaml", &text, &Context::default());
    let world = World {
        resolvers: vec![policy_cases::resolver()],
        ..World::default()
    };
    // Who asks is another test's business: here every policy selects.
    let selecting: Vec<Policy> = policies
        .iter()
        .map(|policy| Policy {
            subject: Subject::All,
            ..policy.clone()
        })
        .collect();
    // The guards' prefixes are the same everywhere: one case shows them.
    let settings = Settings {
        guards: case.ends_with("guards"),
        ..Settings::default()
    };
    let mut compiled =
        compile(&selecting, &Workload::command(), &world, &settings).expect("it compiles");
    diagnostics.append(&mut compiled.diagnostics);
    let file = PolicyFile {
        name: "input.yaml".into(),
        path: case.join("input.yaml"),
        text,
    };
    [
        ("model.snap", print::model(&policies)),
        (
            "ruleset.snap",
            if policies.is_empty() {
                String::new()
            } else {
                print::ruleset(&compiled.ruleset, &mut compiled.lists, &policies)
            },
        ),
        (
            "diagnostics.snap",
            render::diagnostics(&diagnostics, &[file], Look::Plain),
        ),
    ]
}
