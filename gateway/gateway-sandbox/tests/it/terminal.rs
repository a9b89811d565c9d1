//! A command on a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use nix::pty::openpty;

use crate::held::is_root;

/// Runs a shell line in a session with a terminal of its own. Types what belongs to a word when that is shown, one after the
/// other, and returns all that was shown.
fn on_terminal(line: &str, typing: &[(&str, &[u8])]) -> String {
    let terminal = openpty(None, None).expect("a terminal");
    // A shell cannot catch what was ignored when it started, and whoever runs the tests may have ignored it
    // (`nohup`, a job in the background of a script).
    let mut command = Command::new("env");
    command
        .args(["--default-signal=INT,QUIT,HUP,TSTP"])
        .args(["setsid", "--ctty", "--wait", "sh", "-c", line])
        .env("HELD", env!("CARGO_BIN_EXE_gateway-sandbox-held"))
        .stdin(Stdio::from(
            terminal.slave.try_clone().expect("a descriptor"),
        ))
        .stdout(Stdio::from(
            terminal.slave.try_clone().expect("a descriptor"),
        ))
        .stderr(Stdio::from(terminal.slave));
    let mut session = command.spawn().expect("util-linux");
    // The command's copies of the other side: with them the end would never come.
    drop(command);
    let mut terminal = File::from(terminal.master);
    let mut shown = Vec::new();
    let mut typing = typing.iter().peekable();
    let mut buffer = [0; 1024];
    // EIO: nobody has the other side any more.
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&shown);
        while let Some((_, keys)) = typing.next_if(|(word, _)| text.contains(word)) {
            terminal.write_all(keys).expect("a terminal");
        }
    }
    session.wait().expect("it ended");
    String::from_utf8_lossy(&shown).replace('\r', "")
}

#[test]
fn ctrl_c_reaches_the_command_once() {
    if !is_root("ctrl_c_reaches_the_command_once") {
        return;
    }
    let shown = on_terminal(
        "trap : INT QUIT
         stty -echo
         $HELD sh -c 'trap \"echo got\" INT; trap \"exit 3\" QUIT; echo ready; while :; do sleep 1000 & wait $!; done'
         echo status $?",
        // A second copy of the interrupt would be shown before the quit is acted on.
        &[("ready", b"\x03"), ("got", b"\x1c")],
    );
    assert_eq!(shown, "ready\ngot\nstatus 3\n");
}

#[test]
fn the_terminal_comes_back_from_a_shell_with_job_control() {
    if !is_root("the_terminal_comes_back_from_a_shell_with_job_control") {
        return;
    }
    // In its pid namespace the inner shell cannot name the group it took the terminal from.
    let shown = on_terminal(
        "stty -echo; $HELD bash --norc -ic 'echo ready; exit 4'; echo status $?; read line; echo read $line",
        &[("ready", b"typed\n")],
    );
    assert!(shown.ends_with("status 4\nread typed\n"), "{shown}");
}
