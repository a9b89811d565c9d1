//! What a socket remembers of its last allowed flow: exact, and whole or not at all.
//!
//! A UDP socket may be used by several threads at once, and their packets write its storage without a lock. If the
//! tuple were plain fields, a workload could race two allowed destinations into a third. So the 168 bits (address,
//! port, protocol, epoch) stand in four words of 42, and the other 22 bits of each word are the writer's stamp: words
//! of two writers do not make one memory.

use ebpf_abi::address::Address;

use crate::IDLE_NS;
use crate::packet::protocol;
use crate::seams::{Fault, Flow, Maps};
use crate::target::Target;

const STAMP_BITS: u32 = 22;
const STAMP_MASK: u64 = (1 << STAMP_BITS) - 1;
/// Where the epoch stands in the last word.
const EPOCH_MASK: u64 = 0xffff << STAMP_BITS;

/// How a memory fits a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recall {
    /// The same flow, allowed in this epoch.
    Current,
    /// The same flow, allowed in an earlier epoch.
    Earlier,
    /// Another flow, or none.
    Other,
}

/// How what `flow` remembers fits `target`. A flow of a protocol without an end (all but TCP) is forgotten once idle.
#[inline(always)]
pub(crate) fn remembered<M: Maps, F: Flow>(
    maps: &M,
    flow: F,
    target: &Target,
    epoch: u32,
) -> Recall {
    let mut found = recall(flow.allowed(), flow_words(maps, target, epoch));
    if matches!(found, Recall::Earlier) && maps.fault(Fault::EpochIgnored) {
        found = Recall::Current;
    }
    if matches!(found, Recall::Other) || target.protocol == protocol::TCP {
        return found;
    }
    let now = maps.coarse();
    let seen = flow.seen();
    if now.wrapping_sub(seen) > IDLE_NS {
        return Recall::Other;
    }
    if now != seen {
        flow.set_seen(now);
    }
    found
}

/// Remembers that `target` was allowed by the rules of `epoch`. The epoch is read before the rules are: user space
/// writes it after them, so an old ruling is never stamped with a new epoch.
#[inline(always)]
pub(crate) fn remember<M: Maps, F: Flow>(
    maps: &M,
    flow: F,
    target: &Target,
    lease: u32,
    epoch: u32,
) {
    if target.protocol != protocol::TCP {
        flow.set_seen(maps.coarse());
    }
    flow.set_lease(lease);
    flow.set_allowed(stamped(flow_words(maps, target, epoch), maps.stamp()));
}

/// Forgets what was allowed.
#[inline(always)]
pub(crate) fn forget<F: Flow>(flow: F) {
    flow.set_allowed([0; 4]);
}

/// The words of a flow, without a stamp.
#[inline(always)]
fn flow_words<M: Maps>(maps: &M, target: &Target, epoch: u32) -> [u64; 4] {
    let port = if maps.fault(Fault::PortForgotten) {
        0
    } else {
        target.port
    };
    let low =
        (u64::from(port) << 24) | (u64::from(target.protocol) << 16) | u64::from(epoch & 0xffff);
    words(&target.address, low)
}

/// The words of a first fragment, without a stamp.
#[inline(always)]
pub(crate) fn fragment_words(address: &Address, protocol: u8, id: u32) -> [u64; 4] {
    words(address, (u64::from(id) << 8) | u64::from(protocol))
}

/// The words as one writer stores them.
#[inline(always)]
pub(crate) fn stamped(words: [u64; 4], stamp: u32) -> [u64; 4] {
    let stamp = u64::from(stamp) & STAMP_MASK;
    let [a, b, c, d] = words;
    [a | stamp, b | stamp, c | stamp, d | stamp]
}

/// Compares what is stored with the words of a packet.
#[inline(always)]
pub(crate) fn recall(stored: [u64; 4], wanted: [u64; 4]) -> Recall {
    let [s0, s1, s2, s3] = stored;
    let [w0, w1, w2, w3] = wanted;
    let torn = ((s0 ^ s1) | (s0 ^ s2) | (s0 ^ s3)) & STAMP_MASK;
    let other = ((s0 ^ w0) | (s1 ^ w1) | (s2 ^ w2)) & !STAMP_MASK;
    let last = (s3 ^ w3) & !STAMP_MASK;
    if torn | other | (last & !EPOCH_MASK) != 0 {
        Recall::Other
    } else if last != 0 {
        Recall::Earlier
    } else {
        Recall::Current
    }
}

/// 128 bits of address and 40 of `low` as four words of 42 bits, above the stamp's place.
#[inline(always)]
fn words(address: &Address, low: u64) -> [u64; 4] {
    let [
        a0,
        a1,
        a2,
        a3,
        a4,
        a5,
        a6,
        a7,
        b0,
        b1,
        b2,
        b3,
        b4,
        b5,
        b6,
        b7,
    ] = *address;
    let high = u64::from_ne_bytes([a0, a1, a2, a3, a4, a5, a6, a7]);
    let rest = u64::from_ne_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
    let w0 = high << STAMP_BITS;
    let w1 = ((high >> 42) << 20 | (rest & 0xf_ffff)) << STAMP_BITS;
    let w2 = ((rest >> 20) & ((1 << 42) - 1)) << STAMP_BITS;
    let w3 = (((rest >> 62) << 40) | (low & ((1 << 40) - 1))) << STAMP_BITS;
    [w0, w1, w2, w3]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::HostMaps;

    fn target() -> impl Strategy<Value = Target> {
        // Few values, so that mixtures of two targets meet a third often.
        let bytes = [0u8, 1, 0x80].map(Just);
        let byte = proptest::strategy::Union::new(bytes);
        (proptest::array::uniform16(byte), 0u16..3, 6u8..8).prop_map(|(address, port, protocol)| {
            Target {
                address,
                port,
                protocol,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_stored_is_recalled_and_nothing_else(a in target(), b in target(), stamp: u32) {
            let maps = HostMaps::new(1);
            let stored = stamped(flow_words(&maps, &a, 1), stamp);
            prop_assert_eq!(recall(stored, flow_words(&maps, &a, 1)), Recall::Current);
            if a != b {
                prop_assert_eq!(recall(stored, flow_words(&maps, &b, 1)), Recall::Other);
            }
        }

        #[test]
        fn two_writers_make_no_third(a in target(), b in target(), mask in 1u8..15, stamps: (u32, u32)) {
            prop_assume!((stamps.0 ^ stamps.1) & 0x3f_ffff != 0);
            let maps = HostMaps::new(1);
            let first = stamped(flow_words(&maps, &a, 1), stamps.0);
            let second = stamped(flow_words(&maps, &b, 1), stamps.1);
            let mixed = core::array::from_fn(|at| if mask >> at & 1 == 1 { first[at] } else { second[at] });
            for wanted in [&a, &b, &Target { port: b.port, ..a }, &Target { address: b.address, ..a }] {
                prop_assert_eq!(recall(mixed, flow_words(&maps, wanted, 1)), Recall::Other);
            }
        }
    }
}
