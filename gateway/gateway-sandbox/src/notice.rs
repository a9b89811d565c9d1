use std::fmt;

/// A wall that could not be raised on this machine. The command runs; the line belongs on stderr.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Notice {
    /// Landlock below ABI 6 (Linux 6.12), or switched off.
    AbstractSocketsOpen,
    /// `ipv6.disable` or `disable_ipv6` on `lo`: no slot addresses, so DNS over IPv6 is denied, not filtered.
    Ipv6Disabled,
    /// No `cgroup.kill` (before Linux 5.14): the pid namespace alone ends the command's processes.
    NoCgroupKill,
    /// The caller is not in the initial cgroup namespace, so the cgroup's depth is not known from outside.
    CgroupDepthUnknown,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AbstractSocketsOpen => {
                "abstract Unix sockets of other processes are within the command's reach: Landlock ABI 6 (Linux 6.12) \
                 is not available"
            }
            Self::Ipv6Disabled => {
                "IPv6 is disabled here: DNS servers with an IPv6 address are denied, not filtered"
            }
            Self::NoCgroupKill => {
                "`cgroup.kill` is missing (Linux 5.14): the command's processes are ended through their pid namespace \
                 alone"
            }
            Self::CgroupDepthUnknown => {
                "this is not the initial cgroup namespace: the depth of the command's cgroup is not known"
            }
        })
    }
}
