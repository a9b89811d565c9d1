//! Running other programs, and talking to the developer.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// One line for the developer.
#[expect(clippy::print_stderr, reason = "tasks talk to a person at a terminal")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// The root of the checkout, whatever folder the task was started in.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or_else(|| Path::new("."))
        .to_path_buf()
}

/// The cargo that runs us, so that a pinned toolchain stays pinned.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Shows a command, runs it to its end, and fails where it failed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = show(command);
    say(&format!("$ {shown}"));
    let status = command
        .status()
        .with_context(|| format!("failed to start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    if let Some(name) = Path::new(command.get_program()).file_name() {
        words[0] = name.to_string_lossy().into_owned();
    }
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// Where `cargo build --release` put a program of ours.
pub(crate) fn release_binary(name: &str) -> anyhow::Result<PathBuf> {
    let binary = target()?.join("release").join(name);
    if !binary.is_file() {
        bail!("`{}` is not there after a release build", binary.display());
    }
    Ok(binary)
}

/// Cargo's target directory.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("failed to start `cargo metadata`")?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .context("failed to read what `cargo metadata` printed")?;
    let target = metadata["target_directory"]
        .as_str()
        .context("no target directory in the metadata")?;
    Ok(target.into())
}
