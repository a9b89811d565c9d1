use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use crate::cgroup;
use crate::keeper::Keeper;
use crate::leftovers::CleanupError;
use crate::notice::Notice;
use crate::orders::Status;
use crate::prepared::{Prepared, StartError};
use crate::signals::HeldSignals;
use crate::watcher;

/// A command behind its walls.
///
/// Dropping it closes the keeper's lifeline: the command is killed and everything removed, unseen. Use
/// [`Running::close`] to wait for that and to learn what went wrong.
#[derive(Debug)]
pub struct Running {
    notices: Vec<Notice>,
    cgroup: PathBuf,
    init: Pid,
    ending: oneshot::Receiver<Result<Ended, RunningError>>,
    ended: Option<Ended>,
    keeper: Keeper,
}

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Exited(u8),
    /// This signal ended it.
    Signaled(i32),
}

/// Why the command's end is not known.
#[derive(Debug, thiserror::Error)]
pub enum RunningError {
    /// [`Running::kill`] does this, and so may anybody with the right to.
    #[error("the process around the command was killed")]
    InitKilled,
    #[error("failed to watch the command")]
    Watch(#[source] io::Error),
    #[error("the thread that watches the command is gone")]
    ThreadGone,
}

impl Ended {
    /// What a shell would show: the status itself, or 128 plus the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(number) => u8::try_from(number).unwrap_or(0).saturating_add(128),
        }
    }
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        match status {
            // The kernel keeps eight bits of what a process exits with.
            Status::Code(code) => Self::Exited(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
            Status::Signal(number) => Self::Signaled(number),
        }
    }
}

impl Running {
    pub(crate) fn start(
        prepared: Prepared,
        program: &OsStr,
        arguments: &[OsString],
        signals: HeldSignals,
    ) -> Result<Self, StartError> {
        let started = watcher::start(&prepared, program, arguments, signals);
        let Prepared {
            mut notices,
            cgroup,
            keeper,
            ..
        } = prepared;
        match started {
            Ok((started, ending)) => {
                notices.extend(started.notices);
                Ok(Self {
                    notices,
                    cgroup: cgroup.path().to_owned(),
                    init: started.init,
                    ending,
                    ended: None,
                    keeper,
                })
            }
            Err(error) => {
                // Why nothing runs is the news; what could not be removed is the next sweep's.
                drop(keeper.finish());
                Err(error)
            }
        }
    }

    /// Walls this machine does not have.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Waits for the command to end; whatever it left running is dead by then too. Safe to cancel and call again.
    ///
    /// # Errors
    /// When the process around the command died first, which is what [`Running::kill`] brings about.
    pub async fn wait(&mut self) -> Result<Ended, RunningError> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        if self.ending.is_terminated() {
            return Err(RunningError::ThreadGone);
        }
        let ended = (&mut self.ending)
            .await
            .unwrap_or(Err(RunningError::ThreadGone))?;
        self.ended = Some(ended);
        Ok(ended)
    }

    /// Kills the command and everything it started, at once.
    ///
    /// # Errors
    /// When neither the cgroup nor the process around the command can be killed.
    pub fn kill(&self) -> io::Result<()> {
        match cgroup::kill(&self.cgroup) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                kill(self.init, Signal::SIGKILL).map_err(io::Error::from)
            }
            outcome => outcome,
        }
    }

    /// Kills what is left, removes what was made, and waits until that is done. Blocks for as long as killed
    /// processes take to end (at most about ten seconds). Drop the kernel programs after this, not before.
    ///
    /// # Errors
    /// When something could not be removed.
    pub fn close(self) -> Result<(), CleanupError> {
        self.keeper.finish()
    }
}
