//! Tries one way out and prints what the kernel says: `ok` or the error's name. Or listens to signals: a shell's traps lose
//! or double them around a fork.
//!
//! `gateway-sandbox-escapee call NUMBER ARGUMENT…`, `… connect PATH|@ABSTRACT`, `… take PID FD`, `… 32-bit`, `… listen`

#![expect(clippy::print_stdout, reason = "its output is its result")]

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["call", number, arguments @ ..] => call(number, arguments),
        ["connect", address] => connect(address),
        ["take", pid, fd] => take(pid, fd),
        ["listen"] => return listen(),
        ["32-bit"] => call_32_bit(),
        _ => return ExitCode::FAILURE,
    };
    match result {
        Ok(()) => println!("ok"),
        Err(errno) => println!("{errno:?}"),
    }
    ExitCode::SUCCESS
}

fn connect(address: &str) -> Result<(), Errno> {
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(address),
    };
    address
        .and_then(|address| UnixStream::connect_addr(&address))
        .map(drop)
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

fn call(number: &str, arguments: &[&str]) -> Result<(), Errno> {
    let mut values = [0_i64; 6];
    for (value, text) in values.iter_mut().zip(arguments) {
        *value = parse(text)?;
    }
    system_call(parse(number)?, values).map(drop)
}

/// Another process's descriptor, through a pidfd.
fn take(pid: &str, fd: &str) -> Result<(), Errno> {
    let pidfd = system_call(libc::SYS_pidfd_open, [parse(pid)?, 0, 0, 0, 0, 0])?;
    system_call(libc::SYS_pidfd_getfd, [pidfd, parse(fd)?, 0, 0, 0, 0]).map(drop)
}

/// Says `ready`, then `got` for each of what a timer, a terminal or a person sends, and ends with `term` and status 3 on TERM.
fn listen() -> ExitCode {
    let set = SigSet::from_iter([
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGUSR1,
        Signal::SIGALRM,
        Signal::SIGVTALRM,
        Signal::SIGPROF,
        Signal::SIGIO,
        Signal::SIGPWR,
        Signal::SIGTERM,
    ]);
    if set.thread_block().is_err() {
        return ExitCode::FAILURE;
    }
    println!("ready");
    while let Ok(signal) = set.wait() {
        if signal == Signal::SIGTERM {
            println!("term");
            return ExitCode::from(3);
        }
        println!("got");
    }
    ExitCode::FAILURE
}

fn parse(text: &str) -> Result<i64, Errno> {
    text.parse().map_err(|_unparsable| Errno::ENOTSUP)
}

#[expect(
    unsafe_code,
    reason = "what is tried here is exactly what no safe API would do"
)]
fn system_call(number: i64, arguments: [i64; 6]) -> Result<i64, Errno> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the tests pass numbers only, and no address other than null, so that the kernel touches no memory of ours.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    Errno::result(result)
}

/// getpid by the 32-bit entry.
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "what is tried here is exactly what no safe API would do"
)]
fn call_32_bit() -> Result<(), Errno> {
    let result: i32;
    // SAFETY: getpid (20 in the 32-bit table) reads and writes no memory; the entry keeps all registers but rax.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("eax") 20 => result, lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _);
    }
    if result > 0 {
        Ok(())
    } else {
        Err(Errno::from_raw(-result))
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn call_32_bit() -> Result<(), Errno> {
    Err(Errno::ENOTSUP)
}
