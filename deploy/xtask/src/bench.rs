//! `cargo xtask bench`: what Egret costs, against what the same machine does without it.
//!
//! A measurement, not a test: nothing fails because a number is bad. Everything runs in namespaces of
//! its own, in the same minutes, with the same clients; the ratios mean more than the numbers. The
//! table goes to standard output, the same figures as JSON to `tests/bench/results/`.

mod dns;
mod flows;
mod kernel;
mod machine;
mod policies;
mod shell_session;
mod table;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::unistd::geteuid;
use serde_json::{Value, json};

use self::table::Table;
use crate::shell::{self, cargo, root, say};

/// How a benchmark runs.
pub(crate) struct Plan {
    /// How long each DNS measurement goes on.
    pub(crate) seconds: u64,
    /// New connections for each measurement; all rounds of all subjects together stay below the
    /// ephemeral ports of one client (28,000), or the search for a free one is what is measured.
    pub(crate) connections: u32,
    /// Bytes for each measurement of throughput.
    pub(crate) bytes: u64,
    /// The program under test, built for release.
    pub(crate) egret: PathBuf,
}

/// Runs the benchmark. `--quick` measures for a second instead of five; `--egret PATH` measures a
/// program that is already built.
///
/// # Errors
/// Without root, when Egret cannot be built, or when it does not hold a command. A peer or a tool
/// that is not installed is said and left out.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let (mut quick, mut built) = (false, None);
    let mut args = args.iter();
    while let Some(option) = args.next() {
        match option.as_str() {
            "--quick" => quick = true,
            "--egret" => built = Some(args.next().context("--egret needs a path")?.into()),
            _ => bail!("the options are --quick and --egret PATH, not `{option}`"),
        }
    }
    ensure!(
        geteuid().is_root(),
        "the benchmark makes network namespaces and loads kernel programs: run it as root"
    );
    let egret = match built {
        Some(path) => path,
        None => {
            shell::run(cargo().args(["build", "--release", "--package", "egret"]))?;
            shell::release_binary("egret")?
        }
    };
    let plan = Plan {
        seconds: if quick { 1 } else { 5 },
        connections: if quick { 500 } else { 2_000 },
        bytes: if quick { 200_000_000 } else { 2_000_000_000 },
        egret,
    };
    let machine = machine::describe();
    let mut table = Table::default();
    let parts: [(&str, &dyn Fn(&Plan, &mut Table) -> anyhow::Result<()>); 4] = [
        ("kernel", &kernel::measure),
        ("dns", &dns::measure),
        ("flows", &flows::measure),
        ("policies", &policies::measure),
    ];
    for (part, measure) in parts {
        say(&format!("measuring: {part}"));
        if let Err(error) = measure(&plan, &mut table) {
            table.miss(part, &format!("{error:#}"));
        }
    }
    print(&table);
    write(&plan, &machine, &table)
}

#[expect(clippy::print_stdout, reason = "the table is what the task is for")]
fn print(table: &Table) {
    print!("{table}");
}

fn write(plan: &Plan, machine: &Value, table: &Table) -> anyhow::Result<()> {
    let folder = root().join("tests/bench/results");
    fs::create_dir_all(&folder).context("failed to make the folder of results")?;
    let seconds = machine["unixTime"].as_u64().unwrap_or_default();
    let commit = machine["commit"].as_str().unwrap_or("unknown");
    let path = folder.join(format!("{seconds}-{commit}.json"));
    let result = json!({
        "machine": machine,
        "secondsPerMeasurement": plan.seconds,
        "figures": table.figures(),
        "missing": table.missing(),
    });
    fs::write(&path, format!("{result:#}\n"))
        .with_context(|| format!("failed to write `{}`", path.display()))?;
    say(&format!("written to {}", path.display()));
    ensure!(
        !table.figures().is_empty(),
        "nothing could be measured: see above"
    );
    Ok(())
}

/// Longer than any single measurement may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
