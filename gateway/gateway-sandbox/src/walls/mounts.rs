//! The command's own view of the file systems: nothing in it changes the host's kernel or leads out of the cgroup.

mod protected;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::covers;
use crate::mountinfo::{self, Mount};
use crate::orders::Orders;

/// File systems of the kernel. Read-only, because root without any capability may write them, and some of what is
/// written there runs outside: `core_pattern`, `uevent_helper`, `release_agent`, kprobe events; and because
/// `cgroup.procs` is the way out of the cgroup.
const READ_ONLY: &[&str] = &[
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "efivarfs",
    "fusectl",
    "pstore",
    "resctrl",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sysfs",
    "tracefs",
];

/// Flags for a bind that becomes read-only.
const LOCKED: MsFlags = MsFlags::MS_REMOUNT
    .union(MsFlags::MS_BIND)
    .union(MsFlags::MS_RDONLY)
    .union(MsFlags::MS_NOSUID)
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

/// Parts of a new `/proc` that are read-only for the same reason.
const PROC_READ_ONLY: &[&str] = &["sys", "sysrq-trigger", "irq", "bus", "fs"];

/// What a mount in the command's view lacks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    #[error("failed to read the mounts")]
    Read(#[source] io::Error),
    #[error("failed to make the mounts private")]
    Private(#[source] nix::Error),
    #[error("failed to take away `{point}`")]
    Detach {
        point: PathBuf,
        #[source]
        source: nix::Error,
    },
    #[error("failed to make `{point}` read-only")]
    ReadOnly {
        point: PathBuf,
        #[source]
        source: nix::Error,
    },
    #[error("failed to mount the pid namespace's own `{point}`")]
    Proc {
        point: PathBuf,
        #[source]
        source: nix::Error,
    },
    #[error("failed to mount the command's own part of the cgroups on `{point}`")]
    Cgroup {
        point: PathBuf,
        #[source]
        source: nix::Error,
    },
    #[error("failed to protect `{path}`")]
    Protect {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to cover `{path}`")]
    Cover {
        path: PathBuf,
        #[source]
        source: nix::Error,
    },
    #[error("`{point}` ({kind}) can still be written")]
    StillWritable { point: PathBuf, kind: String },
    #[error("`{point}` still shows a BPF file system")]
    StillBpf { point: PathBuf },
}

/// Changes the calling process's own mount namespace. It must be a new one.
pub(super) fn seclude(orders: &Orders) -> Result<(), MountError> {
    // Private in both directions: a bpffs that somebody mounts on the host later must not appear here.
    let whole_tree = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    change("/", whole_tree).map_err(MountError::Private)?;
    let covers = covers::find(orders.host_sockets);
    let mounts = read()?;
    take_away(&mounts)?;
    for kernel in mounts.iter().filter(|mount| is_read_only_kind(mount)) {
        make_read_only(kernel)?;
    }
    show_own_cgroup_only(&mounts, &orders.cgroup)?;
    for proc in mounts.iter().filter(|mount| mount.kind == "proc") {
        mount_proc(&proc.point)?;
    }
    for path in &orders.protected {
        protected::protect(path, &orders.identity)?;
    }
    for path in covers {
        cover(&path)?;
    }
    cover(&orders.notes)?;
    verify()
}

fn read() -> Result<Vec<Mount>, MountError> {
    let text = fs::read("/proc/self/mountinfo").map_err(MountError::Read)?;
    Ok(mountinfo::parse(&text))
}

fn is_read_only_kind(mount: &Mount) -> bool {
    READ_ONLY.contains(&mount.kind.as_str())
}

/// Takes away what must not even be looked at: BPF file systems, whose pins open without any capability, and automounts
/// by host name, which have a daemon outside resolve and contact whatever name is looked up in them.
fn take_away(mounts: &[Mount]) -> Result<(), MountError> {
    // The last mounted first: one may lie on another.
    for mount in mounts.iter().rev() {
        let by_host_name = mount.kind == "autofs" && mount.source == "-hosts";
        if mount.kind == "bpf" || by_host_name {
            match umount2(&mount.point, MntFlags::MNT_DETACH) {
                // EINVAL, ENOENT: another mount hides it; `verify` has the last word.
                Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
                Err(source) => {
                    return Err(MountError::Detach {
                        point: mount.point.clone(),
                        source,
                    });
                }
            }
        }
    }
    Ok(())
}

fn make_read_only(mount: &Mount) -> Result<(), MountError> {
    let flags =
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | kept_flags(&mount.options);
    match change(&mount.point, flags) {
        // As above.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(source) => Err(MountError::ReadOnly {
            point: mount.point.clone(),
            source,
        }),
    }
}

/// A remount of a bind sets all flags anew.
fn kept_flags(options: &str) -> MsFlags {
    options
        .split(',')
        .map(|option| match option {
            "nosuid" => MsFlags::MS_NOSUID,
            "nodev" => MsFlags::MS_NODEV,
            "noexec" => MsFlags::MS_NOEXEC,
            "noatime" => MsFlags::MS_NOATIME,
            "nodiratime" => MsFlags::MS_NODIRATIME,
            "relatime" => MsFlags::MS_RELATIME,
            _ => MsFlags::empty(),
        })
        .collect()
}

/// Mounts the command's own part of the cgroup tree over the whole one: an open directory of another cgroup would be
/// enough for CLONE_INTO_CGROUP, which does not ask whether the mount is read-only.
fn show_own_cgroup_only(mounts: &[Mount], own: &Path) -> Result<(), MountError> {
    let (through, elsewhere): (Vec<_>, Vec<_>) = mounts
        .iter()
        .filter(|mount| mount.kind == "cgroup2")
        .map(|mount| mount.point.as_path())
        .partition(|point| own.starts_with(point));
    // Where it is found through is covered last: it is not found afterwards.
    for point in elsewhere.into_iter().chain(through.into_iter().last()) {
        let covered = bind(own, point).and_then(|()| change(point, LOCKED));
        match covered {
            // Hidden by another mount, and gone with it.
            Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(source) => {
                return Err(MountError::Cgroup {
                    point: point.to_owned(),
                    source,
                });
            }
        }
    }
    Ok(())
}

/// Mounts this pid namespace's processes over those of the host, wherever a `/proc` is seen.
fn mount_proc(point: &Path) -> Result<(), MountError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let none: Option<&str> = None;
    match mount(Some("proc"), point, Some("proc"), flags, none) {
        Ok(()) => {}
        // Hidden by another mount, and gone with it.
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
        Err(source) => {
            return Err(MountError::Proc {
                point: point.to_owned(),
                source,
            });
        }
    }
    for part in PROC_READ_ONLY {
        let path = point.join(part);
        if path.exists() {
            bind(&path, &path)
                .and_then(|()| change(&path, LOCKED))
                .map_err(|source| MountError::ReadOnly {
                    point: path.clone(),
                    source,
                })?;
        }
    }
    Ok(())
}

/// Hides a socket behind the null device (connecting says ECONNREFUSED, as where no daemon listens) and a directory
/// behind an empty one.
fn cover(path: &Path) -> Result<(), MountError> {
    let covered = if path.is_dir() {
        let flags =
            MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(
            Some("tmpfs"),
            path,
            Some("tmpfs"),
            flags,
            Some("mode=755,size=4k"),
        )
    } else {
        bind(Path::new("/dev/null"), path)
    };
    covered.map_err(|source| MountError::Cover {
        path: path.to_owned(),
        source,
    })
}

/// Looks at every mount as the command will see it.
fn verify() -> Result<(), MountError> {
    for mount in read()? {
        if mount.kind == "bpf" && shows_bpf(&mount.point) {
            return Err(MountError::StillBpf { point: mount.point });
        }
        if is_read_only_kind(&mount) {
            let writable = statvfs(&mount.point)
                .is_ok_and(|about| !about.flags().contains(FsFlags::ST_RDONLY));
            // Hidden behind something writable, such as a tmpfs, it is out of reach.
            if writable && on_top(&mount)? {
                return Err(MountError::StillWritable {
                    point: mount.point,
                    kind: mount.kind,
                });
            }
        }
    }
    Ok(())
}

fn shows_bpf(point: &Path) -> bool {
    nix::sys::statfs::statfs(point)
        .is_ok_and(|about| about.filesystem_type() == nix::sys::statfs::BPF_FS_MAGIC)
}

/// Whether this is the mount that a path shows: no later one lies on it or on a directory above it.
fn on_top(mount: &Mount) -> Result<bool, MountError> {
    let mounts = read()?;
    let own = mounts.iter().rposition(|other| other == mount);
    let last = mounts
        .iter()
        .rposition(|other| mount.point.starts_with(&other.point));
    Ok(own == last)
}

fn bind(from: &Path, to: &Path) -> nix::Result<()> {
    let none: Option<&str> = None;
    mount(Some(from), to, none, MsFlags::MS_BIND, none)
}

/// Changes flags or propagation of what is mounted.
fn change<P: AsRef<Path>>(point: P, flags: MsFlags) -> nix::Result<()> {
    let none: Option<&str> = None;
    mount(none, point.as_ref(), none, flags, none)
}

#[cfg(test)]
mod tests {
    use nix::mount::MsFlags;

    use super::kept_flags;

    #[test]
    fn a_remount_keeps_the_flags() {
        assert_eq!(
            kept_flags("rw,nosuid,noexec,relatime"),
            MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_RELATIME
        );
    }
}
