//! The `egret` program. See the library beside it.

use std::process::ExitCode;

use clap::Parser as _;
use egret::cli::{Cli, Verb};

fn main() -> ExitCode {
    match Cli::parse().verb {
        Verb::Demo(args) => egret::demo::run(&args),
        Verb::Probe { steps } => gateway_playground::probe::run(steps),
        Verb::Check(args) => egret::check::run(&args),
        Verb::Run(_) | Verb::Explain(_) => ExitCode::from(125),
    }
}
