//! A shell in the playground's client, with or without Egret around it, that runs one command after
//! another: so that what is measured is not the start.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Context as _, bail};
use gateway_playground::Internet;

use super::PATIENCE;

/// Clock ticks a second in `/proc/PID/stat`: 100 on every Linux that Rust's tier 1 targets know
/// (`USER_HZ`, include/asm-generic/param.h).
const TICKS: f64 = 100.0;
const END: &str = "--end-of-command--";

/// A shell that waits for commands.
pub(crate) struct Session {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Session {
    /// Starts `program` with `args`, which must come down to a shell reading standard input.
    pub(crate) fn start(internet: &Internet, mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = internet.spawn(command).context("failed to start a shell")?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("a shell without output")?;
        let (sender, lines) = sync_channel(1024);
        thread::Builder::new()
            .name("bench-session".to_owned())
            .spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            })
            .context("failed to start a reader")?;
        Ok(Self {
            child,
            input,
            lines,
        })
    }

    /// Runs a command line of the shell and gives what it wrote to standard output.
    pub(crate) fn run(&mut self, line: &str) -> anyhow::Result<Vec<String>> {
        let input = self.input.as_mut().context("the shell has ended")?;
        writeln!(input, "{line} </dev/null; echo {END}")
            .and_then(|()| input.flush())
            .with_context(|| format!("failed to run `{line}`"))?;
        let mut output = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == END => return Ok(output),
                Ok(line) => output.push(line),
                Err(_ended) => bail!("the shell ended, or said nothing for {PATIENCE:?}: `{line}`"),
            }
        }
    }

    /// CPU seconds that the started process itself has used, all its threads together, and none of
    /// its children.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        cpu_seconds(self.child.id())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The end of its input ends the shell; what does not end then is ended.
        drop(self.input.take());
        let ended = (0..100).any(|_| {
            thread::park_timeout(std::time::Duration::from_millis(20));
            matches!(self.child.try_wait(), Ok(Some(_)))
        });
        if !ended {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// See [`Session::cpu_seconds`].
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} has ended"))?;
    // proc_pid_stat(5): behind the name in brackets, utime and stime are the 12th and 13th field.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(ticks / TICKS)
}
