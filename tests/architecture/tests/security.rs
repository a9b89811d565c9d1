//! `SECURITY.md` says of each way out which tests try it. Here they are looked for, both ways.

#![expect(clippy::panic, reason = "a test says what is wrong and fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where the tests that try the walls lie. A module's name belongs to one of them.
const SUITES: [&str; 3] = [
    "tests/scenarios",
    "gateway/gateway-sandbox/tests/it",
    "ebpf/ebpf-loader/tests/kernel",
];

/// Modules in which every test is a way out.
const WAYS_OUT: [&str; 2] = ["escapes", "handed_in"];

#[test]
fn every_attempt_is_tried_by_tests_that_are_there() {
    let rows = rows();
    assert!(rows.len() >= 20, "the table was not found");
    let tests = tests();
    for (attempt, named) in rows {
        assert!(!named.is_empty(), "nothing tries `{attempt}`");
        for test in named {
            assert!(tests.contains(&test), "`{attempt}`: no test `{test}`");
        }
    }
}

#[test]
fn every_test_of_a_way_out_stands_in_the_table() {
    let named: BTreeSet<String> = rows().into_iter().flat_map(|(_, named)| named).collect();
    for test in tests() {
        let module = test.split("::").next().unwrap_or_default();
        assert!(
            !WAYS_OUT.contains(&module) || named.contains(&test),
            "no row of SECURITY.md names `{test}`"
        );
    }
}

/// Attempts, and the tests that their rows name.
fn rows() -> Vec<(String, Vec<String>)> {
    let text = read(&root().join("SECURITY.md"));
    let table = text
        .lines()
        .skip_while(|line| !line.starts_with("| attempt |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    table
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
            let [attempt, _, tests] = cells.as_slice() else {
                panic!("not three cells: {row}");
            };
            let tests = tests
                .split('`')
                .filter(|word| word.contains("::"))
                .map(str::to_owned);
            (attempt.trim().to_owned(), tests.collect())
        })
        .collect()
}

/// Every test of the suites, as `module::test`.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for suite in SUITES {
        let mut folders = vec![root().join(suite)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{suite}: {e}")) {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "rs") {
                    let module = path.file_stem().expect("a name").to_string_lossy();
                    for test in tests_of(&read(&path)) {
                        tests.insert(format!("{module}::{test}"));
                    }
                }
            }
        }
    }
    tests
}

/// The functions behind `#[test]` and `#[test_case(…)]`.
fn tests_of(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in source.lines() {
        if line.starts_with("#[test") {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if is_test {
                found.extend(rest.split('(').next());
            }
            is_test = false;
        }
    }
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
