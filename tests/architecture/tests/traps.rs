//! `policies/TRAPS.md` says of each trap what holds it: codes, tests and cases. Here they are looked for.

#![expect(clippy::panic, reason = "a test says what is wrong and fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many traps of each dialect are known, in the order of the table.
const KNOWN: [(&str, usize); 5] = [
    ("NetworkPolicy", 9),
    ("ClusterNetworkPolicy", 9),
    ("Calico", 10),
    ("Cilium", 10),
    ("Native", 3),
];

#[test]
fn every_trap_is_held_by_something_that_is_there() {
    let documented = codes();
    let sources = sources();
    let (tests, tested) = (tests(&sources), tested(&sources, &documented));
    for (trap, held_by) in rows() {
        assert!(!held_by.is_empty(), "nothing holds `{trap}`");
        for held in held_by {
            if let Some((file, case)) = held.split_once(".yaml") {
                assert!(
                    has_case(file, case.strip_prefix(": ")),
                    "`{trap}`: no case `{held}`"
                );
            } else if held.contains("::") {
                assert!(tests.contains(&held), "`{trap}`: no test `{held}`");
            } else {
                assert!(documented.contains(&held), "`{trap}`: no code `{held}`");
                assert!(tested.contains(&held), "`{trap}`: no test says `{held}`");
            }
        }
    }
}

#[test]
fn no_known_trap_is_left_out() {
    let names: Vec<String> = rows().into_iter().map(|(name, _)| name).collect();
    let known: Vec<String> = KNOWN
        .iter()
        .flat_map(|(dialect, traps)| (1..=*traps).map(move |number| format!("{dialect} {number}")))
        .collect();
    assert_eq!(names, known);
}

/// Traps, and what their rows name.
fn rows() -> Vec<(String, Vec<String>)> {
    let text = read(&root().join("policies/TRAPS.md"));
    let table = text
        .lines()
        .skip_while(|line| !line.starts_with("| dialect |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    table
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
            let [name, _, held] = cells.as_slice() else {
                panic!("not three cells: {row}");
            };
            let held = held.split('`').skip(1).step_by(2).map(str::to_owned);
            (name.trim().to_owned(), held.collect())
        })
        .collect()
}

/// The codes of diagnostics.
fn codes() -> BTreeSet<String> {
    let text = read(&root().join("policies/DIAGNOSTICS.md"));
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next())
        .map(str::to_owned)
        .collect()
}

/// The text of every source file of the policies and of the verbs, by path.
fn sources() -> BTreeMap<PathBuf, String> {
    let mut sources = BTreeMap::new();
    let mut folders = vec![root().join("policies"), root().join("gateway/egret")];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = read(&path);
                sources.insert(path, text);
            }
        }
    }
    sources
}

/// Every test, as `module::test`.
fn tests(sources: &BTreeMap<PathBuf, String>) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for (path, text) in sources {
        let module = path.file_stem().expect("a name").to_string_lossy();
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("#[test") {
                is_test = true;
            } else if let Some(rest) = line.strip_prefix("fn ") {
                if is_test {
                    let name = rest.split('(').next().unwrap_or_default();
                    tests.insert(format!("{module}::{name}"));
                }
                is_test = false;
            }
        }
    }
    tests
}

/// The codes that stand in quotes in a file of tests.
fn tested(sources: &BTreeMap<PathBuf, String>, codes: &BTreeSet<String>) -> BTreeSet<String> {
    let is_of_tests = |path: &Path| path.components().any(|part| part.as_os_str() == "tests");
    let of_tests: Vec<&String> = sources
        .iter()
        .filter(|(path, _)| is_of_tests(path))
        .map(|(_, text)| text)
        .collect();
    let quoted = |code: &&String| {
        let quoted = format!("\"{code}\"");
        of_tests.iter().any(|text| text.contains(&quoted))
    };
    codes.iter().filter(quoted).cloned().collect()
}

/// Whether a file of verdicts is there, and has a case of that name.
fn has_case(file: &str, case: Option<&str>) -> bool {
    let path = root()
        .join("tests/corpus/verdicts")
        .join(format!("{file}.yaml"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match case {
        None => !text.is_empty(),
        Some(case) => text.contains(&format!("{{name: {case}, ")),
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
