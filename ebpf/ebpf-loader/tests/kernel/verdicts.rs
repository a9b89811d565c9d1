//! Allow and deny, per family and protocol.

use std::time::{Duration, Instant};

use ebpf_abi::plan::{Op, RulesetId};
use ebpf_abi::{Cause, Event, Hook, Verdict, event_flags, workload_flags};
use test_case::test_case;

use crate::world::{EVERYTHING, MAIL, NOTHING, SILENT, WEB, World, prefix, privileged};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn tcp_by_address_and_port() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world.server.ok("a = socket.create_server(('203.0.113.7', 80)); b = socket.create_server(('203.0.113.7', 25))");
    let connect =
        |port| format!("socket.create_connection(('203.0.113.7', {port}), 2).getpeername()");

    let before = Instant::now();
    assert_eq!(
        world.client.does(&connect(80)),
        "errno EPERM",
        "nothing is learned yet"
    );
    assert!(
        before.elapsed() < Duration::from_millis(500),
        "the call fails at once"
    );
    let told = world.told();
    assert_eq!(told.len(), 1, "{told:?}");
    let seen = (told[0].hook(), told[0].cause(), told[0].verdict());
    assert_eq!(
        seen,
        (Some(Hook::Connect), Some(Cause::Policy), Verdict::Deny)
    );
    assert_eq!(
        (told[0].reason, told[0].remote_addr()),
        (1, "203.0.113.7:80".parse().unwrap())
    );
    assert_eq!(told[0].comm(), b"python3");
    assert_ne!(told[0].pid, 0);

    world.learn("203.0.113.7", &[(MINUTE, WEB)]);
    assert_eq!(world.client.does(&connect(80)), "ok ('203.0.113.7', 80)");
    assert_eq!(
        world.client.does(&connect(25)),
        "errno EPERM",
        "another port"
    );
    let told = world.told();
    assert_eq!((told.len(), told[0].reason, told[0].lease), (1, 2, 42));
}

#[test_case("2001:db8::7", "2001:db8::7"; "v6")]
#[test_case("203.0.113.7", "::ffff:203.0.113.7"; "v4 through a v6 socket")]
fn tcp_of_v6_sockets(learned: &str, asked: &str) {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    let family = if learned.contains(':') {
        "socket.AF_INET6"
    } else {
        "socket.AF_INET"
    };
    world.server.ok(&format!(
        "a = socket.create_server(('{learned}', 80), family={family})"
    ));
    let connect = format!("socket.create_connection(('{asked}', 80), 2).getpeername()[0]");
    assert_eq!(world.client.does(&connect), "errno EPERM");
    world.learn(learned, &[(MINUTE, WEB)]);
    assert_eq!(world.client.does(&connect), format!("ok {asked}"));
}

#[test_case("socket.AF_INET", "203.0.113.7"; "v4")]
#[test_case("socket.AF_INET6", "2001:db8::7"; "v6")]
#[test_case("socket.AF_INET6", "::ffff:203.0.113.7"; "mapped")]
fn udp_datagrams(family: &str, address: &str) {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world.server.ok(&format!(
        "a = socket.socket({family}, 2); a.settimeout(2); a.bind(('{address}', 80))"
    ));
    world.client.ok(&format!("u = socket.socket({family}, 2)"));
    assert_eq!(
        world
            .client
            .does(&format!("u.sendto(b'x', ('{address}', 80))")),
        "errno EPERM"
    );
    assert_eq!(world.told()[0].hook(), Some(Hook::Sendmsg));
    assert_eq!(
        world.client.does(&format!("u.connect(('{address}', 80))")),
        "errno EPERM",
        "nothing open there"
    );
    world.learn(address, &[(MINUTE, WEB)]);
    assert_eq!(
        world
            .client
            .does(&format!("u.sendto(b'y', ('{address}', 80))")),
        "ok 1"
    );
    assert_eq!(
        world
            .client
            .does(&format!("u.sendto(b'x', ('{address}', 81))")),
        "errno EPERM"
    );
    assert_eq!(world.server.ok("a.recv(9)"), "b'y'");
}

#[test]
fn a_udp_connect_is_not_a_flow() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world.learn("203.0.113.7", &[(MINUTE, WEB)]);
    world.client.ok("u = socket.socket(socket.AF_INET, 2)");
    // musl asks with port 65535, getent with 0: both only want to know the source address.
    for port in [443, 65535, 0] {
        assert_eq!(
            world
                .client
                .does(&format!("u.connect(('203.0.113.7', {port}))")),
            "ok None",
            "{port}"
        );
    }
    assert!(world.told().is_empty());
    world.client.ok("u.connect(('203.0.113.7', 443))");
    assert_eq!(
        world.client.does("u.send(b'x')"),
        "errno EPERM",
        "the datagram is judged"
    );
    let told = world.told();
    assert_eq!(
        (told.len(), told[0].hook(), told[0].remote_port),
        (1, Some(Hook::Egress), 443)
    );
    assert_ne!(told[0].pid, 0, "known from the connect");
}

#[test]
fn icmp_by_type() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    let echo = "struct.pack('!BBHHH', 8, 0, 0xf7fe, 0, 1)";
    world
        .client
        .ok("i = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); i.settimeout(2)");
    assert_eq!(
        world
            .client
            .does(&format!("i.sendto({echo}, ('203.0.113.7', 0))")),
        "errno EPERM"
    );
    world.learn("203.0.113.7", &[(MINUTE, WEB)]);
    assert_eq!(
        world
            .client
            .does(&format!("i.sendto({echo}, ('203.0.113.7', 0))")),
        "ok 8"
    );
    let timestamp = "struct.pack('!BBHHHIII', 13, 0, 0, 0, 1, 0, 0, 0)";
    assert_eq!(
        world
            .client
            .does(&format!("i.sendto({timestamp}, ('203.0.113.7', 0))")),
        "errno EPERM"
    );
    let told = world.told();
    assert_eq!(
        told.iter().map(|e| e.remote_port).collect::<Vec<_>>(),
        [8 << 8, 13 << 8]
    );

    world
        .client
        .ok("i = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)");
    let echo = "struct.pack('!BBHHH', 128, 0, 0, 0, 1)";
    assert_eq!(
        world
            .client
            .does(&format!("i.sendto({echo}, ('2001:db8::7', 0))")),
        "errno EPERM"
    );
    world.learn("2001:db8::7", &[(MINUTE, WEB)]);
    assert_eq!(
        world
            .client
            .does(&format!("i.sendto({echo}, ('2001:db8::7', 0))")),
        "ok 8"
    );
}

#[test]
fn prefixes_answer_where_nothing_is_learned() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world.server.ok("keep = [socket.create_server((a, p)) for a in ('203.0.113.7', '203.0.113.8') for p in (25, 80)]");
    let next = RulesetId(8);
    world.apply(vec![
        Op::PutPrefix {
            ruleset: next,
            prefix: prefix("0.0.0.0/0"),
            list: NOTHING,
        },
        Op::PutPrefix {
            ruleset: next,
            prefix: prefix("203.0.113.0/24"),
            list: MAIL,
        },
        Op::PutPrefix {
            ruleset: next,
            prefix: prefix("203.0.113.8/32"),
            list: EVERYTHING,
        },
        Op::PutPrefix {
            ruleset: next,
            prefix: prefix("::/0"),
            list: NOTHING,
        },
        Op::SetWorkload {
            workload: world.workload,
            ruleset: next,
            flags: 0,
        },
    ]);
    let mut outcomes = Vec::new();
    for (address, port) in [
        ("203.0.113.7", 25),
        ("203.0.113.7", 80),
        ("203.0.113.8", 80),
        ("192.0.2.53", 25),
    ] {
        outcomes.push(world.client.does(&format!(
            "socket.create_connection(('{address}', {port}), 2) and 1"
        )));
    }
    assert_eq!(outcomes, ["ok 1", "errno EPERM", "ok 1", "errno EPERM"]);
}

#[test]
fn loss_instead_of_refusal() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world.learn("203.0.113.7", &[(MINUTE, SILENT)]);
    world.client.ok("u = socket.socket(socket.AF_INET, 2)");
    assert_eq!(
        world.client.does("u.sendto(b'x', ('203.0.113.7', 80))"),
        "ok 1",
        "the sender is not told"
    );
    assert_eq!(
        world
            .client
            .does("socket.create_connection(('203.0.113.7', 80), 0.5)"),
        "timeout"
    );
    let told: Vec<Event> = world.told();
    assert!(
        told.len() >= 2 && told.iter().all(|e| e.hook() == Some(Hook::Egress)),
        "{told:?}"
    );
}

#[test]
fn audit_allows_and_tells() {
    if !privileged() {
        return;
    }
    let mut world = World::with_flags(workload_flags::AUDIT);
    world
        .server
        .ok("a = socket.create_server(('203.0.113.7', 80))");
    world
        .client
        .ok("c = socket.create_connection(('203.0.113.7', 80), 2)");
    world
        .client
        .ok("u = socket.socket(socket.AF_INET, 2); u.sendto(b'x', ('203.0.113.8', 9))");
    let told = world.told();
    assert_eq!(told.len(), 2, "{told:?}");
    for event in told {
        assert_eq!(
            (event.verdict(), event.would()),
            (Verdict::Allow, Verdict::Deny)
        );
        assert_eq!(event.flags & event_flags::AUDIT, event_flags::AUDIT);
    }
    assert_eq!(
        world.client.does("u.sendto(b'x', ('127.83.0.1', 5300))"),
        "errno EPERM",
        "another run's interceptor"
    );
}

#[test]
fn allowed_flows_are_told_on_request() {
    if !privileged() {
        return;
    }
    let mut world = World::with_flags(workload_flags::LOG_ALLOWED);
    world
        .server
        .ok("a = socket.create_server(('203.0.113.7', 80))");
    world.learn("203.0.113.7", &[(MINUTE, WEB)]);
    world
        .client
        .ok("c = socket.create_connection(('203.0.113.7', 80), 2); c.send(b'x'); c.send(b'y')");
    let told = world.told();
    assert_eq!(
        told.len(),
        1,
        "one for the flow, none for its packets: {told:?}"
    );
    assert_eq!(
        (told[0].verdict(), told[0].reason, told[0].lease),
        (Verdict::Allow, 80, 42)
    );
}

#[test]
fn an_unknown_workload_is_denied() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world.learn("203.0.113.7", &[(MINUTE, EVERYTHING)]);
    world
        .server
        .ok("a = socket.socket(2, 2); a.bind(('203.0.113.7', 9))");
    world
        .client
        .ok("u = socket.socket(2, 2); u.connect(('203.0.113.7', 9)); u.send(b'x')");
    let workload = world.workload;
    world.apply(vec![Op::DelWorkload { workload }]);
    assert_eq!(
        world.client.does("u.send(b'x')"),
        "errno EPERM",
        "an old flow too"
    );
    assert_eq!(
        world
            .client
            .does("socket.create_connection(('203.0.113.7', 80), 2)"),
        "errno EPERM"
    );
    assert!(
        world
            .told()
            .iter()
            .all(|event| event.cause() == Some(Cause::UnknownWorkload))
    );
}

#[test]
fn child_cgroups_belong_to_the_workload() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world.learn("203.0.113.7", &[(MINUTE, WEB)]);
    world
        .server
        .ok("a = socket.create_server(('203.0.113.7', 80))");
    world.client.ok("d = [l.split()[1] for l in open('/proc/self/mounts') if l.split()[2] == 'cgroup2'][0] + open('/proc/self/cgroup').read().split('0::')[1].strip()");
    world
        .client
        .ok("os.mkdir(d + '/below'); open(d + '/below/cgroup.procs', 'w').write(str(os.getpid()))");
    assert_eq!(
        world
            .client
            .does("socket.create_connection(('203.0.113.7', 80), 2) and 1"),
        "ok 1"
    );
    assert_eq!(
        world
            .client
            .does("socket.create_connection(('203.0.113.7', 25), 2) and 1"),
        "errno EPERM"
    );
    world
        .client
        .ok("open(d + '/cgroup.procs', 'w').write(str(os.getpid())); os.rmdir(d + '/below')");
}
