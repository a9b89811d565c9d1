//! What the figures were taken on.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::shell::root;

/// The machine, the kernel, the compiler and the commit. No host name: a result is published.
pub(crate) fn describe() -> Value {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    json!({
        "unixTime": since_epoch.map_or(0, |time| time.as_secs()),
        "kernel": first_line("/proc/sys/kernel/osrelease"),
        "cpu": field("/proc/cpuinfo", "model name"),
        "cpus": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory": field("/proc/meminfo", "MemTotal"),
        "rustc": output("rustc", &["--version"]),
        "commit": output("git", &["rev-parse", "--short=12", "HEAD"]),
        "changed": !output("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty(),
        // What else the machine was doing: figures taken under load say little.
        "loadBefore": first_line("/proc/loadavg"),
        "jit": first_line("/proc/sys/net/core/bpf_jit_enable"),
    })
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn output(program: &str, args: &[&str]) -> String {
    Command::new(program)
        .args(args)
        .current_dir(root())
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}
