//! Cgroups as the programs see them: an id, and a level.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The id the kernel's helpers return for this cgroup (v2): the inode of its directory.
///
/// # Errors
///
/// The directory's metadata cannot be read.
pub fn cgroup_id(cgroup: &File) -> io::Result<u64> {
    Ok(cgroup.metadata()?.ino())
}

/// How deep a cgroup lies below the root of the v2 hierarchy, which is 0.
///
/// Counted along the path, so it is right where the hierarchy is mounted from its root. In a cgroup namespace of its
/// own (a container) the depth above the namespace cannot be seen; the programs then find no workload and deny.
///
/// # Errors
///
/// The path is not below a cgroup v2 mount, or the mounts cannot be read.
pub fn cgroup_level(cgroup: &Path) -> io::Result<u32> {
    let path = cgroup.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let below = v2_mounts(&mounts)
        .filter_map(|(root, point)| Some((root, path.strip_prefix(point).ok()?)))
        .min_by_key(|(_, rest)| rest.components().count());
    let Some((root, rest)) = below else {
        let message = format!("`{}` is not below a cgroup v2 mount", cgroup.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    };
    let above = Path::new(root).components().skip(1).count();
    u32::try_from(above + rest.components().count()).map_err(io::Error::other)
}

/// Where cgroup v2 is mounted: `/sys/fs/cgroup`, or beside v1 controllers on a hybrid system.
///
/// # Errors
///
/// It is not mounted, or the mounts cannot be read.
pub fn cgroup2_mount() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let first = v2_mounts(&mounts)
        .next()
        .map(|(_, point)| PathBuf::from(point));
    first
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no cgroup v2 hierarchy is mounted"))
}

/// Root and mount point of every cgroup v2 mount (proc(5), `mountinfo`).
fn v2_mounts(mountinfo: &str) -> impl Iterator<Item = (&str, &str)> {
    mountinfo.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        Some((fields.next()?, fields.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_v2_among_other_mounts() {
        let text = "24 1 0:22 / /proc rw shared:1 - proc proc rw\n\
                    31 1 0:27 / /sys/fs/cgroup/unified rw,relatime shared:2 - cgroup2 cgroup2 rw\n\
                    32 1 0:28 /a/b /mnt rw - cgroup2 none rw\n";
        let all: Vec<_> = v2_mounts(text).collect();
        assert_eq!(all, [("/", "/sys/fs/cgroup/unified"), ("/a/b", "/mnt")]);
    }
}
