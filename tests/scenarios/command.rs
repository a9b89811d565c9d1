//! The command itself: its streams, signals and exit status, and what is left when somebody dies.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_case::test_case;
use testkit::Lab;

use crate::in_lab;

#[test_case("exit 0", 0)]
#[test_case("exit 42", 42)]
#[test_case("exit 125", 125; "a status of the command's own is not Egret's")]
#[test_case("kill -TERM $$", 128 + 15)]
#[test_case("kill -KILL $$", 128 + 9)]
fn the_status_is_the_commands(script: &str, code: i32) {
    in_lab(|lab| {
        let outcome = lab.held("").run(["sh", "-c", script]);
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
    });
}

#[test]
fn what_cannot_be_executed_is_126_and_what_is_not_there_is_127() {
    in_lab(|lab| {
        let file = lab.folder().join("no-program");
        fs::write(&file, "data").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let cannot = lab.held("").run([file.as_os_str()]);
        assert_eq!(cannot.code, Some(126), "{cannot:#?}");
        let nowhere = lab.held("").run(["/nowhere/program"]);
        assert_eq!(nowhere.code, Some(127), "{nowhere:#?}");
        let unknown = lab.held("").run(["no-such-program-anywhere"]);
        assert_eq!(unknown.code, Some(127), "{unknown:#?}");
        for outcome in [cannot, nowhere, unknown] {
            assert!(outcome.stderr.contains("program"), "{outcome:#?}");
        }
    });
}

#[test]
fn bad_usage_is_125() {
    in_lab(|lab| {
        let outcome = lab.held("").with(["--no-such-option"]).run(["true"]);
        assert_eq!(outcome.code, Some(125), "{outcome:#?}");
    });
}

#[test]
fn standard_input_and_output_are_the_commands() {
    in_lab(|lab| {
        let input = lab.folder().join("input");
        fs::write(&input, "one\ntwo\n").unwrap();
        let outcome = lab
            .held("")
            .stdin(File::open(&input).unwrap().into())
            .run(["cat"]);
        assert_eq!(outcome.stdout, "one\ntwo\n", "{outcome:#?}");
    });
}

#[test]
fn the_command_is_the_user_who_called_sudo() {
    in_lab(|lab| {
        let outcome = lab
            .held("")
            .environment("SUDO_UID", "65534")
            .environment("SUDO_GID", "65534")
            .environment("SUDO_USER", "nobody")
            .run(["sh", "-c", "id -u; id -g"]);
        assert_eq!(outcome.stdout, "65534\n65534\n", "{outcome:#?}");
    });
}

#[test_case(Signal::SIGTERM)]
#[test_case(Signal::SIGINT)]
#[test_case(Signal::SIGHUP)]
#[test_case(Signal::SIGUSR1)]
#[test_case(Signal::SIGALRM)]
#[test_case(Signal::SIGPROF)]
fn signals_are_passed_on(signal: Signal) {
    in_lab(|lab| {
        let script = "
import signal, sys, os
def got(number, frame): print('got', number, flush=True); os._exit(7)
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM, signal.SIGPROF): signal.signal(s, got)
print('ready', flush=True)
while True: signal.pause()";
        let mut running = lab.held("").start(["python3", "-c", script]);
        assert_eq!(running.line(), "ready");
        running.signal(signal);
        assert_eq!(running.line(), format!("got {}", signal as i32));
        assert_eq!(running.finish().code, Some(7));
    });
}

/// The output ends only when the last process that holds it has ended.
#[test]
fn when_the_command_ends_so_does_all_it_left_behind() {
    in_lab(|lab| {
        let outcome = lab
            .held("")
            .run(["sh", "-c", "setsid sleep 1000 & echo left; exit 3"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), "left\n"));
    });
}

#[test]
fn when_egret_is_killed_the_command_dies_with_it_and_the_next_start_works() {
    in_lab(|lab| {
        let mut running = lab.held(&Lab::allowing(&["v4.example.com"])).start([
            "sh",
            "-c",
            "setsid sh -c 'echo daemon; exec sleep 1000' & echo child; exec sleep 1000",
        ]);
        let mut lines = [running.line(), running.line()];
        lines.sort();
        assert_eq!(lines, ["child", "daemon"]);
        running.signal(Signal::SIGKILL);
        let outcome = running.finish();
        assert_eq!(outcome.signal, Some(9));
        let next = lab
            .held(&Lab::allowing(&["v4.example.com"]))
            .probe(&["tcp v4.example.com:7 works", "tcp 198.51.100.66:7 x"]);
        assert_eq!(next.told(), ["works", "EPERM"], "{next:#?}");
    });
}

#[test]
fn a_held_command_is_told_that_it_cannot_hold_another() {
    in_lab(|lab| {
        let program = lab.program().to_str().unwrap();
        let outcome = lab.held("").run([program, "run", "--", "echo", "ran"]);
        assert_eq!(outcome.code, Some(125), "{outcome:#?}");
        assert!(
            outcome.stderr.contains("holds this already"),
            "{outcome:#?}"
        );
    });
}

/// Without it nobody would hold the programs in place when Egret dies.
#[test]
fn when_the_keeper_dies_the_run_ends_and_leaves_nothing() {
    in_lab(|lab| {
        let mut running = lab.held(&Lab::allowing(&["v4.example.com"])).start([
            "sh",
            "-c",
            "grep ^0:: /proc/self/cgroup; exec sleep 1000",
        ]);
        assert_eq!(running.line(), "0::/");
        let keeper = children(running.pid())
            .into_iter()
            .find(|pid| {
                fs::read(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line.starts_with(b"egret-keeper"))
            })
            .unwrap();
        let notes = fs::read(format!("/proc/{keeper}/cmdline")).unwrap();
        let notes = notes.split(|byte| *byte == 0).nth(2).unwrap();
        let notes = Path::new(std::str::from_utf8(notes).unwrap());
        assert!(notes.is_dir());
        kill(keeper, Signal::SIGKILL).unwrap();
        let outcome = running.finish();
        assert_eq!(outcome.code, Some(125), "{outcome:#?}");
        assert!(
            outcome
                .stderr
                .contains("keeps the kernel programs in place is dead"),
            "{outcome:#?}"
        );
        assert!(!notes.exists(), "{}", notes.display());
    });
}

fn children(of: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{of}/task")).unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .map(Pid::from_raw)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_report_says_what_was_denied_and_why() {
    in_lab(|lab| {
        let outcome = lab.held(&Lab::allowing(&["v4.example.com"])).probe(&[
            "tcp v4.example.com:7 allowed",
            "lookup forbidden.example.org",
            "tcp 198.51.100.66:7 x",
        ]);
        let denied: Vec<String> = outcome
            .report
            .iter()
            .filter(|line| line["verdict"] == "deny")
            .map(ToString::to_string)
            .collect();
        for about in ["forbidden.example.org", "198.51.100.66"] {
            assert!(
                denied.iter().any(|line| line.contains(about)),
                "{about}: {:#?}",
                outcome.report
            );
        }
        assert!(
            outcome.report.iter().all(|line| line.is_object()),
            "{:#?}",
            outcome.report
        );
    });
}

#[test]
fn the_summary_names_what_was_denied_unless_quiet() {
    in_lab(|lab| {
        let policy = Lab::allowing(&["v4.example.com"]);
        let steps = ["lookup forbidden.example.org", "tcp 198.51.100.66:7 x"];
        let said = lab.held(&policy).probe(&steps);
        for about in ["forbidden.example.org", "198.51.100.66"] {
            assert!(said.stderr.contains(about), "{}", said.stderr);
        }
        let quiet = lab.held(&policy).with(["--quiet"]).probe(&steps);
        assert!(!quiet.stderr.contains("198.51.100.66"), "{}", quiet.stderr);
    });
}
