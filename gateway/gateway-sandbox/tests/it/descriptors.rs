//! What is open when a held command starts.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use crate::held::{Outcome, held, is_root};

#[test]
fn only_the_standard_streams_are_inherited() {
    if !is_root("only_the_standard_streams_are_inherited") {
        return;
    }
    let held = env!("CARGO_BIN_EXE_gateway-sandbox-held");
    let line = format!("exec 7</etc/passwd 8>/dev/null; exec {held} sh -c 'echo /proc/$$/fd/*'");
    let output = Command::new("bash")
        .args(["-c", &line])
        .stdin(Stdio::null())
        .output();
    let outcome = Outcome::from(output.expect("a shell"));
    let open: Vec<&str> = outcome
        .stdout
        .split_whitespace()
        .filter_map(|path| path.rsplit('/').next())
        .collect();
    assert!(
        open.iter()
            .all(|fd| ["0", "1", "2", "3", "10", "255"].contains(fd)),
        "{outcome:?}"
    );
    assert!(!open.contains(&"7") && !open.contains(&"8"), "{outcome:?}");
}

#[test]
fn an_internet_socket_is_refused() {
    if !is_root("an_internet_socket_is_refused") {
        return;
    }
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let output = held(&["true"])
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .output();
    let outcome = Outcome::from(output.expect("built"));
    assert_eq!(outcome.code, Some(125));
    assert!(
        outcome
            .stderr
            .contains("standard input is an internet socket"),
        "{outcome:?}"
    );
}

#[test]
fn a_directory_is_refused() {
    if !is_root("a_directory_is_refused") {
        return;
    }
    let directory = File::open("/sys").expect("there");
    let output = held(&["true"]).stdin(Stdio::from(directory)).output();
    let outcome = Outcome::from(output.expect("built"));
    assert_eq!(outcome.code, Some(125));
    assert!(
        outcome.stderr.contains("standard input is a directory"),
        "{outcome:?}"
    );
}
