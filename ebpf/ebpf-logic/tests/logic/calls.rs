//! System calls: connect, sendmsg, and the names of the other end.

use ebpf_abi::plan::{Op, WorkloadId};
use ebpf_abi::slot;
use ebpf_abi::{Cause, Hook, Verdict, workload_flags};
use ebpf_logic::host::HostSocket;
use ebpf_logic::{CallAction, connect, sendmsg, undo};
use test_case::test_case;

use crate::world::{
    CGROUP, EVERYTHING, OTHER, PORT, RULES, SILENT, WEB, apply, connects, hold, ip, learn, sends,
    socket_with, tables, target, tcp, udp,
};

fn with_resolvers() -> ebpf_logic::host::HostMaps {
    let mut maps = tables(&[]);
    let slots = [
        (1, CGROUP, "192.0.2.53:53"),
        (2, CGROUP, "[2001:db8::53]:53"),
        (3, OTHER, "192.0.2.53:53"),
    ];
    let ops = slots.map(|(slot, workload, server)| Op::PutSlot {
        slot,
        workload: WorkloadId(workload),
        server: server.parse().unwrap(),
    });
    apply(&mut maps, ops.to_vec());
    maps
}

#[test_case("192.0.2.53", 53 => CallAction::Redirect(slot::v4(1)); "v4")]
#[test_case("::ffff:192.0.2.53", 53 => CallAction::Redirect(slot::v4(1)); "mapped")]
#[test_case("2001:db8::53", 53 => CallAction::Redirect(slot::v6(PORT, 2)); "v6")]
#[test_case("192.0.2.53", 54 => CallAction::Deny; "another port is a flow")]
#[test_case("192.0.2.54", 53 => CallAction::Deny; "an unknown server is a flow")]
fn questions_are_redirected(server: &str, port: u16) -> CallAction {
    let maps = with_resolvers();
    let socket = HostSocket::new(CGROUP);
    let by_connect = connect(&maps, &&socket, &tcp(server, port));
    assert_eq!(sendmsg(&maps, &&socket, &udp(server, port)), by_connect);
    by_connect
}

#[test]
fn hooks_may_run_twice() {
    let maps = with_resolvers();
    let socket = HostSocket::new(CGROUP);
    // A connected mapped socket runs sendmsg again, with the address already written.
    for address in ["127.83.0.1", "::ffff:127.83.0.1"] {
        assert!(connects(&maps, &socket, &udp(address, PORT)));
        assert!(sends(&maps, &socket, &udp(address, PORT)));
    }
}

#[test_case("127.83.0.3", PORT, 17; "another workload's")]
#[test_case("127.83.0.9", PORT, 17; "nobody's")]
#[test_case("127.83.0.0", PORT, 17; "slot zero")]
#[test_case("127.83.0.1", PORT + 1, 17; "another run's port")]
#[test_case("127.83.0.1", PORT, 132; "another protocol")]
#[test_case("fd83:6567:7265:14b5::2", PORT, 17; "another run's prefix")]
#[test_case("fd83:6567:7265:14b4:0:0:1:2", PORT, 17; "beside a slot")]
fn slots_of_others_are_closed(address: &str, port: u16, protocol: u8) {
    let mut maps = with_resolvers();
    for flags in [0, workload_flags::FILTERED, workload_flags::AUDIT] {
        hold(&mut maps, RULES, flags);
        learn(&mut maps, RULES, address, &[(9_000, EVERYTHING)]);
        let socket = HostSocket::new(CGROUP);
        assert_eq!(
            connect(&maps, &&socket, &target(address, port, protocol)),
            CallAction::Deny
        );
        assert_eq!(
            sendmsg(&maps, &&socket, &target(address, port, protocol)),
            CallAction::Deny
        );
        assert_eq!(maps.take_events()[0].cause(), Some(Cause::ForeignSlot));
    }
}

#[test]
fn a_socket_bound_to_a_device_asks_nobody() {
    let maps = with_resolvers();
    let socket = socket_with(|socket| socket.device = 4);
    assert_eq!(
        connect(&maps, &&socket, &udp("192.0.2.53", 53)),
        CallAction::Deny
    );
    assert_eq!(maps.take_events()[0].cause(), Some(Cause::BoundDevice));
    let loopback = socket_with(|socket| socket.device = 1);
    assert_eq!(
        connect(&maps, &&loopback, &udp("192.0.2.53", 53)),
        CallAction::Redirect(slot::v4(1))
    );
}

#[test]
fn without_filtering_a_resolver_is_an_address() {
    let mut maps = with_resolvers();
    hold(&mut maps, RULES, 0);
    let socket = HostSocket::new(CGROUP);
    assert_eq!(
        sendmsg(&maps, &&socket, &udp("192.0.2.53", 53)),
        CallAction::Deny
    );
    learn(&mut maps, RULES, "192.0.2.53", &[(9_000, EVERYTHING)]);
    assert_eq!(
        sendmsg(&maps, &&socket, &udp("192.0.2.53", 53)),
        CallAction::Allow
    );
}

#[test_case("127.83.0.1", PORT => Some(("192.0.2.53".into(), 53)); "v4")]
#[test_case("fd83:6567:7265:14b4::2", PORT => Some(("2001:db8::53".into(), 53)); "v6")]
#[test_case("127.83.0.3", PORT => None; "another workload's")]
#[test_case("127.83.0.1", 53 => None; "another port")]
#[test_case("fd83:6567:7265:14b4::1", PORT => None; "a v4 server is not behind a v6 slot")]
#[test_case("192.0.2.1", PORT => None; "no slot")]
fn the_server_is_named_again(address: &str, port: u16) -> Option<(String, u16)> {
    let maps = with_resolvers();
    let (address, port) = undo(&maps, CGROUP, &ip(address), port)?;
    Some((ebpf_abi::address::to_ip(&address).to_string(), port))
}

#[test_case(443; "the service's port")]
#[test_case(65535; "musl")]
#[test_case(0; "getent")]
fn a_udp_connect_asks_whether_anything_is_open(port: u16) {
    let mut maps = tables(&[]);
    let socket = HostSocket::new(CGROUP);
    assert!(!connects(&maps, &socket, &udp("192.0.2.9", port)));
    learn(&mut maps, RULES, "192.0.2.9", &[(2_000, WEB)]);
    assert!(connects(&maps, &socket, &udp("192.0.2.9", port)));
    maps.now = 2_001;
    assert!(
        !connects(&maps, &socket, &udp("192.0.2.9", port)),
        "no longer known"
    );
}

#[test]
fn loopback_opens_to_the_workloads_own_listeners() {
    let maps = tables(&[]);
    let listeners = vec![
        (ip("127.0.0.1"), 8080, 6, CGROUP),
        (ip("127.0.0.1"), 5432, 6, OTHER),
    ];
    let socket = socket_with(|socket| socket.listeners = listeners);
    assert!(connects(&maps, &socket, &tcp("127.0.0.1", 8080)));
    assert!(
        connects(&maps, &socket, &tcp("0.0.0.0", 8080)),
        "the stack means 127.0.0.1"
    );
    assert!(
        !connects(&maps, &socket, &tcp("127.0.0.1", 5432)),
        "somebody else's"
    );
    assert!(!connects(&maps, &socket, &tcp("127.0.0.1", 1)), "nobody's");
    let far = vec![(ip("192.0.2.9"), 8080, 6, CGROUP)];
    let socket = socket_with(|socket| socket.listeners = far);
    assert!(
        !connects(&maps, &socket, &tcp("192.0.2.9", 8080)),
        "found by a wildcard look-up, but not on loopback"
    );
}

#[test]
fn silence_is_left_to_the_packet() {
    let mut maps = tables(&[]);
    learn(&mut maps, RULES, "192.0.2.9", &[(9_000, SILENT)]);
    let socket = HostSocket::new(CGROUP);
    assert_eq!(
        connect(&maps, &&socket, &tcp("192.0.2.9", 80)),
        CallAction::Allow
    );
    assert!(maps.take_events().is_empty());
    assert_eq!(
        socket.row().map_or([0; 4], |row| row.allowed),
        [0; 4],
        "and is not remembered as allowed"
    );
}

#[test]
fn a_denied_connect_forgets_an_older_permission() {
    let mut maps = tables(&[]);
    learn(
        &mut maps,
        RULES,
        "192.0.2.9",
        &[(2_000, EVERYTHING), (9_000, SILENT)],
    );
    let socket = HostSocket::new(CGROUP);
    assert!(connects(&maps, &socket, &tcp("192.0.2.9", 80)));
    assert_ne!(socket.row().unwrap().allowed, [0; 4]);
    maps.now = 2_001;
    assert_eq!(
        connect(&maps, &&socket, &tcp("192.0.2.9", 80)),
        CallAction::Allow,
        "silence"
    );
    assert_eq!(socket.row().unwrap().allowed, [0; 4]);
}

#[test]
fn unknown_workloads_are_denied_and_told() {
    let maps = tables(&[]);
    let socket = HostSocket::new(OTHER);
    assert!(!connects(&maps, &socket, &tcp("192.0.2.9", 80)));
    assert!(!sends(&maps, &socket, &udp("192.0.2.9", 80)));
    let told = maps.take_events();
    assert_eq!(
        told.iter()
            .map(|e| (e.workload, e.cause()))
            .collect::<Vec<_>>(),
        [(OTHER, Some(Cause::UnknownWorkload)); 2]
    );
}

#[test]
fn audit_allows_and_says_what_would_be() {
    let mut maps = tables(&[]);
    hold(&mut maps, RULES, workload_flags::AUDIT);
    let socket = HostSocket::new(CGROUP);
    assert!(connects(&maps, &socket, &tcp("192.0.2.9", 80)));
    let told = maps.take_events();
    assert_eq!(
        (told[0].verdict(), told[0].would(), told[0].hook()),
        (Verdict::Allow, Verdict::Deny, Some(Hook::Connect))
    );
}
