//! The decision a system call or a packet of a held workload gets.
//!
//! One source for the kernel programs and for the host: generic over [`Maps`] (the tables), [`Socket`] (who asks) and
//! [`Packet`] (bytes). Everything is bounded, nothing panics, nothing allocates: the verifier reads this code too.
//!
//! What this crate does not do: rank rules (user space folded them into port lists), write tables, know policies.
//!
//! Read in this order: [`rule()`] (the look-up), [`connect`] and [`sendmsg`] (system calls), [`egress()`] (packets),
//! [`ingress()`] (who was written to), [`undo`] (the resolver's address back in place of the slot's).
//!
//! What fails, fails closed: no workload, no prefix, no port list, no readable header are denials with a
//! [`Cause`](ebpf_abi::Cause) of their own.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "host"))]
extern crate std;

mod call;
mod egress;
mod gate;
#[cfg(feature = "host")]
pub mod host;
mod ingress;
mod memory;
mod packet;
mod report;
mod rule;
mod seams;
mod target;

pub use call::{CallAction, connect, sendmsg, undo};
pub use egress::{PacketAction, egress};
pub use ingress::{ingress, socket_made};
pub use packet::{Fragment, Header, glance, parse, protocol};
pub use rule::{Age, Ruling, rule};
pub use seams::{Fault, Flow, Maps, Packet, Socket, Who};
pub use target::Target;

/// A flow without an end of its own (all but TCP) is established while packets come at least this often. The value is
/// conntrack's for UDP streams.
pub const IDLE_NS: u64 = 120_000_000_000;
