//! What a command may inherit: standard input, output and error, and of these only what leads nowhere.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockaddrLike as _, SockaddrStorage, getsockname};
use nix::sys::stat::{SFlag, fstat, major};
use nix::sys::statfs::{
    BPF_FS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, FsType, NSFS_MAGIC,
    SECURITYFS_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC, fstatfs,
};

/// Character devices of major 10 ("misc"): `/dev/net/tun`, `/dev/vhost-net`, `/dev/vhost-vsock`, `/dev/kvm`. An open one
/// may have a network interface behind it.
const MISC_MAJOR: u64 = 10;

/// File systems whose files are the kernel's: an open `cgroup.procs` is a way out of the cgroup, and whoever may write the
/// file can open it again through `/proc/self/fd`, past a mount that is read-only.
const KERNEL_FILES: [FsType; 8] = [
    BPF_FS_MAGIC,
    CGROUP2_SUPER_MAGIC,
    CGROUP_SUPER_MAGIC,
    DEBUGFS_MAGIC,
    NSFS_MAGIC,
    SECURITYFS_MAGIC,
    SYSFS_MAGIC,
    TRACEFS_MAGIC,
];

/// Why a standard stream cannot be handed to the command.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorError {
    #[error(
        "{stream} is {kind}: it was made outside the command's cgroup, so no wall would hold it; redirect {stream} \
         to a file, a pipe or a terminal"
    )]
    LeadsOut { stream: Stream, kind: &'static str },
    #[error("failed to look at {stream}")]
    Inspect {
        stream: Stream,
        #[source]
        source: io::Error,
    },
}

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Input,
    Output,
    Error,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "standard input",
            Self::Output => "standard output",
            Self::Error => "standard error",
        })
    }
}

/// Refuses standard streams that would go around the walls.
///
/// # Errors
/// An internet, packet, VM or netlink socket (its cgroup is that of its maker), a directory (a way out of the mount
/// namespace), a kernel object (a BPF map, a ring) or a file of one (`cgroup.procs`), a network device. A Unix socket passes: sshd and systemd hand them
/// out; that its other end may send descriptors is for `SECURITY.md` to say.
pub fn inspect_standard_streams() -> Result<(), DescriptorError> {
    inspect(Stream::Input, io::stdin().as_fd())?;
    inspect(Stream::Output, io::stdout().as_fd())?;
    inspect(Stream::Error, io::stderr().as_fd())
}

/// Closes every descriptor above 2 but these. For a process with one thread.
///
/// # Errors
/// When `/proc/self/fd` cannot be read.
pub(crate) fn close_all_but(keep: &[RawFd]) -> io::Result<()> {
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        open.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<RawFd>().ok()),
        );
    }
    for fd in open {
        if fd > 2 && !keep.contains(&fd) {
            match nix::unistd::close(fd) {
                // EBADF: the listing's own descriptor.
                Ok(()) | Err(Errno::EBADF) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    Ok(())
}

fn inspect(stream: Stream, fd: BorrowedFd<'_>) -> Result<(), DescriptorError> {
    let failed = |errno: Errno| DescriptorError::Inspect {
        stream,
        source: errno.into(),
    };
    let about = match fstat(fd) {
        Ok(about) => about,
        // Closed is fine: the runtime opens `/dev/null` in its place.
        Err(Errno::EBADF) => return Ok(()),
        Err(errno) => return Err(failed(errno)),
    };
    let leads_out = |kind| Err(DescriptorError::LeadsOut { stream, kind });
    let link = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
        .map_err(|source| DescriptorError::Inspect { stream, source })?;
    if link
        .to_str()
        .is_some_and(|link| link.starts_with("anon_inode:"))
    {
        return leads_out("a kernel object");
    }
    let kind = SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFSOCK {
        let address: SockaddrStorage = getsockname(fd.as_raw_fd()).map_err(failed)?;
        return match address.family() {
            Some(AddressFamily::Unix) => Ok(()),
            Some(AddressFamily::Inet | AddressFamily::Inet6) => leads_out("an internet socket"),
            _ => leads_out("a socket that is not a Unix socket"),
        };
    }
    if kind == SFlag::S_IFDIR {
        return leads_out("a directory");
    }
    let file_system = fstatfs(fd).map_err(failed)?.filesystem_type();
    if KERNEL_FILES.contains(&file_system) {
        return leads_out("a file of the kernel");
    }
    if kind == SFlag::S_IFBLK {
        return leads_out("a disk");
    }
    if kind == SFlag::S_IFCHR && major(about.st_rdev) == MISC_MAJOR {
        return leads_out("a device that may be a network interface");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use nix::sys::epoll::{Epoll, EpollCreateFlags};
    use test_case::test_case;

    use super::{Stream, inspect};
    use std::os::fd::AsFd as _;

    fn inet() -> OwnedFd {
        TcpListener::bind("127.0.0.1:0").unwrap().into()
    }

    fn inet6() -> OwnedFd {
        UdpSocket::bind("[::1]:0").unwrap().into()
    }

    fn unix() -> OwnedFd {
        UnixStream::pair().unwrap().0.into()
    }

    fn pipe() -> OwnedFd {
        std::io::pipe().unwrap().0.into()
    }

    fn open(path: &str) -> OwnedFd {
        File::open(path).unwrap().into()
    }

    fn epoll() -> OwnedFd {
        Epoll::new(EpollCreateFlags::empty()).unwrap().0
    }

    #[test_case(inet(), Some("an internet socket"); "tcp")]
    #[test_case(inet6(), Some("an internet socket"); "udp over v6")]
    #[test_case(open("/proc/self/ns/net"), Some("a file of the kernel"); "a namespace")]
    #[test_case(open("/sys/kernel/uevent_seqnum"), Some("a file of the kernel"); "a file of sysfs")]
    #[test_case(open("/"), Some("a directory"); "a directory")]
    #[test_case(epoll(), Some("a kernel object"); "an epoll")]
    #[test_case(unix(), None; "a unix socket")]
    #[test_case(pipe(), None; "a pipe")]
    #[test_case(open("/dev/null"), None; "the null device")]
    #[test_case(open("/proc/self/status"), None; "a file")]
    fn tells_what_leads_out(fd: OwnedFd, expected: Option<&str>) {
        let got = inspect(Stream::Input, fd.as_fd());
        match (got, expected) {
            (Ok(()), None) => {}
            (Err(error), Some(kind)) => {
                let text = error.to_string();
                assert!(
                    text.starts_with(&format!("standard input is {kind}: ")),
                    "{text}"
                );
            }
            (got, expected) => panic!("{got:?}, expected {expected:?}"),
        }
    }
}
