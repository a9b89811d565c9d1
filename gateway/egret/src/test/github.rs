//! The results as annotations of GitHub Actions: one for each thing that is wrong, at its line.
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>

use std::fmt::Write as _;

use super::Report;

pub(super) fn report(report: &Report) -> String {
    let mut out = String::new();
    for file in &report.files {
        if let Some(error) = &file.error {
            annotation(&mut out, "error", &file.name, 0, "egret test", error);
        }
        for diagnostic in file.diagnostics.iter().chain(&file.lints) {
            let title = format!("{} {}", diagnostic.level, diagnostic.code);
            let (source, line) = (&diagnostic.origin.source, diagnostic.origin.line);
            let mark = if diagnostic.level.is_error() {
                "error"
            } else {
                "warning"
            };
            annotation(&mut out, mark, source, line, &title, &diagnostic.message);
        }
        for judged in file.results.iter().filter(|judged| !judged.passed()) {
            let mut message = judged.wrong().join("\n");
            for told in judged.story.iter().flat_map(|story| story.lines()) {
                message.push('\n');
                message.push_str(told);
            }
            annotation(
                &mut out,
                "error",
                &file.name,
                judged.line,
                &judged.name,
                &message,
            );
        }
    }
    writeln!(
        out,
        "{} passed, {} failed, {} could not be judged",
        report.passed(),
        report.failed(),
        report.errors()
    )
    .expect("writing to a string cannot fail");
    out
}

fn annotation(out: &mut String, mark: &str, file: &str, line: u32, title: &str, message: &str) {
    let at = if line > 0 {
        format!(",line={line}")
    } else {
        String::new()
    };
    writeln!(
        out,
        "::{mark} file={}{at},title={}::{}",
        property(file),
        property(title),
        data(message)
    )
    .expect("writing to a string cannot fail");
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
