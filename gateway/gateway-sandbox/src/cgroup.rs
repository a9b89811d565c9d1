use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::mountinfo;
use crate::run_dir::RunId;

/// How long killed processes may take to be gone. A process in an uninterruptible wait (a dead NFS server) can take
/// for ever; the keeper then reports it instead of waiting with it.
const EMPTY_PATIENCE: Duration = Duration::from_secs(10);

/// The initial cgroup namespace (`PROC_CGROUP_INIT_INO`, include/linux/proc_ns.h).
const INITIAL_NAMESPACE: &str = "cgroup:[4026531835]";

/// A version 2 cgroup made for one run, below the caller's own.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    dir: File,
    id: u64,
    level: Option<u32>,
}

/// Why no cgroup could be made.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    #[error(
        "no cgroup2 file system is mounted; mount one, for instance at `/sys/fs/cgroup`, or boot with \
         `systemd.unified_cgroup_hierarchy=1`"
    )]
    NotMounted,
    #[error("failed to read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`/proc/self/cgroup` has no version 2 line")]
    NoMembership,
    #[error(
        "failed to make the cgroup `{path}`: this needs root, or a delegated cgroup that is writable here (in a \
         container: a private cgroup namespace with a writable `/sys/fs/cgroup`)"
    )]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "the cgroup `{path}` is of type `{kind}`: its parent is threaded and cannot hold processes"
    )]
    Threaded { path: PathBuf, kind: String },
    #[error("failed to open the cgroup `{path}`")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Cgroup {
    /// The path a run's cgroup will have: `egret-<id>` below the cgroup of the calling process, so that its limits
    /// and its manager's stop order hold for the command too.
    ///
    /// # Errors
    /// When there is no cgroup2 mount that shows the caller's cgroup.
    pub(crate) fn path_for(id: &RunId) -> Result<PathBuf, CgroupError> {
        let own = own_directory()?;
        Ok(own.join(format!("egret-{id}")))
    }

    /// Makes the cgroup at a path from [`Cgroup::path_for`].
    ///
    /// # Errors
    /// When it cannot be made, or could not hold processes.
    pub(crate) fn create(path: PathBuf) -> Result<Self, CgroupError> {
        if let Err(source) = fs::create_dir(&path) {
            return Err(CgroupError::Create { path, source });
        }
        let kind = read_trimmed(&path.join("cgroup.type"))?;
        if kind != "domain" {
            let error = CgroupError::Threaded {
                path: path.clone(),
                kind,
            };
            // Nothing can be inside: it was made a moment ago and takes no processes.
            return match fs::remove_dir(&path) {
                Ok(()) => Err(error),
                Err(source) => Err(CgroupError::Create { path, source }),
            };
        }
        let opened = File::open(&path).and_then(|dir| dir.metadata().map(|about| (dir, about)));
        let (dir, about) = match opened {
            Ok(opened) => opened,
            Err(source) => return Err(CgroupError::Open { path, source }),
        };
        let level = level_of(&path)?;
        Ok(Self {
            path,
            dir,
            id: about.ino(),
            level,
        })
    }

    /// The open directory: what `BPF_LINK_CREATE` takes as its target.
    pub fn dir(&self) -> &File {
        &self.dir
    }

    /// The id that `bpf_get_current_cgroup_id` gives inside (the inode number of the directory, Linux 5.5 on 64 bit).
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its depth for `bpf_get_current_ancestor_cgroup_id`: the root is 0. `None` in a cgroup namespace that hides the
    /// ancestors; [`crate::Notice::CgroupDepthUnknown`] is then among the notices.
    pub fn level(&self) -> Option<u32> {
        self.level
    }

    /// Where it lies in this mount namespace.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether `cgroup.kill` exists (Linux 5.14).
    pub(crate) fn has_kill(&self) -> bool {
        self.path.join("cgroup.kill").exists()
    }
}

/// Kills every process below a cgroup. A kernel without `cgroup.kill` says `NotFound`.
pub(crate) fn kill(path: &Path) -> io::Result<()> {
    fs::write(path.join("cgroup.kill"), "1")
}

/// Waits until nothing lives below a cgroup, by its `populated` event.
pub(crate) fn wait_until_empty(path: &Path) -> io::Result<()> {
    let deadline = Instant::now() + EMPTY_PATIENCE;
    let mut events = File::open(path.join("cgroup.events"))?;
    loop {
        let mut text = String::new();
        events.rewind()?;
        events.read_to_string(&mut text)?;
        if text.lines().any(|line| line == "populated 0") {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "processes are still there although they were killed",
            ));
        }
        let patience = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        poll(
            &mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)],
            patience,
        )?;
    }
}

/// Removes a cgroup and what the command made below it. Already gone is gone.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// The directory of the caller's own version 2 cgroup.
fn own_directory() -> Result<PathBuf, CgroupError> {
    let membership = read(Path::new("/proc/self/cgroup"))?;
    let own = membership
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .ok_or(CgroupError::NoMembership)?
        .to_owned();
    let path = Path::new("/proc/self/mountinfo");
    let mounts = fs::read(path).map_err(|source| CgroupError::Read {
        path: path.to_owned(),
        source,
    })?;
    locate(Path::new(&own), &mountinfo::parse(&mounts)).ok_or(CgroupError::NotMounted)
}

/// Where a cgroup is seen through the mounts; the last mount that shows it wins, because it lies on top.
fn locate(own: &Path, mounts: &[mountinfo::Mount]) -> Option<PathBuf> {
    mounts
        .iter()
        .rev()
        .filter(|mount| mount.kind == "cgroup2")
        .find_map(|mount| {
            let below = own.strip_prefix(&mount.root).ok()?;
            Some(mount.point.join(below))
        })
}

fn level_of(path: &Path) -> Result<Option<u32>, CgroupError> {
    let link = Path::new("/proc/self/ns/cgroup");
    let namespace = fs::read_link(link).map_err(|source| CgroupError::Read {
        path: link.to_owned(),
        source,
    })?;
    if namespace.as_os_str() != INITIAL_NAMESPACE {
        return Ok(None);
    }
    let link = Path::new("/proc/self/mountinfo");
    let mounts = fs::read(link).map_err(|source| CgroupError::Read {
        path: link.to_owned(),
        source,
    })?;
    let depth = mountinfo::parse(&mounts)
        .iter()
        .rev()
        .filter(|mount| mount.kind == "cgroup2")
        .find_map(|mount| {
            let below = path.strip_prefix(&mount.point).ok()?;
            // The mount's own root counts: a container's mount may begin in the middle of the tree.
            let above = mount.root.strip_prefix("/").ok()?;
            Some(above.components().count() + below.components().count())
        });
    Ok(depth.and_then(|depth| u32::try_from(depth).ok()))
}

fn read(path: &Path) -> Result<String, CgroupError> {
    fs::read_to_string(path).map_err(|source| CgroupError::Read {
        path: path.to_owned(),
        source,
    })
}

fn read_trimmed(path: &Path) -> Result<String, CgroupError> {
    read(path).map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use test_case::test_case;

    use super::locate;
    use crate::mountinfo;

    #[test_case("/", "/ /sys/fs/cgroup/unified", Some("/sys/fs/cgroup/unified/"); "hybrid, at the root")]
    #[test_case("/user.slice/a.scope", "/ /sys/fs/cgroup", Some("/sys/fs/cgroup/user.slice/a.scope"); "unified, in a scope")]
    #[test_case("/docker/1/x", "/docker/1 /sys/fs/cgroup", Some("/sys/fs/cgroup/x"); "a mount that begins in the middle")]
    #[test_case("/other", "/docker/1 /sys/fs/cgroup", None; "not shown by the mount")]
    fn finds_the_own_cgroup(own: &str, mount: &str, expected: Option<&str>) {
        let line = format!("41 31 0:38 {mount} rw,relatime - cgroup2 cgroup2 rw");
        let mounts = mountinfo::parse(line.as_bytes());
        assert_eq!(locate(Path::new(own), &mounts), expected.map(PathBuf::from));
    }
}
