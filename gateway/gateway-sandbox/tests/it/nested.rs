//! Sandboxes made by the command itself, where they are allowed: no wall falls.

use test_case::test_case;

use crate::held::{ESCAPEE, in_own_mounts, is_root, run};

fn nested(line: &str) -> crate::held::Outcome {
    run(&[
        "--nested",
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "--cgroup",
        "sh",
        "-c",
        line,
    ])
}

#[test]
fn a_sandbox_can_be_made_only_where_it_is_allowed() {
    if !is_root("a_sandbox_can_be_made_only_where_it_is_allowed") {
        return;
    }
    let line = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "echo",
        "made",
    ];
    assert_eq!(run(&line).stdout, "");
    let mut allowed = vec!["--nested"];
    allowed.extend(line);
    let outcome = run(&allowed);
    assert_eq!(outcome.stdout, "made", "{outcome:?}");
}

#[test_case("umount -l /run/nscd && echo uncovered"; "taking a cover away")]
#[test_case("mount --bind /run /mnt && ls /mnt/nscd"; "looking under a cover")]
#[test_case("for m in $(awk '/ - cgroup2? / {print $5}' /proc/self/mountinfo); do mount -o remount,rw,bind $m && echo remounted; done"; "making a cgroup writable")]
#[test_case("mount -t bpf b /mnt && ls /mnt"; "a BPF file system of its own shows no pins")]
#[test_case("mount -t cgroup2 c /mnt && ls -d /mnt/egret-*"; "a cgroup file system of its own shows no other run")]
fn a_nested_root_gets_no_further(line: &'static str) {
    if !is_root("a_nested_root_gets_no_further") {
        return;
    }
    let outcome = in_own_mounts(move || {
        std::fs::create_dir("/run/nscd").expect("a tmpfs");
        std::fs::write("/run/nscd/socket", "").expect("a tmpfs");
        nested(line)
    });
    assert_eq!(outcome.stdout, "", "{outcome:?}");
}

#[test_case(libc::SYS_clone3, &["0", "0"], "ENOSYS"; "a process in another cgroup")]
#[test_case(libc::SYS_bpf, &["7", "0", "0"], "EPERM"; "bpf")]
#[test_case(libc::SYS_socket, &["17", "3", "0"], "EPERM"; "a packet socket")]
#[test_case(libc::SYS_socket, &["40", "1", "0"], "EPERM"; "a socket to the hypervisor")]
#[test_case(libc::SYS_io_uring_setup, &["1", "0"], "EPERM"; "a ring")]
fn the_filter_holds_for_a_nested_root(number: i64, arguments: &[&str], expected: &str) {
    if !is_root("the_filter_holds_for_a_nested_root") {
        return;
    }
    let line = format!("{ESCAPEE} call {number} {}", arguments.join(" "));
    let outcome = nested(&line);
    assert_eq!(outcome.stdout, expected, "{outcome:?}");
}
