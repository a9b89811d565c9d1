//! What holds for every table and every packet.

use std::net::{IpAddr, Ipv4Addr};

use ebpf_abi::plan::{LearnedStep, ListId, Op, PortRule, Prefix, RulesetId};
use ebpf_abi::{PortRow, Verdict};
use ebpf_logic::host::{HostMaps, HostPacket, HostSocket};
use ebpf_logic::{Age, Target, glance, parse, rule};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{CGROUP, apply, leaves, packet, ports, tables, v4};

const RULESET: RulesetId = RulesetId(3);

/// A list as its author means it: ranges of ports per protocol, first match from the longest.
type Rows = Vec<(u8, u16, u8, bool)>;

fn rows() -> impl Strategy<Value = Rows> {
    let protocol = prop_oneof![Just(6u8), Just(17u8), Just(1u8)];
    vec((protocol, 0u16..64, 8u8..=16, any::<bool>()), 0..6)
}

/// Addresses close together, so that prefixes nest.
fn address() -> impl Strategy<Value = Ipv4Addr> {
    (0u8..4, 0u8..8).prop_map(|(c, d)| Ipv4Addr::new(198, 51, c, d))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The look-up is what a plain reading of the tables gives: the first step that has not passed, else the longest
    /// prefix; of its list, the longest row, else the default.
    #[test]
    fn the_lookup_reads_the_tables_as_written(
        lists in vec((rows(), any::<bool>()), 1..4),
        prefixes in vec((address(), 16u8..=32, 0usize..4), 0..8),
        learned in vec((address(), vec((1u64..100, 0usize..4), 1..=4)), 0..6),
        now in 0u64..110,
        asked in address(),
        port in 0u16..64,
        protocol in prop_oneof![Just(6u8), Just(17u8), Just(1u8), Just(50u8)],
    ) {
        let mut maps = HostMaps::new(1);
        maps.now = now;
        let list = |at: usize| ListId(u32::try_from(at % lists.len()).unwrap_or(0) + 1);
        // The last writer of a row counts: keep one.
        let lists_kept: Vec<(Rows, bool)> = lists.iter().map(|(rows, default)| (distinct(rows), *default)).collect();
        let mut ops = Vec::new();
        for (at, (rows, default)) in lists_kept.iter().enumerate() {
            ops.push(Op::PutList { list: list(at), rows: port_rules(rows, *default) });
        }
        for text in ["0.0.0.0", "::"] {
            let prefix = Prefix { address: text.parse().unwrap(), len: 0 };
            ops.push(Op::PutPrefix { ruleset: RULESET, prefix, list: ListId(1) });
        }
        for (address, len, at) in &prefixes {
            let prefix = Prefix { address: IpAddr::V4(*address), len: *len };
            ops.push(Op::PutPrefix { ruleset: RULESET, prefix, list: list(*at) });
        }
        for (address, steps) in &learned {
            let mut steps: Vec<_> = steps.iter().map(|(at, l)| LearnedStep { expires_at: *at, list: list(*l) }).collect();
            steps.sort_by_key(|step| step.expires_at);
            steps.dedup_by_key(|step| step.expires_at);
            ops.push(Op::PutLearned { ruleset: RULESET, address: IpAddr::V4(*address), lease: 1, steps });
        }
        apply(&mut maps, ops.clone());

        let target = Target { address: ebpf_abi::address::from_v4(asked.octets()), port, protocol };
        let got = rule(&maps, RULESET.0, &target, Age::New);
        let wanted = plain(&ops, asked, now);
        let (rows, default) = &lists_kept[usize::try_from(wanted.0).unwrap() - 1];
        prop_assert_eq!(got.list, wanted.0);
        prop_assert_eq!(got.allows(), plain_list(rows, *default, protocol, port));
    }

    /// Packets near a plain one, where a glance and a reading could differ.
    #[test]
    fn a_glance_sees_what_reading_sees(
        v6 in any::<bool>(),
        number in prop_oneof![Just(6u8), Just(17u8), Just(1u8), any::<u8>()],
        port: u16,
        at in 0usize..44,
        byte: u8,
        length in 0usize..60,
    ) {
        let maps = tables(&[]);
        let to = if v6 { "2001:db8::9" } else { "192.0.2.9" };
        let mut bytes = packet(to, number, &ports(port));
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.truncate(length.max(1));
        let packet = HostPacket { bytes: &bytes, version: if v6 { 6 } else { 4 } };
        if let Some(header) = glance(&packet) {
            prop_assert_eq!(parse(&maps, &packet), Ok(header));
        }
    }

    /// Any bytes are read or refused, and what is read stands in them.
    #[test]
    fn any_packet_is_read_or_refused(bytes in vec(any::<u8>(), 0..120), version in prop_oneof![Just(4u8), Just(6u8)]) {
        let maps = tables(&[]);
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = (version << 4) | (*first & 0x0f);
        }
        let packet = HostPacket { bytes: &bytes, version };
        if let Some(header) = glance(&packet) {
            prop_assert_eq!(parse(&maps, &packet), Ok(header), "a glance sees what reading sees");
        }
        if let Ok(header) = parse(&maps, &packet) {
            let address = if version == 4 { &bytes[16..20] } else { &bytes[24..40] };
            prop_assert!(header.target.address.ends_with(address));
        }
        prop_assert!(!leaves(&maps, &HostSocket::new(CGROUP), &bytes), "and nothing leaves where nothing is open");
    }

    /// However options are arranged, one that a router would read as a source route is seen.
    #[test]
    fn no_source_route_hides(before in vec((2u8..131, 2u8..9), 0..4), pad in 0usize..4, kind in prop_oneof![Just(131u8), Just(137u8)]) {
        let mut options = vec![1; pad];
        for (kind, length) in before {
            options.push(kind);
            options.push(length);
            options.extend(vec![0; usize::from(length) - 2]);
        }
        options.extend([kind, 7, 4, 192, 0, 2, 1]);
        while options.len() % 4 != 0 {
            options.push(0);
        }
        prop_assume!(options.len() <= 40);
        let maps = tables(&[]);
        let bytes = v4([192, 0, 2, 9], 17, 0, &options, &ports(80));
        let read = parse(&maps, &HostPacket { bytes: &bytes, version: 4 });
        prop_assert!(read.is_err());
    }
}

/// One row for each (protocol, prefix): the last one written.
fn distinct(rows: &Rows) -> Rows {
    let mut kept: Rows = Vec::new();
    for &(protocol, port, bits, allow) in rows {
        let port = masked(port, bits);
        kept.retain(|&(p, q, b, _)| (p, q, b) != (protocol, port, bits));
        kept.push((protocol, port, bits, allow));
    }
    kept
}

fn port_rules(rows: &Rows, default: bool) -> Vec<PortRule> {
    let ruling = |allow: bool| {
        let verdict = if allow { Verdict::Allow } else { Verdict::Deny };
        PortRow {
            verdict: verdict as u8,
            would: verdict as u8,
            ..PortRow::default()
        }
    };
    let default = PortRule {
        protocol: None,
        port: 0,
        port_bits: 0,
        ruling: ruling(default),
    };
    let rest = rows
        .iter()
        .map(|&(protocol, port, port_bits, allow)| PortRule {
            protocol: Some(protocol),
            port,
            port_bits,
            ruling: ruling(allow),
        });
    std::iter::once(default).chain(rest).collect()
}

/// The list that counts for an address, and whether a name opened it.
fn plain(ops: &[Op], asked: Ipv4Addr, now: u64) -> (u32, bool) {
    let mut best: Option<(u8, u32)> = None;
    let mut step = None;
    for op in ops {
        match op {
            Op::PutPrefix {
                prefix:
                    Prefix {
                        address: IpAddr::V4(net),
                        len,
                    },
                list,
                ..
            } => {
                let mask = u32::MAX.checked_shl(32 - u32::from(*len)).unwrap_or(0);
                let covers = u32::from(asked) & mask == u32::from(*net) & mask;
                if covers && best.is_none_or(|(longest, _)| *len >= longest) {
                    best = Some((*len, list.0));
                }
            }
            Op::PutLearned { address, steps, .. } if *address == IpAddr::V4(asked) => {
                step = steps
                    .iter()
                    .find(|step| now <= step.expires_at)
                    .map(|step| step.list.0);
            }
            Op::PutPrefix { .. }
            | Op::PutLearned { .. }
            | Op::PutList { .. }
            | Op::DelList { .. }
            | Op::DelLearned { .. }
            | Op::PutSlot { .. }
            | Op::DelSlot { .. }
            | Op::SetWorkload { .. }
            | Op::DelWorkload { .. }
            | Op::DelRuleset { .. } => {}
        }
    }
    match step {
        Some(list) => (list, true),
        None => (best.map_or(0, |(_, list)| list), false),
    }
}

fn plain_list(rows: &Rows, default: bool, protocol: u8, port: u16) -> bool {
    let fits = rows
        .iter()
        .filter(|&&(p, q, bits, _)| p == protocol && masked(port, bits) == q);
    fits.max_by_key(|&&(_, _, bits, _)| bits)
        .map_or(default, |&(_, _, _, allow)| allow)
}

fn masked(port: u16, bits: u8) -> u16 {
    port & u16::MAX.checked_shl(16 - u32::from(bits)).unwrap_or(0)
}
