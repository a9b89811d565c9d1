use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that somebody sends to Egret and means for the command. Those of job control are left alone: a Ctrl-Z stops
/// Egret and the command together, and the shell sees its job stopped. So are those that say that Egret itself is broken
/// or at a limit of its own.
///
/// LIMIT: real-time signals end Egret, and the command with it: they have no names, and none of the libraries sends a
/// signal without one.
pub(crate) const FORWARDED: [Signal; 12] = [
    Signal::SIGALRM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGIO,
    Signal::SIGPROF,
    Signal::SIGPWR,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGVTALRM,
    Signal::SIGWINCH,
];

/// Signals of this process, taken out of the default way of dying and kept for the command.
#[derive(Debug)]
pub struct HeldSignals {
    pub(crate) queue: SignalFd,
}

/// Why signals could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    #[error("failed to block signals")]
    Block {
        #[source]
        source: nix::Error,
    },
    #[error("failed to open a signal queue")]
    Queue {
        #[source]
        source: nix::Error,
    },
}

impl HeldSignals {
    /// Blocks ALRM, HUP, INT, IO, PROF, PWR, QUIT, TERM, USR1, USR2, VTALRM and WINCH in this thread and all it will start; they wait in a queue
    /// until [`crate::Prepared::start`] forwards them.
    ///
    /// Call it in `main`, **before any other thread exists** (a runtime's workers): a thread that does not block TERM
    /// receives it and ends the process. Do not also install handlers for these signals.
    ///
    /// # Errors
    /// When the kernel refuses, which it has no reason to.
    pub fn take() -> Result<Self, SignalError> {
        let set = SigSet::from_iter(FORWARDED);
        set.thread_block()
            .map_err(|source| SignalError::Block { source })?;
        let queue = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(|source| SignalError::Queue { source })?;
        Ok(Self { queue })
    }
}
