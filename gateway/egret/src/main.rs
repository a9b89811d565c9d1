//! The `egret` program. See the library beside it.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use egret::cli::{Cli, Verb};

fn main() -> ExitCode {
    // Before anything else: this may be a stage of a held command's start, not an ordinary one.
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(status) = gateway_sandbox::stage_main(&arguments) {
        return status;
    }
    match Cli::try_parse_from(&arguments).and_then(Cli::checked) {
        Ok(cli) => act(cli.verb),
        Err(error) => misused(&error, arguments.get(1)),
    }
}

fn act(verb: Verb) -> ExitCode {
    match verb {
        Verb::Run(args) => egret::run::run(&args),
        Verb::Demo(args) => egret::demo::run(&args),
        Verb::Probe { steps } => gateway_playground::probe::run(steps),
        Verb::Check(args) => egret::check::run(&args),
        Verb::Convert(args) => egret::convert::run(&args),
        Verb::Diff(args) => egret::diff::run(&args),
        Verb::Explain(args) => egret::explain::run(&args),
        Verb::Test(args) => egret::test::run(&args),
    }
}

/// Bad usage is 2 where a verb answers something, and 125 where the status is the command's own.
fn misused(error: &clap::Error, verb: Option<&OsString>) -> ExitCode {
    // Nobody is left to tell when standard error is gone.
    drop(error.print());
    let asked_for = !error.use_stderr();
    let is_run = verb.is_some_and(|verb| verb == "run");
    ExitCode::from(if asked_for {
        0
    } else if is_run {
        125
    } else {
        2
    })
}
