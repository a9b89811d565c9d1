//! What is open when a held command starts.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::{OFlag, open};
use nix::sys::epoll::{Epoll, EpollCreateFlags};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::geteuid;
use test_case::test_case;

use crate::held::{Outcome, held, is_root};

#[test]
fn only_the_standard_streams_are_inherited() {
    if !is_root("only_the_standard_streams_are_inherited") {
        return;
    }
    let held = env!("CARGO_BIN_EXE_gateway-sandbox-held");
    let line = format!("exec 7</etc/passwd 8>/dev/null; exec {held} sh -c 'echo /proc/$$/fd/*'");
    let output = Command::new("bash")
        .args(["-c", &line])
        .stdin(Stdio::null())
        .output();
    let outcome = Outcome::from(output.expect("a shell"));
    let open: Vec<&str> = outcome
        .stdout
        .split_whitespace()
        .filter_map(|path| path.rsplit('/').next())
        .collect();
    assert!(
        open.iter()
            .all(|fd| ["0", "1", "2", "3", "10", "255"].contains(fd)),
        "{outcome:?}"
    );
    assert!(!open.contains(&"7") && !open.contains(&"8"), "{outcome:?}");
}

#[test_case(&inet(), "an internet socket"; "an internet socket")]
#[test_case(&netlink(), "a socket that is not a Unix socket"; "a netlink socket")]
#[test_case(&file("/sys"), "a directory"; "a directory")]
#[test_case(&file("/sys/kernel/uevent_seqnum"), "a file of the kernel"; "a file of sysfs")]
#[test_case(&cgroup_file(), "a file of the kernel"; "a file of a cgroup")]
#[test_case(&disk(), "a disk"; "a disk")]
#[test_case(&kernel_object(), "a kernel object"; "a kernel object")]
fn is_refused_as_standard_input(descriptor: &OwnedFd, kind: &str) {
    if !is_root("is_refused_as_standard_input") {
        return;
    }
    let stdin = descriptor.try_clone().expect("another number for it");
    let output = held(&["true"]).stdin(Stdio::from(stdin)).output();
    let outcome = Outcome::from(output.expect("built"));
    assert_eq!(outcome.code, Some(125));
    let said = format!("standard input is {kind}");
    assert!(outcome.stderr.contains(&said), "{outcome:?}");
}

fn inet() -> OwnedFd {
    TcpListener::bind("127.0.0.1:0").expect("loopback").into()
}

fn netlink() -> OwnedFd {
    let protocol = SockProtocol::NetlinkRoute;
    socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::empty(),
        protocol,
    )
    .expect("a socket")
}

fn file(path: impl AsRef<Path>) -> OwnedFd {
    File::open(path).expect("there").into()
}

fn cgroup_file() -> OwnedFd {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let root = mounts
        .lines()
        .find(|line| line.contains(" - cgroup2 "))
        .and_then(|line| line.split(' ').nth(4))
        .expect("a cgroup file system");
    file(Path::new(root).join("cgroup.procs"))
}

/// Where only root may make one, it is root who runs the rest of the test.
fn disk() -> OwnedFd {
    if !geteuid().is_root() {
        return file("/dev/null");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk");
    mknod(&path, SFlag::S_IFBLK, Mode::S_IRUSR, makedev(7, 0)).expect("root");
    match File::open(&path) {
        Ok(disk) => disk.into(),
        // No loop driver: a descriptor that names the device without opening it is one all the same.
        Err(_) => open(&path, OFlag::O_PATH, Mode::empty()).expect("there"),
    }
}

fn kernel_object() -> OwnedFd {
    Epoll::new(EpollCreateFlags::empty())
        .expect("a kernel object")
        .0
}
