//! Connections and bytes, with Egret around the client and without.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{Context as _, bail};
use gateway_playground::probe::{Sight, sights};
use gateway_playground::{Internet, Options};

use super::Plan;
use super::table::Table;

const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));
/// Each is measured so often, in turn; the best counts, as the one least disturbed.
const ROUNDS: u32 = 3;

/// Connections a second and bytes a second of one client.
pub(crate) fn measure(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let internet = Internet::build(&Options {
        nameservers: vec![RESOLVER],
        capture: false,
        ..Options::default()
    })?;
    internet.resolver(RESOLVER)?;
    internet.zone("server.example.com 3600 A 203.0.113.10")?;
    internet.web(SocketAddr::new(SERVER, 80), "server")?;
    internet.echo(SocketAddr::new(SERVER, 7))?;
    let folder = tempfile::tempdir().context("failed to make a folder")?;
    let policy = folder.path().join("policy.yaml");
    std::fs::write(
        &policy,
        "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: bench}\nspec:\n  \
         egress:\n    - action: Allow\n      to: [{fqdn: [server.example.com]}]\n      \
         ports: [{protocol: TCP, port: 80}, {protocol: TCP, port: 7}]\n",
    )?;
    let without = || Command::new(&plan.egret);
    let held = || {
        let mut command = Command::new(&plan.egret);
        command.args(["run", "--quiet", "--policy"]).arg(&policy);
        command.arg("--").arg(&plan.egret);
        command
    };
    let connects = format!("connects server.example.com:7 {}", plan.connections);
    let pull = format!("pull server.example.com:80 {}", plan.bytes);
    let mut best = [[f64::MAX; 2]; 2];
    for _ in 0..ROUNDS {
        for (subject, command) in [without(), held()].into_iter().enumerate() {
            // The address is known, and the server warm, before the clock runs.
            let seen = probe(
                &internet,
                command,
                &["http server.example.com:80/", &connects, &pull],
            )?;
            for (measure, sight) in seen.iter().skip(1).enumerate() {
                let micros = f64::from(u32::try_from(sight.micros).unwrap_or(u32::MAX));
                best[measure][subject] = best[measure][subject].min(micros);
            }
        }
    }
    for (subject, name) in ["without", "egret"].into_iter().enumerate() {
        let rate = f64::from(plan.connections) * 1e6 / best[0][subject];
        table.add("connections with one exchange", "1/s", name, rate);
    }
    for (subject, name) in ["without", "egret"].into_iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 bytes")]
        let rate = plan.bytes as f64 / best[1][subject];
        table.add("throughput", "MB/s", name, rate);
    }
    Ok(())
}

fn probe(internet: &Internet, mut command: Command, steps: &[&str]) -> anyhow::Result<Vec<Sight>> {
    command.arg("__probe").args(steps);
    let output = internet
        .output(command)
        .context("failed to start the client")?;
    let seen = sights(&output.stdout);
    if seen.len() == steps.len() && seen.iter().all(|sight| sight.ok) {
        Ok(seen)
    } else {
        bail!(
            "the client failed: {seen:?} {}",
            String::from_utf8_lossy(&output.stderr)
        )
    }
}
