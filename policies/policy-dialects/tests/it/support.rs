use std::path::PathBuf;

use policy_dialects::{Context, read};
use policy_model::{Diagnostic, Level, Policy};

/// Reads text that is expected to be one file.
pub(crate) fn read_text(text: &str) -> (Vec<Policy>, Vec<Diagnostic>) {
    let reading = read("policy.yaml", text, &Context::default());
    (reading.policies, reading.diagnostics)
}

/// The codes found, in order.
pub(crate) fn codes(diagnostics: &[Diagnostic]) -> Vec<&'static str> {
    diagnostics
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect()
}

pub(crate) fn has_level(diagnostics: &[Diagnostic], level: Level) -> bool {
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic.level == level)
}

/// Data that lies beside the clone and is no part of the project; nothing where it is absent, which only a machine without
/// `CI` may be.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("EGRET_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI is set and {} is absent",
        found.display()
    );
    eprintln!("NOT RUN: needs {}", found.display());
    None
}
