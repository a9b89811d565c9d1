//! Unix sockets and devices of the host that a command must not reach, and how they are found.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::spec::HostSockets;

/// What a device, or the other end of a socket, would do for the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Resolves names for it, past the interceptor. Always covered.
    Resolves,
    /// Sends for it, past the hooks of every packet; and CAP_MKNOD, to make the device again, is gone. Always covered.
    Sends,
    /// Starts processes outside the cgroup, or acts for it there.
    Acts,
}

/// Sockets, devices, and directories of them; a component may be `*` or end in it. What is a directory is covered by an
/// empty one, so that a socket its daemon makes later is not seen either.
pub const TABLE: &[(&str, Reach, &str)] = &[
    ("/run/nscd", Reach::Resolves, "glibc's name service cache"),
    (
        "/var/run/nscd",
        Reach::Resolves,
        "glibc's name service cache",
    ),
    ("/var/db/nscd", Reach::Resolves, "its shared maps"),
    (
        "/run/systemd/resolve/io.systemd.*",
        Reach::Resolves,
        "nss-resolve's varlink",
    ),
    ("/run/avahi-daemon/socket", Reach::Resolves, "nss-mdns"),
    ("/run/unscd", Reach::Resolves, "another name service cache"),
    (
        "/dev/infiniband",
        Reach::Sends,
        "RDMA: any user may send from it, also over Ethernet",
    ),
    (
        "/dev/net",
        Reach::Sends,
        "a tap that was left for the user or for root needs no capability",
    ),
    (
        "/dev/tap*",
        Reach::Sends,
        "macvtap: frames, by the node alone",
    ),
    ("/dev/vhost-net", Reach::Sends, "sends through a tap"),
    ("/dev/vmci", Reach::Sends, "datagrams to the hypervisor"),
    (
        "/dev/vhost-vsock",
        Reach::Sends,
        "the other end of AF_VSOCK",
    ),
    (
        "/dev/nvme-fabrics",
        Reach::Sends,
        "has the kernel connect to a disk by TCP",
    ),
    (
        "/run/dbus/system_bus_socket",
        Reach::Acts,
        "resolved and systemd answer on the system bus",
    ),
    (
        "/run/systemd/private",
        Reach::Acts,
        "the service manager starts units",
    ),
    (
        "/run/systemd/io.systemd.*",
        Reach::Acts,
        "varlink of systemd's services",
    ),
    (
        "/run/systemd/userdb",
        Reach::Acts,
        "user lookups of services, some over the network",
    ),
    ("/run/systemd/machine", Reach::Acts, "starts machines"),
    ("/run/user/*/bus", Reach::Acts, "`systemd-run --user`"),
    (
        "/run/user/*/systemd",
        Reach::Acts,
        "the user's service manager",
    ),
    ("/run/user/*/podman", Reach::Acts, "starts containers"),
    ("/run/user/*/docker.sock", Reach::Acts, "starts containers"),
    (
        "/run/user/*/containerd-rootless",
        Reach::Acts,
        "starts containers",
    ),
    ("/run/user/*/buildkit", Reach::Acts, "starts containers"),
    ("/run/docker.sock", Reach::Acts, "starts containers"),
    ("/run/docker", Reach::Acts, "containerd of dockerd"),
    ("/run/containerd", Reach::Acts, "starts containers"),
    ("/run/podman", Reach::Acts, "starts containers"),
    ("/run/crio", Reach::Acts, "starts containers"),
    ("/run/cri-dockerd.sock", Reach::Acts, "starts containers"),
    ("/run/buildkit", Reach::Acts, "starts containers"),
    ("/run/k3s/containerd", Reach::Acts, "starts containers"),
    ("/run/libvirt", Reach::Acts, "starts virtual machines"),
    ("/run/incus", Reach::Acts, "starts containers"),
    ("/var/lib/lxd/unix.socket", Reach::Acts, "starts containers"),
    (
        "/var/lib/incus/unix.socket",
        Reach::Acts,
        "starts containers",
    ),
    (
        "/var/snap/lxd/common/lxd/unix.socket",
        Reach::Acts,
        "starts containers",
    ),
    (
        "/run/snapd.socket",
        Reach::Acts,
        "installs and starts programs",
    ),
    ("/run/acpid.socket", Reach::Acts, "runs scripts"),
    (
        "/tmp/tmux-*",
        Reach::Acts,
        "`tmux run-shell` in a session outside",
    ),
    (
        "/run/screen",
        Reach::Acts,
        "`screen -X` in a session outside",
    ),
];

/// Variables that name such a socket somewhere else: the variable, and what stands before the path.
const VARIABLES: &[(&str, &str)] = &[
    ("DOCKER_HOST", "unix://"),
    ("CONTAINER_HOST", "unix://"),
    ("CONTAINERD_ADDRESS", ""),
    ("DBUS_SESSION_BUS_ADDRESS", "unix:path="),
    ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="),
    ("TMUX", ""),
];

/// Everything of the table that is there, once each, symbolic links followed.
pub(super) fn find(host_sockets: HostSockets) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for (pattern, reach, _what) in TABLE {
        if *reach != Reach::Acts || host_sockets == HostSockets::Covered {
            found.extend(expand(pattern).into_iter().filter_map(existing));
        }
    }
    if host_sockets == HostSockets::Covered {
        found.extend(
            VARIABLES
                .iter()
                .filter_map(|(name, prefix)| {
                    let value = std::env::var(name).ok()?;
                    path_in(&value, prefix)
                })
                .filter_map(existing),
        );
    }
    found
}

/// The path in a variable's value; what follows a comma or a semicolon are options or another address.
fn path_in(value: &str, prefix: &str) -> Option<PathBuf> {
    let path = value.strip_prefix(prefix)?;
    let path = path.split([',', ';']).next()?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

fn existing(path: PathBuf) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

/// The paths a pattern stands for: a component may be `*` or end in it.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::new()];
    for component in Path::new(pattern) {
        let prefix = component.to_str().and_then(|text| text.strip_suffix('*'));
        match prefix {
            None => {
                for path in &mut paths {
                    path.push(component);
                }
            }
            Some(prefix) => {
                paths = paths.iter().flat_map(|dir| children(dir, prefix)).collect();
            }
        }
    }
    paths
}

/// The entries of a directory whose names begin so. An unreadable or absent directory has none.
fn children(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|name| name.starts_with(prefix))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use test_case::test_case;

    use super::path_in;

    #[test_case("unix:///x/docker.sock", "unix://", Some("/x/docker.sock"); "docker")]
    #[test_case("tcp://192.0.2.1:2375", "unix://", None; "docker over tcp is the policy's matter")]
    #[test_case("unix:path=/x/bus,guid=1;unix:path=/y", "unix:path=", Some("/x/bus"); "a bus")]
    #[test_case("unix:abstract=/x", "unix:path=", None; "abstract sockets are scoped")]
    #[test_case("/x/default,12,0", "", Some("/x/default"); "tmux")]
    #[test_case("", "", None; "empty")]
    fn finds_the_path(value: &str, prefix: &str, expected: Option<&str>) {
        assert_eq!(path_in(value, prefix), expected.map(PathBuf::from));
    }
}
