//! Servers inside the workload, and its loopback.

use ebpf_abi::Cause;

use crate::world::{World, privileged};

#[test]
fn a_tcp_server_answers_whoever_connects() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    for (family, address) in [
        ("socket.AF_INET", "203.0.113.8"),
        ("socket.AF_INET6", "2001:db8::7"),
    ] {
        world.client.ok(&format!(
            "l = socket.create_server(('{address}', 8080), family={family}); l.settimeout(3)"
        ));
        world
            .client
            .ok("t = threading.Thread(target=lambda: l.accept()[0].send(b'hello')); t.start()");
        let ask = format!("c = socket.create_connection(('{address}', 8080), 3); c.settimeout(3)");
        world.server.ok(&ask);
        assert_eq!(world.server.ok("c.recv(9)"), "b'hello'", "{address}");
        world.client.ok("t.join(); l.close()");
    }
    assert!(world.told().is_empty());
}

#[test]
fn an_answering_socket_cannot_turn_around() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world
        .server
        .ok("a = socket.create_server(('203.0.113.7', 80))");
    world
        .client
        .ok("l = socket.create_server(('203.0.113.8', 8080)); l.settimeout(3)");
    world
        .server
        .ok("c = socket.create_connection(('203.0.113.8', 8080), 3)");
    world.client.ok("s, _ = l.accept()");
    world
        .client
        .ok("s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))");
    world
        .client
        .ok("ctypes.CDLL(None).connect(s.fileno(), bytes(16), 16)");
    assert_eq!(
        world.client.does("s.connect(('203.0.113.7', 80))"),
        "errno EPERM"
    );
    // Fast open carries data in the SYN and is a connect all the same.
    assert_eq!(
        world
            .client
            .does("s.sendto(b'x', 0x20000000, ('203.0.113.7', 80))"),
        "errno EPERM"
    );
}

#[test]
fn a_udp_server_does_not_answer_strangers_yet() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world
        .client
        .ok("s = socket.socket(2, 2); s.bind(('203.0.113.8', 5353)); s.settimeout(2)");
    world
        .server
        .ok("c = socket.socket(2, 2); c.sendto(b'?', ('203.0.113.8', 5353))");
    world.client.ok("q, peer = s.recvfrom(9)");
    assert_eq!(world.client.does("s.sendto(b'!', peer)"), "errno EPERM");
}

#[test]
fn a_workload_reaches_its_own_servers_on_loopback() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    for (family, bound, asked) in [
        ("socket.AF_INET", "127.0.0.1", "127.0.0.1"),
        ("socket.AF_INET", "0.0.0.0", "127.0.0.5"),
        ("socket.AF_INET", "127.0.0.1", "0.0.0.0"),
        ("socket.AF_INET6", "::1", "::1"),
        ("socket.AF_INET6", "::", "127.0.0.1"),
        ("socket.AF_INET6", "::", "::ffff:127.0.0.1"),
    ] {
        let dual = if bound == "::" {
            ", dualstack_ipv6=True"
        } else {
            ""
        };
        world.client.ok(&format!(
            "l = socket.create_server(('{bound}', 8080), family={family}{dual}); l.settimeout(3)"
        ));
        let ask = format!(
            "c = socket.create_connection(('{asked}', 8080), 3); c.settimeout(3); s, _ = l.accept()"
        );
        assert_eq!(world.client.does(&ask), "ok", "{bound} {asked}");
        world
            .client
            .ok("s.send(b'from the server'); c.send(b'from the client')");
        assert_eq!(
            world.client.ok("c.recv(99), s.recv(99)"),
            "(b'from the server', b'from the client')"
        );
        world.client.ok("c.close(); s.close(); l.close()");
    }
    world
        .client
        .ok("s = socket.socket(2, 2); s.bind(('127.0.0.1', 5353)); s.settimeout(2)");
    world
        .client
        .ok("u = socket.socket(2, 2); u.settimeout(2); u.sendto(b'?', ('127.0.0.1', 5353))");
    world
        .client
        .ok("q, peer = s.recvfrom(9); s.sendto(b'!', peer)");
    assert_eq!(world.client.ok("u.recv(9)"), "b'!'");
    world
        .client
        .ok("u.connect(('127.0.0.1', 5353)); u.send(b'again')");
    assert_eq!(world.client.ok("s.recv(9)"), "b'again'");
    let told = world.told();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn the_hosts_services_on_loopback_are_judged() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world.server.ok("a = socket.create_server(('127.0.0.1', 5432)); b = socket.create_server(('::', 5433), family=socket.AF_INET6)");
    world
        .server
        .ok("d = socket.socket(2, 2); d.bind(('127.0.0.1', 5432))");
    for address in [
        "('127.0.0.1', 5432)",
        "('0.0.0.0', 5432)",
        "('::1', 5433)",
        "('::', 5433)",
    ] {
        assert_eq!(
            world
                .client
                .does(&format!("socket.create_connection({address}, 2)")),
            "errno EPERM",
            "{address}"
        );
    }
    world.client.ok("u = socket.socket(2, 2)");
    assert_eq!(
        world.client.does("u.sendto(b'x', ('127.0.0.1', 5432))"),
        "errno EPERM"
    );
    world.client.ok("u.connect(('127.0.0.1', 5432))");
    assert_eq!(world.client.does("u.send(b'x')"), "errno EPERM");
    let causes: Vec<_> = world.told().iter().map(|event| event.cause()).collect();
    assert_eq!(causes, [Some(Cause::Policy); 6]);
}

#[test]
fn a_wildcard_listener_does_not_open_the_world() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world
        .server
        .ok("a = socket.create_server(('203.0.113.7', 80))");
    // Would be found by a look-up of any address with port 80.
    world.client.ok("l = socket.create_server(('203.0.113.8', 80)); m = socket.create_server(('127.0.0.1', 80))");
    assert_eq!(
        world
            .client
            .does("socket.create_connection(('203.0.113.7', 80), 2)"),
        "errno EPERM"
    );
    world.client.ok("w = socket.create_server(('0.0.0.0', 81))");
    assert_eq!(
        world
            .client
            .does("socket.create_connection(('203.0.113.7', 81), 2)"),
        "errno EPERM"
    );
}
