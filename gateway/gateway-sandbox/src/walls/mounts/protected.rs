use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::{MountError, change, read};
use crate::identity::Identity;
use crate::mountinfo::Mount;
use crate::reach::may_write;

/// Makes a path read-only for the command, and keeps the directories above it where they are: renaming one of them would
/// put another file in the path's place, for the host as well. What is mounted elsewhere, too, is read-only there.
pub(super) fn protect(path: &Path, identity: &Identity) -> Result<(), MountError> {
    let others = elsewhere(path, &read()?);
    hold_in_place(path, identity).map_err(|source| MountError::Protect {
        path: path.to_owned(),
        source,
    })?;
    for place in std::iter::once(path).chain(others.iter().map(PathBuf::as_path)) {
        bind_on_itself(place).map_err(|source| MountError::Protect {
            path: place.to_owned(),
            source,
        })?;
        // Below a directory other things may be mounted: a remount changes one mount and none below it.
        for mount in read()? {
            if mount.point.starts_with(place) {
                make_read_only(&mount.point).map_err(|source| MountError::Protect {
                    path: mount.point.clone(),
                    source,
                })?;
            }
        }
        if !is_read_only(place) {
            return Err(MountError::StillWritable {
                point: place.to_owned(),
                kind: "protected".to_owned(),
            });
        }
    }
    Ok(())
}

fn is_read_only(place: &Path) -> bool {
    statvfs(place).is_ok_and(|about| about.flags().contains(FsFlags::ST_RDONLY))
}

/// Where else the same file or directory, or a part of the directory, is seen: other mounts of its file system.
fn elsewhere(path: &Path, mounts: &[Mount]) -> Vec<PathBuf> {
    // The last one on the way is the one that the path shows.
    let Some(own) = mounts
        .iter()
        .rev()
        .find(|mount| path.starts_with(&mount.point))
    else {
        return Vec::new();
    };
    let Ok(below) = path.strip_prefix(&own.point) else {
        return Vec::new();
    };
    let inside = join(&own.root, below);
    let mut places = Vec::new();
    for mount in mounts.iter().filter(|mount| mount.device == own.device) {
        let (original, place) = if let Ok(rest) = inside.strip_prefix(&mount.root) {
            (path.to_owned(), join(&mount.point, rest))
        } else if let Ok(rest) = mount.root.strip_prefix(&inside) {
            (join(path, rest), mount.point.clone())
        } else {
            continue;
        };
        if !place.starts_with(path) && is_same(&original, &place) && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// `Path::join` with nothing would put a slash at the end, and a file has none.
fn join(path: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() {
        path.to_owned()
    } else {
        path.join(rest)
    }
}

/// Whether two paths show one file. A mount that another hides shows nothing.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|about| (about.dev(), about.ino()));
    match (identity(one), identity(other)) {
        (Ok(one), Ok(other)) => one == other,
        (Err(_), _) | (_, Err(_)) => false,
    }
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

fn make_read_only(point: &Path) -> io::Result<()> {
    let about = statvfs(point)?;
    let flags =
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | kept_flags(about.flags());
    match change(point, flags) {
        // Another mount hides it.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
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
