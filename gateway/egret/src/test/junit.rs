//! The results as JUnit XML: a suite for each file.

use std::fmt::Write as _;

use super::{FileReport, Judged, Report};

pub(super) fn report(report: &Report) -> String {
    let tests = report.passed() + report.failed() + report.errors();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    line(
        &mut out,
        &format!(
            "<testsuites name=\"egret test\" tests=\"{tests}\" failures=\"{}\" errors=\"{}\">",
            report.failed(),
            report.errors()
        ),
    );
    for file in &report.files {
        suite(&mut out, file);
    }
    line(&mut out, "</testsuites>");
    out
}

fn suite(out: &mut String, file: &FileReport) {
    let failed = file.results.iter().filter(|one| one.failed()).count();
    let stuck = file.results.iter().filter(|one| one.error().is_some());
    let errors = stuck.count() + usize::from(file.error.is_some());
    let name = escaped(&file.name);
    line(
        out,
        &format!(
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failed}\" errors=\"{errors}\">",
            file.results.len() + usize::from(file.error.is_some()),
        ),
    );
    if let Some(error) = &file.error {
        let mut text = String::new();
        for diagnostic in &file.diagnostics {
            line(
                &mut text,
                &format!(
                    "{}: {}[{}]: {}",
                    diagnostic.origin, diagnostic.level, diagnostic.code, diagnostic.message
                ),
            );
        }
        case(out, &name, &name, Some(("error", error, &text)));
    }
    for judged in &file.results {
        one_test(out, &name, judged);
    }
    line(out, "  </testsuite>");
}

fn one_test(out: &mut String, suite: &str, judged: &Judged) {
    let message = judged.wrong().join("; ");
    let text = judged.story.as_deref().unwrap_or_default();
    let wrong = if judged.passed() {
        None
    } else if judged.failed() {
        Some(("failure", message.as_str(), text))
    } else {
        Some(("error", message.as_str(), text))
    };
    case(out, suite, &escaped(&judged.name), wrong);
}

fn case(out: &mut String, suite: &str, name: &str, wrong: Option<(&str, &str, &str)>) {
    let head = format!("    <testcase classname=\"{suite}\" name=\"{name}\"");
    let Some((element, message, text)) = wrong else {
        line(out, &format!("{head}/>"));
        return;
    };
    line(out, &format!("{head}>"));
    line(
        out,
        &format!(
            "      <{element} message=\"{}\">{}</{element}>",
            escaped(message),
            escaped(text)
        ),
    );
    line(out, "    </testcase>");
}

/// Text between tags and in attributes. What XML cannot hold at all becomes visible.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.extend(c.escape_unicode()),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}
