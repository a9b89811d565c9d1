/// How a command is to be held.
///
/// Everything is closed by default; a field opens something, and says what that costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// As whom the command runs.
    pub run_as: RunAs,
    /// Whether sockets of the host that lead out of the cgroup stay within reach.
    pub host_sockets: HostSockets,
    /// Whether the command may make namespaces and mounts of its own.
    pub nested: NestedSandboxes,
}

/// The user of the held command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunAs {
    /// Who called `sudo` (`SUDO_UID`, `SUDO_GID`), with their own groups, `HOME`, `USER` and `LOGNAME`; the caller
    /// itself where `sudo` was not used.
    #[default]
    Invoker,
    /// Whoever the calling process is, `sudo` or not.
    Caller,
}

/// Unix sockets of the host whose other end acts outside the cgroup: container runtimes, the service manager, the
/// message buses, terminal multiplexers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum HostSockets {
    /// Covered in the command's mount namespace.
    #[default]
    Covered,
    /// Left as they are: the command may ask dockerd to start a container that nothing holds. Resolver sockets stay
    /// covered all the same.
    Open,
}

/// Namespaces and mounts made by the command: bubblewrap, Chromium's sandbox, rootless containers, Nix builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum NestedSandboxes {
    /// `unshare`, `clone`, `setns` with namespaces and the mount family fail, as in a container engine's default
    /// profile.
    #[default]
    Closed,
    /// They work. No wall falls: the cgroup holds nested namespaces too, and the kernel locks covered mounts together
    /// in a nested mount namespace. What grows is the part of the kernel that the command may exercise.
    Allowed,
}
