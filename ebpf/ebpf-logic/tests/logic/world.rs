//! Tables with a few lists and one workload, and packets to ask them about.

use std::net::IpAddr;

use ebpf_abi::address::{Address, from_ip};
use ebpf_abi::plan::{Batch, LearnedStep, ListId, Op, PortRule, Prefix, RulesetId, WorkloadId};
use ebpf_abi::{PortRow, Style, Verdict, workload_flags};
use ebpf_logic::host::{HostMaps, HostPacket, HostSocket};
use ebpf_logic::{CallAction, Fault, PacketAction, Target, connect, egress, protocol, sendmsg};

pub(crate) const PORT: u16 = 5300;
pub(crate) const CGROUP: u64 = 77;
pub(crate) const OTHER: u64 = 78;
pub(crate) const NOTHING: ListId = ListId(1);
pub(crate) const WEB: ListId = ListId(2);
pub(crate) const MAIL: ListId = ListId(3);
pub(crate) const EVERYTHING: ListId = ListId(4);
pub(crate) const SILENT: ListId = ListId(5);
pub(crate) const RULES: RulesetId = RulesetId(7);

/// Tables for one workload that is denied everything.
pub(crate) fn tables(faults: &[Fault]) -> HostMaps {
    let mut maps = HostMaps::new(PORT);
    maps.faults = faults.to_vec();
    maps.now = 1_000;
    apply(&mut maps, lists());
    apply(&mut maps, ruleset(RULES, &[]));
    hold(&mut maps, RULES, workload_flags::FILTERED);
    maps
}

/// A ruleset that denies what these prefixes do not open.
pub(crate) fn ruleset(ruleset: RulesetId, open: &[(&str, ListId)]) -> Vec<Op> {
    [("0.0.0.0/0", NOTHING), ("::/0", NOTHING)]
        .iter()
        .chain(open)
        .map(|&(text, list)| Op::PutPrefix {
            ruleset,
            prefix: prefix(text),
            list,
        })
        .collect()
}

pub(crate) fn hold(maps: &mut HostMaps, ruleset: RulesetId, flags: u32) {
    apply(
        maps,
        vec![Op::SetWorkload {
            workload: WorkloadId(CGROUP),
            ruleset,
            flags,
        }],
    );
}

pub(crate) fn learn(
    maps: &mut HostMaps,
    ruleset: RulesetId,
    address: &str,
    steps: &[(u64, ListId)],
) {
    let steps = steps
        .iter()
        .map(|&(expires_at, list)| LearnedStep { expires_at, list })
        .collect();
    apply(
        maps,
        vec![Op::PutLearned {
            ruleset,
            address: address.parse().unwrap(),
            lease: 9,
            steps,
        }],
    );
}

pub(crate) fn apply(maps: &mut HostMaps, ops: Vec<Op>) {
    maps.apply(&ops.into_iter().collect::<Batch>()).unwrap();
}

pub(crate) fn prefix(text: &str) -> Prefix {
    let (address, len) = text.split_once('/').unwrap();
    Prefix {
        address: address.parse().unwrap(),
        len: len.parse().unwrap(),
    }
}

pub(crate) fn target(address: &str, port: u16, protocol: u8) -> Target {
    Target {
        address: ip(address),
        port,
        protocol,
    }
}

pub(crate) fn tcp(address: &str, port: u16) -> Target {
    target(address, port, protocol::TCP)
}

pub(crate) fn udp(address: &str, port: u16) -> Target {
    target(address, port, protocol::UDP)
}

pub(crate) fn ip(address: &str) -> Address {
    from_ip(address.parse::<IpAddr>().unwrap())
}

/// A new socket of the workload, changed.
pub(crate) fn socket_with(change: impl FnOnce(&mut HostSocket)) -> HostSocket {
    let mut socket = HostSocket::new(CGROUP);
    change(&mut socket);
    socket
}

/// Whether a connect goes on.
pub(crate) fn connects(maps: &HostMaps, socket: &HostSocket, target: &Target) -> bool {
    matches!(connect(maps, &socket, target), CallAction::Allow)
}

/// Whether a datagram's call goes on.
pub(crate) fn sends(maps: &HostMaps, socket: &HostSocket, target: &Target) -> bool {
    matches!(sendmsg(maps, &socket, target), CallAction::Allow)
}

/// Whether a packet leaves.
pub(crate) fn leaves(maps: &HostMaps, socket: &HostSocket, bytes: &[u8]) -> bool {
    verdict(maps, socket, bytes) == PacketAction::Pass
}

pub(crate) fn verdict(maps: &HostMaps, socket: &HostSocket, bytes: &[u8]) -> PacketAction {
    let version = bytes.first().map_or(4, |first| first >> 4);
    egress(maps, &socket, &HostPacket { bytes, version })
}

/// An IPv4 or IPv6 packet with this upper-layer part.
pub(crate) fn packet(to: &str, number: u8, upper: &[u8]) -> Vec<u8> {
    match to.parse::<IpAddr>().unwrap() {
        IpAddr::V4(to) => v4(to.octets(), number, 0, &[], upper),
        IpAddr::V6(to) => v6(to.octets(), number, upper),
    }
}

/// `frag`: the flags and offset word; the identification is 7.
pub(crate) fn v4(to: [u8; 4], number: u8, frag: u16, options: &[u8], upper: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0, "options come in fours");
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    let total = u16::try_from(20 + options.len() + upper.len()).unwrap();
    let mut bytes = vec![0x40 | words, 0];
    bytes.extend(total.to_be_bytes());
    bytes.extend(7u16.to_be_bytes());
    bytes.extend(frag.to_be_bytes());
    bytes.extend([64, number, 0, 0]);
    bytes.extend([192, 0, 2, 1]);
    bytes.extend(to);
    bytes.extend(options);
    bytes.extend(upper);
    bytes
}

pub(crate) fn v6(to: [u8; 16], next: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend(ip("2001:db8::1"));
    bytes.extend(to);
    bytes.extend(rest);
    bytes
}

/// Source and destination port, and enough after them for any header.
pub(crate) fn ports(port: u16) -> Vec<u8> {
    let mut bytes = 4000u16.to_be_bytes().to_vec();
    bytes.extend(port.to_be_bytes());
    bytes.extend([0; 16]);
    bytes
}

/// A TCP header with these flags.
pub(crate) fn segment(port: u16, flags: u8) -> Vec<u8> {
    let mut bytes = ports(port);
    bytes[13] = flags;
    bytes
}

fn lists() -> Vec<Op> {
    let allow = |reason: u32| PortRow {
        verdict: Verdict::Allow as u8,
        would: Verdict::Allow as u8,
        reason,
        ..PortRow::default()
    };
    let default = |ruling| PortRule {
        protocol: None,
        port: 0,
        port_bits: 0,
        ruling,
    };
    let row = |protocol, port: u16, port_bits| PortRule {
        protocol: Some(protocol),
        port,
        port_bits,
        ruling: allow(u32::from(port)),
    };
    let deny = PortRow {
        reason: 1,
        ..PortRow::default()
    };
    let silent = PortRow {
        style: Style::Drop as u8,
        ..deny
    };
    vec![
        Op::PutList {
            list: NOTHING,
            rows: vec![default(deny)],
        },
        Op::PutList {
            list: WEB,
            rows: vec![
                default(deny),
                row(protocol::TCP, 80, 16),
                row(protocol::UDP, 80, 16),
            ],
        },
        // Port 25, and the range 1024 to 2047.
        Op::PutList {
            list: MAIL,
            rows: vec![
                default(deny),
                row(protocol::TCP, 25, 16),
                row(protocol::TCP, 1024, 6),
            ],
        },
        Op::PutList {
            list: EVERYTHING,
            rows: vec![default(allow(4))],
        },
        Op::PutList {
            list: SILENT,
            rows: vec![default(silent)],
        },
    ]
}
