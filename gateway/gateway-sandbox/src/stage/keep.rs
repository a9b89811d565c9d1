use std::error::Error as _;
use std::ffi::OsString;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::sys::socket::{MsgFlags, RecvMsg, recvmsg};
use nix::unistd::{setsid, write};

use crate::leftovers;
use crate::run_dir;
use crate::walls::descriptors;

/// The keeper: standard input is the lifeline, standard output the run's lock.
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    let [dir] = arguments else {
        return ExitCode::from(125);
    };
    let lifeline = io::stdin();
    // A session of its own and no signals: what kills the job, or the terminal's hang-up, must not take the keeper
    // along. Each of these may fail only if it is so already.
    setsid().ok();
    SigSet::all().thread_block().ok();
    if descriptors::close_all_but(&[]).is_err() {
        return ExitCode::from(125);
    }
    hold_until_end(lifeline.as_raw_fd());
    match clean(Path::new(dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            // Where the supervisor is dead nobody reads this; the next sweep tries again.
            write(&lifeline, report.as_bytes()).ok();
            ExitCode::FAILURE
        }
    }
}

/// Receives descriptors, and keeps them open merely by not closing them, until the other end is closed.
fn hold_until_end(lifeline: RawFd) {
    let mut byte = [0];
    let mut space = nix::cmsg_space!([RawFd; 253]);
    loop {
        let mut text = [IoSliceMut::new(&mut byte)];
        let message: Result<RecvMsg<'_, '_, ()>, Errno> = recvmsg(
            lifeline,
            &mut text,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        );
        match message {
            Ok(message) if message.bytes > 0 => {}
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

fn clean(dir: &Path) -> Result<(), String> {
    let tell = |error: &leftovers::CleanupError| match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let record = run_dir::read_record(dir).map_err(|error| error.to_string())?;
    leftovers::end_processes(&record).map_err(|error| tell(&error))?;
    // Nothing lives in the cgroup any more: the kernel programs may go.
    drop(descriptors::close_all_but(&[]));
    leftovers::remove_made(dir, &record).map_err(|error| tell(&error))
}
