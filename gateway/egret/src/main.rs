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
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, arguments.get(1)),
    };
    match cli.verb {
        Verb::Run(args) => egret::run::run(&args),
        Verb::Demo(args) => egret::demo::run(&args),
        Verb::Probe { steps } => gateway_playground::probe::run(steps),
        Verb::Check(args) => egret::check::run(&args),
        Verb::Explain(_) => ExitCode::from(2),
    }
}

/// What clap has to say. Bad usage of `run` is one of Egret's own failures there, so that no status of a command's is
/// mistaken for it.
fn usage(error: &clap::Error, verb: Option<&std::ffi::OsString>) -> ExitCode {
    // Nobody is left to tell when standard error is gone.
    drop(error.print());
    match (error.use_stderr(), verb) {
        (false, _) => ExitCode::SUCCESS,
        (true, Some(verb)) if verb == "run" => ExitCode::from(125),
        (true, _) => ExitCode::from(2),
    }
}
