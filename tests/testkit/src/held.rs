//! One `egret run` and what came of it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;

use gateway_playground::probe::{Sight, sights};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::lab::Lab;
use crate::waiting::{before, eventually, patience};

/// A command line of `egret run` in the making.
#[derive(Debug)]
pub struct Held<'a> {
    lab: &'a Lab,
    files: Files,
    options: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    stdin: Option<Stdio>,
}

/// The files of one run.
#[derive(Clone, Debug)]
struct Files {
    policy: PathBuf,
    report: PathBuf,
    stderr: PathBuf,
}

/// An `egret run` under way. Dropping it ends it, and Egret takes the command with it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    files: Files,
    lines: Receiver<String>,
    stdout: String,
}

/// What an `egret run` left behind.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status; `None` when a signal ended Egret itself.
    pub code: Option<i32>,
    /// The signal that ended Egret itself.
    pub signal: Option<i32>,
    /// What the command wrote.
    pub stdout: String,
    /// What the command and Egret wrote to standard error.
    pub stderr: String,
    /// The lines of the report.
    pub report: Vec<Value>,
    /// What a probe saw; empty for other commands.
    pub sights: Vec<Sight>,
}

impl<'a> Held<'a> {
    pub(crate) fn new(lab: &'a Lab, policy: &str) -> Self {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| lab.folder().join(format!("{number}.{kind}"));
        let files = Files {
            policy: file("yaml"),
            report: file("jsonl"),
            stderr: file("stderr"),
        };
        let mut options = vec!["--report".into(), files.report.clone().into()];
        if !policy.is_empty() {
            fs::write(&files.policy, policy).unwrap();
            options.extend(["--policy".into(), files.policy.clone().into()]);
        }
        Self {
            lab,
            files,
            options,
            environment: Vec::new(),
            stdin: None,
        }
    }

    /// More options of `egret run`.
    #[must_use]
    pub fn with<S: Into<OsString>>(mut self, options: impl IntoIterator<Item = S>) -> Self {
        self.options.extend(options.into_iter().map(Into::into));
        self
    }

    /// A variable of the environment that Egret starts with.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// What Egret gets as its standard input; nothing by default.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdio) -> Self {
        self.stdin = Some(stdin);
        self
    }

    /// Runs the probe with these steps to its end.
    #[must_use]
    pub fn probe(self, steps: &[&str]) -> Outcome {
        self.start_probe(steps).finish()
    }

    /// Starts the probe with these steps.
    #[must_use]
    pub fn start_probe(self, steps: &[&str]) -> Running {
        let mut command = vec![self.lab.program().into(), OsString::from("__probe")];
        command.extend(steps.iter().map(Into::into));
        self.start(command)
    }

    /// Runs a command to its end.
    #[must_use]
    pub fn run<S: Into<OsString>>(self, command: impl IntoIterator<Item = S>) -> Outcome {
        self.start(command).finish()
    }

    /// Starts a command.
    #[must_use]
    pub fn start<S: Into<OsString>>(self, command: impl IntoIterator<Item = S>) -> Running {
        let mut egret = Command::new(self.lab.program());
        egret.arg("run").args(self.options).arg("--");
        egret.args(command.into_iter().map(Into::into));
        egret.envs(self.environment);
        egret.stdin(self.stdin.unwrap_or_else(Stdio::null));
        egret.stdout(Stdio::piped());
        egret.stderr(File::create(&self.files.stderr).unwrap());
        let mut child = self.lab.internet.spawn(egret).unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(1024);
        thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Running {
            child,
            files: self.files,
            lines,
            stdout: String::new(),
        }
    }
}

impl Running {
    /// The process id of Egret itself.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// The next line that the command writes.
    ///
    /// # Panics
    /// When the command ends or is silent for too long.
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(patience()) {
            Ok(line) => {
                self.stdout.push_str(&line);
                self.stdout.push('\n');
                line
            }
            Err(_) => panic!("no further line. stderr: {}", self.stderr()),
        }
    }

    /// What the probe's next step saw.
    ///
    /// # Panics
    /// When there is no further step, or the line is no sight.
    pub fn sight(&mut self) -> Sight {
        let line = self.line();
        let sight = sights(line.as_bytes()).pop();
        sight.unwrap_or_else(|| panic!("no sight: {line}"))
    }

    /// What was written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.files.stderr).unwrap_or_default()
    }

    /// The lines of the report so far.
    #[must_use]
    pub fn report(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.files.report).unwrap_or_default();
        // A last line without its end is still being written.
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        whole
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits until standard error has this text.
    ///
    /// # Panics
    /// When it never comes.
    pub fn wait_for_stderr(&self, text: &str) {
        eventually(&format!("`{text}` on standard error"), || {
            self.stderr().contains(text).then_some(())
        });
    }

    /// Puts other text in place of the policy, as an editor does: a new file under the old name.
    pub fn edit_policy(&self, text: &str) {
        let new = self.files.policy.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &self.files.policy).unwrap();
    }

    /// Sends a signal to Egret itself.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not come.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        let status = self.wait();
        // The end of the output comes with the end of its last writer.
        loop {
            match self.lines.recv_timeout(patience()) {
                Ok(line) => {
                    self.stdout.push_str(&line);
                    self.stdout.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("somebody still holds the output"),
            }
        }
        let stdout = std::mem::take(&mut self.stdout);
        Outcome {
            code: status.code(),
            signal: status.signal(),
            sights: sights(stdout.as_bytes()),
            stdout,
            stderr: self.stderr(),
            report: fs::read_to_string(&self.files.report)
                .unwrap_or_default()
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        }
    }

    fn wait(&mut self) -> ExitStatus {
        // A probe may be patient itself, once.
        before(2 * patience(), || self.child.try_wait().unwrap())
            .unwrap_or_else(|| panic!("egret run does not end. stderr: {}", self.stderr()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where there is nothing left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Outcome {
    /// What each step of a probe came to, in one word: what was read, the addresses, or the error.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        self.sights.iter().map(tell).collect()
    }
}

fn tell(sight: &Sight) -> String {
    if let Some(error) = &sight.error {
        return error.clone();
    }
    match &sight.text {
        Some(text) if text != "NOERROR" => text.clone(),
        Some(_) | None => sight
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    }
}
