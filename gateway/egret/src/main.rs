//! The `egret` program. See the library beside it.

use std::process::ExitCode;

use clap::Parser as _;
use egret::cli::{Cli, Verb};

fn main() -> ExitCode {
    // Before anything else: this may be a stage of a held command's start, not an ordinary one.
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let Some(status) = gateway_sandbox::stage_main(&arguments) {
        return status;
    }
    match Cli::parse().verb {
        Verb::Run(args) => egret::run::run(&args),
        Verb::Demo(args) => egret::demo::run(&args),
        Verb::Probe { steps } => gateway_playground::probe::run(steps),
        Verb::Check(args) => egret::check::run(&args),
        Verb::Explain(_) => ExitCode::from(2),
    }
}
