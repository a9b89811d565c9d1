//! Starts `gateway-sandbox-held` and reads what came of it.

use std::process::{Command, Output, Stdio};

/// What a held command wrote, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// `gateway-sandbox-held` with these arguments, its standard input closed.
pub(crate) fn held(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway-sandbox-held"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    held(arguments)
        .output()
        .expect("the test binary is built")
        .into()
}

/// Whether tests that need root can run. In CI they must.
pub(crate) fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    assert!(
        root || std::env::var_os("CI").is_none(),
        "{test} needs root"
    );
    root
}
