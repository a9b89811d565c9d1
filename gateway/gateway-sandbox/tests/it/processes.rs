//! What a held command sees of other processes and can do to them.

use nix::sys::signal::Signal;
use test_case::test_case;

use crate::held::{ESCAPEE, Live, held, is_root, shell};

#[test]
fn only_its_own_processes_are_seen() {
    if !is_root("only_its_own_processes_are_seen") {
        return;
    }
    let outcome =
        shell("for p in /proc/[0-9]*; do cat $p/comm 2>/dev/null; done | sort -u | tr '\\n' ' '");
    let seen: Vec<&str> = outcome.stdout.split_whitespace().collect();
    assert!(
        seen.contains(&"egret-init") || seen.contains(&"exe"),
        "{seen:?}"
    );
    for name in &seen {
        assert!(
            ["exe", "egret-init", "sh", "cat", "sort", "tr"].contains(name),
            "{seen:?}"
        );
    }
}

#[test_case("ls /proc/1/root/"; "its root")]
#[test_case("ls -l /proc/1/cwd/"; "its working directory")]
#[test_case("readlink /proc/1/fd/*"; "what its descriptors are")]
#[test_case("cat /proc/1/fd/*"; "what is behind its descriptors")]
#[test_case("head -c 1 /proc/1/mem"; "its memory")]
#[test_case("readlink /proc/1/exe"; "its executable")]
#[test_case("cat /proc/1/environ"; "its environment")]
#[test_case("readlink /proc/1/ns/mnt"; "its namespaces")]
fn init_cannot_be_looked_into(attempt: &str) {
    if !is_root("init_cannot_be_looked_into") {
        return;
    }
    let outcome = shell(attempt);
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
}

#[test_case("1", "3", "EPERM"; "of init")]
#[test_case("$PPID", "0", "ok"; "of its own parent")]
fn a_descriptor_is_taken(pid: &str, fd: &str, expected: &str) {
    if !is_root("a_descriptor_is_taken") {
        return;
    }
    let outcome = shell(&format!("sh -c '{ESCAPEE} take {pid} {fd}; true'"));
    assert_eq!(outcome.stdout, expected, "{outcome:?}");
}

#[test]
fn init_cannot_be_killed_from_inside() {
    if !is_root("init_cannot_be_killed_from_inside") {
        return;
    }
    let outcome = shell("kill -KILL 1; kill -TERM 1; kill -INT 1; kill -STOP 1; echo still here");
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), "still here"),
        "{outcome:?}"
    );
}

#[test]
fn a_signal_to_its_own_group_stays_inside() {
    if !is_root("a_signal_to_its_own_group_stays_inside") {
        return;
    }
    // The supervisor is in the group, and would forward it.
    let outcome = shell("trap 'echo once' USR1; kill -USR1 0; echo end");
    assert_eq!(outcome.stdout, "once\nend", "{outcome:?}");
}

#[test]
fn the_supervisor_is_not_there_by_its_number() {
    if !is_root("the_supervisor_is_not_there_by_its_number") {
        return;
    }
    let mut neighbour = Live::start(&mut held(&[
        "--say-run",
        "sh",
        "-c",
        "echo ready; exec sleep 1000",
    ]));
    let pid = neighbour.pid();
    let outcome = shell(&format!(
        "kill -0 {pid} 2>/dev/null && echo reached; ls -d /proc/{pid} 2>/dev/null"
    ));
    neighbour.signal(Signal::SIGTERM);
    neighbour.supervisor.wait().expect("it ended");
    assert_eq!(outcome.stdout, "", "{outcome:?}");
}

#[test]
fn its_own_children_can_be_traced() {
    if !is_root("its_own_children_can_be_traced") {
        return;
    }
    let outcome = shell("sleep 1000 & readlink /proc/$!/root; kill $!");
    assert_eq!(outcome.stdout, "/", "{outcome:?}");
}
