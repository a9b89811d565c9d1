//! The `egret` program. See the library beside it.

use std::process::ExitCode;

use clap::Parser as _;
use egret::cli::Cli;

fn main() -> ExitCode {
    let Cli { verb: _ } = Cli::parse();
    ExitCode::from(125)
}
