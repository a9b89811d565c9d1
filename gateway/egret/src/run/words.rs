//! Words on standard error.

/// One line for whoever started the run.
#[expect(
    clippy::print_stderr,
    reason = "standard output belongs to the command"
)]
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}
