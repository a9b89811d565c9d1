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
            // LIMIT: a hundred places of an input, because each is tried seven times.
            for at in (0..input.len()).step_by(input.len() / 100 + 1) {
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

/// Pieces of kept inputs put together at random. `EGRET_SEED` repeats a run, `EGRET_ROUNDS` makes it longer.
#[test]
fn no_mixed_input_breaks_anything() {
    let number = |name: &str, default: u64| {
        let given = std::env::var(name).ok();
        given.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seed, rounds) = (number("EGRET_SEED", 0x5eed), number("EGRET_ROUNDS", 200));
    for (name, target) in TARGETS {
        let kept: Vec<Vec<u8>> = inputs(&corpus().join(name))
            .iter()
            .map(|path| fs::read(path).expect("a readable file"))
            .collect();
        let mut random = Random(seed);
        for round in 0..rounds {
            let mut input = kept[random.below(kept.len())].clone();
            for _ in 0..=random.below(4) {
                let other = &kept[random.below(kept.len())];
                let (from, at) = (random.below(other.len() + 1), random.below(input.len() + 1));
                let piece = from..(from + random.below(80)).min(other.len());
                let gone = at..(at + random.below(40)).min(input.len());
                input.splice(gone, other[piece].iter().copied());
            }
            say(&format!("EGRET_SEED={seed}: round {round} of {name}"));
            target(&input);
        }
    }
}

/// A xorshift generator: reproducible, and no dependency.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bound = u64::try_from(bound.max(1)).expect("small");
        usize::try_from(self.0 % bound).expect("small")
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

fn announce(path: &Path) {
    say(&path.display().to_string());
}

#[expect(
    clippy::print_stdout,
    reason = "the test runner shows it when the input breaks something"
)]
fn say(what: &str) {
    println!("{what}");
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
