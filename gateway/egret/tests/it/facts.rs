//! The facts about dialects that lie beside the clone, written as test files by a program that lies there too: whoever writes
//! `egret test` files by the format's description must be understood.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Facts that Egret rules otherwise or not at all, each with the reason. One more or one less of them fails the test.
const OTHERWISE: &[(&str, &str)] = &[
    (
        "cilium_match/match-17/test.yaml",
        "the pattern `.` is refused by the regular expression of Cilium's CRD, which no object gets past; the fact is about \
         the agent's code behind it",
    ),
    (
        "match-17:.~.io.",
        "the same: the policy is refused, so nothing is denied",
    ),
    (
        "anp-06",
        "the fact does not say who answered, and the program makes that a server nobody configured; from the cluster's own \
         it holds (`network_policies_of_every_kind_rule_as_the_facts_say`)",
    ),
];

/// How many tests there are, at least.
const MOST_OF_THEM: usize = 55_000;

#[test]
fn facts_written_by_another_program_hold() {
    let Some((program, cases)) = beside_the_clone() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let written = Command::new("python3")
        .arg(&program)
        .arg(&cases)
        .arg(folder.path())
        .output();
    let written = match written {
        Ok(written) => written,
        Err(error) => {
            facts::not_run(&format!("python3: {error}"));
            return;
        }
    };
    assert!(
        written.status.success(),
        "{}",
        String::from_utf8_lossy(&written.stderr)
    );
    let ran = Command::new(env!("CARGO_BIN_EXE_egret"))
        .args(["test", "-o", "json", "*/*/test.yaml"])
        .current_dir(folder.path())
        .output()
        .expect("egret starts");
    let report: Value = serde_json::from_slice(&ran.stdout).expect("one JSON document");
    let results = report["results"].as_array().expect("results");
    let tests = results.iter().filter(|result| result["kind"] != "file");
    assert!(tests.count() >= MOST_OF_THEM, "{} results", results.len());

    let mut reasons: BTreeMap<&str, &str> = OTHERWISE.iter().copied().collect();
    let mut wrong = Vec::new();
    for result in results.iter().filter(|result| result["ok"] != true) {
        let name = result["name"].as_str().expect("a name");
        if reasons.remove(name).is_none() {
            wrong.push(format!("{name}: {}", result["message"]));
        }
    }
    wrong.extend(
        reasons
            .keys()
            .map(|name| format!("{name} holds now: take it off the list")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!(
        "{} facts hold, {} are ruled otherwise",
        report["passed"],
        OTHERWISE.len()
    );
}

/// The program and the folder of facts; nothing where they are absent, which is said.
fn beside_the_clone() -> Option<(PathBuf, PathBuf)> {
    Some((facts::path("tools/cases.py")?, facts::path("cases")?))
}
