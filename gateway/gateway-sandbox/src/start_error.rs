use std::ffi::OsString;
use std::io;

/// Why the command did not start. [`StartError::exit_code`] is what `egret run` exits with.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("`{}` was not found", .program.display())]
    NotFound {
        program: OsString,
        #[source]
        source: io::Error,
    },
    #[error("failed to execute `{}`", .program.display())]
    NotExecutable {
        program: OsString,
        #[source]
        source: io::Error,
    },
    #[error("a wall around the command could not be raised: {reason}")]
    Wall { reason: String },
    #[error("failed to give the kernel programs to the keeper")]
    Links(#[source] io::Error),
    #[error("failed to make a {what}")]
    Make {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("the process around the command ended before it said anything")]
    Silent,
}

impl StartError {
    /// 127 for a command that is not there, 126 for one that cannot be executed, 125 for Egret's own failures: as
    /// env, timeout and docker do.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            Self::Wall { .. } | Self::Links(_) | Self::Make { .. } | Self::Silent => 125,
        }
    }
}
