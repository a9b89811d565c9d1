//! The project's tasks: what continuous integration runs, a developer runs with the same words.
//!
//! `cargo xtask help` lists them.

mod apiserver;
mod bench;
mod check;
mod crds;
mod diagnostics_doc;
mod ebpf_verify;
mod fuzz;
mod generated;
mod real;
mod shell;
mod yaml;

use std::process::ExitCode;

use anyhow::{Context as _, bail};

const TASKS: &[(&str, &str)] = &[
    (
        "apiserver",
        "our definitions, and what our readers say, beside a kube-apiserver that it builds (root)",
    ),
    (
        "bench",
        "what Egret costs, against the same machine without it and against peers (root)",
    ),
    (
        "check",
        "formatting, clippy, rustdoc, dependency policy: what needs no root",
    ),
    ("crds", "the schemas of the native kinds, into deploy/crds"),
    (
        "docs",
        "the table of diagnostics, into policies/DIAGNOSTICS.md",
    ),
    (
        "ebpf-build",
        "the kernel programs, into ebpf/prebuilt (installs the BPF compiler as root)",
    ),
    (
        "ebpf-verify",
        "rebuilds the kernel programs and holds the committed object against them",
    ),
    (
        "fuzz",
        "looks for inputs that break a reader (installs cargo-fuzz; needs a nightly compiler)",
    ),
    ("help", "this list"),
    (
        "real",
        "a real package client under egret, on the network this machine has (root)",
    ),
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = args.collect();
    match run(&task, &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(&format!("xtask {task}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: &str, rest: &[String]) -> anyhow::Result<()> {
    match task {
        "apiserver" => apiserver::run(rest),
        "bench" => bench::run(rest),
        "check" => check::run(rest).context("the checks did not all pass"),
        "crds" => generated::write_crds(),
        "docs" => generated::write_docs(),
        "ebpf-build" => ebpf_verify::build(rest),
        "ebpf-verify" => ebpf_verify::run(rest),
        "fuzz" => fuzz::run(rest),
        "real" => real::run(rest),
        "help" | "--help" | "-h" => {
            for (name, meaning) in TASKS {
                shell::say(&format!("  {name:<14} {meaning}"));
            }
            Ok(())
        }
        unknown => bail!("no task is called `{unknown}`; `cargo xtask help` lists them"),
    }
}
