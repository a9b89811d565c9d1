//! `egret demo`: a tour on an internet of its own.
//!
//! Every scene starts a client as a child of `egret run`, this very program, in a network namespace.
//! Its verdict is what the client saw and what a capture at the servers saw, never what Egret says
//! of itself; Egret's reason is printed beside it.

mod print;
mod scene;
mod stage;
mod tour;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use nix::unistd::geteuid;

use self::print::Printer;
use self::scene::{Played, Scene};
use self::stage::Stage;
use crate::cli::{DemoArgs, Output};
use crate::render::Look;

/// Every verdict was as it should be.
const AS_EXPECTED: u8 = 0;
/// At least one was not.
const NOT_AS_EXPECTED: u8 = 1;
/// The tour could not be given.
const NOT_GIVEN: u8 = 2;

/// Gives the tour. Exit status: 0 when every verdict is as it should be, 1 when one is not, 2 when
/// the tour could not be given.
#[must_use]
pub fn run(args: &DemoArgs) -> ExitCode {
    if !geteuid().is_root() {
        say(
            "egret demo builds network namespaces and loads kernel programs, on this machine only \
             and without its network.\nThat needs root: run it with sudo.",
        );
        return ExitCode::from(NOT_GIVEN);
    }
    if let Some((program, arguments)) = args.command.split_first() {
        return visit(program, arguments);
    }
    match give(args) {
        Ok(true) => ExitCode::from(AS_EXPECTED),
        Ok(false) => ExitCode::from(NOT_AS_EXPECTED),
        Err(error) => {
            say(&format!("egret demo: {error:#}"));
            ExitCode::from(NOT_GIVEN)
        }
    }
}

fn give(args: &DemoArgs) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let scenes = tour::scenes();
    let stage = Stage::build().context("failed to build the demo's internet")?;
    let printer = match args.output {
        Output::Text => Printer::Text(Look::of_stdout()),
        Output::Json => Printer::Json,
    };
    printer.opening(tour::POLICY)?;
    let play = |scene: &Scene| {
        stage
            .play(scene)
            .with_context(|| format!("failed to play `{}`", scene.title))
    };
    let results = thread::scope(|scope| -> anyhow::Result<Vec<Played>> {
        // Scenes that mostly wait begin at once, beside the others; all are shown in their order.
        let mut waiting: Vec<_> = scenes
            .iter()
            .map(|scene| scene.waits.then(|| scope.spawn(|| play(scene))))
            .collect();
        let mut results = Vec::new();
        for (number, (scene, waiting)) in scenes.iter().zip(&mut waiting).enumerate() {
            let result = match waiting.take() {
                Some(thread) => thread
                    .join()
                    .map_err(|_panic| anyhow!("a scene broke off"))?,
                None => play(scene),
            }?;
            printer.scene(number + 1, scene, &result)?;
            results.push(result);
        }
        Ok(results)
    })?;
    printer.closing(&results, begun.elapsed())?;
    Ok(results.iter().all(Played::as_expected))
}

/// Runs a command on the tour's internet, where no tour is given.
fn visit(program: &OsStr, arguments: &[OsString]) -> ExitCode {
    let visited = Stage::build()
        .context("failed to build the demo's internet")
        .and_then(|stage| {
            let mut command = Command::new(program);
            command.args(arguments);
            stage.visit(command)
        });
    match visited {
        Ok(status) => {
            let code = status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal));
            ExitCode::from(
                code.and_then(|code| u8::try_from(code).ok())
                    .unwrap_or(NOT_GIVEN),
            )
        }
        Err(error) => {
            say(&format!("egret demo: {error:#}"));
            ExitCode::from(NOT_GIVEN)
        }
    }
}

fn say(text: &str) {
    // Nobody is left to tell when standard error is gone.
    drop(writeln!(io::stderr(), "{text}"));
}
