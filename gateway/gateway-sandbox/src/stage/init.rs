use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, RawFd};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::orders::{Orders, Report, Status};
use crate::walls::{self, descriptors};

/// How long a signal that init saw itself counts as the same one that the supervisor forwards a moment later.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// Init: the first process of the command's pid namespace. Raises the walls around itself, drops everything, starts
/// the command, reaps, and ends with it; the kernel then ends whatever is left in the namespace.
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    let [orders, program, arguments @ ..] = arguments else {
        return ExitCode::from(125);
    };
    let Some(orders) = orders
        .to_str()
        .and_then(|text| serde_json::from_str::<Orders>(text).ok())
    else {
        return ExitCode::from(125);
    };
    let Ok(mut init) = Init::begin(&orders) else {
        return ExitCode::from(125);
    };
    let notices = match walls::raise(&orders) {
        Ok(notices) => notices,
        Err(error) => {
            init.tell(&Report::WallMissing(walls::chain(&error)));
            return ExitCode::from(125);
        }
    };
    for notice in notices {
        init.tell(&Report::Notice(notice));
    }
    match init.spawn(Command::new(program).args(arguments)) {
        Ok(command) => {
            init.tell(&Report::Started);
            let command = Pid::from_raw(i32::try_from(command.id()).unwrap_or(i32::MAX));
            let status = init.serve(command);
            init.tell(&Report::Ended(status));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(libc::ENOENT);
            init.tell(&Report::NotExecuted(errno));
            ExitCode::from(126)
        }
    }
}

struct Init {
    report: File,
    control: File,
    signals: SignalFd,
    /// Signals that reached init directly: sent to the whole process group, so the command has them already.
    witnessed: Vec<(i32, Instant)>,
}

impl Init {
    fn begin(orders: &Orders) -> io::Result<Self> {
        let report = reopen(orders.report, OpenOptions::new().write(true))?;
        let control = reopen(orders.control, OpenOptions::new().read(true))?;
        // Whatever the caller of Egret had open ends here, the inherited ends of our own pipes among it.
        descriptors::close_all_but(&[raw(&report), raw(&control)])?;
        // Nothing in the namespace may look into init: it has the caller's open pipes and, until the walls stand, all
        // of root's rights.
        prctl::set_dumpable(false)?;
        let all = SigSet::all();
        all.thread_block()?;
        let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self {
            report,
            control,
            signals,
            witnessed: Vec::new(),
        })
    }

    /// Starts the command with no signal blocked. Ours are for that moment not blocked either, and the kernel then
    /// throws away what others send to the first process of a namespace: an end that falls into it is seen by `reap`, and
    /// a signal to the whole group may come to the command twice.
    fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let all = SigSet::all();
        all.thread_unblock()?;
        let spawned = command.spawn();
        all.thread_block()?;
        spawned
    }

    /// Reports to the supervisor. When it is gone, so are we soon.
    fn tell(&mut self, report: &Report) {
        if let Ok(mut line) = serde_json::to_vec(report) {
            line.push(b'\n');
            drop(self.report.write_all(&line));
        }
    }

    /// Reaps and forwards signals until the command has ended.
    fn serve(&mut self, command: Pid) -> Status {
        loop {
            if let Some(status) = reap(command) {
                return status;
            }
            let mut waiting = [
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut waiting, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return Status::Signal(libc::SIGKILL),
            }
            let [_, control] = waiting.map(|fd| fd.any().unwrap_or(false));
            self.note_signals();
            if control && !self.forward(command) {
                // The supervisor is gone. Ending kills everything in the namespace.
                return Status::Signal(libc::SIGKILL);
            }
        }
    }

    fn note_signals(&mut self) {
        let now = Instant::now();
        while let Ok(Some(signal)) = self.signals.read_signal() {
            // The supervisor does not forward what comes from the terminal.
            let number = i32::try_from(signal.ssi_signo).unwrap_or(0);
            if number != libc::SIGCHLD && signal.ssi_code != libc::SI_KERNEL {
                self.witnessed.push((number, now));
            }
        }
        self.witnessed
            .retain(|(_, seen)| now.duration_since(*seen) < SAME_SIGNAL);
    }

    /// Sends on one forwarded signal. `false`: there will never be another.
    fn forward(&mut self, command: Pid) -> bool {
        let mut number = [0];
        match self.control.read(&mut number) {
            Ok(1) => {}
            Ok(_) | Err(_) => return false,
        }
        let number = i32::from(number[0]);
        if let Some(known) = self
            .witnessed
            .iter()
            .position(|(witnessed, _)| *witnessed == number)
        {
            self.witnessed.swap_remove(known);
            return true;
        }
        if let Ok(signal) = Signal::try_from(number) {
            // ESRCH: it has just ended, and the next reap says so.
            kill(command, signal).ok();
        }
        true
    }
}

/// Reaps everything that has ended, and says how the command did if it is among it.
fn reap(command: Pid) -> Option<Status> {
    loop {
        let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, Status::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _core)) => (pid, Status::Signal(signal as i32)),
            Ok(
                WaitStatus::StillAlive
                | WaitStatus::Stopped(..)
                | WaitStatus::Continued(_)
                | WaitStatus::PtraceEvent(..)
                | WaitStatus::PtraceSyscall(_),
            ) => return None,
            Err(Errno::EINTR) => continue,
            // No children at all: the command cannot have ended unseen, but waiting on would be for ever.
            Err(_) => return Some(Status::Signal(libc::SIGKILL)),
        };
        if pid == command {
            return Some(status);
        }
    }
}

/// Opens an inherited pipe by its number, as a file of our own.
fn reopen(fd: RawFd, options: &OpenOptions) -> io::Result<File> {
    options.open(format!("/proc/self/fd/{fd}"))
}

fn raw(file: &File) -> RawFd {
    std::os::fd::AsRawFd::as_raw_fd(file)
}
