use std::fs::File;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

/// The controlling terminal, while this process's group is the one that reads from it.
///
/// The command stays in that group, so that Ctrl-C and Ctrl-Z reach it once and from the terminal itself. A shell as
/// the command makes groups of its own and, inside a pid namespace, cannot name ours to give the terminal back to.
#[derive(Debug)]
pub(crate) struct Terminal {
    tty: File,
    group: Pid,
}

impl Terminal {
    /// The terminal, where there is one and we are in its foreground.
    pub(crate) fn in_foreground() -> Option<Self> {
        let tty = File::open("/dev/tty").ok()?;
        let group = getpgrp();
        (tcgetpgrp(&tty).ok()? == group).then_some(Self { tty, group })
    }

    /// Puts our group back into the foreground, where the command has left another there.
    pub(crate) fn take_back(&self) {
        if tcgetpgrp(&self.tty).is_ok_and(|group| group == self.group) {
            return;
        }
        // From the background, `tcsetpgrp` stops the caller with TTOU unless that is blocked. This thread ends soon.
        if SigSet::from(Signal::SIGTTOU).thread_block().is_ok() {
            // A terminal that hung up meanwhile has no foreground to give.
            tcsetpgrp(&self.tty, self.group).ok();
        }
    }
}
