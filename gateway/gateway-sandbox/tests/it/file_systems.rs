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
fn no_device_is_seen_that_sends_by_itself() {
    if !is_root("no_device_is_seen_that_sends_by_itself") {
        return;
    }
    let outcome = in_own_mounts(|| {
        let none: Option<&str> = None;
        let from = Some("/dev/null");
        fs::write("/run/null", "").expect("a tmpfs");
        mount(from, "/run/null", none, MsFlags::MS_BIND, none).expect("root");
        mount(Some("tmpfs"), "/dev", Some("tmpfs"), MsFlags::empty(), none).expect("root");
        fs::write("/dev/null", "").expect("a tmpfs");
        mount(Some("/run/null"), "/dev/null", none, MsFlags::MS_BIND, none).expect("root");
        fs::create_dir("/dev/infiniband").expect("a tmpfs");
        fs::create_dir("/dev/net").expect("a tmpfs");
        let devices = [
            "infiniband/uverbs0",
            "net/tun",
            "tap3",
            "vhost-net",
            "vmci",
            "nvme-fabrics",
            "other",
        ];
        for device in devices {
            fs::write(format!("/dev/{device}"), device).expect("a tmpfs");
        }
        shell("cd /dev; ls infiniband net; cat tap3 vhost-net vmci nvme-fabrics other")
    });
    assert_eq!(outcome.stdout, "infiniband:\n\nnet:\nother", "{outcome:?}");
}

#[test]
fn only_its_own_part_of_the_cgroups_is_seen() {
    if !is_root("only_its_own_part_of_the_cgroups_is_seen") {
        return;
    }
    let outcome = shell(
        "for m in $(awk '/ - cgroup2 / {print $5}' /proc/self/mountinfo | sort -u); do
             cat $m/cgroup.procs | wc -l
             ls -d $m/egret-* 2>/dev/null
         done",
    );
    // Init, the shell, and what counts.
    let processes: u32 = outcome
        .stdout
        .parse()
        .expect("one number and no other cgroup");
    assert!((2..=5).contains(&processes), "{outcome:?}");
}

#[test]
fn the_notes_of_runs_are_not_seen() {
    if !is_root("the_notes_of_runs_are_not_seen") {
        return;
    }
    let outcome = shell("ls /run/egret; touch /run/egret/x 2>/dev/null && echo written; true");
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), ""),
        "{outcome:?}"
    );
}

/// The policy is `a/b/policy`, which root could write.
#[test_case("echo open > a/b/policy"; "writing")]
#[test_case("echo open > new; mv new a/b/policy"; "replacing")]
#[test_case("rm a/b/policy; echo open > a/b/policy"; "removing")]
#[test_case("mv a/b/policy a/b/old; echo open > a/b/policy"; "renaming")]
#[test_case("mv a/b a/c; mkdir a/b; echo open > a/b/policy"; "renaming its directory")]
#[test_case("mv a z; mkdir -p a/b; echo open > a/b/policy"; "renaming a directory above")]
#[test_case("ln a/b/policy link; echo open > link"; "linking")]
#[test_case("umount a/b/policy; echo open > a/b/policy"; "unmounting")]
#[test_case("mv $PWD ../gone; mkdir -p $PWD/a/b; echo open > $PWD/a/b/policy"; "renaming the working directory")]
fn what_is_protected_cannot_be_changed(attempt: &str) {
    if !is_root("what_is_protected_cannot_be_changed") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let policy = dir.path().join("a/b/policy");
    fs::create_dir_all(dir.path().join("a/b")).expect("ours");
    fs::write(&policy, "closed\n").expect("ours");
    let output = held(&["--protect", "a/b/policy", "sh", "-c"])
        .args([&format!("{attempt}; touch a/b/beside; true")])
        .current_dir(dir.path())
        .output()
        .expect("built");
    let outcome = crate::held::Outcome::from(output);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(
        fs::read_to_string(&policy).ok().as_deref(),
        Some("closed\n"),
        "{outcome:?}"
    );
    assert!(
        dir.path().join("a/b/beside").exists(),
        "the directory itself can be used: {outcome:?}"
    );
}

/// `/run/one` is mounted on `/run/two`, too, and `/run/deep` in it.
#[test_case("/run/one/policy", "echo open > /run/two/policy"; "a file by another mount")]
#[test_case("/run/two/policy", "echo open > /run/one/policy"; "a file by the original")]
#[test_case("/run/two", "echo open > /run/one/policy"; "a directory by another mount")]
#[test_case("/run", "echo open > /run/one/deep/policy"; "a mount in a directory")]
fn what_is_protected_is_so_wherever_it_is_mounted(path: &'static str, attempt: &'static str) {
    if !is_root("what_is_protected_is_so_wherever_it_is_mounted") {
        return;
    }
    in_own_mounts(move || {
        for directory in ["/run/one/deep", "/run/two", "/run/deep"] {
            fs::create_dir_all(directory).expect("a tmpfs");
        }
        for directory in ["/run/one", "/run/deep"] {
            fs::write(format!("{directory}/policy"), "closed\n").expect("a tmpfs");
        }
        let none: Option<&str> = None;
        for (from, to) in [("/run/one", "/run/two"), ("/run/deep", "/run/one/deep")] {
            mount(Some(from), to, none, MsFlags::MS_BIND, none).expect("root");
        }
        let outcome = crate::held::run(&["--protect", path, "sh", "-c", attempt]);
        assert!(outcome.stderr.contains("Read-only"), "{outcome:?}");
        for policy in ["/run/one/policy", "/run/deep/policy"] {
            assert_eq!(fs::read_to_string(policy).expect("it is there"), "closed\n");
        }
    });
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
