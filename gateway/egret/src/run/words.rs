//! Words on standard error.

/// One line for whoever started the run.
#[expect(
    clippy::print_stderr,
    reason = "standard output belongs to the command"
)]
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}

/// An error and its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
