//! What people write, in every dialect, from files beside the clone: each is read, and what is said of it is honest.
//!
//! `examples.txt` has a line for each file, in our own words: what the file holds, how many rules it gave, what was found.
//! `EGRET_UPDATE=1 cargo test -p policy-dialects examples` writes the lines anew; the difference is read in review.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use policy_dialects::decode::Findings;
use policy_dialects::yaml::{Node, Shape};
use policy_dialects::{Context, Reading, read, read_documents};
use policy_model::{Diagnostic, Level};

#[test]
fn every_example_is_read_with_honest_findings() {
    let Some(folder) = facts::path("examples") else {
        return;
    };
    let files = yaml_files(&folder);
    assert!(files.len() >= 280, "{} files", files.len());
    let mut lines = String::new();
    for path in files {
        let name = path.strip_prefix(&folder).expect("inside").display();
        let text = std::fs::read_to_string(&path).expect("text");
        let reading = read("example.yaml", &text, &Context::default());
        assert!(
            !reading.diagnostics.is_empty()
                || !reading.policies.is_empty()
                || speaks_of_others(&text),
            "{name} is passed over in silence"
        );
        for diagnostic in &reading.diagnostics {
            assert!(is_placed(diagnostic, &text), "{name}: {diagnostic:?}");
        }
        writeln!(lines, "{name}: {}", told(&text, &reading)).expect("text");
    }

    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/examples.txt");
    if std::env::var_os("EGRET_UPDATE").is_some() {
        std::fs::write(&golden, &lines).expect("the golden file can be written");
    }
    let known = std::fs::read_to_string(&golden).unwrap_or_default();
    let (mut is, mut was) = (lines.lines(), known.lines());
    let mut wrong = Vec::new();
    loop {
        match (was.next(), is.next()) {
            (None, None) => break,
            (was, is) if was == is => {}
            (was, is) => wrong.push(format!("- {}\n+ {}", was.unwrap_or(""), is.unwrap_or(""))),
        }
    }
    assert!(
        wrong.is_empty(),
        "EGRET_UPDATE=1 writes it anew\n{}",
        wrong.join("\n")
    );
}

/// Whether a file holds only what policies speak of, and no policy.
fn speaks_of_others(text: &str) -> bool {
    const KINDS: &[&str] = &[
        "CiliumCIDRGroup",
        "GlobalNetworkSet",
        "NetworkSet",
        "Profile",
        "Tier",
    ];
    let kinds = kinds(text);
    kinds.split(", ").all(|kind| {
        let kind = kind.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        KINDS.contains(&kind)
    })
}

/// Whether a finding has a place in the text, or right behind it.
fn is_placed(diagnostic: &Diagnostic, text: &str) -> bool {
    let lines = u32::try_from(text.lines().count()).expect("a short file");
    (1..=lines + 1).contains(&diagnostic.origin.line) && !diagnostic.message.is_empty()
}

/// `2 NetworkPolicy; 2 policies, 3 rules; closed: unknown-rule-field; lint: 2 network-policy-ingress`
fn told(text: &str, reading: &Reading) -> String {
    let rules: usize = reading.policies.iter().map(|one| one.rules.len()).sum();
    let mut line = format!(
        "{}; {}, {}",
        kinds(text),
        count(reading.policies.len(), "policy", "policies"),
        count(rules, "rule", "rules")
    );
    for level in [Level::Refused, Level::Closed, Level::Lint] {
        let found = reading.diagnostics.iter().filter(|d| d.level == level);
        let codes = numbered(found.map(|diagnostic| diagnostic.code.to_owned()));
        if !codes.is_empty() {
            write!(line, "; {level}: {codes}").expect("text");
        }
    }
    line
}

/// What the documents of a file say they are, the items of lists too.
fn kinds(text: &str) -> String {
    let documents = read_documents(text, &mut Findings::new("example.yaml"));
    let mut found = Vec::new();
    for document in &documents {
        kinds_of(document.root(), &mut found);
    }
    if found.is_empty() {
        return "nothing readable".to_owned();
    }
    numbered(found.into_iter())
}

fn kinds_of(node: Node<'_>, found: &mut Vec<String>) {
    match node.get("items").map(Node::shape) {
        Some(Shape::Sequence(items)) => items.iter().for_each(|item| kinds_of(item, found)),
        Some(Shape::Scalar(..) | Shape::Mapping(_)) | None => {
            found.push(node.get_str("kind").unwrap_or("no kind").to_owned());
        }
    }
}

/// Each word once, in order, with how often it stands where that is not once.
fn numbered(words: impl Iterator<Item = String>) -> String {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for word in words {
        *times.entry(word).or_default() += 1;
    }
    let words: Vec<String> = times
        .into_iter()
        .map(|(word, times)| match times {
            1 => word,
            _ => format!("{times} {word}"),
        })
        .collect();
    words.join(", ")
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The files of a folder and of those in it, in the order of their paths.
pub(crate) fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
