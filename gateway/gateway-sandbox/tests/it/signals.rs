//! What is sent to Egret and meant for the command.

use std::os::unix::process::CommandExt as _;

use nix::sys::signal::{Signal, killpg};
use test_case::test_case;

use crate::held::{ESCAPEE, Live, held, is_root};

#[test_case(Signal::SIGUSR1; "a user's signal")]
#[test_case(Signal::SIGINT; "an interrupt")]
#[test_case(Signal::SIGHUP; "a hang-up")]
#[test_case(Signal::SIGALRM; "an alarm")]
fn reaches_the_command_once(signal: Signal) {
    if !is_root("reaches_the_command_once") {
        return;
    }
    let mut live = Live::start(&mut held(&["--say-run", ESCAPEE, "listen"]));
    live.signal(signal);
    // Signals are forwarded in order: a second copy would come before TERM.
    live.signal(Signal::SIGTERM);
    assert_eq!(live.rest_of_output(), "got\nterm\n");
    assert_eq!(live.supervisor.wait().expect("it ended").code(), Some(3));
}

/// Those come after TERM where both wait.
#[test_case(Signal::SIGVTALRM; "a virtual alarm")]
#[test_case(Signal::SIGPROF; "a profiler's timer")]
#[test_case(Signal::SIGIO; "input")]
#[test_case(Signal::SIGPWR; "power failing")]
fn reaches_the_command(signal: Signal) {
    if !is_root("reaches_the_command") {
        return;
    }
    let mut live = Live::start(&mut held(&["--say-run", ESCAPEE, "listen"]));
    live.signal(signal);
    assert_eq!(live.line(), "got\n");
    live.signal(Signal::SIGTERM);
    assert_eq!(live.rest_of_output(), "term\n");
    assert_eq!(live.supervisor.wait().expect("it ended").code(), Some(3));
}

#[test]
fn sent_to_the_whole_group_it_comes_once() {
    if !is_root("sent_to_the_whole_group_it_comes_once") {
        return;
    }
    let mut command = held(&["--say-run", ESCAPEE, "listen"]);
    let mut live = Live::start(command.process_group(0));
    // Init serves once it has forwarded one; what a group gets before that may come twice.
    live.signal(Signal::SIGHUP);
    assert_eq!(live.line(), "got\n");
    killpg(live.pid(), Signal::SIGUSR1).expect("a group of its own");
    live.signal(Signal::SIGTERM);
    assert_eq!(live.rest_of_output(), "got\nterm\n");
    assert_eq!(live.supervisor.wait().expect("it ended").code(), Some(3));
}
