//! Raw sockets: hand-made headers, fragments, source routes.

use std::time::Duration;

use ebpf_abi::Cause;

use crate::world::{EVERYTHING, WEB, World, privileged};

const MINUTE: Duration = Duration::from_secs(60);

/// Python that makes an IPv4 packet; the kernel fills length, checksum and identification where they are 0.
const PACKET: &str = "
def packet(to, payload, proto=17, ident=1, frag=0, options=b''):
    ihl = 5 + len(options) // 4
    return struct.pack('!BBHHHBBH4s4s', 0x40 | ihl, 0, 20 + len(options) + len(payload), ident, frag, 64, proto, 0, socket.inet_aton('203.0.113.8'), socket.inet_aton(to)) + options + payload
def udp(port, data=b'x'):
    return struct.pack('!HHHH', 4000, port, 8 + len(data), 0) + data
def send(to, p):
    return raw.sendto(p, (to, 0)) and 1
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
";

fn world() -> World {
    let mut world = World::new();
    world.client.ok(PACKET);
    world.learn("203.0.113.7", &[(MINUTE, WEB)]);
    world
}

#[test]
fn the_header_in_the_packet_is_judged() {
    if !privileged() {
        return;
    }
    let mut world = world();
    let client = &mut world.client;
    assert_eq!(
        client.does("send('203.0.113.7', packet('203.0.113.7', udp(80)))"),
        "ok 1"
    );
    assert_eq!(
        client.does("send('203.0.113.7', packet('203.0.113.7', udp(81)))"),
        "errno EPERM"
    );
    assert_eq!(
        client.does("send('203.0.113.7', packet('192.0.2.53', udp(80)))"),
        "errno EPERM",
        "header disagrees"
    );
    assert_eq!(
        client.does("send('203.0.113.7', packet('203.0.113.7', b'xxxxxxxx', proto=47))"),
        "errno EPERM"
    );
    assert_eq!(
        client.does("send('203.0.113.7', packet('203.0.113.7', b'xx'))"),
        "errno EPERM",
        "no room for ports"
    );
    let causes: Vec<_> = world.told().iter().map(|event| event.cause()).collect();
    let policy = Some(Cause::Policy);
    assert_eq!(causes, [policy, policy, policy, Some(Cause::Malformed)]);
}

#[test]
fn fragments_follow_their_first() {
    if !privileged() {
        return;
    }
    let mut world = world();
    let client = &mut world.client;
    let later = |ident: u16| {
        format!("send('203.0.113.7', packet('203.0.113.7', b'y' * 8, ident={ident}, frag=2))")
    };
    let first = |ident: u16, port: u16| {
        format!(
            "send('203.0.113.7', packet('203.0.113.7', udp({port}, b'x' * 8), ident={ident}, frag=0x2000))"
        )
    };
    assert_eq!(client.does(&later(7)), "errno EPERM", "no first one");
    assert_eq!(client.does(&first(7, 81)), "errno EPERM");
    assert_eq!(
        client.does(&later(7)),
        "errno EPERM",
        "the first was denied"
    );
    assert_eq!(client.does(&first(7, 80)), "ok 1");
    assert_eq!(client.does(&later(7)), "ok 1");
    assert_eq!(client.does(&later(8)), "errno EPERM", "of another packet");
    // An established flow's first fragment takes the short way through the hook.
    assert_eq!(client.does(&first(9, 80)), "ok 1");
    assert_eq!(client.does(&later(9)), "ok 1");
}

#[test]
fn a_big_datagram_is_not_a_hand_made_fragment() {
    if !privileged() {
        return;
    }
    let mut world = world();
    world.server.ok("a = socket.socket(2, 2); a.bind(('203.0.113.7', 80)); a.settimeout(2); os.system('ip link set lo mtu 1500')");
    world
        .client
        .ok("u = socket.socket(2, 2); u.sendto(b'z' * 8000, ('203.0.113.7', 80))");
    assert_eq!(world.server.ok("len(a.recv(9000))"), "8000");
}

#[test]
fn source_routes_are_denied() {
    if !privileged() {
        return;
    }
    let mut world = world();
    world.learn("203.0.113.7", &[(MINUTE, EVERYTHING)]);
    world.learn("2001:db8::7", &[(MINUTE, EVERYTHING)]);
    let client = &mut world.client;
    // RFC 791: loose 131, strict 137; pointer 4; one hop. Before them, things that must be stepped over.
    for options in [
        "b'\\x83\\x07\\x04\\xc0\\x00\\x02\\x35\\x00'",
        "b'\\x01\\x89\\x07\\x04\\xc0\\x00\\x02\\x35'",
        "b'\\x94\\x04\\x00\\x00\\x83\\x07\\x04\\xc0\\x00\\x02\\x35\\x00'",
    ] {
        let code =
            format!("send('203.0.113.7', packet('203.0.113.7', udp(80), options={options}))");
        assert_eq!(client.does(&code), "errno EPERM", "{options}");
    }
    assert_eq!(
        client.does(
            "send('203.0.113.7', packet('203.0.113.7', udp(80), options=b'\\x94\\x04\\x00\\x00'))"
        ),
        "ok 1"
    );
    client.ok("u = socket.socket(2, 2); u.setsockopt(socket.IPPROTO_IP, 4, b'\\x83\\x07\\x04\\xc0\\x00\\x02\\x35\\x00')");
    assert_eq!(
        client.does("u.sendto(b'x', ('203.0.113.7', 80))"),
        "errno EPERM"
    );
    // A type 2 routing header (RFC 6275), which needs no privilege, and one written by hand.
    client.ok("r = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)");
    client.ok("v6 = lambda nh, rest: struct.pack('!IHBB', 6 << 28, len(rest), nh, 64) + socket.inet_pton(10, '2001:db8::7') + socket.inet_pton(10, '2001:db8::7') + rest");
    let routing = "struct.pack('!BBBBI', 17, 2, 0, 1, 0) + socket.inet_pton(10, '2001:db8::53')";
    assert_eq!(
        client.does(&format!(
            "r.sendto(v6(43, {routing} + udp(80)), ('2001:db8::7', 0))"
        )),
        "errno EPERM"
    );
    let hidden = format!("struct.pack('!BBHI', 43, 0, 0x0104, 0) + {routing}");
    assert_eq!(
        client.does(&format!(
            "r.sendto(v6(60, {hidden} + udp(80)), ('2001:db8::7', 0)) and 1"
        )),
        "errno EPERM"
    );
    let options = "struct.pack('!BBHI', 17, 0, 0x0104, 0)";
    assert_eq!(
        client.does(&format!(
            "r.sendto(v6(60, {options} + udp(80)), ('2001:db8::7', 0)) and 1"
        )),
        "ok 1"
    );
    let causes: Vec<_> = world.told().iter().map(|event| event.cause()).collect();
    assert_eq!(causes, [Some(Cause::SourceRoute); 6]);
}

#[test]
fn other_protocols_are_judged_by_number() {
    if !privileged() {
        return;
    }
    let mut world = world();
    world.client.ok("l = socket.socket(socket.AF_INET, 2, 136)");
    assert_eq!(
        world.client.does("l.sendto(b'x', ('203.0.113.7', 80))"),
        "errno EPERM",
        "UDP-Lite is not UDP"
    );
    world
        .client
        .ok("s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)");
    let init = "struct.pack('!HHII', 4000, 80, 0, 0)";
    assert_eq!(
        world
            .client
            .does(&format!("s.sendto({init}, ('203.0.113.7', 0))")),
        "errno EPERM",
        "SCTP is not TCP"
    );
    world.learn("203.0.113.7", &[(MINUTE, EVERYTHING)]);
    assert_eq!(
        world.client.does("l.sendto(b'x', ('203.0.113.7', 80))"),
        "ok 1"
    );
    assert_eq!(
        world
            .client
            .does(&format!("s.sendto({init}, ('203.0.113.7', 0))")),
        "ok 12"
    );
    let told = world.told();
    let seen: Vec<_> = told
        .iter()
        .map(|event| (event.protocol, event.remote_port))
        .collect();
    assert_eq!(seen, [(136, 80), (132, 80)]);
}
