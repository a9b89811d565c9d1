//! The results for people: a line for each file, and everything about what failed.

use std::fmt::Write as _;

use super::{FileReport, Judged, Report};
use crate::render::{self, Look, visible};

pub(super) fn report(report: &Report, look: Look) -> String {
    let mut out = String::new();
    for file in &report.files {
        one_file(&mut out, file, look);
    }
    let (passed, failed, errors) = (report.passed(), report.failed(), report.errors());
    let mut parts = vec![format!("{passed} passed")];
    if failed > 0 {
        parts.push(look.paint("31", &format!("{failed} failed")));
    }
    if errors > 0 {
        parts.push(look.paint("31", &format!("{errors} could not be judged")));
    }
    if passed + failed + errors == 0 {
        parts = vec![look.paint("31", "no tests")];
    }
    let files = render::count(report.files.len(), "file", "files");
    line(&mut out, &format!("{} in {files}", parts.join(", ")));
    out
}

fn one_file(out: &mut String, file: &FileReport, look: Look) {
    let passed = file.results.iter().filter(|one| one.passed()).count();
    let clean = file.error.is_none() && passed == file.results.len();
    let word = if clean {
        look.paint("32", "ok    ")
    } else {
        look.paint("1;31", "FAILED")
    };
    let number = format!("{passed} of {}", file.results.len());
    let name = look.paint("1", &visible(&file.name));
    line(out, &format!("{word}  {name}  {number} passed"));
    if let Some(error) = &file.error {
        line(out, &format!("    {}", visible(error)));
    }
    for found in [&file.diagnostics, &file.lints] {
        if !found.is_empty() {
            out.push('\n');
            out.push_str(&render::diagnostics(found, &file.sources, look));
        }
    }
    for judged in file.results.iter().filter(|judged| !judged.passed()) {
        one_test(out, file, judged, look);
    }
}

fn one_test(out: &mut String, file: &FileReport, judged: &Judged, look: Look) {
    let place = format!("{}:{}", file.name, judged.line);
    line(
        out,
        &format!(
            "\n  {}  {}",
            look.paint("1", &visible(&judged.name)),
            look.paint("36", &visible(&place))
        ),
    );
    for wrong in judged.wrong() {
        line(out, &format!("    {}", look.paint("31", &visible(&wrong))));
    }
    for told in judged.story.iter().flat_map(|story| story.lines()) {
        line(out, &format!("    {}", look.paint("2", &visible(told))));
    }
    out.push('\n');
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{}", text.trim_end()).expect("writing to a string cannot fail");
}
