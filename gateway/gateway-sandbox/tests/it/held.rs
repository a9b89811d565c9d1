//! Starts `gateway-sandbox-held` and reads what came of it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) const ESCAPEE: &str = env!("CARGO_BIN_EXE_gateway-sandbox-escapee");

/// What a held command wrote, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }
    }
}

/// `gateway-sandbox-held` with these arguments, its standard input closed.
pub(crate) fn held(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway-sandbox-held"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    held(arguments)
        .output()
        .expect("the test binary is built")
        .into()
}

/// Runs a line of shell to its end.
pub(crate) fn shell(line: &str) -> Outcome {
    run(&["sh", "-c", line])
}

/// The same command without any wall.
pub(crate) fn free(arguments: &[&str]) -> Outcome {
    let (program, rest) = arguments.split_first().expect("a program");
    Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .output()
        .expect("it is there")
        .into()
}

/// A held command that is still running.
pub(crate) struct Live {
    pub(crate) supervisor: Child,
    pub(crate) stdout: BufReader<ChildStdout>,
    /// Kept open: who writes to a closed standard error fails.
    _stderr: BufReader<ChildStderr>,
    /// The directory of its notes.
    pub(crate) dir: PathBuf,
    pub(crate) cgroup: PathBuf,
    /// Opened while it is surely there.
    lock: File,
}

impl Drop for Live {
    /// A test that fails leaves nothing behind either.
    fn drop(&mut self) {
        self.supervisor.kill().ok();
        self.supervisor.wait().ok();
    }
}

impl Live {
    /// Starts a shell line and waits for its first line, which must be `ready`.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut supervisor = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the test binary is built");
        let stdout = BufReader::new(supervisor.stdout.take().expect("piped"));
        let mut stderr = BufReader::new(supervisor.stderr.take().expect("piped"));
        let mut run = String::new();
        stderr.read_line(&mut run).expect("readable");
        let (dir, cgroup) = run.trim().split_once(' ').expect("`--say-run` was given");
        let mut live = Self {
            dir: dir.into(),
            cgroup: cgroup.into(),
            lock: File::open(Path::new(dir).join("lock")).expect("a live run has a lock"),
            supervisor,
            stdout,
            _stderr: stderr,
        };
        assert_eq!(live.line(), "ready\n");
        live
    }

    /// The next line of its output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("readable");
        line
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it lives");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.supervisor.id()).expect("a pid"))
    }

    /// The keeper and init: children of the supervisor, by the names they run under.
    pub(crate) fn child(&self, name: &str) -> Pid {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it lives");
        tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
            .flat_map(|text| {
                text.split_whitespace()
                    .filter_map(|pid| pid.parse().ok())
                    .collect::<Vec<i32>>()
            })
            .find(|pid| {
                fs::read(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line.starts_with(name.as_bytes()))
            })
            .map(Pid::from_raw)
            .expect("it has such a child")
    }

    /// Waits until every process of the command has closed its standard output, which they do by dying.
    pub(crate) fn rest_of_output(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("readable");
        rest
    }

    /// Waits until whoever holds the run's lock is gone.
    pub(crate) fn wait_for_keeper(&self) {
        self.lock.lock().expect("a lock");
        self.lock.unlock().expect("a lock");
    }
}

/// Whether tests that need root can run. In CI they must.
pub(crate) fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    assert!(
        root || std::env::var_os("CI").is_none(),
        "{test} needs root"
    );
    root
}

/// Runs a test in a mount namespace of its own, with an empty `/run`.
pub(crate) fn in_own_mounts<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS).expect("root");
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("root");
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none).expect("root");
        test()
    });
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
