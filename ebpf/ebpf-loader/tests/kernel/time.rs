//! Learned addresses end by themselves, step by step; established flows do not end with them.

use std::time::{Duration, Instant};

use ebpf_abi::plan::{Op, RulesetId};
use ebpf_abi::{Cause, event_flags};
use ebpf_loader::boot_now;

use crate::world::{EVERYTHING, MAIL, NOTHING, RULES, WEB, World, prefix, privileged};

const MINUTE: Duration = Duration::from_secs(60);

/// Asks until the answer is `wanted`, and says how long that took.
fn until(world: &mut World, code: &str, wanted: &str) -> Duration {
    let start = Instant::now();
    while world.client.does(code) != wanted {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "`{code}` never came to `{wanted}`"
        );
    }
    start.elapsed()
}

#[test]
fn an_address_expires_step_by_step() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world
        .server
        .ok("keep = [socket.create_server(('203.0.113.7', p)) for p in (25, 80)]");
    world.server.ok("def take(k):\n while True: k.accept()\n\
         for k in keep: threading.Thread(target=take, args=(k,), daemon=True).start()");
    // Two names share the address: one opens everything for a while, the other mail for longer.
    let (first, second) = (1_500_000_000, 3_500_000_000);
    let start = boot_now();
    world.learn_until(
        "203.0.113.7",
        &[(start + first, EVERYTHING), (start + second, MAIL)],
    );
    // What is open before the first end, between the two, and after the second.
    let mut seen = [0; 3];
    while seen[2] < 5 {
        let before = boot_now();
        let open = [80, 25].map(|port| {
            world.client.does(&format!(
                "socket.create_connection(('203.0.113.7', {port}), 2) and 1"
            )) == "ok 1"
        });
        let after = boot_now();
        let zone = |at| usize::from(at > start + first) + usize::from(at > start + second);
        if zone(before) != zone(after) {
            continue;
        }
        let expected = [[true, true], [false, true], [false, false]][zone(before)];
        assert_eq!(
            open,
            expected,
            "{} ms after the answer",
            (before - start) / 1_000_000
        );
        seen[zone(before)] += 1;
    }
    assert!(
        seen.iter().all(|&count| count > 0),
        "this machine is too slow to look in time: {seen:?}"
    );
}

#[test]
fn established_flows_outlive_the_address() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world.server.ok("a = socket.create_server(('203.0.113.7', 80)); w = socket.socket(2, 2); w.bind(('203.0.113.7', 80)); w.settimeout(2)");
    world.learn("203.0.113.7", &[(Duration::from_millis(600), WEB)]);
    world
        .client
        .ok("c = socket.create_connection(('203.0.113.7', 80), 2)");
    world
        .client
        .ok("u = socket.socket(2, 2); u.connect(('203.0.113.7', 80)); u.send(b'1')");
    world
        .client
        .ok("v = socket.socket(2, 2); v.sendto(b'2', ('203.0.113.7', 80))");
    world.server.ok("p, _ = a.accept(); p.settimeout(2)");
    until(
        &mut world,
        "socket.create_connection(('203.0.113.7', 80), 2) and 1",
        "errno EPERM",
    );

    world
        .client
        .ok("c.send(b'still'), u.send(b'3'), v.sendto(b'4', ('203.0.113.7', 80))");
    assert_eq!(
        world.server.ok("p.recv(9), [w.recv(9) for _ in range(4)]"),
        "(b'still', [b'1', b'2', b'3', b'4'])"
    );
    assert_eq!(
        world
            .client
            .does("socket.socket(2, 2).sendto(b'5', ('203.0.113.7', 80))"),
        "errno EPERM",
        "a new one"
    );
    assert_eq!(
        world.client.does("v.sendto(b'6', ('203.0.113.7', 81))"),
        "errno EPERM",
        "another port is new"
    );
    // The same socket, connected anew, is a new flow.
    world
        .client
        .ok("c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))");
    world
        .client
        .ok("ctypes.CDLL(None).connect(c.fileno(), bytes(16), 16)");
    assert_eq!(
        world.client.does("c.connect(('203.0.113.7', 80))"),
        "errno EPERM"
    );
}

#[test]
fn a_new_ruleset_judges_established_flows_again_by_the_first_step() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world
        .server
        .ok("keep = [socket.create_server(('203.0.113.7', p)) for p in (25, 80)]; p = []");
    world.learn("203.0.113.7", &[(Duration::from_millis(600), EVERYTHING)]);
    world
        .client
        .ok("w = socket.create_connection(('203.0.113.7', 80), 2)");
    world
        .client
        .ok("m = socket.create_connection(('203.0.113.7', 25), 2)");
    until(
        &mut world,
        "socket.create_connection(('203.0.113.7', 80), 2) and 1",
        "errno EPERM",
    );
    world
        .server
        .ok("p = [k.accept()[0] for k in keep]; [q.settimeout(1) for q in p]");
    world.told();

    // The name is still allowed, but for mail only; its lease has passed.
    let next = RulesetId(8);
    let workload = world.workload;
    world.apply(vec![
        Op::PutPrefix {
            ruleset: next,
            prefix: prefix("0.0.0.0/0"),
            list: NOTHING,
        },
        Op::PutPrefix {
            ruleset: next,
            prefix: prefix("::/0"),
            list: NOTHING,
        },
        Op::PutLearned {
            ruleset: next,
            address: "203.0.113.7".parse().unwrap(),
            lease: 43,
            steps: vec![ebpf_abi::plan::LearnedStep {
                expires_at: 1,
                list: MAIL,
            }],
        },
        Op::SetWorkload {
            workload,
            ruleset: next,
            flags: 0,
        },
        Op::DelRuleset { ruleset: RULES },
    ]);
    world.client.ok("w.send(b'web'), m.send(b'mail')");
    assert_eq!(
        world.server.does("p[0].recv(9)"),
        "ok b'mail'",
        "still allowed: lives on"
    );
    assert_eq!(
        world.server.does("p[1].recv(9)"),
        "timeout",
        "no longer allowed: cut"
    );
    let told = world.told();
    assert!(
        !told.is_empty() && told.iter().all(|e| e.remote_port == 80),
        "{told:?}"
    );
    assert_eq!(
        told[0].flags & event_flags::ESTABLISHED,
        event_flags::ESTABLISHED
    );
    assert_eq!(told[0].cause(), Some(Cause::Policy));
    world.learn_in(next, "203.0.113.8", &[(MINUTE, MAIL)]);
    assert_eq!(
        world
            .client
            .does("socket.create_connection(('203.0.113.7', 25), 2)"),
        "errno EPERM",
        "none is new"
    );
}
