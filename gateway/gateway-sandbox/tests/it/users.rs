//! As whom a command runs.

use test_case::test_case;

use crate::held::{Outcome, held, is_root};

/// A user and a group that every system has (`nobody`).
const NOBODY: &str = "65534";

fn through_sudo(arguments: &[&str]) -> Outcome {
    let output = held(arguments)
        .env("SUDO_UID", NOBODY)
        .env("SUDO_GID", NOBODY)
        .env("SUDO_USER", "nobody")
        .current_dir("/")
        .output();
    Outcome::from(output.expect("built"))
}

#[test_case("id -u", "65534"; "the user")]
#[test_case("id -g", "65534"; "the group")]
#[test_case("id -G", "65534"; "no group of root")]
#[test_case("echo $USER $LOGNAME", "nobody nobody"; "the names")]
#[test_case("echo [$SUDO_UID$SUDO_USER]", "[]"; "sudo is not the command's caller")]
#[test_case("grep -h ^Cap /proc/self/status | tr -d '0\\t\\n'", "CapInh:CapPrm:CapEff:CapBnd:a8445fbCapAmb:"; "no capability")]
fn who_used_sudo_runs_the_command(attempt: &str, expected: &str) {
    if !is_root("who_used_sudo_runs_the_command") {
        return;
    }
    let outcome = through_sudo(&["sh", "-c", attempt]);
    assert_eq!(outcome.stdout, expected, "{outcome:?}");
}

#[test]
fn the_caller_on_request() {
    if !is_root("the_caller_on_request") {
        return;
    }
    let outcome = through_sudo(&["--caller", "id", "-u"]);
    assert_eq!(outcome.stdout, "0", "{outcome:?}");
}

#[test]
fn privileges_do_not_grow() {
    if !is_root("privileges_do_not_grow") {
        return;
    }
    // A set-user-id root program, whatever the machine has: it must not become root.
    let outcome = through_sudo(&[
        "sh",
        "-c",
        "grep NoNewPrivs /proc/self/status; for s in $(command -v su) $(command -v passwd); do [ -u $s ] && echo found; done | head -1",
    ]);
    assert!(outcome.stdout.starts_with("NoNewPrivs:\t1"), "{outcome:?}");
}

#[test]
fn an_unreadable_caller_is_an_error() {
    if !is_root("an_unreadable_caller_is_an_error") {
        return;
    }
    let output = held(&["true"])
        .env("SUDO_UID", "somebody")
        .env("SUDO_GID", "0")
        .output();
    let outcome = Outcome::from(output.expect("built"));
    assert_eq!(outcome.code, Some(125));
    assert!(
        outcome.stderr.contains("`SUDO_UID` is `somebody`"),
        "{outcome:?}"
    );
}
