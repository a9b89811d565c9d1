//! The thread beside a run: it starts init, forwards signals, and waits for the end.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use crate::ended::{Ended, RunningError};
use crate::identity::SUDO_VARIABLES;
use crate::notice::Notice;
use crate::orders::{Orders, Report, STAGE_INIT};
use crate::prepared::Prepared;
use crate::run_dir;
use crate::signals::HeldSignals;
use crate::start_error::StartError;
use crate::terminal::Terminal;

type End = Result<Ended, RunningError>;

/// What is known once the command has been executed.
pub(crate) struct Started {
    pub(crate) notices: Vec<Notice>,
    pub(crate) init: Pid,
}

/// Starts init and the command, and returns once the command has been executed or could not be.
pub(crate) fn start(
    prepared: &Prepared,
    program: &OsStr,
    arguments: &[OsString],
    signals: HeldSignals,
) -> Result<(Started, oneshot::Receiver<End>), StartError> {
    let (init, streams) = init_command(prepared, program, arguments)?;
    let keeper = prepared.keeper.pulse().map_err(StartError::Links)?;
    let (started, when_started) = mpsc::sync_channel(1);
    let (ending, when_ended) = oneshot::channel();
    // A thread of its own, because a parent-death signal is sent when the *thread* that started a process ends, and
    // a runtime's threads come and go. The pid namespace, too, is a matter of this thread.
    thread::Builder::new()
        .name("egret-run".to_owned())
        .spawn(move || {
            let end = watch(init, streams, keeper, &signals, &started);
            // Nobody listens when the start failed: the failure went the other way.
            drop(ending.send(end));
        })
        .map_err(|source| StartError::Make {
            what: "thread for the command",
            source,
        })?;
    match when_started.recv() {
        Ok(Ok(started)) => Ok((started, when_ended)),
        Ok(Err(failure)) => Err(failure.about(program)),
        Err(mpsc::RecvError) => Err(StartError::Silent),
    }
}

/// The pipes between us and init, and init's ends of them until it has been started.
struct Streams {
    report: PipeReader,
    control: PipeWriter,
    inits: (PipeWriter, PipeReader),
}

enum Failure {
    Make(&'static str, io::Error),
    Wall(String),
    NotExecuted(i32),
    Silent,
}

impl Failure {
    fn about(self, program: &OsStr) -> StartError {
        let program = program.to_owned();
        match self {
            Self::Make(what, source) => StartError::Make { what, source },
            Self::Wall(reason) => StartError::Wall { reason },
            Self::NotExecuted(errno) => {
                let source = io::Error::from_raw_os_error(errno);
                if source.kind() == io::ErrorKind::NotFound {
                    StartError::NotFound { program, source }
                } else {
                    StartError::NotExecutable { program, source }
                }
            }
            Self::Silent => StartError::Silent,
        }
    }
}

fn init_command(
    prepared: &Prepared,
    program: &OsStr,
    arguments: &[OsString],
) -> Result<(Command, Streams), StartError> {
    let make = |source| StartError::Make {
        what: "pipe to the process around the command",
        source,
    };
    let (report, inits_report) = io::pipe().map_err(make)?;
    let (inits_control, control) = io::pipe().map_err(make)?;
    for end in [inits_report.as_fd(), inits_control.as_fd()] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|errno| make(errno.into()))?;
    }
    let orders = Orders {
        cgroup: prepared.cgroup.path().to_owned(),
        identity: prepared.identity.clone(),
        host_sockets: prepared.spec.host_sockets,
        nested: prepared.spec.nested,
        protected: prepared.protected.clone(),
        notes: run_dir::base(),
        report: inits_report.as_raw_fd(),
        control: inits_control.as_raw_fd(),
    };
    let orders = serde_json::to_string(&orders).map_err(|error| make(error.into()))?;
    let mut init = Command::new("/proc/self/exe");
    init.arg0("egret-init")
        .args([STAGE_INIT, &orders])
        .arg(program)
        .args(arguments);
    if let Some(environment) = &prepared.identity.environment {
        init.env("HOME", &environment.home)
            .env("USER", &environment.name)
            .env("LOGNAME", &environment.name);
        for variable in SUDO_VARIABLES {
            init.env_remove(variable);
        }
    }
    let streams = Streams {
        report,
        control,
        inits: (inits_report, inits_control),
    };
    Ok((init, streams))
}

fn watch(
    mut init: Command,
    streams: Streams,
    keeper: OwnedFd,
    signals: &HeldSignals,
    started: &mpsc::SyncSender<Result<Started, Failure>>,
) -> End {
    let terminal = Terminal::in_foreground();
    let spawned = unshare(CloneFlags::CLONE_NEWPID)
        .map_err(|errno| Failure::Make("pid namespace", errno.into()))
        .and_then(|()| {
            init.spawn()
                .map_err(|error| Failure::Make("process around the command", error))
        });
    let Streams {
        report,
        control,
        inits,
    } = streams;
    // Ours must be the only ends left, or no end of file would ever come.
    drop(inits);
    let mut child = match spawned {
        Ok(child) => child,
        Err(failure) => {
            // The starter waits for exactly one message; it is there.
            drop(started.send(Err(failure)));
            return Err(RunningError::InitKilled);
        }
    };
    let mut talk = Talk {
        report,
        control,
        keeper: Some(keeper),
        unread: Vec::new(),
        notices: Vec::new(),
    };
    let end = talk.follow(&child, signals, started);
    let waited = child.wait();
    if let Some(terminal) = terminal {
        terminal.take_back();
    }
    waited.map_err(RunningError::Watch)?;
    end
}

/// The conversation with init.
struct Talk {
    report: PipeReader,
    control: PipeWriter,
    /// Until it is dead.
    keeper: Option<OwnedFd>,
    unread: Vec<u8>,
    notices: Vec<Notice>,
}

impl Talk {
    /// Forwards signals and follows the reports until init says no more.
    fn follow(
        &mut self,
        child: &Child,
        signals: &HeldSignals,
        started: &mpsc::SyncSender<Result<Started, Failure>>,
    ) -> End {
        let init = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let mut told = false;
        let mut end = Err(RunningError::InitKilled);
        loop {
            let [reported, signalled, unkept] = self.wait(signals).map_err(RunningError::Watch)?;
            if unkept {
                self.keeper = None;
                // Its end is the end of everything in its namespace, and of the reports.
                kill(init, Signal::SIGKILL).ok();
                end = end.or(Err(RunningError::KeeperGone));
            }
            if signalled {
                self.forward(signals).map_err(RunningError::Watch)?;
            }
            if !reported {
                continue;
            }
            if self.read().map_err(RunningError::Watch)? == 0 {
                break;
            }
            while let Some(report) = self.next_report() {
                let news = match report {
                    Report::Notice(notice) => {
                        self.notices.push(notice);
                        continue;
                    }
                    Report::Started => Ok(Started {
                        notices: std::mem::take(&mut self.notices),
                        init,
                    }),
                    Report::WallMissing(reason) => Err(Failure::Wall(reason)),
                    Report::NotExecuted(errno) => Err(Failure::NotExecuted(errno)),
                    Report::Ended(status) => {
                        end = Ok(status.into());
                        continue;
                    }
                };
                told = true;
                // A starter that is gone needs no news.
                drop(started.send(news));
            }
        }
        if !told {
            drop(started.send(Err(Failure::Silent)));
        }
        end
    }

    /// Waits for a report, a signal or the keeper's death, and tells which of them came.
    fn wait(&self, signals: &HeldSignals) -> io::Result<[bool; 3]> {
        let mut waiting = vec![
            PollFd::new(self.report.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.queue.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(keeper) = &self.keeper {
            waiting.push(PollFd::new(keeper.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let came = |place: usize| waiting.get(place).and_then(PollFd::any).unwrap_or(false);
        Ok([came(0), came(1), came(2)])
    }

    /// Passes on what somebody sent to us. What the terminal sent, it sent to the command as well.
    fn forward(&mut self, signals: &HeldSignals) -> io::Result<()> {
        while let Some(signal) = signals.queue.read_signal()? {
            if signal.ssi_code == libc::SI_KERNEL {
                continue;
            }
            let Ok(number) = u8::try_from(signal.ssi_signo) else {
                continue;
            };
            match self.control.write_all(&[number]) {
                Ok(()) => {}
                // Init is at its end; there is nobody left to signal.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 4096];
        let count = self.report.read(&mut buffer)?;
        self.unread
            .extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }

    /// The next whole line that is a report.
    fn next_report(&mut self) -> Option<Report> {
        loop {
            let end = self.unread.iter().position(|byte| *byte == b'\n')?;
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            if let Ok(report) = serde_json::from_slice(&line) {
                return Some(report);
            }
        }
    }
}
