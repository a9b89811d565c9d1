use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::{MountError, change};
use crate::identity::Identity;

/// Makes a path read-only for the command, and keeps the directories above it where they are: renaming one of them would
/// put another file in the path's place, for the host as well.
pub(super) fn protect(path: &Path, identity: &Identity) -> Result<(), MountError> {
    hold_in_place(path, identity)
        .and_then(|()| make_read_only(path))
        .map_err(|source| MountError::Protect {
            path: path.to_owned(),
            source,
        })
}

/// A mount point can be neither renamed nor removed: mounts each directory above `path` on itself, where the command's
/// user may write its parent.
fn hold_in_place(path: &Path, identity: &Identity) -> io::Result<()> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    // From the root downwards, and not the root itself: it has no name.
    for pair in above.windows(2) {
        let [parent, directory] = pair else {
            continue;
        };
        if may_write(&fs::metadata(parent)?, identity) {
            bind_on_itself(directory)?;
        }
    }
    Ok(())
}

fn make_read_only(path: &Path) -> io::Result<()> {
    bind_on_itself(path)?;
    let about = statvfs(path)?;
    let flags =
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | kept_flags(about.flags());
    change(path, flags).map_err(io::Error::from)
}

fn bind_on_itself(path: &Path) -> io::Result<()> {
    let none: Option<&str> = None;
    mount(
        Some(path),
        path,
        none,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none,
    )?;
    Ok(())
}

/// Whether a user may write a directory, by its mode. An access list that gives more is not seen here.
fn may_write(about: &Metadata, identity: &Identity) -> bool {
    const GROUP: u32 = 0o020;
    const OTHERS: u32 = 0o002;
    // The owner may give the right to itself.
    if identity.is_root() || about.uid() == identity.uid {
        return true;
    }
    let is_member = about.gid() == identity.gid || identity.groups.contains(&about.gid());
    about.mode() & OTHERS != 0 || (is_member && about.mode() & GROUP != 0)
}

fn kept_flags(flags: FsFlags) -> MsFlags {
    [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ]
    .into_iter()
    .filter(|(set, _)| flags.contains(*set))
    .map(|(_, keep)| keep)
    .collect()
}
