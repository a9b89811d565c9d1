//! How the tour is printed: for a person, or as one JSON object a line.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::json;

use super::scene::{Played, Scene};

/// Where the tour goes.
pub(super) enum Printer {
    /// For a person; in colour where the output is a terminal.
    Text { colour: bool },
    /// For a program.
    Json,
}

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

impl Printer {
    /// What is about to be seen, and under which policy.
    pub(super) fn opening(&self, policy: &str) -> io::Result<()> {
        let Self::Text { colour } = self else {
            return Ok(());
        };
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "{}",
            paint(
                *colour,
                BOLD,
                "A small internet in two network namespaces; nothing leaves this machine."
            )
        )?;
        writeln!(
            out,
            "Each scene runs a client under `egret run`. What counts is what the client saw and what\n\
             reached the servers; what Egret says of it stands beside it.\n\n\
             The policy, unless a scene says otherwise:\n"
        )?;
        for line in policy.lines() {
            writeln!(out, "    {}", paint(*colour, DIM, line))?;
        }
        writeln!(out)
    }

    /// One scene: what was tried, expected and seen, and why.
    pub(super) fn scene(&self, number: usize, scene: &Scene, played: &Played) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self {
            Self::Json => writeln!(
                out,
                "{}",
                json!({"scene": number, "as_expected": played.as_expected(), "played": played})
            ),
            Self::Text { colour } => {
                write_scene(&mut out, *colour, number, scene, played)?;
                out.flush()
            }
        }
    }

    /// How it went as a whole.
    pub(super) fn closing(&self, results: &[Played], took: Duration) -> io::Result<()> {
        let wrong: Vec<&str> = results
            .iter()
            .filter(|result| !result.as_expected())
            .map(|result| result.title)
            .collect();
        let checks: usize = results.iter().map(|result| result.checks.len()).sum();
        let mut out = io::stdout().lock();
        match self {
            Self::Json => writeln!(
                out,
                "{}",
                json!({"scenes": results.len(), "checks": checks, "wrong": wrong, "seconds": took.as_secs_f64()})
            ),
            Self::Text { colour } if wrong.is_empty() => writeln!(
                out,
                "{} {} scenes, {checks} checks, {:.1} s.",
                paint(*colour, GREEN, "Every verdict was as it should be:"),
                results.len(),
                took.as_secs_f64()
            ),
            Self::Text { colour } => writeln!(
                out,
                "{} {}",
                paint(*colour, RED, "Not as it should be:"),
                wrong.join("; ")
            ),
        }
    }
}

fn write_scene(
    out: &mut impl Write,
    colour: bool,
    number: usize,
    scene: &Scene,
    played: &Played,
) -> io::Result<()> {
    let title = format!("{number:>2}. {}", scene.title);
    writeln!(
        out,
        "{}  {}",
        paint(colour, BOLD, &title),
        paint(
            colour,
            DIM,
            &format!("{:.1} s", played.took().as_secs_f64())
        )
    )?;
    writeln!(out, "    {}", paint(colour, DIM, scene.lesson))?;
    let width = played
        .checks
        .iter()
        .map(|check| check.what.chars().count())
        .max()
        .unwrap_or_default()
        .min(48);
    for check in &played.checks {
        let mark = if check.right {
            paint(colour, GREEN, "ok")
        } else {
            paint(colour, RED, "WRONG")
        };
        write!(
            out,
            "    {:<6}  {:<width$}  {}  {mark}",
            check.side, check.what, check.seen
        )?;
        if check.right {
            writeln!(out)?;
        } else {
            writeln!(out, ", expected {}", check.expected)?;
        }
    }
    for reason in &played.reasons {
        writeln!(out, "    {:<6}  {}", "why", paint(colour, DIM, reason))?;
    }
    if !played.as_expected() {
        for line in played.stderr.lines() {
            writeln!(out, "    {:<6}  {line}", "stderr")?;
        }
    }
    writeln!(out)
}

fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour {
        format!("{code}{text}{PLAIN}")
    } else {
        text.to_owned()
    }
}
