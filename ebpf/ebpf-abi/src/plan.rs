//! What user space wants the tables to hold: plain data, so that whoever decides it needs no kernel.

mod error;
mod ledger;
mod rows;
mod stage;

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::ports::PortRow;

pub use error::PlanError;
pub use ledger::{Ledger, Write};

/// A ruleset. Immutable once a workload uses it, but for what names open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RulesetId(pub u32);

/// A port list. Immutable; 0 is not a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListId(pub u32);

/// A workload: its cgroup's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId(pub u64);

/// Changes of the tables. The order inside is the caller's wish; the loader applies them in phases that never open
/// (see `ebpf-loader`), and stops at the first that fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    ops: Vec<Op>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A port list. Writing the same list again is fine; another content under a known number is refused.
    PutList { list: ListId, rows: Vec<PortRule> },
    /// Forgets a list nothing names any more.
    DelList { list: ListId },
    /// A folded prefix of a ruleset no workload uses yet.
    PutPrefix {
        ruleset: RulesetId,
        prefix: Prefix,
        list: ListId,
    },
    /// What names open at an address; replaces what stood there. Steps ascend by expiry, at most
    /// [`MAX_STEPS`](crate::MAX_STEPS).
    PutLearned {
        ruleset: RulesetId,
        address: IpAddr,
        lease: u32,
        steps: Vec<LearnedStep>,
    },
    /// Closes an address to what `PREFIXES` says of it.
    DelLearned { ruleset: RulesetId, address: IpAddr },
    /// A server the workload's questions go to, through the interceptor. `slot` is not 0.
    PutSlot {
        slot: u16,
        workload: WorkloadId,
        server: SocketAddr,
    },
    /// Forgets a server; questions to it are flows like any other from then on.
    DelSlot { slot: u16 },
    /// Holds a workload to a ruleset; flags are of [`workload_flags`](crate::workload_flags). Established flows are
    /// judged again.
    SetWorkload {
        workload: WorkloadId,
        ruleset: RulesetId,
        flags: u32,
    },
    /// Closes a workload: everything it sends is denied.
    DelWorkload { workload: WorkloadId },
    /// Forgets a ruleset no workload uses: its prefixes and what names opened under it.
    DelRuleset { ruleset: RulesetId },
}

/// A row of a port list. The longest match wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRule {
    /// `None`: the default row, for protocols and ports the list does not name.
    pub protocol: Option<u8>,
    /// ICMP: type << 8 | code.
    pub port: u16,
    /// Bits of `port` that count, 0 to 16.
    pub port_bits: u8,
    pub ruling: PortRow,
}

/// A prefix as people write it: `len` is 0 to 32 for IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    pub address: IpAddr,
    pub len: u8,
}

/// A step of a learned address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedStep {
    /// Nanoseconds of `CLOCK_BOOTTIME`; holds while now ≤ this.
    pub expires_at: u64,
    pub list: ListId,
}

impl Batch {
    /// Nothing to do.
    pub const fn new() -> Self {
        Self { ops: Vec::new() }
    }

    /// Adds a change.
    pub fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// The changes.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

impl FromIterator<Op> for Batch {
    fn from_iter<I: IntoIterator<Item = Op>>(ops: I) -> Self {
        Self {
            ops: ops.into_iter().collect(),
        }
    }
}

impl Extend<Op> for Batch {
    fn extend<I: IntoIterator<Item = Op>>(&mut self, ops: I) {
        self.ops.extend(ops);
    }
}
