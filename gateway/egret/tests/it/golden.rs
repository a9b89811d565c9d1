//! `tests/corpus/<dialect>/<case>/input.yaml`, and what it becomes: the model, the ruleset, the diagnostics. Without a cluster
//! every policy selects; with a `world.yaml` beside it the ruleset is that of the pod `shop/web`, for whom subjects hold.
//!
//! `EGRET_UPDATE=1 cargo test -p egret --test it golden` writes the files anew; the difference is read in review.

mod print;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use egret::policy_files::PolicyFile;
use egret::render::{self, Look};
use policy_cases::{CaseFile, FileText, Scene, Trial};
use policy_dialects::{Context, Reading, read};
use policy_engine::compile;
use policy_model::{Diagnostic, Policy, Settings, Subject, Workload, World};

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
    assert!(cases.len() >= 21, "{} cases", cases.len());
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
    let Case {
        policies,
        held,
        mut diagnostics,
        workload,
        settings,
        world,
    } = match std::fs::read_to_string(case.join("world.yaml")) {
        Ok(world) => Case::in_a_cluster(&text, world),
        Err(_) => Case::without_a_cluster(&text),
    };
    // The guards' prefixes are the same everywhere: one case shows them.
    let settings = Settings {
        guards: case.ends_with("guards"),
        ..settings
    };
    let mut compiled = compile(&held, &workload, &world, &settings).expect("it compiles");
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

/// What is compiled, and for whom.
struct Case {
    policies: Vec<Policy>,
    /// The same as they are held against the workload.
    held: Vec<Policy>,
    diagnostics: Vec<Diagnostic>,
    workload: Workload,
    settings: Settings,
    world: World,
}

impl Case {
    /// Who asks is another test's business: every policy selects.
    fn without_a_cluster(text: &str) -> Self {
        let Reading {
            policies,
            diagnostics,
            ..
        } = read("input.yaml", text, &Context::default());
        let held = policies
            .iter()
            .map(|policy| Policy {
                subject: Subject::All,
                ..policy.clone()
            })
            .collect();
        Self {
            policies,
            held,
            diagnostics,
            workload: Workload::command(),
            settings: Settings::default(),
            world: World {
                resolvers: vec![policy_cases::resolver()],
                ..World::default()
            },
        }
    }

    fn in_a_cluster(text: &str, world: String) -> Self {
        let part = |name: &str, text: String| FileText {
            name: name.to_owned(),
            text,
        };
        // Any flow will do: who asks is what the scene is made for.
        let file = "tests: [{from: shop/web, to: {ip: 203.0.113.250}, port: 443, expect: deny}]";
        let file = CaseFile::parse("golden", file).expect("a test file");
        let policies = [part("input.yaml", text.to_owned())];
        let scene = Scene::prepare(file, &policies, &[part("world.yaml", world)]).expect("a world");
        let trial = scene.trial(&scene.file.tests[0]);
        let Trial {
            workload, settings, ..
        } = trial.expect("the pod `shop/web`");
        Self {
            held: scene.policies.clone(),
            policies: scene.policies,
            diagnostics: scene.diagnostics,
            workload,
            settings,
            world: scene.world,
        }
    }
}
