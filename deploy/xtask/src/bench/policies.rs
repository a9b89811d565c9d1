//! What policies cost: to compile, to change, and to decide by; beside another evaluator where Go is installed.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::Plan;
use super::table::Table;
use crate::shell::{cargo, say};

/// The benchmarks that print figures, one JSON object a line.
const BENCHMARKS: [&[&str]; 2] = [
    &[
        "--package=policy-engine",
        "--features=testing",
        "--bench=memory",
        "--bench=policies",
    ],
    &["--package=oracles", "--bench=beside"],
];

/// A line of a benchmark.
#[derive(Deserialize)]
struct Line {
    measure: String,
    unit: String,
    subject: String,
    value: f64,
}

/// Runs the benchmarks of the policy crates. They take no notice of the plan: each is a few seconds.
pub(crate) fn measure(_plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    for arguments in BENCHMARKS {
        let mut command = cargo();
        command
            .arg("bench")
            .args(arguments)
            .stderr(Stdio::inherit());
        say(&format!("$ cargo bench {}", arguments.join(" ")));
        let output = command.output().context("failed to start cargo")?;
        ensure!(
            output.status.success(),
            "a benchmark ended with {}",
            output.status
        );
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Line {
                measure,
                unit,
                subject,
                value,
            } = serde_json::from_str(line)
                .with_context(|| format!("no figure of a benchmark: `{line}`"))?;
            table.add(&measure, &unit, &subject, value);
        }
    }
    Ok(())
}
