//! Every input that was ever worth keeping, tried again.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz_replay::TARGETS;

#[test]
fn every_kept_input_still_holds() {
    for (name, target) in TARGETS {
        let inputs = inputs(&corpus().join(name));
        assert!(inputs.len() >= 5, "{name}: too few inputs");
        for path in inputs {
            let input = fs::read(&path).expect("a readable file");
            announce(&path);
            target(&input);
        }
    }
}

#[test]
fn no_cut_or_damaged_input_breaks_anything() {
    for (name, target) in TARGETS {
        for path in inputs(&corpus().join(name)) {
            let input = fs::read(&path).expect("a readable file");
            announce(&path);
            for at in 0..input.len().min(400) {
                target(&input[..at]);
                let mut damaged = input.clone();
                for octet in [0, 0x3f, 0xc0, 0xff, input[at] ^ 1, b'*'] {
                    damaged[at] = octet;
                    target(&damaged);
                }
            }
        }
    }
}

#[test]
fn every_corpus_has_a_target_and_every_target_a_program() {
    let mut folders: Vec<String> = fs::read_dir(corpus())
        .expect("a folder")
        .map(|entry| {
            let name = entry.expect("an entry").file_name();
            name.to_string_lossy().into_owned()
        })
        .collect();
    folders.sort_unstable();
    let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(folders, targets);
    for name in targets {
        let program = corpus().join(format!("../fuzz_targets/{name}.rs"));
        let text = fs::read_to_string(program).expect("a program of the target's name");
        assert!(text.contains(&format!("fuzz_replay::{name}(input)")));
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the test runner shows it when the input breaks something"
)]
fn announce(path: &Path) {
    println!("{}", path.display());
}

fn inputs(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of inputs")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort_unstable();
    paths
}

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}
