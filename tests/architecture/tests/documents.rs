//! What the documents promise about the tree, held against the tree.

#![expect(clippy::panic, reason = "a test says what is wrong and fails")]

use std::path::PathBuf;

const FOLDERS: &[&str] = &["deploy", "dns", "ebpf", "gateway", "policies", "tests"];

#[test]
fn the_root_has_its_documents() {
    for name in [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "deny.toml",
        "rust-toolchain.toml",
    ] {
        assert!(root().join(name).is_file(), "no {name}");
    }
}

#[test]
fn every_folder_says_what_belongs_there() {
    for folder in FOLDERS {
        let readme = root().join(folder).join("README.md");
        let text = std::fs::read_to_string(&readme).unwrap_or_default();
        assert!(
            text.lines().count() >= 5,
            "{} says too little",
            readme.display()
        );
    }
}

#[test]
fn the_architecture_names_every_crate() {
    let text = read("ARCHITECTURE.md");
    for folder in FOLDERS {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.join("Cargo.toml").is_file() {
                let name = path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                assert!(
                    text.contains(&format!("`{name}`")),
                    "ARCHITECTURE.md does not name `{name}`"
                );
            }
        }
    }
}

#[test]
fn the_readmes_test_command_is_what_integration_ends_with() {
    let script = read(".ci/run");
    let last = script
        .lines()
        .rfind(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .expect("a script has a last line");
    let command = last.trim().trim_start_matches("exec ");
    assert!(
        read("README.md").contains(command),
        "README.md does not show `{command}`"
    );
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
