//! Questions to known resolvers go to the interceptor, and the program sees the server it asked.

use std::time::Duration;

use ebpf_abi::Cause;

use crate::world::{EVERYTHING, INTERCEPTOR, World, privileged};

/// A world with an interceptor and four resolvers: slots 1 to 4.
fn world() -> World {
    let mut world = World::new();
    world.server.ok(include_str!("interceptor.py"));
    world.server.ok(&format!("interceptor({INTERCEPTOR})"));
    world.resolvers(&[
        "192.0.2.53:53",
        "192.0.2.54:53",
        "[2001:db8::53]:53",
        "198.51.100.1:5353",
    ]);
    world
}

const UDP4: &str = "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(2)";
const UDP6: &str = "u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.settimeout(2)";

#[test]
fn one_unconnected_socket_asks_several_servers() {
    if !privileged() {
        return;
    }
    let mut world = world();
    let client = &mut world.client;
    client.ok(UDP4);
    client.ok("[u.sendto(q, (s, p)) for q, s, p in ((b'a', '192.0.2.53', 53), (b'b', '192.0.2.54', 53), (b'c', '198.51.100.1', 5353), (b'd', '192.0.2.53', 53))]");
    let answers = client.ok("sorted(u.recvfrom(99) for _ in range(4))");
    assert_eq!(
        answers,
        "[(b'a at 127.83.0.1', ('192.0.2.53', 53)), (b'b at 127.83.0.2', ('192.0.2.54', 53)), \
         (b'c at 127.83.0.4', ('198.51.100.1', 5353)), (b'd at 127.83.0.1', ('192.0.2.53', 53))]"
    );
    assert!(world.told().is_empty(), "nothing was denied");
}

#[test]
fn a_connected_socket_sees_its_server() {
    if !privileged() {
        return;
    }
    let mut world = world();
    let client = &mut world.client;
    client.ok(UDP4);
    client.ok("u.connect(('192.0.2.53', 53)); u.send(b'q')");
    assert_eq!(
        client.ok("u.recvfrom(99)"),
        "(b'q at 127.83.0.1', ('192.0.2.53', 53))"
    );
    assert_eq!(client.ok("u.getpeername()"), "('192.0.2.53', 53)");
}

#[test]
fn ipv6_and_mapped_sockets() {
    if !privileged() {
        return;
    }
    let mut world = world();
    let client = &mut world.client;
    client.ok(UDP6);
    client.ok("u.sendto(b'x', ('2001:db8::53', 53))");
    assert_eq!(
        client.ok("u.recvfrom(99)[:2]"),
        "(b'x at fd83:6567:7265:14b4::3', ('2001:db8::53', 53, 0, 0))"
    );
    client.ok("u.sendto(b'm', ('::ffff:192.0.2.53', 53))");
    assert_eq!(
        client.ok("u.recvfrom(99)"),
        "(b'm at 127.83.0.1', ('::ffff:192.0.2.53', 53, 0, 0))"
    );
    client.ok(UDP6);
    client.ok("u.connect(('::ffff:192.0.2.54', 53)); u.send(b'n'); u.send(b'o')");
    assert_eq!(
        client.ok("[u.recvfrom(99)[0] for _ in range(2)]"),
        "[b'n at 127.83.0.2', b'o at 127.83.0.2']"
    );
    assert_eq!(
        client.ok("u.getpeername()[:2]"),
        "('::ffff:192.0.2.54', 53)"
    );
    client.ok(UDP6);
    client.ok("u.connect(('2001:db8::53', 53)); u.send(b'p')");
    assert_eq!(
        client.ok("u.recv(99), u.getpeername()[0]"),
        "(b'p at fd83:6567:7265:14b4::3', '2001:db8::53')"
    );
}

#[test]
fn tcp_of_both_families() {
    if !privileged() {
        return;
    }
    let mut world = world();
    for (server, slot) in [
        ("192.0.2.53", "127.83.0.1"),
        ("2001:db8::53", "fd83:6567:7265:14b4::3"),
        ("::ffff:192.0.2.54", "127.83.0.2"),
    ] {
        world.client.ok(&format!(
            "t = socket.create_connection(('{server}', 53), 2); t.send(b'q')"
        ));
        assert_eq!(world.client.ok("t.getpeername()[0]"), server);
        assert_eq!(world.client.ok("t.recv(99)"), format!("b'q at {slot}'"));
    }
}

#[test]
fn a_batch_of_datagrams() {
    if !privileged() {
        return;
    }
    let mut world = world();
    let client = &mut world.client;
    client.ok(UDP4);
    client.ok("u.connect(('192.0.2.53', 53))");
    // glibc sends A and AAAA by one sendmmsg on a connected socket.
    client.ok(
        "iov = lambda b: (ctypes.c_void_p * 2)(ctypes.cast(ctypes.c_char_p(b), ctypes.c_void_p).value, len(b))\n\
         v = [iov(b'A'), iov(b'AAAA')]\n\
         m = (ctypes.c_uint64 * 16)()\n\
         for i in (0, 1): m[i * 8 + 2] = ctypes.addressof(v[i]); m[i * 8 + 3] = 1\n\
         sent = ctypes.CDLL(None).sendmmsg(u.fileno(), m, 2, 0)",
    );
    assert_eq!(client.ok("sent"), "2");
    assert_eq!(
        client.ok("sorted(u.recv(99) for _ in range(2))"),
        "[b'A at 127.83.0.1', b'AAAA at 127.83.0.1']"
    );
}

#[test]
fn somebody_elses_slot_is_closed_and_devices_do_not_get_around() {
    if !privileged() {
        return;
    }
    let mut world = world();
    world.apply(vec![ebpf_abi::plan::Op::PutSlot {
        slot: 9,
        workload: ebpf_abi::plan::WorkloadId(1),
        server: "192.0.2.53:53".parse().unwrap(),
    }]);
    // Even where every address is open.
    for address in ["127.83.0.9", "127.83.0.77", "127.83.0.1"] {
        world.learn(address, &[(Duration::from_secs(60), EVERYTHING)]);
    }
    world.learn("192.0.2.53", &[(Duration::from_secs(60), EVERYTHING)]);
    let client = &mut world.client;
    client.ok(UDP4);
    client.ok("u.sendto(b'own', ('127.83.0.1', 5300))");
    assert_eq!(
        client.ok("u.recvfrom(99)"),
        "(b'own at 127.83.0.1', ('192.0.2.53', 53))"
    );
    for address in [
        "('127.83.0.9', 5300)",
        "('127.83.0.77', 5300)",
        "('127.83.0.1', 5301)",
    ] {
        assert_eq!(
            client.does(&format!("u.sendto(b'q', {address})")),
            "errno EPERM",
            "{address}"
        );
        let tcp = format!("socket.create_connection({address}, 2)");
        assert_eq!(client.does(&tcp), "errno EPERM", "{address}");
    }
    client.ok("raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 17)");
    let datagram = "struct.pack('!HHHH', 4000, 5300, 9, 0) + b'q'";
    assert_eq!(
        client.does(&format!("raw.sendto({datagram}, ('127.83.0.9', 0))")),
        "errno EPERM"
    );
    let causes: Vec<_> = world.told().iter().map(|event| event.cause()).collect();
    assert_eq!(causes, [Some(Cause::ForeignSlot); 7]);

    // The resolver itself may be asked through the interceptor only, whatever the rules say of its address.
    let client = &mut world.client;
    let question = "struct.pack('!HHHH', 4000, 53, 9, 0) + b'q'";
    assert_eq!(
        client.does(&format!("raw.sendto({question}, ('192.0.2.53', 0))")),
        "errno EPERM"
    );
    client.ok(UDP4);
    client.ok("os.system('ip link add d0 type veth peer name d1; ip link set d0 up; ip addr add 192.0.2.9/24 dev d0')");
    client.ok("u.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'd0')");
    assert_eq!(
        client.does("u.sendto(b'q', ('192.0.2.53', 53))"),
        "errno EPERM"
    );
    assert_eq!(client.does("u.connect(('192.0.2.53', 53))"), "errno EPERM");
    let causes: Vec<_> = world.told().iter().map(|event| event.cause()).collect();
    assert_eq!(
        causes,
        [
            Some(Cause::Unredirected),
            Some(Cause::BoundDevice),
            Some(Cause::BoundDevice)
        ]
    );
}
