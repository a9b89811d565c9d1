//! Tests that need root.

use nix::unistd::geteuid;

/// Runs `test` when the process is root. Otherwise the test fails where `CI` is set, and says that
/// it did not run elsewhere: it never passes in silence.
#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
pub fn as_root(test: impl FnOnce()) {
    if geteuid().is_root() {
        test();
    } else if std::env::var_os("CI").is_some() {
        panic!("this test needs root, and CI is set");
    } else {
        eprintln!("NOT RUN: this test needs root");
    }
}
