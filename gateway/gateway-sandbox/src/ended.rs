use std::io;

use crate::orders::Status;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Exited(u8),
    /// This signal ended it.
    Signaled(i32),
}

/// Why the command's end is not known.
#[derive(Debug, thiserror::Error)]
pub enum RunningError {
    /// [`Running::kill`](crate::Running::kill) does this, and so may anybody with the right to.
    #[error("the process around the command was killed")]
    InitKilled,
    /// Nobody would keep the kernel programs in place if Egret died next.
    #[error("the process that keeps the kernel programs in place is dead; the command was killed")]
    KeeperGone,
    #[error("failed to watch the command")]
    Watch(#[source] io::Error),
    #[error("the thread that watches the command is gone")]
    ThreadGone,
}

impl Ended {
    /// What a shell would show: the status itself, or 128 plus the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(number) => u8::try_from(number).unwrap_or(0).saturating_add(128),
        }
    }
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        match status {
            // The kernel keeps eight bits of what a process exits with.
            Status::Code(code) => Self::Exited(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
            Status::Signal(number) => Self::Signaled(number),
        }
    }
}
