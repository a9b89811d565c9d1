//! How the tour is printed: for a person, or as one JSON object a line.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::json;

use super::scene::{Played, Scene};
use crate::render::Look;

/// Where the tour goes.
pub(super) enum Printer {
    /// For a person.
    Text(Look),
    /// For a program.
    Json,
}

/// Styles as [`Look::paint`] takes them.
const GREEN: &str = "32";
const RED: &str = "31";
const DIM: &str = "2";
const BOLD: &str = "1";

impl Printer {
    /// What is about to be seen, and under which policy.
    pub(super) fn opening(&self, policy: &str) -> io::Result<()> {
        let Self::Text(look) = self else {
            return Ok(());
        };
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "{}",
            look.paint(
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
            writeln!(out, "    {}", look.paint(DIM, line))?;
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
            Self::Text(look) => {
                write_scene(&mut out, *look, number, scene, played)?;
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
            Self::Text(look) if wrong.is_empty() => writeln!(
                out,
                "{} {} scenes, {checks} checks, {:.1} s.",
                look.paint(GREEN, "Every verdict was as it should be:"),
                results.len(),
                took.as_secs_f64()
            ),
            Self::Text(look) => writeln!(
                out,
                "{} {}",
                look.paint(RED, "Not as it should be:"),
                wrong.join("; ")
            ),
        }
    }
}

fn write_scene(
    out: &mut impl Write,
    look: Look,
    number: usize,
    scene: &Scene,
    played: &Played,
) -> io::Result<()> {
    let title = format!("{number:>2}. {}", scene.title);
    writeln!(
        out,
        "{}  {}",
        look.paint(BOLD, &title),
        look.paint(DIM, &format!("{:.1} s", played.took().as_secs_f64()))
    )?;
    writeln!(out, "    {}", look.paint(DIM, scene.lesson))?;
    let width = played
        .checks
        .iter()
        .map(|check| check.what.chars().count())
        .max()
        .unwrap_or_default()
        .min(48);
    for check in &played.checks {
        let mark = if check.right {
            look.paint(GREEN, "ok")
        } else {
            look.paint(RED, "WRONG")
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
        writeln!(out, "    {:<6}  {}", "why", look.paint(DIM, reason))?;
    }
    if !played.as_expected() {
        for line in played.stderr.lines() {
            writeln!(out, "    {:<6}  {line}", "stderr")?;
        }
    }
    writeln!(out)
}
