//! What a held command sees of the kernel's file systems, and what it can write there.

use std::fs;

use nix::mount::{MsFlags, mount};
use test_case::test_case;

use crate::held::{held, in_own_mounts, is_root, shell};

#[test]
fn no_cgroup_can_be_entered_or_made() {
    if !is_root("no_cgroup_can_be_entered_or_made") {
        return;
    }
    let outcome = shell(
        "tried=0
         for m in $(awk '/ - cgroup2? / {print $5}' /proc/self/mountinfo); do
             tried=$((tried + 1))
             (echo $$ > $m/cgroup.procs) 2>/dev/null && echo entered $m
             mkdir $m/escape 2>/dev/null && echo made $m/escape
         done
         [ $tried -gt 0 ] && echo tried
         grep ^0:: /proc/self/cgroup",
    );
    assert_eq!(outcome.stdout, "tried\n0::/", "{outcome:?}");
}

#[test_case("/proc/sys/kernel/core_pattern"; "the core dump helper")]
#[test_case("/proc/sys/kernel/modprobe"; "the module helper")]
#[test_case("/proc/sys/net/ipv4/ip_forward"; "network settings")]
#[test_case("/proc/sysrq-trigger"; "sysrq")]
#[test_case("/sys/kernel/uevent_helper"; "the uevent helper")]
#[test_case("/sys/module/kernel/parameters/consoleblank"; "a parameter")]
fn the_kernel_s_settings_are_read_only(path: &str) {
    if !is_root("the_kernel_s_settings_are_read_only") || !fs::exists(path).unwrap_or(false) {
        return;
    }
    let outcome = shell(&format!("(: >> {path}) 2>/dev/null && echo writable; true"));
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), ""),
        "{outcome:?}"
    );
}

#[test]
fn mounts_cannot_be_changed() {
    if !is_root("mounts_cannot_be_changed") {
        return;
    }
    let outcome = shell(
        "mount -o remount,rw /sys 2>/dev/null && echo remounted
         umount /proc 2>/dev/null && echo unmounted
         mount -t tmpfs x /mnt 2>/dev/null && echo mounted
         true",
    );
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), ""),
        "{outcome:?}"
    );
}

#[test_case("cat proc"; "by path")]
#[test_case("cd proc; ls"; "by directory")]
fn a_second_proc_shows_no_more_than_the_first(_attempt: &str) {
    if !is_root("a_second_proc_shows_no_more_than_the_first") {
        return;
    }
    let outcome = in_own_mounts(|| {
        fs::create_dir("/run/proc").expect("a tmpfs");
        let none: Option<&str> = None;
        mount(
            Some("proc"),
            "/run/proc",
            Some("proc"),
            MsFlags::empty(),
            none,
        )
        .expect("root");
        shell("ls -d /run/proc/[0-9]* | wc -l")
    });
    let processes: u32 = outcome.stdout.parse().expect("a number");
    assert!(processes <= 5, "{processes} processes are seen");
}

/// Where a held command starts, and how it looks for what is pinned.
#[test_case("/", "ls /run/pins"; "by its path")]
#[test_case("/run/pins", "ls"; "from a working directory in it")]
#[test_case("/run/pins/held", "ls .. ; ls"; "from a working directory below it")]
fn no_bpf_file_system_is_seen(directory: &'static str, attempt: &'static str) {
    if !is_root("no_bpf_file_system_is_seen") {
        return;
    }
    let outcome = in_own_mounts(move || {
        fs::create_dir("/run/pins").expect("a tmpfs");
        let none: Option<&str> = None;
        mount(
            Some("bpf"),
            "/run/pins",
            Some("bpf"),
            MsFlags::empty(),
            none,
        )
        .expect("root");
        fs::create_dir_all("/run/pins/held/link").expect("a BPF file system has directories");
        crate::held::Outcome::from(
            held(&["sh", "-c", attempt])
                .current_dir(directory)
                .output()
                .expect("the test binary is built"),
        )
    });
    assert_eq!(outcome.stdout, "", "{outcome:?}");
}

#[test]
fn the_working_directory_is_kept() {
    if !is_root("the_working_directory_is_kept") {
        return;
    }
    let output = held(&["pwd"])
        .current_dir("/usr/bin")
        .output()
        .expect("built");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "/usr/bin");
}
