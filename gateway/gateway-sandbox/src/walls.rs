//! The walls themselves, raised by init around itself; the command inherits them.

pub mod capabilities;
pub mod covers;
mod credentials;
pub mod descriptors;
mod mounts;
mod self_check;
mod socket_scope;
pub mod system_calls;

use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;

use crate::notice::Notice;
use crate::orders::Orders;

/// Which wall does not stand. The command is not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WallError {
    #[error("failed to enter the cgroup `{cgroup}`")]
    Cgroup {
        cgroup: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to make a cgroup and a mount namespace")]
    Namespaces(#[source] nix::Error),
    #[error("failed to close the file systems that lead out")]
    Mounts(#[from] mounts::MountError),
    #[error("failed to tell or to enter the working directory again")]
    WorkingDirectory(#[source] io::Error),
    #[error("failed to scope abstract Unix sockets")]
    SocketScope(#[from] landlock::RulesetError),
    #[error("failed to drop capabilities")]
    Capabilities(#[from] capabilities::CapabilityError),
    #[error("failed to become the user {uid}")]
    User {
        uid: u32,
        #[source]
        source: nix::Error,
    },
    #[error("failed to filter system calls")]
    SystemCalls(#[from] system_calls::FilterError),
    #[error("failed to make sure that the command dies with this process")]
    ParentDeath(#[source] nix::Error),
    #[error("the walls do not stand as they should")]
    SelfCheck(#[from] self_check::SelfCheckError),
}

/// Raises every wall around the calling process, which must have one thread. There is no way back.
///
/// The order matters: the cgroup before its namespace (whose root it becomes), mounts while there is the right to
/// mount, the user before the last capabilities go, the system-call filter last, because it closes what comes before.
///
/// # Errors
/// At the first wall that cannot be raised. Only abstract sockets are a [`Notice`] instead: they need Linux 6.12.
pub(crate) fn raise(orders: &Orders) -> Result<Vec<Notice>, WallError> {
    let mut notices = Vec::new();
    fs::write(orders.cgroup.join("cgroup.procs"), "0").map_err(|source| WallError::Cgroup {
        cgroup: orders.cgroup.clone(),
        source,
    })?;
    unshare(CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWNS)
        .map_err(WallError::Namespaces)?;

    let directory = env::current_dir().map_err(WallError::WorkingDirectory)?;
    mounts::seclude(orders)?;
    // A working directory is a way around everything mounted over it: find it again from the root.
    env::set_current_dir("/")
        .and_then(|()| env::set_current_dir(directory))
        .map_err(WallError::WorkingDirectory)?;

    if !socket_scope::close()? {
        notices.push(Notice::AbstractSocketsOpen);
    }
    capabilities::bound()?;
    credentials::become_user(&orders.identity).map_err(|source| WallError::User {
        uid: orders.identity.uid,
        source,
    })?;
    capabilities::keep_only(&orders.identity)?;
    // A change of user clears both.
    prctl::set_dumpable(false).map_err(WallError::ParentDeath)?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(WallError::ParentDeath)?;
    system_calls::apply(orders.nested)?;
    self_check::run()?;
    Ok(notices)
}

/// An error and what brought it about, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
