//! The program as a shell starts it.

use std::path::Path;
use std::process::{Command, Output};

/// Runs `egret` with the words of `line`, in `folder`.
pub(crate) fn egret(folder: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_egret"))
        .args(line.split_whitespace())
        .current_dir(folder)
        .env_remove("NO_COLOR")
        .output()
        .expect("egret starts")
}

/// What it printed.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}
