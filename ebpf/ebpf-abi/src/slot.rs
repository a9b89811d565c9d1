//! `SLOTS` and `ORIGINS`: the known resolvers of a workload, and the slot addresses that stand for them.
//!
//! A question to a known resolver is sent to a slot address instead. The slot is the number of (workload, server), so
//! the interceptor knows both from the address the question came to: nothing is keyed by a client's port, and nothing
//! is evicted. User space numbers the slots when it writes a workload; the programs only read.

use crate::address::{Address, from_v4, to_v4};

row! {
    /// A server a workload may ask, and through the interceptor only.
    pub struct SlotKey: 32 {
        pub workload: u64,
        pub address: Address,
        pub port: u16,
        pub reserved: [u8; 6],
    }
}

row! {
    /// What a slot stands for.
    pub struct SlotOrigin: 32 {
        pub workload: u64,
        pub address: Address,
        pub port: u16,
        pub reserved: [u8; 6],
    }
}

/// First two octets of every IPv4 slot address: 127.83.0.0/16, which is loopback without any set-up.
pub const V4_PREFIX: [u8; 2] = [127, 83];

/// First three groups of every IPv6 slot address. The fourth is the interceptor's port, so that several runs sharing
/// a network namespace have a /64 each.
pub const V6_PREFIX: [u8; 6] = [0xfd, 0x83, 0x65, 0x67, 0x72, 0x65];

/// `127.83.hi.lo`, in table form.
#[inline(always)]
pub const fn v4(slot: u16) -> Address {
    let [hi, lo] = slot.to_be_bytes();
    from_v4([V4_PREFIX[0], V4_PREFIX[1], hi, lo])
}

/// `fd83:6567:7265:PORT::SLOT`.
#[inline(always)]
pub const fn v6(interceptor_port: u16, slot: u16) -> Address {
    let [a, b, c, d, e, f] = V6_PREFIX;
    let [ph, pl] = interceptor_port.to_be_bytes();
    let [hi, lo] = slot.to_be_bytes();
    [a, b, c, d, e, f, ph, pl, 0, 0, 0, 0, 0, 0, hi, lo]
}

/// Whether any Egret on this machine may use this address as a slot.
#[inline(always)]
pub const fn is_slot_range(address: &Address) -> bool {
    match to_v4(address) {
        Some([a, b, _, _]) => a == V4_PREFIX[0] && b == V4_PREFIX[1],
        None => {
            let [a, b, c, d, e, f, ..] = *address;
            let [pa, pb, pc, pd, pe, pf] = V6_PREFIX;
            a == pa && b == pb && c == pc && d == pd && e == pe && f == pf
        }
    }
}

/// The slot this address is, for the interceptor on `interceptor_port`. 0 is never a slot.
#[inline(always)]
pub const fn slot_of(address: &Address, interceptor_port: u16) -> Option<u16> {
    if !is_slot_range(address) {
        return None;
    }
    let [.., hi, lo] = *address;
    let slot = u16::from_be_bytes([hi, lo]);
    if slot == 0 {
        return None;
    }
    match to_v4(address) {
        Some(_) => Some(slot),
        None => {
            let [_, _, _, _, _, _, ph, pl, z0, z1, z2, z3, z4, z5, _, _] = *address;
            let ours = u16::from_be_bytes([ph, pl]) == interceptor_port;
            if ours && (z0 | z1 | z2 | z3 | z4 | z5) == 0 {
                Some(slot)
            } else {
                None
            }
        }
    }
}
