//! A real client on the network it has: a package is fetched under a policy that names only the
//! hosts the client needs, and is not when one of them is taken away.
//!
//! The host names are read from the client's own output at run time; none stands in this repository.
//! A job of its own: it needs a network and root, which the tests must not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, bail, ensure};

use crate::shell::{self, cargo, root, say};

/// A small, old, dependency-free package: the point is the connections, not the bytes.
const PACKAGE: &str = "six";

/// Runs the job: `cargo xtask real`.
pub(crate) fn run(_args: &[String]) -> anyhow::Result<()> {
    shell::run(cargo().args(["build", "--release", "--package", "egret"]))?;
    let egret = shell::release_binary("egret")?;
    let scratch = Scratch::new()?;

    let free = fetch(Command::new("python3"), &scratch.folder("free")?)
        .context("failed to start the client without Egret")?;
    ensure!(
        free.status.success(),
        "the client has no network here, even without Egret:\n{}",
        tail(&free)
    );
    let hosts = hosts_of(&free);
    ensure!(
        hosts.len() >= 2,
        "expected the client to need two hosts or more, it named {}",
        hosts.len()
    );
    say(&format!(
        "the client needs {} hosts, by its own account",
        hosts.len()
    ));

    let policy = scratch.policy(&hosts)?;
    let held = fetch(under(&egret, &policy), &scratch.folder("held")?)?;
    ensure!(
        held.status.success(),
        "with every host it needs allowed, the client failed:\n{}",
        tail(&held)
    );
    say("allowed: with a policy of just those hosts the package arrives");

    for missing in &hosts {
        let fewer: BTreeSet<String> = hosts
            .iter()
            .filter(|host| *host != missing)
            .cloned()
            .collect();
        let policy = scratch.policy(&fewer)?;
        let denied = fetch(under(&egret, &policy), &scratch.folder("denied")?)?;
        ensure!(
            !denied.status.success(),
            "one needed host was taken away and the client still succeeded"
        );
        let said = String::from_utf8_lossy(&denied.stderr).into_owned();
        ensure!(
            said.contains(missing.as_str()),
            "the report does not name what was denied:\n{said}"
        );
        say(&format!(
            "denied: without host {} of {} it fails, and the report names it:",
            position(&hosts, missing),
            hosts.len()
        ));
        for line in said
            .lines()
            .filter(|line| line.contains("egret") || line.contains("denied"))
            .take(6)
        {
            say(&format!(
                "    {}",
                line.replace(missing.as_str(), "<the missing host>")
            ));
        }
    }
    Ok(())
}

fn under(egret: &Path, policy: &Path) -> Command {
    let mut command = Command::new(egret);
    command
        .arg("run")
        .arg("--policy")
        .arg(policy)
        .arg("--")
        .arg("python3");
    command
}

fn fetch(mut client: Command, into: &Path) -> anyhow::Result<Output> {
    client
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-cache-dir",
            "--no-input",
            "--retries",
            "0",
        ])
        .args([
            "--disable-pip-version-check",
            "--timeout",
            "10",
            "-vv",
            "--dest",
        ])
        .arg(into)
        .arg(PACKAGE)
        .output()
        .context("failed to run the client")
}

/// The hosts the client connected to, from the lines in which it says so.
fn hosts_of(output: &Output) -> BTreeSet<String> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            line.split_once("connection (")
                .map(|(_, rest)| rest.to_owned())
        })
        .filter_map(|rest| rest.split_once("): ").map(|(_, host)| host.to_owned()))
        .filter_map(|host| host.rsplit_once(':').map(|(name, _)| name.to_owned()))
        .collect()
}

fn position(hosts: &BTreeSet<String>, host: &str) -> usize {
    hosts
        .iter()
        .position(|known| known == host)
        .map_or(0, |index| index + 1)
}

fn tail(output: &Output) -> String {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&all).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// A folder of this run's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let folder = root()
            .join("target")
            .join(format!("xtask-real-{}", std::process::id()));
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make `{}`", folder.display()))?;
        Ok(Self(folder))
    }

    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.0.join(name);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make `{}`", folder.display()))?;
        Ok(folder)
    }

    fn policy(&self, hosts: &BTreeSet<String>) -> anyhow::Result<PathBuf> {
        if hosts.is_empty() {
            bail!("a policy without hosts would allow nothing");
        }
        let names: Vec<String> = hosts.iter().map(|host| format!("{host:?}")).collect();
        let text = format!(
            "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: package-client}}\nspec:\n  egress:\n    \
             - action: Allow\n      to: [{{fqdn: [{}]}}]\n      ports: [{{protocol: TCP, port: 443}}]\n",
            names.join(", ")
        );
        let file = self.0.join("policy.yaml");
        std::fs::write(&file, text)
            .with_context(|| format!("failed to write `{}`", file.display()))?;
        Ok(file)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            say(&format!("could not remove `{}`: {error}", self.0.display()));
        }
    }
}
