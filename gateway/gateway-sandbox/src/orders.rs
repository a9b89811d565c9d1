use std::os::fd::RawFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::identity::Identity;
use crate::notice::Notice;
use crate::spec::{HostSockets, NestedSandboxes};

/// What the supervisor tells init, as JSON in an argument: everything is decided before the walls go up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) cgroup: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) host_sockets: HostSockets,
    pub(crate) nested: NestedSandboxes,
    /// Without symbolic links.
    pub(crate) protected: Vec<PathBuf>,
    /// Where runs leave their notes: what is written there, a keeper does with all of root's rights.
    pub(crate) notes: PathBuf,
    /// Inherited pipe to write [`Report`]s to.
    pub(crate) report: RawFd,
    /// Inherited pipe to read signal numbers from, a byte each; its end of file means that the supervisor is gone.
    pub(crate) control: RawFd,
}

/// What init tells the supervisor: JSON lines.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    Notice(Notice),
    /// A wall does not stand; the command was not started.
    WallMissing(String),
    /// The walls stand, the command could not be executed.
    NotExecuted(i32),
    Started,
    Ended(Status),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Status {
    Code(i32),
    Signal(i32),
}

/// The hidden first arguments of the re-executed stages.
pub(crate) const STAGE_KEEP: &str = "__egret-keep";
pub(crate) const STAGE_INIT: &str = "__egret-init";
