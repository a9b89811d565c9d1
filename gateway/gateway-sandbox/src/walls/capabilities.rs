//! Which capabilities a command keeps when it runs as root. As any other user it has none.

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};

use crate::identity::Identity;

/// One line per capability: whether it is kept, and why.
///
/// Kept is what a package manager or a build in a CI container needs and what acts on files and on the command's own
/// processes. Dropped is everything that reaches the network below the sockets, the kernel, or other processes.
pub const TABLE: &[(Capability, Keep, &str)] = &[
    (
        Capability::CAP_CHOWN,
        Keep::Yes,
        "package managers set owners",
    ),
    (
        Capability::CAP_DAC_OVERRIDE,
        Keep::Yes,
        "root in a build writes files of others",
    ),
    (
        Capability::CAP_FOWNER,
        Keep::Yes,
        "package managers set modes of files of others",
    ),
    (
        Capability::CAP_FSETID,
        Keep::Yes,
        "package managers install set-user-id files",
    ),
    (
        Capability::CAP_SETFCAP,
        Keep::Yes,
        "package managers install files with capabilities",
    ),
    (
        Capability::CAP_SETUID,
        Keep::Yes,
        "a package manager's sandbox user, `su`, `runuser`",
    ),
    (Capability::CAP_SETGID, Keep::Yes, "as CAP_SETUID"),
    (
        Capability::CAP_SETPCAP,
        Keep::Yes,
        "lets a program drop still more",
    ),
    (
        Capability::CAP_KILL,
        Keep::Yes,
        "the pid namespace bounds it",
    ),
    (
        Capability::CAP_NET_BIND_SERVICE,
        Keep::Yes,
        "servers in tests listen on low ports",
    ),
    (
        Capability::CAP_SYS_CHROOT,
        Keep::Yes,
        "build roots; a chroot shows nothing that the mount namespace hides",
    ),
    (
        Capability::CAP_AUDIT_WRITE,
        Keep::Yes,
        "`su` and sshd write a line and fail without",
    ),
    (
        Capability::CAP_IPC_LOCK,
        Keep::Yes,
        "databases in tests lock memory",
    ),
    (
        Capability::CAP_IPC_OWNER,
        Keep::No,
        "System V objects of other users are shared with the host",
    ),
    (Capability::CAP_SYS_NICE, Keep::Yes, "scheduling only"),
    (
        Capability::CAP_SYS_RESOURCE,
        Keep::No,
        "limits set around the command hold",
    ),
    (
        Capability::CAP_LEASE,
        Keep::No,
        "nothing in a build needs it",
    ),
    (
        Capability::CAP_LINUX_IMMUTABLE,
        Keep::No,
        "nothing in a build needs it",
    ),
    (
        Capability::CAP_DAC_READ_SEARCH,
        Keep::No,
        "`open_by_handle_at` reads around the mount namespace",
    ),
    (
        Capability::CAP_NET_RAW,
        Keep::No,
        "AF_PACKET and AF_XDP are seen by no hook of a cgroup",
    ),
    (
        Capability::CAP_NET_ADMIN,
        Keep::No,
        "tunnels, routes, tc and nftables rewrite packets after the hooks",
    ),
    (Capability::CAP_NET_BROADCAST, Keep::No, "nothing uses it"),
    (
        Capability::CAP_SYS_ADMIN,
        Keep::No,
        "mount, setns, BPF by id, and most of the rest",
    ),
    (
        Capability::CAP_BPF,
        Keep::No,
        "would open, change or detach the kernel programs",
    ),
    (
        Capability::CAP_PERFMON,
        Keep::No,
        "reads the kernel's memory",
    ),
    (
        Capability::CAP_SYS_PTRACE,
        Keep::No,
        "takes over processes, `/proc/<pid>/root`, pidfd_getfd",
    ),
    (
        Capability::CAP_SYS_MODULE,
        Keep::No,
        "runs code in the kernel",
    ),
    (
        Capability::CAP_SYS_RAWIO,
        Keep::No,
        "writes the kernel's memory",
    ),
    (Capability::CAP_SYS_BOOT, Keep::No, "kexec"),
    (
        Capability::CAP_MKNOD,
        Keep::No,
        "makes a device node for any disk or for kernel memory",
    ),
    (
        Capability::CAP_MAC_ADMIN,
        Keep::No,
        "changes the host's security policy",
    ),
    (
        Capability::CAP_MAC_OVERRIDE,
        Keep::No,
        "goes around the host's security policy",
    ),
    (
        Capability::CAP_AUDIT_CONTROL,
        Keep::No,
        "changes the host's audit rules",
    ),
    (
        Capability::CAP_AUDIT_READ,
        Keep::No,
        "reads the host's audit log",
    ),
    (Capability::CAP_SYSLOG, Keep::No, "kernel addresses"),
    (
        Capability::CAP_SYS_TIME,
        Keep::No,
        "leases expire by the clock",
    ),
    (
        Capability::CAP_WAKE_ALARM,
        Keep::No,
        "nothing in a build needs it",
    ),
    (
        Capability::CAP_BLOCK_SUSPEND,
        Keep::No,
        "nothing in a build needs it",
    ),
    (
        Capability::CAP_SYS_PACCT,
        Keep::No,
        "nothing in a build needs it",
    ),
    (
        Capability::CAP_SYS_TTY_CONFIG,
        Keep::No,
        "hangs up terminals of others",
    ),
    (
        Capability::CAP_CHECKPOINT_RESTORE,
        Keep::No,
        "reads around `/proc` permissions",
    ),
];

/// Whether root keeps a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Yes,
    No,
}

/// Why capabilities could not be dropped.
#[derive(Debug, thiserror::Error)]
pub enum CapabilityError {
    #[error("failed to read the capabilities of this process")]
    Read(#[source] CapsError),
    #[error("failed to take `{capability}` out of the bounding set")]
    Bound {
        capability: Capability,
        #[source]
        source: CapsError,
    },
    #[error("failed to set the {set:?} capabilities")]
    Set {
        set: CapSet,
        #[source]
        source: CapsError,
    },
}

/// The kept capabilities as `/proc/<pid>/status` writes them.
pub(super) fn kept_mask() -> u64 {
    kept().map(|capability| capability.bitmask()).sum()
}

/// Takes everything that is not kept out of the bounding set: no file and no set-user-id program gives it back.
pub(super) fn bound() -> Result<(), CapabilityError> {
    for (capability, keep, _why) in TABLE {
        // A capability the kernel is too old for is not in the set either.
        let present = caps::has_cap(None, CapSet::Bounding, *capability).unwrap_or(false);
        if *keep == Keep::No && present {
            caps::drop(None, CapSet::Bounding, *capability).map_err(|source| {
                CapabilityError::Bound {
                    capability: *capability,
                    source,
                }
            })?;
        }
    }
    Ok(())
}

/// Leaves the kept capabilities to root, as far as the caller has them, and none to anybody else.
pub(super) fn keep_only(identity: &Identity) -> Result<(), CapabilityError> {
    let mut left = CapsHashSet::new();
    if identity.is_root() {
        let has = caps::read(None, CapSet::Permitted).map_err(CapabilityError::Read)?;
        left.extend(kept().filter(|capability| has.contains(capability)));
    }
    let none = CapsHashSet::new();
    for (set, value) in [
        (CapSet::Ambient, &none),
        (CapSet::Inheritable, &none),
        (CapSet::Effective, &left),
        (CapSet::Permitted, &left),
    ] {
        caps::set(None, set, value).map_err(|source| CapabilityError::Set { set, source })?;
    }
    Ok(())
}

fn kept() -> impl Iterator<Item = Capability> {
    TABLE
        .iter()
        .filter(|(_, keep, _)| *keep == Keep::Yes)
        .map(|(capability, _, _)| *capability)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Keep, TABLE};

    #[test]
    fn every_capability_has_one_line() {
        let lines: HashSet<_> = TABLE.iter().map(|(capability, _, _)| *capability).collect();
        assert_eq!(lines.len(), TABLE.len(), "one is there twice");
        assert_eq!(lines, caps::all());
    }

    #[test]
    fn what_goes_around_the_walls_is_dropped() {
        let dropped: HashSet<_> = TABLE
            .iter()
            .filter(|(_, keep, _)| *keep == Keep::No)
            .map(|(capability, _, _)| capability.to_string())
            .collect();
        for capability in [
            "CAP_SYS_ADMIN",
            "CAP_SYS_PTRACE",
            "CAP_NET_ADMIN",
            "CAP_NET_RAW",
            "CAP_BPF",
            "CAP_PERFMON",
            "CAP_SYS_MODULE",
            "CAP_SYS_RAWIO",
            "CAP_SYS_BOOT",
            "CAP_MKNOD",
            "CAP_DAC_READ_SEARCH",
        ] {
            assert!(dropped.contains(capability), "{capability} is kept");
        }
    }
}
