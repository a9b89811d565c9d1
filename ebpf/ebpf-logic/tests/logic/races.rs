//! User space switches rules while a program is between two look-ups.

use std::cell::Cell;

use ebpf_abi::{
    Event, LearnedKey, LearnedRow, PortKey, PortRow, PrefixKey, PrefixRow, SlotKey, SlotOrigin,
    WorkloadKey, WorkloadRow,
};
use ebpf_logic::host::{HostMaps, HostPacket, HostSocket};
use ebpf_logic::{CallAction, Maps, PacketAction, connect, egress, sendmsg};
use test_case::test_case;

use crate::world::{CGROUP, RULES, WEB, learn, leaves, packet, ports, tables, tcp, udp};

/// The epoch moves as soon as the workload's row was read: the row is the old one, everything after is new.
struct Switching<'a> {
    tables: &'a HostMaps,
    epoch: Cell<u32>,
}

impl Maps for Switching<'_> {
    fn workload(&self, key: &WorkloadKey) -> Option<WorkloadRow> {
        self.epoch.set(self.epoch.get() + 1);
        self.tables.workload(key)
    }

    fn epoch(&self) -> u32 {
        self.epoch.get()
    }

    fn learned(&self, key: &LearnedKey) -> Option<&LearnedRow> {
        self.tables.learned(key)
    }

    fn prefix(&self, key: &PrefixKey) -> Option<PrefixRow> {
        self.tables.prefix(key)
    }

    fn port(&self, key: &PortKey) -> Option<PortRow> {
        self.tables.port(key)
    }

    fn slot(&self, key: &SlotKey) -> Option<u16> {
        self.tables.slot(key)
    }

    fn origin(&self, slot: u16) -> Option<SlotOrigin> {
        self.tables.origin(slot)
    }

    fn interceptor_port(&self) -> u16 {
        self.tables.interceptor_port()
    }

    fn now(&self) -> u64 {
        self.tables.now()
    }

    fn coarse(&self) -> u64 {
        self.tables.coarse()
    }

    fn stamp(&self) -> u32 {
        self.tables.stamp()
    }

    fn emit(&self, event: &Event) {
        self.tables.emit(event);
    }
}

#[test_case(6, |maps, socket| connect(maps, &socket, &tcp("192.0.2.9", 80)) == CallAction::Allow; "connect")]
#[test_case(17, |maps, socket| sendmsg(maps, &socket, &udp("192.0.2.9", 80)) == CallAction::Allow; "sendmsg")]
#[test_case(17, |maps, socket| {
    let bytes = packet("192.0.2.9", 17, &ports(80));
    egress(maps, &socket, &HostPacket { bytes: &bytes, version: 4 }) == PacketAction::Pass
}; "egress")]
fn an_old_ruling_is_not_stamped_with_a_new_epoch(
    number: u8,
    begins: fn(&Switching<'_>, &HostSocket) -> bool,
) {
    let mut maps = tables(&[]);
    learn(&mut maps, RULES, "192.0.2.9", &[(9_000, WEB)]);
    let socket = HostSocket::new(CGROUP);
    let before = maps.epoch();
    assert!(begins(
        &Switching {
            tables: &maps,
            epoch: Cell::new(before)
        },
        &socket
    ));
    // The rules of the new epoch: nothing is open.
    crate::world::apply(
        &mut maps,
        crate::world::ruleset(ebpf_abi::plan::RulesetId(8), &[]),
    );
    crate::world::hold(&mut maps, ebpf_abi::plan::RulesetId(8), 0);
    assert_eq!(maps.epoch(), before + 1);
    assert!(!leaves(
        &maps,
        &socket,
        &packet("192.0.2.9", number, &ports(80))
    ));
}
