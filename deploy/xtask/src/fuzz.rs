//! Looking for inputs that break a reader, for as long as one likes: `cargo xtask fuzz`.
//!
//! A job of its own: it needs a nightly compiler, and what it finds is a matter of luck. What it found is kept in
//! `tests/fuzz/corpus`, where the test command tries it again.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::shell::{self, cargo, root, say};

/// The newest release that builds with the Rust of this workspace.
const CARGO_FUZZ: &str = "0.13.2";
const FOLDER: &str = "tests/fuzz";
/// Where the readers of policies are: the words in their sources are the dictionary.
const READERS: &str = "policies/policy-dialects/src";
const USAGE: &str =
    "usage: cargo xtask fuzz [--seconds N] [--keep] [TARGET]…   (60 seconds each, every target)";
/// LIMIT: of one run and target. Every kept input is tried by the test command, whole and damaged.
const MOST_KEPT: usize = 12;
/// Longer inputs find little that shorter ones do not, and are slow.
const LONGEST: &str = "4096";

/// Runs the job: `cargo xtask fuzz`.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let wanted = Wanted::parse(args)?;
    let home = root().join("target/fuzz");
    fs::create_dir_all(&home).context("no folder for the job")?;
    install(&home)?;
    let dictionary = home.join("words.dict");
    write_dictionary(&dictionary)?;
    shell::run(fuzz(&home).args(["build"]).args(BUILD).args([
        "--fuzz-dir",
        FOLDER,
        "--target-dir",
        &text(&home.join("build")),
    ]))?;
    let mut broken = Vec::new();
    for target in &wanted.targets {
        if let Err(error) = discover(&home, target, &dictionary, &wanted) {
            say(&format!("{target}: {error:#}"));
            broken.push(target.as_str());
        }
    }
    ensure!(
        broken.is_empty(),
        "inputs that break {} lie in {FOLDER}/artifacts: mend the reader, and move each to {FOLDER}/corpus",
        broken.join(", ")
    );
    Ok(())
}

/// No sanitizer: the code under test has no `unsafe`. Overflow and debug assertions are what it can break.
const BUILD: [&str; 3] = ["--sanitizer", "none", "--debug-assertions"];

/// What was asked for.
struct Wanted {
    seconds: u32,
    /// Whether what reaches new code is added to the committed corpus.
    keep: bool,
    targets: Vec<String>,
}

impl Wanted {
    fn parse(args: &[String]) -> anyhow::Result<Self> {
        let mut wanted = Self {
            seconds: 60,
            keep: false,
            targets: Vec::new(),
        };
        let known = targets()?;
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--seconds" => {
                    let value = args.next().context(USAGE)?;
                    wanted.seconds = value.parse().context(USAGE)?;
                }
                "--keep" => wanted.keep = true,
                target if known.contains(target) => wanted.targets.push(target.to_owned()),
                unknown => bail!(
                    "no target is called `{unknown}`; there are {}\n{USAGE}",
                    known.iter().cloned().collect::<Vec<_>>().join(", ")
                ),
            }
        }
        if wanted.targets.is_empty() {
            wanted.targets = known.into_iter().collect();
        }
        Ok(wanted)
    }
}

fn discover(home: &Path, target: &str, dictionary: &Path, wanted: &Wanted) -> anyhow::Result<()> {
    let committed = root().join(FOLDER).join("corpus").join(target);
    let found = home.join("corpus").join(target);
    fs::create_dir_all(&found).context("no folder for what is found")?;
    let run = |what: &[String]| {
        let mut command = fuzz(home);
        command
            .args(["run"])
            .args(BUILD)
            .args(["--fuzz-dir", FOLDER])
            .args(["--target-dir", &text(&home.join("build")), target])
            .args([&found, &committed])
            .arg("--")
            .args(what);
        command
    };
    shell::run(&mut run(&[
        format!("-max_total_time={}", wanted.seconds),
        format!("-max_len={LONGEST}"),
        format!("-dict={}", text(dictionary)),
        // An input that takes seconds is a finding: policies come from strangers.
        "-timeout=5".to_owned(),
        "-rss_limit_mb=2048".to_owned(),
        "-use_value_profile=1".to_owned(),
        "-print_final_stats=1".to_owned(),
        "-verbosity=0".to_owned(),
    ]))?;
    if wanted.keep {
        keep(home, target, &found, &committed)?;
    }
    Ok(())
}

/// Of the found inputs that reach what no committed one reaches, those that reach most of it, into the committed corpus.
fn keep(home: &Path, target: &str, found: &Path, committed: &Path) -> anyhow::Result<()> {
    let chosen = tempfile::tempdir().context("no temporary directory")?;
    for name in names(committed)? {
        fs::copy(committed.join(&name), chosen.path().join(&name)).context("cannot copy")?;
    }
    let before = names(chosen.path())?;
    let mut command = fuzz(home);
    command
        .args(["run"])
        .args(BUILD)
        .args(["--fuzz-dir", FOLDER])
        .args(["--target-dir", &text(&home.join("build")), target])
        .args([chosen.path(), found])
        .args(["--", "-set_cover_merge=1", "-verbosity=0"]);
    shell::run(&mut command)?;
    // The merge writes them in the order of what each adds.
    let mut new = Vec::new();
    for name in names(chosen.path())?.difference(&before) {
        let path = chosen.path().join(name);
        let written = fs::metadata(&path).and_then(|data| data.modified());
        new.push((
            written.context("cannot look at what was found")?,
            path,
            name.clone(),
        ));
    }
    new.sort();
    for (_, path, name) in new.iter().take(MOST_KEPT) {
        fs::copy(path, committed.join(name)).context("cannot keep an input")?;
    }
    say(&format!(
        "{target}: {} of {} inputs that reach something new are kept",
        new.len().min(MOST_KEPT),
        new.len()
    ));
    Ok(())
}

fn install(home: &Path) -> anyhow::Result<()> {
    if home.join("bin/cargo-fuzz").is_file() {
        return Ok(());
    }
    shell::run(
        cargo()
            .args(["install", "--locked", "--root", &text(home)])
            .args(["--version", CARGO_FUZZ, "cargo-fuzz"]),
    )
}

fn fuzz(home: &Path) -> Command {
    let mut command = Command::new(home.join("bin/cargo-fuzz"));
    command
        .arg("fuzz")
        .current_dir(root())
        // The task's own compiler is pinned through these; this one has to be a nightly.
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env("RUSTUP_TOOLCHAIN", "nightly");
    command
}

/// Every word the readers have in quotes is one that an input may have to say.
fn write_dictionary(path: &Path) -> anyhow::Result<()> {
    let mut words = BTreeSet::new();
    let mut folders = vec![root().join(READERS)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).context("cannot list the readers")? {
            let path = entry.context("cannot list the readers")?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let source = fs::read_to_string(&path).context("cannot read a reader")?;
                words.extend(
                    source
                        .split('"')
                        .filter(|word| is_word(word))
                        .map(str::to_owned),
                );
            }
        }
    }
    ensure!(words.len() > 100, "the readers of {READERS} have few words");
    let lines: Vec<String> = words.iter().map(|word| format!("\"{word}\"\n")).collect();
    fs::write(path, lines.concat()).context("cannot write the dictionary")
}

fn is_word(text: &str) -> bool {
    (2..=40).contains(&text.len())
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"./-_*:".contains(&octet))
}

fn targets() -> anyhow::Result<BTreeSet<String>> {
    let folder = root().join(FOLDER).join("fuzz_targets");
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).context("cannot list the targets")? {
        let path = entry.context("cannot list the targets")?.path();
        if let Some(stem) = path.file_stem() {
            names.insert(stem.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

fn names(folder: &Path) -> anyhow::Result<BTreeSet<OsString>> {
    let entries = fs::read_dir(folder).context("cannot list inputs")?;
    entries
        .map(|entry| Ok(entry.context("cannot list inputs")?.file_name()))
        .collect()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
