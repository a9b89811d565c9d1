//! Everything that can be judged from the source: no root, no kernel, no network.

use anyhow::bail;

use crate::shell::{self, cargo, say};

/// The task's entry: `cargo xtask check [NAME…]`.
pub(crate) fn run(names: &[String]) -> anyhow::Result<()> {
    let chosen: Vec<_> = CHECKS
        .iter()
        .copied()
        .filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| wanted == name))
        .collect();
    if chosen.is_empty() {
        let known: Vec<_> = CHECKS.iter().map(|(name, _)| *name).collect();
        bail!("no check has that name; there are: {}", known.join(", "));
    }
    run_all(&chosen)
}

type Check = (&'static str, fn() -> anyhow::Result<()>);

const CHECKS: &[Check] = &[
    ("fmt", || {
        shell::run(cargo().args(["fmt", "--all", "--check"]))
    }),
    ("clippy", || {
        shell::run(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]))
    }),
    ("doc", || {
        shell::run(
            cargo()
                .args([
                    "doc",
                    "--workspace",
                    "--no-deps",
                    "--document-private-items",
                    "--quiet",
                ])
                .env("RUSTDOCFLAGS", "--deny warnings"),
        )
    }),
    ("generated", crate::generated::check),
    ("deny", || {
        shell::run(cargo().args(["deny", "check", "bans", "licenses", "sources"]))
    }),
    ("architecture", || {
        shell::run(cargo().args(["test", "--quiet", "--package", "architecture"]))
    }),
];

/// Runs every check, also after one has failed, and names those that did.
fn run_all(checks: &[Check]) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for (name, check) in checks {
        if let Err(error) = check() {
            say(&format!("{name}: {error:#}"));
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}
