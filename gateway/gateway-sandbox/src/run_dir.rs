use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where runs leave their notes.
const BASE: &str = "/run/egret";

/// Names one run: eight hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunId(String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a run could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    #[error("failed to make `{path}`: `/run` must be writable")]
    Make {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The notes are covered for a held command, so that it cannot have a keeper do things with all of root's rights.
    #[error(
        "`{path}` is read-only: `egret run` holds this already, and a held command cannot hold another"
    )]
    HeldAlready { path: PathBuf },
    #[error("failed to lock `{path}`")]
    Lock {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to write `{path}`")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` is not a record of a run")]
    Parse {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

/// The directory of one run: a lock that lives as long as the run, and a record of what has to be removed after it.
///
/// The lock belongs to an open file that the keeper shares, so that it is free exactly when nobody is left who would
/// clean up.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    lock: File,
}

/// What a run made outside its own processes. Written before it is made, so that nothing is forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) slot_route: Option<SlotRoute>,
}

/// The route of the run's IPv6 slot addresses, in the network namespace it was made in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SlotRoute {
    pub(crate) port: u16,
    /// The namespace as `/proc/self/ns/net` names it: a port number means nothing in another.
    pub(crate) namespace: PathBuf,
}

impl RunDir {
    /// Makes a directory for a new run and takes its lock.
    pub(crate) fn create() -> Result<(RunId, Self), RunDirError> {
        let base = base();
        make(&base)?;
        // Between `mkdir` and the run's lock a sweep would take the directory for a leftover.
        let _gate = Gate::shut(&base)?;
        let id = new_id()?;
        let path = base.join(&id.0);
        make(&path)?;
        let lock = open_lock(&path)?;
        if let Err(source) = lock.lock() {
            return Err(RunDirError::Lock { path, source });
        }
        let dir = Self { path, lock };
        dir.write(&Record::default())?;
        Ok((id, dir))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Another handle on the locked file, for the keeper.
    pub(crate) fn share_lock(&self) -> Result<File, RunDirError> {
        self.lock.try_clone().map_err(|source| RunDirError::Lock {
            path: self.path.clone(),
            source,
        })
    }

    pub(crate) fn write(&self, record: &Record) -> Result<(), RunDirError> {
        let path = self.path.join("record.json");
        let fresh = self.path.join("record.new");
        let write = || {
            fs::write(&fresh, serde_json::to_vec(record)?)?;
            fs::rename(&fresh, &path)
        };
        write().map_err(|source| RunDirError::Write {
            path: path.clone(),
            source,
        })
    }
}

/// Reads what a run left; a run that died before it made anything has no record.
pub(crate) fn read_record(dir: &Path) -> Result<Record, RunDirError> {
    let path = dir.join("record.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Record::default()),
        Err(source) => return Err(RunDirError::Read { path, source }),
    };
    serde_json::from_slice(&text).map_err(|source| RunDirError::Parse { path, source })
}

/// Every run directory whose lock is free, with the lock taken. Runs begin and are swept one at a time.
pub(crate) fn abandoned(base: &Path) -> Result<(Gate, Vec<(PathBuf, File)>), RunDirError> {
    let gate = Gate::shut(base)?;
    let entries = fs::read_dir(base).map_err(|source| RunDirError::Read {
        path: base.to_owned(),
        source,
    })?;
    let mut free = Vec::new();
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(source) => {
                return Err(RunDirError::Read {
                    path: base.to_owned(),
                    source,
                });
            }
        };
        if !path.is_dir() {
            continue;
        }
        let path_of_lock = path.join("lock");
        let lock = match File::open(&path_of_lock) {
            Ok(lock) => lock,
            // A keeper is removing it, or whoever made it died before the lock was there. Not created here: a
            // directory that is being removed must stay empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Not empty, or gone: both are the keeper's.
                fs::remove_dir(&path).ok();
                continue;
            }
            Err(source) => {
                return Err(RunDirError::Lock {
                    path: path_of_lock,
                    source,
                });
            }
        };
        match lock.try_lock() {
            Ok(()) => free.push((path, lock)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(RunDirError::Lock { path, source }),
        }
    }
    Ok((gate, free))
}

/// Where the runs of this machine are.
pub(crate) fn base() -> PathBuf {
    PathBuf::from(BASE)
}

/// The lock of the base directory.
pub(crate) struct Gate {
    _lock: File,
}

impl Gate {
    fn shut(base: &Path) -> Result<Self, RunDirError> {
        let path = base.join(".gate");
        let error = |source| RunDirError::Lock {
            path: path.clone(),
            source,
        };
        let file = match lock_options().open(&path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                return Err(RunDirError::HeldAlready {
                    path: base.to_owned(),
                });
            }
            Err(cause) => return Err(error(cause)),
        };
        file.lock().map_err(error)?;
        Ok(Self { _lock: file })
    }
}

fn make(path: &Path) -> Result<(), RunDirError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| RunDirError::Make {
            path: path.to_owned(),
            source,
        })
}

fn open_lock(dir: &Path) -> Result<File, RunDirError> {
    let path = dir.join("lock");
    lock_options()
        .open(&path)
        .map_err(|source| RunDirError::Lock { path, source })
}

fn lock_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options
}

fn new_id() -> Result<RunId, RunDirError> {
    let path = PathBuf::from("/proc/sys/kernel/random/uuid");
    match fs::read_to_string(&path) {
        Ok(uuid) => Ok(RunId(uuid.chars().take(8).collect())),
        Err(source) => Err(RunDirError::Read { path, source }),
    }
}
