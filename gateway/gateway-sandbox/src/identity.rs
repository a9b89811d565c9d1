use std::ffi::{CString, OsString};
use std::path::PathBuf;

use nix::unistd::{Gid, Uid, User, getegid, geteuid, getgrouplist, getgroups};
use serde::{Deserialize, Serialize};

use crate::spec::RunAs;

/// The user a command runs as, resolved before any wall is raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// What changes in the environment, where it is another user than the caller.
    #[serde(skip)]
    pub(crate) environment: Option<Environment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
}

/// Why it could not be told as whom the command should run.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("`{variable}` is `{}`, which is not a user or group number", .value.display())]
    NotANumber {
        variable: &'static str,
        value: OsString,
    },
    #[error("`SUDO_UID` is set and `SUDO_GID` is not; unset both to run the command as the caller")]
    NoGroup,
    #[error("failed to look up the user {uid}")]
    LookUp {
        uid: u32,
        #[source]
        source: nix::Error,
    },
    #[error("there is no user {uid}")]
    NoUser { uid: u32 },
    #[error("failed to read the groups of user {uid}")]
    Groups {
        uid: u32,
        #[source]
        source: nix::Error,
    },
}

/// Variables in which `sudo` speaks of its caller: true of Egret's process, not of the command's.
pub(crate) const SUDO_VARIABLES: [&str; 4] = ["SUDO_UID", "SUDO_GID", "SUDO_USER", "SUDO_COMMAND"];

impl Identity {
    /// Resolves `run_as` from the environment of this process.
    pub(crate) fn resolve(run_as: RunAs) -> Result<Self, IdentityError> {
        let sudo = std::env::var_os("SUDO_UID");
        match (run_as, sudo) {
            (RunAs::Invoker, Some(uid)) if geteuid().is_root() => {
                let gid = std::env::var_os("SUDO_GID").ok_or(IdentityError::NoGroup)?;
                Self::of_user(number("SUDO_UID", uid)?, number("SUDO_GID", gid)?)
            }
            (RunAs::Invoker | RunAs::Caller, _) => Self::of_caller(),
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.uid == 0
    }

    fn of_caller() -> Result<Self, IdentityError> {
        let uid = geteuid();
        let groups = getgroups().map_err(|source| IdentityError::Groups {
            uid: uid.as_raw(),
            source,
        })?;
        Ok(Self {
            uid: uid.as_raw(),
            gid: getegid().as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
            environment: None,
        })
    }

    fn of_user(uid: u32, gid: u32) -> Result<Self, IdentityError> {
        let user = User::from_uid(Uid::from_raw(uid))
            .map_err(|source| IdentityError::LookUp { uid, source })?
            .ok_or(IdentityError::NoUser { uid })?;
        let name = CString::new(user.name.clone()).map_err(|_nul| IdentityError::NoUser { uid })?;
        let groups = getgrouplist(&name, Gid::from_raw(gid))
            .map_err(|source| IdentityError::Groups { uid, source })?;
        Ok(Self {
            uid,
            gid,
            groups: groups.into_iter().map(Gid::as_raw).collect(),
            environment: Some(Environment {
                name: user.name,
                home: user.dir,
            }),
        })
    }
}

fn number(variable: &'static str, value: OsString) -> Result<u32, IdentityError> {
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or(IdentityError::NotANumber { variable, value })
}
