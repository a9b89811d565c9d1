use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cgroup;
use crate::run_dir::{self, Record, RunDirError};
use crate::slot_route::{self, RouteError};

/// A run that nobody cleaned up after: its Egret and its keeper were both killed.
#[derive(Debug)]
pub struct Leftover {
    /// Its directory of notes.
    pub dir: PathBuf,
    /// What came of removing it.
    pub outcome: Result<(), CleanupError>,
}

/// Why something of a run is still there.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    #[error("failed to read what a run left")]
    Record {
        #[source]
        source: RunDirError,
    },
    #[error("failed to end the processes in `{cgroup}`")]
    Kill {
        cgroup: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to remove the cgroup `{cgroup}`")]
    Cgroup {
        cgroup: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to remove the slot route of a run")]
    Route {
        #[source]
        source: RouteError,
    },
    #[error("failed to remove `{dir}`")]
    Dir {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the keeper reported: {report}")]
    Reported { report: String },
    #[error("failed to wait for the keeper")]
    Keeper {
        #[source]
        source: io::Error,
    },
}

/// Removes what dead runs left, and only that: a run whose lock is held is alive, or has a keeper that will do it.
///
/// Blocks for as long as killed processes take to end. One leftover that resists does not keep the others.
///
/// # Errors
/// When the runs cannot be listed. No run ever having been made is an empty list.
pub fn sweep_leftovers() -> Result<Vec<Leftover>, RunDirError> {
    let base = run_dir::base();
    if !base.is_dir() {
        return Ok(Vec::new());
    }
    let (_gate, abandoned) = run_dir::abandoned(&base)?;
    Ok(abandoned
        .into_iter()
        .map(|(dir, _lock)| Leftover {
            outcome: clean(&dir),
            dir,
        })
        .collect())
}

/// Ends what lives in a run's cgroup and removes everything its record names, the notes last.
pub(crate) fn clean(dir: &Path) -> Result<(), CleanupError> {
    let record = run_dir::read_record(dir).map_err(|source| CleanupError::Record { source })?;
    end_processes(&record)?;
    remove_made(dir, &record)
}

/// Ends what lives in a run's cgroup.
pub(crate) fn end_processes(record: &Record) -> Result<(), CleanupError> {
    let Some(path) = record.cgroup.as_deref().filter(|path| path.is_dir()) else {
        return Ok(());
    };
    let kill = |source| CleanupError::Kill {
        cgroup: path.to_owned(),
        source,
    };
    match cgroup::kill(path) {
        Ok(()) => {}
        // Before Linux 5.14 init's parent-death signal ends the whole pid namespace.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(kill(error)),
    }
    cgroup::wait_until_empty(path).map_err(kill)
}

/// Removes what a run made outside its processes.
pub(crate) fn remove_made(dir: &Path, record: &Record) -> Result<(), CleanupError> {
    if let Some(path) = &record.cgroup {
        cgroup::remove(path).map_err(|source| CleanupError::Cgroup {
            cgroup: path.clone(),
            source,
        })?;
    }
    if let Some(route) = &record.slot_route {
        let here = fs::read_link("/proc/self/ns/net").ok();
        // In another namespace the route went with that namespace, or is not ours to reach.
        if here.as_ref() == Some(&route.namespace) {
            slot_route::remove(route.port).map_err(|source| CleanupError::Route { source })?;
        }
    }
    match fs::remove_dir_all(dir) {
        Ok(()) => Ok(()),
        // A sweep takes empty directories.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(CleanupError::Dir {
            dir: dir.to_owned(),
            source,
        }),
    }
}
