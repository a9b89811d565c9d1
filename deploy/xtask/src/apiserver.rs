//! A real API server, asked what it says of our definitions, and of objects beside what our readers say.
//!
//! A job of its own: it builds `kube-apiserver` and needs root, which the tests must not. What it does is `tests/cluster`.

use crate::shell::{self, cargo};

/// Runs the job: `cargo xtask apiserver [SEED]`.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let cache = shell::target()?.join("cluster");
    shell::run(
        cargo()
            .args(["run", "--package", "cluster", "--"])
            .arg(cache)
            .args(args),
    )
}
