//! Keys, rows and events shared by the kernel programs and user space.
//!
//! One file per table. A row is `#[repr(C)]`, holds integers and byte arrays only, has no implicit padding (asserted
//! when it is compiled) and turns into bytes without `unsafe`, so that neither side needs a `Pod` promise.
//!
//! What this crate does not do: look anything up (`ebpf-logic`), talk to the kernel (`ebpf-loader`).
//!
//! Addresses are 16 bytes in network order, IPv4 as `::ffff:a.b.c.d`, so one table serves both families. Ports are in
//! host order, except in keys of prefix tables, whose bits the kernel compares from the left. Times are nanoseconds
//! of `CLOCK_BOOTTIME`, which counts suspend.
//!
//! Start with [`LearnedRow`] (a resolved address and how long it holds), [`PortKey`] (a port list), and
//! [`plan::Batch`] (what user space asks the tables to hold).
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "plan")]
extern crate alloc;

#[macro_use]
mod row;

pub mod address;
pub mod capacity;
mod event;
mod flow;
pub mod globals;
mod learned;
#[cfg(feature = "plan")]
pub mod plan;
mod ports;
mod prefix;
pub mod slot;
mod workload;

pub use event::{Cause, Event, Hook, event_flags};
pub use flow::{FlowRow, flow_flags};
pub use learned::{LearnedKey, LearnedRow, MAX_STEPS, Step};
pub use ports::{PROBE_PROTOCOL, PortKey, PortRow, Style, Verdict};
pub use prefix::{PrefixKey, PrefixRow};
pub use row::{Field, Row};
pub use slot::{SlotKey, SlotOrigin};
pub use workload::{WorkloadKey, WorkloadRow, workload_flags};

/// Changes with every change of a key, row, event or global: an object and a loader of different versions do not mix.
pub const LAYOUT_VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;

    #[test]
    fn rows_survive_their_bytes() {
        let row = LearnedRow {
            address: address::from_v4([203, 0, 113, 7]),
            ruleset: 3,
            lease: 9,
            reserved: 0,
            steps: [
                Step {
                    expires_at: 1,
                    list: 2,
                    reserved: 0,
                },
                Step {
                    expires_at: u64::MAX,
                    list: 4,
                    reserved: 0,
                },
                Step::default(),
                Step::default(),
            ],
        };
        let bytes = row.to_bytes();
        assert_eq!(LearnedRow::from_bytes(&bytes), Some(row));
        assert_eq!(LearnedRow::from_bytes(&bytes[..95]), None);
        // The fields stand where the kernel side's compiler puts them.
        assert_eq!(bytes[12..16], [203, 0, 113, 7]);
        assert_eq!(bytes[16..20], 3u32.to_ne_bytes());
        assert_eq!(bytes[32..40], 1u64.to_ne_bytes());
        assert_eq!(bytes[48..56], u64::MAX.to_ne_bytes());
    }

    #[test]
    fn events_survive_their_bytes() {
        let event = Event {
            remote: [7; 16],
            remote_port: 443,
            hook: Hook::Egress as u8,
            cause: Cause::Fragment as u8,
            comm: *b"curl\0\0\0\0\0\0\0\0\0\0\0\0",
            ..Event::default()
        };
        let back = Event::from_bytes(&event.to_bytes());
        assert_eq!(back, Some(event));
        assert_eq!(event.comm(), b"curl");
        assert_eq!(event.cause(), Some(Cause::Fragment));
        assert_eq!(event.hook(), Some(Hook::Egress));
    }

    #[test]
    fn mapped_addresses_are_the_same() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(address::from_ip(v4), address::from_ip(mapped));
        assert_eq!(address::to_ip(&address::from_ip(mapped)), v4);
        assert!(address::is_loopback(&address::from_ip(
            "127.9.9.9".parse().unwrap()
        )));
        assert!(!address::is_loopback(&address::from_ip(
            "::2".parse().unwrap()
        )));
    }

    #[test]
    fn slots_are_found_again() {
        assert_eq!(slot::slot_of(&slot::v4(0x1234), 5300), Some(0x1234));
        assert_eq!(slot::slot_of(&slot::v6(5300, 7), 5300), Some(7));
        assert_eq!(
            slot::slot_of(&slot::v6(5301, 7), 5300),
            None,
            "another run's"
        );
        assert_eq!(slot::slot_of(&slot::v4(0), 5300), None);
        assert!(slot::is_slot_range(&slot::v6(5301, 7)));
        assert!(!slot::is_slot_range(&address::from_v4([127, 0, 0, 1])));
    }
}
