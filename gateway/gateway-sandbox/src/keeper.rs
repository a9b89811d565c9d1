use std::fs;
use std::io::{self, IoSlice, Read as _};
use std::net::Shutdown;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::leftovers::CleanupError;
use crate::orders::STAGE_KEEP;
use crate::run_dir::RunDir;

/// LIMIT: descriptors in one message (`SCM_MAX_FD` is 253); a run has about ten links.
const MOST_LINKS: usize = 128;

/// The process that outlives the supervisor for as long as the command has processes, and removes what was made.
///
/// Its socket is a lifeline: when the supervisor closes it or dies, the keeper does its work.
#[derive(Debug)]
pub(crate) struct Keeper {
    lifeline: UnixStream,
    process: Child,
}

impl Keeper {
    /// Starts the keeper of a run. It shares the run's lock from here on.
    pub(crate) fn start(dir: &RunDir, lock: fs::File) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let process = Command::new("/proc/self/exe")
            .arg0("egret-keeper")
            .arg(STAGE_KEEP)
            .arg(dir.path())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(lock))
            .stderr(Stdio::null())
            .current_dir("/")
            .spawn()?;
        Ok(Self {
            lifeline: ours,
            process,
        })
    }

    /// Gives the keeper a copy of every BPF link this process holds, so that the programs stay attached until the
    /// command's last process is gone, even when the supervisor is killed first.
    pub(crate) fn hold_links(&self) -> io::Result<usize> {
        let links = open_links()?;
        for some in links.chunks(MOST_LINKS) {
            sendmsg::<()>(
                self.lifeline.as_raw_fd(),
                &[IoSlice::new(b"L")],
                &[ControlMessage::ScmRights(some)],
                MsgFlags::empty(),
                None,
            )?;
        }
        Ok(links.len())
    }

    /// A handle that is readable, at its end, once the keeper is dead.
    pub(crate) fn pulse(&self) -> io::Result<OwnedFd> {
        self.lifeline.try_clone().map(OwnedFd::from)
    }

    /// Lets the keeper do its work and waits for it.
    pub(crate) fn finish(mut self) -> Result<(), CleanupError> {
        let keeper = |source| CleanupError::Keeper { source };
        self.lifeline.shutdown(Shutdown::Write).map_err(keeper)?;
        let mut report = String::new();
        self.lifeline.read_to_string(&mut report).map_err(keeper)?;
        self.process.wait().map_err(keeper)?;
        if report.is_empty() {
            Ok(())
        } else {
            Err(CleanupError::Reported { report })
        }
    }
}

impl Drop for Keeper {
    /// Closing would not do: whoever feels the pulse has the lifeline open, too.
    fn drop(&mut self) {
        self.lifeline.shutdown(Shutdown::Write).ok();
    }
}

/// The descriptors of this process that are BPF links, by what the kernel calls them.
fn open_links() -> io::Result<Vec<RawFd>> {
    let mut links = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        // A descriptor of another thread may be closed by now.
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        if target.starts_with(Path::new("anon_inode:bpf_link"))
            || target.starts_with(Path::new("anon_inode:bpf-link"))
        {
            let number = entry.file_name();
            links.extend(number.to_str().and_then(|text| text.parse::<RawFd>().ok()));
        }
    }
    Ok(links)
}
