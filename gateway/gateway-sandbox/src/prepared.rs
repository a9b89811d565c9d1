use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cgroup::{Cgroup, CgroupError};
use crate::identity::{Identity, IdentityError};
use crate::keeper::Keeper;
use crate::leftovers::CleanupError;
use crate::notice::Notice;
use crate::reach::Reach;
use crate::run_dir::{Record, RunDir, RunDirError, RunId, SlotRoute};
use crate::slot_route::{self, RouteError};
use crate::spec::Spec;
use crate::walls::descriptors::{self, DescriptorError};

/// A cgroup without processes, waiting for kernel programs and then for a command.
///
/// Dropping it closes the keeper's lifeline, and the keeper removes everything; [`Prepared::discard`] also waits and
/// says what went wrong.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) spec: Spec,
    pub(crate) id: RunId,
    pub(crate) identity: Identity,
    pub(crate) notices: Vec<Notice>,
    pub(crate) protected: Vec<PathBuf>,
    pub(crate) cgroup: Cgroup,
    pub(crate) keeper: Keeper,
    dir: RunDir,
    record: Record,
}

/// Why nothing could be prepared. Nothing was left behind.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error(
        "the walls around a command need root; run this with `sudo`, the command will run as you"
    )]
    NotRoot,
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    #[error("failed to tell as whom the command should run")]
    Identity(#[from] IdentityError),
    #[error("failed to write the run down")]
    RunDir(#[from] RunDirError),
    #[error("failed to make a cgroup for the command")]
    Cgroup(#[from] CgroupError),
    #[error("failed to start the keeper")]
    Keeper(#[source] io::Error),
}

impl Prepared {
    /// Makes the run's directory, lock and cgroup, and starts the keeper.
    ///
    /// # Errors
    /// Without root; with an inherited standard stream that would go around the walls (an internet socket, a
    /// directory); where cgroups cannot be made. What had been made is removed again.
    pub fn prepare(spec: Spec) -> Result<Self, PrepareError> {
        if !nix::unistd::geteuid().is_root() {
            return Err(PrepareError::NotRoot);
        }
        descriptors::inspect_standard_streams()?;
        let identity = Identity::resolve(spec.run_as)?;
        let (id, dir) = RunDir::create()?;
        let (path, record, keeper) = match write_down(&id, &dir) {
            Ok(written) => written,
            Err(error) => {
                // Nothing but the notes was made, and nobody is there yet to remove them. Failing twice leaves a
                // directory that the next sweep takes.
                drop(fs::remove_dir_all(dir.path()));
                return Err(error);
            }
        };
        // From here on the keeper removes what an error leaves.
        let cgroup = Cgroup::create(path)?;
        let mut notices = Vec::new();
        if !cgroup.has_kill() {
            notices.push(Notice::NoCgroupKill);
        }
        if cgroup.level().is_none() {
            notices.push(Notice::CgroupDepthUnknown);
        }
        Ok(Self {
            spec,
            id,
            identity,
            notices,
            protected: Vec::new(),
            cgroup,
            keeper,
            dir,
            record,
        })
    }

    /// The cgroup to attach kernel programs to.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Names this run; part of the cgroup's name.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// As whom the command will run.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Walls this machine does not have, known so far; [`Running::notices`](crate::Running::notices) has all of them.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Makes the run's IPv6 slot addresses, `fd83:6567:7265:<port>::/64`, local to this network namespace. Returns
    /// whether there are any: without IPv6 there is a [`Notice::Ipv6Disabled`] instead.
    ///
    /// # Errors
    /// When the route is refused: without CAP_NET_ADMIN, or because another run has the port.
    pub fn add_slot_route(&mut self, port: u16) -> Result<bool, SlotRouteError> {
        if slot_route::is_ipv6_disabled() {
            self.notices.push(Notice::Ipv6Disabled);
            return Ok(false);
        }
        let namespace = fs::read_link("/proc/self/ns/net").map_err(SlotRouteError::Namespace)?;
        slot_route::add(port)?;
        self.record.slot_route = Some(SlotRoute { port, namespace });
        if let Err(error) = self.dir.write(&self.record) {
            self.record.slot_route = None;
            // Nobody would remove what is not written down.
            slot_route::remove(port)?;
            return Err(error.into());
        }
        Ok(true)
    }

    /// Keeps a file or a directory from the command although its user could change it: a policy that holds it, the report
    /// about it. Read-only for it, and neither it nor a directory above it can be renamed or removed by it.
    ///
    /// LIMIT: a file that somebody else *replaces* during the run loses this (`SECURITY.md`); a directory keeps it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn protect(&mut self, path: &Path) -> Result<(), ProtectError> {
        match fs::canonicalize(path) {
            // A directory is protected with all in it.
            Ok(path) if self.protected.iter().any(|above| path.starts_with(above)) => {}
            Ok(path) => self.protected.push(path),
            Err(source) => {
                return Err(ProtectError {
                    path: path.to_owned(),
                    source,
                });
            }
        }
        Ok(())
    }

    /// What the command may change: its user's rights, less what is protected by now.
    pub fn reach(&self) -> Reach {
        Reach::new(&self.identity, &self.protected)
    }

    /// Removes everything without having run anything.
    ///
    /// # Errors
    /// When something could not be removed.
    pub fn discard(self) -> Result<(), CleanupError> {
        self.keeper.finish()
    }

    /// The directory of this run's notes, for messages.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}

fn write_down(id: &RunId, dir: &RunDir) -> Result<(PathBuf, Record, Keeper), PrepareError> {
    let path = Cgroup::path_for(id)?;
    let record = Record {
        cgroup: Some(path.clone()),
        slot_route: None,
    };
    dir.write(&record)?;
    let keeper = Keeper::start(dir, dir.share_lock()?).map_err(PrepareError::Keeper)?;
    Ok((path, record, keeper))
}

/// Why a path is not protected: it is not there, or not to be found.
#[derive(Debug, thiserror::Error)]
#[error("failed to find `{path}`, which is to be protected from the command")]
pub struct ProtectError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Why the slot route is not there.
#[derive(Debug, thiserror::Error)]
pub enum SlotRouteError {
    #[error("failed to tell the network namespace")]
    Namespace(#[source] io::Error),
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("failed to write the route down")]
    RunDir(#[from] RunDirError),
}
