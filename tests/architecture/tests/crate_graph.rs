//! The arrows between our crates, and what the pure ones never reach.
//!
//! A new arrow is a decision: draw it in `ARCHITECTURE.md`, then here.

#![expect(clippy::panic, reason = "a test says what is wrong and fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Every crate of ours, and which of our crates it may name in `[dependencies]`.
const ARROWS: &[(&str, &[&str])] = &[
    ("dns-names", &[]),
    ("dns-bindings", &["dns-names"]),
    ("dns-server", &["dns-names"]),
    ("policy-model", &["dns-names"]),
    ("policy-dialects", &["dns-names", "policy-model"]),
    ("policy-engine", &["dns-names", "policy-model"]),
    (
        "policy-cases",
        &[
            "dns-names",
            "policy-dialects",
            "policy-engine",
            "policy-model",
        ],
    ),
    ("ebpf-abi", &[]),
    ("ebpf-logic", &["ebpf-abi"]),
    ("ebpf-loader", &["ebpf-abi"]),
    (
        "gateway-state",
        &[
            "dns-bindings",
            "dns-names",
            "ebpf-abi",
            "policy-engine",
            "policy-model",
        ],
    ),
    (
        "gateway-observe",
        &["ebpf-abi", "policy-engine", "policy-model"],
    ),
    ("facts", &[]),
    ("gateway-sandbox", &[]),
    ("gateway-playground", &[]),
];

/// Crates without I/O, clock, async or unsafe.
const PURE: &[&str] = &[
    "dns-bindings",
    "dns-names",
    "ebpf-abi",
    "ebpf-logic",
    "gateway-state",
    "policy-cases",
    "policy-dialects",
    "policy-engine",
    "policy-model",
];

/// What a pure crate must not reach, directly or through others.
const IMPURE: &[&str] = &[
    "aya",
    "hickory-resolver",
    "hickory-server",
    "hyper",
    "kube",
    "landlock",
    "mio",
    "nix",
    "rtnetlink",
    "socket2",
    "tokio",
];

/// The binary and the crates around the product may name every crate.
const UNBOUND: &[&str] = &[
    "architecture",
    "cluster",
    "conformance",
    "egret",
    "fuzz-replay",
    "oracles",
    "testkit",
    "xtask",
];

#[test]
fn every_arrow_is_drawn() {
    let drawn: BTreeMap<&str, BTreeSet<&str>> = ARROWS
        .iter()
        .map(|(from, to)| (*from, to.iter().copied().collect()))
        .collect();
    let mut undrawn = Vec::new();
    for (from, to) in our_dependencies() {
        if UNBOUND.contains(&from.as_str()) {
            continue;
        }
        let allowed = drawn
            .get(from.as_str())
            .unwrap_or_else(|| panic!("`{from}` is not in the table: draw it first"));
        undrawn.extend(
            to.iter()
                .filter(|to| !allowed.contains(to.as_str()))
                .map(|to| format!("{from} -> {to}")),
        );
    }
    assert!(
        undrawn.is_empty(),
        "arrows that ARCHITECTURE.md does not draw: {undrawn:?} (see `cargo tree -p CRATE --depth 1`)"
    );
}

#[test]
fn the_table_has_no_arrow_that_nobody_uses() {
    let used = our_dependencies();
    let unused: Vec<String> = ARROWS
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (*from, *to)))
        .filter(|(from, to)| !used.get(*from).is_some_and(|all| all.contains(*to)))
        .map(|(from, to)| format!("{from} -> {to}"))
        .collect();
    assert!(unused.is_empty(), "drawn but not there: {unused:?}");
}

#[test]
fn pure_crates_reach_no_runtime_and_no_kernel() {
    let mut reached = Vec::new();
    for pure in PURE {
        let tree = stdout(Command::new(cargo()).current_dir(root()).args([
            "tree",
            "--package",
            pure,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ]));
        let all: BTreeSet<&str> = tree
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        reached.extend(
            IMPURE
                .iter()
                .filter(|impure| all.contains(*impure))
                .map(|impure| format!("{pure} reaches {impure}")),
        );
    }
    assert!(
        reached.is_empty(),
        "{reached:?} (see `cargo tree -p CRATE -i CULPRIT`)"
    );
}

#[test]
fn pure_crates_forbid_unsafe_code() {
    let careless: Vec<&&str> = PURE
        .iter()
        .filter(|name| {
            let lib =
                std::fs::read_to_string(folder_of(name).join("src/lib.rs")).expect("a lib.rs");
            !lib.contains("#![forbid(unsafe_code)]")
        })
        .collect();
    assert!(
        careless.is_empty(),
        "without `#![forbid(unsafe_code)]`: {careless:?}"
    );
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let without: Vec<String> = members()
        .into_iter()
        .filter(|(_, folder)| {
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
            !manifest.contains("[lints]\nworkspace = true")
        })
        .map(|(name, _)| name)
        .collect();
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn a_crate_is_called_as_its_folder() {
    let other: Vec<String> = members()
        .into_iter()
        .filter(|(name, folder)| folder.file_name().is_none_or(|last| last != name.as_str()))
        .map(|(name, _)| name)
        .collect();
    assert!(other.is_empty(), "{other:?}");
}

/// For each of our crates, which of ours it names in `[dependencies]`.
fn our_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let ours: BTreeSet<&str> = packages(&metadata)
        .filter_map(|p| p["name"].as_str())
        .collect();
    packages(&metadata)
        .map(|package| {
            let to = package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|dependency| dependency["kind"].is_null())
                .filter_map(|dependency| dependency["name"].as_str())
                .filter(|name| ours.contains(name))
                .map(str::to_owned)
                .collect();
            (package["name"].as_str().unwrap_or_default().to_owned(), to)
        })
        .collect()
}

fn members() -> Vec<(String, PathBuf)> {
    let metadata = metadata();
    packages(&metadata)
        .map(|package| {
            let manifest = PathBuf::from(package["manifest_path"].as_str().expect("a path"));
            let folder = manifest
                .parent()
                .expect("a manifest lies in a folder")
                .to_path_buf();
            (
                package["name"].as_str().unwrap_or_default().to_owned(),
                folder,
            )
        })
        .collect()
}

fn folder_of(name: &str) -> PathBuf {
    let found = members().into_iter().find(|(member, _)| member == name);
    found
        .unwrap_or_else(|| panic!("no crate is called `{name}`"))
        .1
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn metadata() -> Value {
    let mut command = Command::new(cargo());
    command
        .current_dir(root())
        .args(["metadata", "--format-version", "1", "--no-deps"]);
    serde_json::from_str(&stdout(&mut command)).expect("cargo metadata prints JSON")
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().expect("cargo starts");
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
