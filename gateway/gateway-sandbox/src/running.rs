use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use crate::cgroup;
use crate::ended::{Ended, RunningError};
use crate::keeper::Keeper;
use crate::leftovers::CleanupError;
use crate::notice::Notice;
use crate::prepared::Prepared;
use crate::signals::HeldSignals;
use crate::start_error::StartError;
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

impl Prepared {
    /// Starts a command behind the walls and returns when it has been executed.
    ///
    /// The kernel programs must be attached to [`Prepared::cgroup`] by now: their links are handed to the keeper
    /// here, so that they outlive this process by as long as the command does.
    ///
    /// # Errors
    /// When a wall does not stand or the command cannot be executed; everything made is removed again.
    pub fn start(
        self,
        program: &OsStr,
        arguments: &[OsString],
        signals: HeldSignals,
    ) -> Result<Running, StartError> {
        self.keeper.hold_links().map_err(StartError::Links)?;
        Running::start(self, program, arguments, signals)
    }
}

impl Running {
    fn start(
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
