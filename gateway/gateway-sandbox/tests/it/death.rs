//! What is left when somebody dies.

use std::path::Path;

use nix::sys::signal::{Signal, kill};

use crate::held::{Live, held, in_own_mounts, is_root, run};

const DAEMON: &str = "setsid sh -c 'sleep 1000 & wait' & echo ready; wait";

fn live() -> Live {
    Live::start(&mut held(&["--say-run", "sh", "-c", DAEMON]))
}

#[test]
fn killing_egret_kills_what_the_command_started() {
    if !is_root("killing_egret_kills_what_the_command_started") {
        return;
    }
    let mut live = live();
    assert!(live.cgroup.is_dir());
    live.signal(Signal::SIGKILL);
    // The daemon has the other end: this returns when it is dead.
    assert_eq!(live.rest_of_output(), "");
    live.wait_for_keeper();
    assert!(!live.cgroup.exists(), "the keeper removes the cgroup");
    assert!(!live.dir.exists(), "the keeper removes the notes");
    live.supervisor.wait().expect("it ended");
}

#[test]
fn killing_the_process_around_the_command_ends_the_run() {
    if !is_root("killing_the_process_around_the_command_ends_the_run") {
        return;
    }
    let mut live = live();
    kill(live.child("egret-init"), Signal::SIGKILL).expect("it lives");
    assert_eq!(live.rest_of_output(), "");
    assert_eq!(live.supervisor.wait().expect("it ended").code(), Some(125));
    live.wait_for_keeper();
    assert!(!live.cgroup.exists());
}

#[test]
fn killing_the_keeper_ends_the_run() {
    if !is_root("killing_the_keeper_ends_the_run") {
        return;
    }
    let mut live = live();
    kill(live.child("egret-keeper"), Signal::SIGKILL).expect("it lives");
    assert_eq!(live.rest_of_output(), "");
    assert_eq!(live.supervisor.wait().expect("it ended").code(), Some(125));
}

#[test]
fn the_next_start_removes_what_is_dead_and_only_that() {
    if !is_root("the_next_start_removes_what_is_dead_and_only_that") {
        return;
    }
    // In a `/run` of its own: the other tests' starts sweep, too.
    in_own_mounts(|| {
        let mut neighbour = live();
        let mut dead = live();
        let keeper = dead.child("egret-keeper");
        // Stopped first, so that it cannot do its work between the two.
        kill(keeper, Signal::SIGSTOP).expect("it lives");
        dead.signal(Signal::SIGKILL);
        kill(keeper, Signal::SIGKILL).expect("it lives");
        assert_eq!(dead.rest_of_output(), "", "init dies with its parent");
        dead.supervisor.wait().expect("it ended");
        dead.wait_for_keeper();
        assert!(
            dead.cgroup.is_dir() && dead.dir.is_dir(),
            "nobody was left to remove them"
        );

        assert_eq!(run(&["true"]).code, Some(0));

        assert!(
            !dead.cgroup.exists() && !dead.dir.exists(),
            "{}",
            dead.cgroup.display()
        );
        assert!(neighbour.cgroup.is_dir() && neighbour.dir.is_dir());
        assert!(Path::new(&format!("/proc/{}", neighbour.child("egret-init"))).exists());
        neighbour.signal(Signal::SIGKILL);
        neighbour.rest_of_output();
        neighbour.wait_for_keeper();
        neighbour.supervisor.wait().expect("it ended");
    });
}

#[test]
fn nothing_is_left_after_an_ordinary_end() {
    if !is_root("nothing_is_left_after_an_ordinary_end") {
        return;
    }
    let outcome = run(&["--say-run", "--slot-port", "54321", "true"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let line = outcome
        .stderr
        .lines()
        .next()
        .expect("`--say-run` was given");
    let (dir, cgroup) = line.split_once(' ').expect("two paths");
    assert!(
        !Path::new(dir).exists() && !Path::new(cgroup).exists(),
        "{outcome:?}"
    );
    let routes = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    assert!(!routes.contains("fd8365677265d431"), "{routes}");
}

#[test]
fn the_slot_route_is_there_during_the_run() {
    if !is_root("the_slot_route_is_there_during_the_run") {
        return;
    }
    let outcome = run(&["--slot-port", "54322", "cat", "/proc/net/ipv6_route"]);
    let disabled = outcome.stderr.contains("IPv6 is disabled");
    assert!(
        disabled || outcome.stdout.contains("fd8365677265d432"),
        "{outcome:?}"
    );
}
