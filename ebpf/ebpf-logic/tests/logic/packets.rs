//! Packets: headers, fragments, flows, replies.

use ebpf_abi::plan::{Op, RulesetId, WorkloadId};
use ebpf_abi::{Cause, event_flags, workload_flags};
use ebpf_logic::host::{HostMaps, HostPacket, HostSocket};
use ebpf_logic::{Fragment, IDLE_NS, PacketAction, ingress, parse, protocol, socket_made};
use test_case::test_case;

use crate::world::{
    CGROUP, EVERYTHING, MAIL, OTHER, PORT, RULES, SILENT, WEB, apply, connects, hold, ip, learn,
    leaves, packet, ports, ruleset, segment, sends, socket_with, tables, tcp, udp, v4, v6, verdict,
};

const TO: [u8; 4] = [192, 0, 2, 9];
/// More fragments follow; and a second part at eight bytes.
const MORE: u16 = 0x2000;
const SECOND: u16 = 1;

fn open() -> HostMaps {
    let mut maps = tables(&[]);
    learn(&mut maps, RULES, "192.0.2.9", &[(9_000, WEB)]);
    learn(&mut maps, RULES, "2001:db8::9", &[(9_000, WEB)]);
    maps
}

#[test_case("192.0.2.9", 17, 80 => true; "udp")]
#[test_case("192.0.2.9", 6, 80 => true; "tcp")]
#[test_case("192.0.2.9", 17, 81 => false; "another port")]
#[test_case("192.0.2.8", 17, 80 => false; "another address")]
#[test_case("192.0.2.9", 136, 80 => false; "udp-lite is another protocol")]
#[test_case("192.0.2.9", 132, 80 => false; "so is sctp")]
#[test_case("192.0.2.9", 47, 80 => false; "so is gre")]
#[test_case("2001:db8::9", 17, 80 => true; "v6 udp")]
#[test_case("2001:db8::9", 58, 80 => false; "icmpv6")]
fn whole_packets(to: &str, number: u8, port: u16) -> bool {
    leaves(
        &open(),
        &HostSocket::new(CGROUP),
        &packet(to, number, &ports(port)),
    )
}

#[test]
fn what_cannot_be_read_does_not_leave() {
    let maps = open();
    let socket = HostSocket::new(CGROUP);
    let whole = packet("192.0.2.9", 17, &ports(80));
    let short: Vec<(usize, &[u8])> = (0..24).map(|end| (end, &whole[..end])).collect();
    for (end, bytes) in short {
        assert!(!leaves(&maps, &socket, bytes), "{end} bytes");
    }
    let mut wrong = whole.clone();
    wrong[0] = 0x44;
    assert!(!leaves(&maps, &socket, &wrong), "a header of 16 bytes");
    let as_v6 = HostPacket {
        bytes: &whole,
        version: 6,
    };
    assert_eq!(
        ebpf_logic::egress(&maps, &&socket, &as_v6),
        PacketAction::Reject,
        "header and stack disagree"
    );
}

#[test_case(&[131, 7, 4, 192, 0, 2, 53, 0] => Some(Cause::SourceRoute); "loose")]
#[test_case(&[137, 7, 4, 192, 0, 2, 53, 0] => Some(Cause::SourceRoute); "strict")]
#[test_case(&[1, 1, 1, 131, 7, 4, 192, 0, 2, 53, 0, 0] => Some(Cause::SourceRoute); "after no-operations")]
#[test_case(&[148, 4, 0, 0, 137, 7, 4, 192, 0, 2, 53, 0] => Some(Cause::SourceRoute); "after router alert")]
#[test_case(&[148, 4, 0, 0] => None; "router alert alone")]
#[test_case(&[0, 131, 7, 4] => None; "after the end of options")]
#[test_case(&[7, 0, 0, 0] => Some(Cause::Malformed); "an option without length")]
#[test_case(&[7, 1, 131, 3] => Some(Cause::Malformed); "an option shorter than itself")]
#[test_case(&[7, 200, 0, 0] => None; "an option longer than the header hides nothing a router would read")]
fn options(options: &[u8]) -> Option<Cause> {
    let bytes = v4(TO, 17, 0, options, &ports(80));
    parse(
        &open(),
        &HostPacket {
            bytes: &bytes,
            version: 4,
        },
    )
    .err()
}

#[test_case(&[(0, 1)] => None; "hop by hop")]
#[test_case(&[(60, 2), (60, 1)] => None; "destination options, longer than one word")]
#[test_case(&[(43, 1)] => Some(Cause::SourceRoute); "routing header")]
#[test_case(&[(0, 1), (60, 1), (43, 1)] => Some(Cause::SourceRoute); "routing header behind others")]
#[test_case(&[(60, 1); 9] => Some(Cause::Malformed); "more headers than anyone sends")]
fn extension_headers(chain: &[(u8, u8)]) -> Option<Cause> {
    let mut rest = Vec::new();
    for (at, (_, words)) in chain.iter().enumerate() {
        let next = chain.get(at + 1).map_or(17, |(next, _)| *next);
        rest.extend([next, words - 1]);
        rest.extend(vec![0; usize::from(*words) * 8 - 2]);
    }
    rest.extend(ports(80));
    let bytes = v6(ip("2001:db8::9"), chain[0].0, &rest);
    match parse(
        &open(),
        &HostPacket {
            bytes: &bytes,
            version: 6,
        },
    ) {
        Ok(header) => {
            assert_eq!(
                (header.target, header.source_port),
                (udp("2001:db8::9", 80), 4000)
            );
            None
        }
        Err(cause) => Some(cause),
    }
}

#[test]
fn later_fragments_follow_an_allowed_first() {
    let maps = open();
    let socket = HostSocket::new(CGROUP);
    let first = |port| v4(TO, 17, MORE, &[], &ports(port));
    let later = v4(TO, 17, SECOND, &[], &[0; 8]);
    assert!(!leaves(&maps, &socket, &later), "alone");
    assert!(!leaves(&maps, &socket, &first(81)));
    assert!(!leaves(&maps, &socket, &later), "after a denied first");
    assert!(leaves(&maps, &socket, &first(80)));
    assert!(leaves(&maps, &socket, &later));
    assert!(
        !leaves(
            &maps,
            &socket,
            &v4([192, 0, 2, 8], 17, SECOND, &[], &[0; 8])
        ),
        "to another address"
    );
    assert!(
        !leaves(&maps, &socket, &v4(TO, 6, SECOND, &[], &[0; 8])),
        "of another protocol"
    );
    assert!(
        !leaves(&maps, &HostSocket::new(CGROUP), &later),
        "from another socket"
    );
}

#[test]
fn v6_fragments_carry_their_number() {
    let maps = open();
    let socket = HostSocket::new(CGROUP);
    let part = |word: u16, id: u32, rest: &[u8]| {
        let mut header = vec![17, 0];
        header.extend(word.to_be_bytes());
        header.extend(id.to_be_bytes());
        header.extend(rest);
        v6(ip("2001:db8::9"), protocol::FRAGMENT, &header)
    };
    assert!(leaves(&maps, &socket, &part(1, 7, &ports(80))));
    assert!(leaves(&maps, &socket, &part(8 << 3, 7, &[0; 8])));
    assert!(!leaves(&maps, &socket, &part(8 << 3, 8, &[0; 8])));
    assert!(!leaves(&maps, &socket, &part(1, 8, &ports(81))));
    let whole = part(0, 9, &ports(80));
    let header = parse(
        &maps,
        &HostPacket {
            bytes: &whole,
            version: 6,
        },
    )
    .unwrap();
    assert_eq!(
        header.fragment,
        Fragment::Whole,
        "an atomic fragment (RFC 6946) is whole"
    );
}

#[test]
fn a_flow_lives_on_after_its_lease() {
    let mut maps = open();
    let (stream, datagrams) = (HostSocket::new(CGROUP), HostSocket::new(CGROUP));
    assert!(connects(&maps, &stream, &tcp("192.0.2.9", 80)));
    assert!(sends(&maps, &datagrams, &udp("192.0.2.9", 80)));
    maps.now = 9_001;
    assert!(leaves(&maps, &stream, &packet("192.0.2.9", 6, &ports(80))));
    assert!(sends(&maps, &datagrams, &udp("192.0.2.9", 80)));
    assert!(leaves(
        &maps,
        &datagrams,
        &packet("192.0.2.9", 17, &ports(80))
    ));
    assert!(
        !leaves(&maps, &stream, &packet("192.0.2.9", 6, &ports(81))),
        "another port"
    );
    assert!(
        !leaves(&maps, &stream, &packet("192.0.2.9", 17, &ports(80))),
        "another protocol"
    );
    assert!(
        !leaves(
            &maps,
            &HostSocket::new(CGROUP),
            &packet("192.0.2.9", 6, &ports(80))
        ),
        "another socket"
    );
    maps.now += IDLE_NS + 1;
    assert!(
        leaves(&maps, &stream, &packet("192.0.2.9", 6, &ports(80))),
        "TCP ends by itself"
    );
    assert!(
        !leaves(&maps, &datagrams, &packet("192.0.2.9", 17, &ports(80))),
        "idle for too long"
    );
}

#[test]
fn traffic_to_others_does_not_keep_a_flow_alive() {
    let mut maps = open();
    let socket = HostSocket::new(CGROUP);
    assert!(sends(&maps, &socket, &udp("192.0.2.9", 80)));
    for _ in 0..3 {
        maps.now += IDLE_NS / 2;
        assert!(!leaves(
            &maps,
            &socket,
            &packet("192.0.2.8", 17, &ports(80))
        ));
    }
    assert!(!leaves(
        &maps,
        &socket,
        &packet("192.0.2.9", 17, &ports(80))
    ));
}

#[test_case(WEB => true; "still allowed")]
#[test_case(MAIL => false; "no longer")]
fn a_new_ruleset_judges_flows_again(list: ebpf_abi::plan::ListId) -> bool {
    let mut maps = open();
    let socket = HostSocket::new(CGROUP);
    assert!(connects(&maps, &socket, &tcp("192.0.2.9", 80)));
    let next = RulesetId(8);
    apply(&mut maps, ruleset(next, &[]));
    learn(&mut maps, next, "192.0.2.9", &[(1, list)]);
    hold(&mut maps, next, 0);
    let lives = leaves(&maps, &socket, &packet("192.0.2.9", 6, &ports(80)));
    assert_eq!(
        leaves(&maps, &socket, &packet("192.0.2.9", 6, &ports(80))),
        lives,
        "and so ever after"
    );
    assert!(
        !connects(&maps, &HostSocket::new(CGROUP), &tcp("192.0.2.9", 80)),
        "a new flow needs a live step"
    );
    let told = maps.take_events();
    let cut = told
        .iter()
        .filter(|event| event.flags & event_flags::ESTABLISHED != 0)
        .count();
    assert_eq!(cut, if lives { 0 } else { 2 });
    lives
}

#[test]
fn a_workload_that_is_gone_sends_nothing() {
    let mut maps = open();
    let socket = HostSocket::new(CGROUP);
    assert!(connects(&maps, &socket, &tcp("192.0.2.9", 80)));
    apply(
        &mut maps,
        vec![Op::DelWorkload {
            workload: WorkloadId(CGROUP),
        }],
    );
    assert!(!leaves(&maps, &socket, &packet("192.0.2.9", 6, &ports(80))));
}

#[test]
fn replies_of_a_listener_and_its_children() {
    let maps = tables(&[]);
    let peer = (ip("198.51.100.1"), 4444);
    let mut listener = socket_with(|socket| socket.listener = true);
    socket_made(&&listener);
    let answer = packet("198.51.100.1", 6, &segment(4444, 0x12));
    assert!(!leaves(&maps, &listener, &answer), "nobody wrote to it");
    ingress(&&listener);
    assert!(leaves(&maps, &listener, &answer));
    assert!(
        !leaves(
            &maps,
            &listener,
            &packet("198.51.100.1", 6, &segment(4444, 0x02))
        ),
        "a SYN is no answer"
    );
    let child = listener.accepted(peer);
    assert!(leaves(
        &maps,
        &child,
        &packet("198.51.100.1", 6, &segment(4444, 0x18))
    ));
    assert!(
        !leaves(
            &maps,
            &child,
            &packet("198.51.100.1", 6, &segment(4445, 0x18))
        ),
        "not its peer"
    );
    assert!(
        !leaves(&maps, &child, &packet("198.51.100.1", 17, &ports(4444))),
        "another protocol"
    );
    // A child that is disconnected and connected elsewhere is a client like any other.
    assert!(!connects(&maps, &child, &tcp("198.51.100.2", 80)));
    listener.listener = false;
    listener.peer = Some((ip("198.51.100.2"), 80));
    assert!(!connects(&maps, &listener, &tcp("198.51.100.2", 80)));
}

#[test]
fn a_listener_turned_client_does_not_answer_where_silence_was_ruled() {
    let mut maps = tables(&[]);
    learn(&mut maps, RULES, "198.51.100.2", &[(9_000, SILENT)]);
    let mut socket = socket_with(|socket| socket.listener = true);
    ingress(&&socket);
    socket.listener = false;
    socket.peer = Some((ip("198.51.100.2"), 80));
    assert!(
        connects(&maps, &socket, &tcp("198.51.100.2", 80)),
        "the call is not told"
    );
    let syn = packet("198.51.100.2", 6, &segment(80, 0x02));
    assert_eq!(verdict(&maps, &socket, &syn), PacketAction::Drop);
}

#[test]
fn slots_and_resolvers() {
    let mut maps = tables(&[]);
    let slots = [(1, CGROUP), (2, OTHER)].map(|(slot, workload)| Op::PutSlot {
        slot,
        workload: WorkloadId(workload),
        server: "192.0.2.53:53".parse().unwrap(),
    });
    apply(&mut maps, slots.to_vec());
    for address in ["192.0.2.53", "127.83.0.2"] {
        learn(&mut maps, RULES, address, &[(9_000, EVERYTHING)]);
    }
    let socket = HostSocket::new(CGROUP);
    assert!(
        leaves(&maps, &socket, &packet("127.83.0.1", 17, &ports(PORT))),
        "its own"
    );
    assert!(
        !leaves(&maps, &socket, &packet("127.83.0.2", 17, &ports(PORT))),
        "another's"
    );
    assert!(
        !leaves(&maps, &socket, &packet("192.0.2.53", 17, &ports(53))),
        "behind the interceptor's back"
    );
    assert!(
        leaves(&maps, &socket, &packet("192.0.2.53", 17, &ports(54))),
        "not a question"
    );
    let causes: Vec<_> = maps
        .take_events()
        .iter()
        .map(|event| event.cause())
        .collect();
    assert_eq!(
        causes,
        [Some(Cause::ForeignSlot), Some(Cause::Unredirected)]
    );
}

#[test]
fn a_denial_looks_as_its_rule_says() {
    let mut maps = tables(&[]);
    let socket = HostSocket::new(CGROUP);
    let bytes = packet("192.0.2.9", 17, &ports(80));
    assert_eq!(verdict(&maps, &socket, &bytes), PacketAction::Reject);
    learn(&mut maps, RULES, "192.0.2.9", &[(9_000, SILENT)]);
    assert_eq!(verdict(&maps, &socket, &bytes), PacketAction::Drop);
    hold(&mut maps, RULES, workload_flags::AUDIT);
    assert_eq!(verdict(&maps, &socket, &bytes), PacketAction::Pass);
}

/// A port of this machine may be shared or handed over: what went to the workload's own socket once may go to the host's next.
#[test_case(protocol::UDP, &[0x10]; "datagrams")]
#[test_case(protocol::TCP, &[0x02]; "a connection that is not made yet")]
fn an_own_listener_that_is_gone_leaves_nothing_open(number: u8, sent: &[u8]) {
    let maps = tables(&[]);
    let own = vec![(ip("127.0.0.1"), 8080, number, CGROUP)];
    let mut socket = socket_with(|socket| socket.listeners = own);
    if number == protocol::TCP {
        assert!(connects(&maps, &socket, &tcp("127.0.0.1", 8080)));
    }
    let to = |flags| packet("127.0.0.1", number, &segment(8080, flags));
    for flags in sent {
        assert!(leaves(&maps, &socket, &to(*flags)));
    }
    socket.listeners = vec![(ip("127.0.0.1"), 8080, number, OTHER)];
    assert!(!leaves(&maps, &socket, &to(0x10)), "the host's by now");
}

#[test]
fn a_connection_to_an_own_listener_outlives_it() {
    let maps = tables(&[]);
    let own = vec![(ip("127.0.0.1"), 8080, protocol::TCP, CGROUP)];
    let mut socket = socket_with(|socket| socket.listeners = own);
    assert!(connects(&maps, &socket, &tcp("127.0.0.1", 8080)));
    let to = |flags| packet("127.0.0.1", protocol::TCP, &segment(8080, flags));
    assert!(leaves(&maps, &socket, &to(0x02)) && leaves(&maps, &socket, &to(0x10)));
    socket.listeners.clear();
    assert!(
        leaves(&maps, &socket, &to(0x11)),
        "the last acknowledgement"
    );
}
