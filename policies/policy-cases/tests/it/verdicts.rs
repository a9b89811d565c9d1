//! Every file of `tests/corpus/verdicts`, on the compiled ruleset and on the reference.

use std::path::{Path, PathBuf};

use policy_cases::{
    CaseFile, CompiledEngine, Engine, FileText, Outcome, ReferenceEngine, Scene, judge,
};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/verdicts")
}

fn scene(path: &Path) -> Scene {
    let name = path
        .file_name()
        .expect("a file")
        .to_string_lossy()
        .into_owned();
    let text = std::fs::read_to_string(path).expect("text");
    let file = CaseFile::parse(&name, &text).unwrap_or_else(|errors| panic!("{name}: {errors:#?}"));
    let read = |refs: &[policy_cases::SourceRef]| -> Vec<FileText> {
        refs.iter()
            .map(|file| FileText {
                name: file.text.to_string(),
                text: std::fs::read_to_string(corpus().join(&*file.text)).expect("text"),
            })
            .collect()
    };
    let (policies, world) = (read(&file.policies), read(&file.world));
    Scene::prepare(file, &policies, &world).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn run(engine: &mut dyn Engine) -> (usize, usize) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(corpus())
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    let (mut passed, mut unsupported) = (0, 0);
    let mut wrong = Vec::new();
    for path in files {
        let scene = scene(&path);
        for diagnostic in scene.unexpected() {
            wrong.push(format!(
                "{}: unexpected [{}] {}",
                diagnostic.origin, diagnostic.code, diagnostic.message
            ));
        }
        for test in &scene.file.tests {
            match judge(&scene, test, engine).outcome {
                Outcome::Passed => passed += 1,
                Outcome::Unsupported(_) => unsupported += 1,
                outcome @ (Outcome::Failed(_) | Outcome::Needs(_) | Outcome::Error(_)) => {
                    wrong.push(format!("{}: {}: {outcome:?}", test.origin, test.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", engine.name(), wrong.join("\n"));
    println!(
        "{}: {passed} passed, {unsupported} not for it",
        engine.name()
    );
    (passed, unsupported)
}

#[test]
fn the_compiled_ruleset_passes_every_case() {
    let (passed, unsupported) = run(&mut CompiledEngine);
    assert!(passed >= 60, "{passed} cases");
    assert_eq!(unsupported, 0);
}

#[test]
fn the_reference_passes_every_case_it_can_run() {
    let (passed, unsupported) = run(&mut ReferenceEngine);
    assert!(
        passed > unsupported * 5,
        "{passed} passed, {unsupported} not for it"
    );
}
