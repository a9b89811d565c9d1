//! What a run exits with.

use test_case::test_case;

use crate::held::{is_root, run};

#[test_case(&["true"], 0; "success")]
#[test_case(&["sh", "-c", "exit 7"], 7; "a status")]
#[test_case(&["sh", "-c", "kill -TERM $$"], 143; "a signal is 128 and its number")]
#[test_case(&["/nowhere/at/all"], 127; "not found")]
#[test_case(&["no-such-command-anywhere"], 127; "not found in the path")]
#[test_case(&["/"], 126; "a directory cannot be executed")]
#[test_case(&["/etc/passwd"], 126; "a file that is not executable")]
fn the_status_is_the_command_s(command: &[&str], expected: i32) {
    if !is_root("the_status_is_the_command_s") {
        return;
    }
    let outcome = run(command);
    assert_eq!(outcome.code, Some(expected), "{outcome:?}");
}

#[test]
fn what_the_command_leaves_running_dies_with_it() {
    if !is_root("what_the_command_leaves_running_dies_with_it") {
        return;
    }
    // The output is a pipe that the daemon keeps open: this returns only because the daemon is dead.
    let outcome = run(&["sh", "-c", "setsid sleep 1000 & echo started"]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), "started")
    );
}
