//! The object in this kernel: what it needs, what it costs to load, and what stays of it.

use std::fs;
use std::process::Command;

use ebpf_abi::capacity;
use ebpf_abi::globals::maps;
use ebpf_abi::plan::{Op, PlanError, Prefix, RulesetId};
use ebpf_loader::{ApplyError, Datapath as _, FEATURES, missing_features};

use crate::world::{EVERYTHING, World, prefix, privileged};

/// The verifier gives up at a million; other kernels walk more than this one.
const MOST_INSTRUCTIONS: u32 = 250_000;

#[test]
fn this_kernel_has_everything() {
    if !privileged() {
        return;
    }
    assert_eq!(missing_features(), []);
    assert!(
        FEATURES
            .iter()
            .all(|feature| !feature.since.is_empty() && !feature.without.is_empty())
    );
}

#[test]
fn the_verifier_has_room_left() {
    if !privileged() {
        return;
    }
    let world = World::new();
    for (name, instructions) in world.kernel.verifier_effort().unwrap() {
        assert!(instructions < MOST_INSTRUCTIONS, "{name}: {instructions}");
    }
}

#[test]
fn rules_over_a_tables_capacity_change_nothing() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world
        .server
        .ok("a = socket.create_server(('203.0.113.7', 80))");
    let next = RulesetId(90);
    let whole = ["0.0.0.0/0", "::/0"].map(|text| Op::PutPrefix {
        ruleset: next,
        prefix: prefix(text),
        list: EVERYTHING,
    });
    let mut ops = Vec::from(whole);
    let many = (0..).map(|number| Op::PutPrefix {
        ruleset: next,
        prefix: Prefix {
            address: std::net::Ipv4Addr::from_bits(number).into(),
            len: 32,
        },
        list: EVERYTHING,
    });
    ops.extend(many.take(capacity::PREFIXES));
    ops.push(Op::SetWorkload {
        workload: world.workload,
        ruleset: next,
        flags: 0,
    });
    let refused = world.kernel.apply(&ops.into_iter().collect());
    assert!(
        matches!(
            refused,
            Err(ApplyError::Plan(PlanError::TableFull {
                table: maps::PREFIXES,
                ..
            }))
        ),
        "{refused:?}"
    );
    assert_eq!(
        world
            .client
            .does("socket.create_connection(('203.0.113.7', 80), 2) and 1"),
        "errno EPERM"
    );
}

#[test]
fn pinned_links_hold_and_a_clean_end_removes_them() {
    if !privileged() {
        return;
    }
    let mount = std::env::temp_dir().join(format!("egret-bpffs-{}", std::process::id()));
    fs::create_dir(&mount).unwrap();
    assert!(
        Command::new("mount")
            .args(["-t", "bpf", "bpf"])
            .arg(&mount)
            .status()
            .unwrap()
            .success()
    );
    let mut world = World::new();
    let directory = mount.join("run");
    world.kernel.pin(&directory).unwrap();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 11);
    assert_eq!(
        world
            .client
            .does("socket.create_connection(('203.0.113.7', 80), 2)"),
        "errno EPERM"
    );
    drop(world);
    let gone = !directory.exists();
    assert!(
        Command::new("umount")
            .arg(&mount)
            .status()
            .unwrap()
            .success()
    );
    fs::remove_dir(&mount).unwrap();
    assert!(gone);
}

#[test]
fn events_nobody_takes_are_counted() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    assert_eq!(world.kernel.dropped_events().unwrap(), 0);
    world.client.ok("u = socket.socket(2, 2)");
    // The ring has a megabyte; an event takes 104 bytes of it.
    world.client.ok(
        "def send():\n try: u.sendto(b'x', ('203.0.113.7', 80))\n except PermissionError: pass\nfor _ in range(12000): send()",
    );
    assert!(world.kernel.dropped_events().unwrap() > 0);
    assert!(world.told().len() > 9000, "what was told before is kept");
}

#[test]
fn a_detached_cgroup_is_free_again() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world
        .server
        .ok("a = socket.create_server(('203.0.113.7', 80))");
    assert_eq!(
        world
            .client
            .does("socket.create_connection(('203.0.113.7', 80), 2) and 1"),
        "errno EPERM"
    );
    let World { kernel, client, .. } = &mut world;
    kernel.detach();
    assert_eq!(
        client.does("socket.create_connection(('203.0.113.7', 80), 2) and 1"),
        "ok 1"
    );
}
