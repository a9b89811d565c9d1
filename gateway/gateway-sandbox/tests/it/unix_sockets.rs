//! Daemons of the host that would act for a held command.

use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use test_case::test_case;

use crate::held::{ESCAPEE, in_own_mounts, is_root, run};

#[test_case("/run/nscd/socket", &[], "ENOENT"; "the name service cache")]
#[test_case("/run/nscd/socket", &["--open-sockets"], "ENOENT"; "the name service cache, always")]
#[test_case("/run/systemd/resolve/io.systemd.Resolve", &[], "ECONNREFUSED"; "the system resolver")]
#[test_case("/run/systemd/resolve/io.systemd.Resolve", &["--open-sockets"], "ECONNREFUSED"; "the system resolver, always")]
#[test_case("/run/dbus/system_bus_socket", &[], "ECONNREFUSED"; "the system bus")]
#[test_case("/run/systemd/private", &[], "ECONNREFUSED"; "the service manager")]
#[test_case("/run/docker.sock", &[], "ECONNREFUSED"; "a container engine")]
#[test_case("/run/containerd/containerd.sock", &[], "ENOENT"; "a container runtime")]
#[test_case("/run/user/0/bus", &[], "ECONNREFUSED"; "a user bus")]
#[test_case("/run/user/1000/podman/podman.sock", &[], "ENOENT"; "a rootless engine")]
#[test_case("/run/docker.sock", &["--open-sockets"], "ok"; "a container engine, left open")]
#[test_case("/run/database/.s.1", &[], "ok"; "any other socket")]
fn is_covered(path: &'static str, options: &'static [&'static str], expected: &str) {
    if !is_root("is_covered") {
        return;
    }
    let outcome = in_own_mounts(move || {
        fs::create_dir_all(Path::new(path).parent().expect("a directory")).expect("a tmpfs");
        let listener = UnixListener::bind(path).expect("a tmpfs");
        let mut command = options.to_vec();
        command.extend([ESCAPEE, "connect", path]);
        let outcome = run(&command);
        drop(listener);
        outcome
    });
    assert_eq!(outcome.stdout, expected, "{outcome:?}");
}

#[test]
fn abstract_sockets_of_others_are_out_of_reach() {
    if !is_root("abstract_sockets_of_others_are_out_of_reach") {
        return;
    }
    let name = format!("egret-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("short enough");
    let _listener = UnixListener::bind_addr(&address).expect("a name of our own");
    let outcome = run(&[ESCAPEE, "connect", &format!("@{name}")]);
    // Where Landlock cannot, the line that says so must be there.
    let said = outcome
        .stderr
        .contains("abstract Unix sockets of other processes");
    assert!(
        outcome.stdout == "EPERM" || (outcome.stdout == "ok" && said),
        "{outcome:?}"
    );
}
