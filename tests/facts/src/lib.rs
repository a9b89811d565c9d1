//! Facts about dialects and about other engines that lie beside the clone and are no part of the project: in `../shared`, or
//! where `EGRET_SHARED` says.
//!
//! What it deliberately does not do: fail. Whoever has a clone and nothing beside it can run every test, on a machine of
//! continuous integration too; a test that needs what is not there says so, past the capture of its output, and ends.
#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    reason = "this crate is part of tests: what cannot go on says so and fails"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// A file or folder of the facts, by its path among them; nothing where it is absent, which is said.
pub fn path(of: &str) -> Option<PathBuf> {
    let root = env::var_os("EGRET_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let found = root.join(of);
    if found.exists() {
        return Some(found);
    }
    not_run(&found.display().to_string());
    None
}

/// The text of a file of the facts; nothing where it is absent, which is said.
///
/// # Panics
/// Where it is there and cannot be read.
pub fn text(of: &str) -> Option<String> {
    let path = path(of)?;
    Some(fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Says that a test did not run for want of something. Seen also where the test passes: its output is not captured.
pub fn not_run(needs: &str) {
    let line = format!("NOT RUN: needs {needs}\n");
    // Nobody is there to hear it: nothing to do about that.
    std::io::stderr().write_all(line.as_bytes()).ok();
}
