//! Why a batch cannot be.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::{ListId, Prefix, RulesetId, WorkloadId};
use crate::learned::MAX_STEPS;

/// Why a batch is refused as a whole, before anything is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// List 0 means "none".
    ListZero,
    /// A list without exactly one default row.
    ListWithoutDefault { list: ListId },
    /// A port prefix longer than 16 bits, or a row for the reserved protocol.
    PortRow {
        list: ListId,
        protocol: Option<u8>,
        port_bits: u8,
    },
    /// A known list with other content: lists are immutable.
    ListChanged { list: ListId },
    /// A rule names a list nobody wrote.
    UnknownList { list: ListId },
    /// A prefix longer than its family's addresses.
    PrefixTooLong { prefix: Prefix },
    /// A new prefix of a ruleset that workloads use (rulesets are immutable), or forgetting it.
    RulesetInUse { ruleset: RulesetId },
    /// A workload is held to a ruleset without a prefix for every address of both families.
    RulesetNotWhole { ruleset: RulesetId },
    /// More than [`MAX_STEPS`] steps, or none.
    Steps { address: IpAddr, count: usize },
    /// Steps that do not ascend, or one without a time.
    StepOrder { address: IpAddr },
    /// More rows than the table takes (see [`capacity`](crate::capacity)), those it has included.
    TableFull {
        table: &'static str,
        rows: usize,
        capacity: usize,
    },
    /// Slot 0, or a slot that stands for something else.
    SlotTaken { slot: u16 },
    /// A server with two slots for one workload.
    ServerTwice {
        workload: WorkloadId,
        server: SocketAddr,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListZero => write!(f, "list 0 means no list"),
            Self::ListWithoutDefault { list } => {
                write!(f, "list {} does not have exactly one default row", list.0)
            }
            Self::PortRow {
                list,
                protocol,
                port_bits,
            } => {
                write!(
                    f,
                    "list {} has a row that cannot be: protocol {protocol:?}, {port_bits} port bits",
                    list.0
                )
            }
            Self::ListChanged { list } => {
                write!(f, "list {} is known with another content", list.0)
            }
            Self::UnknownList { list } => write!(f, "list {} was never written", list.0),
            Self::PrefixTooLong { prefix } => {
                write!(f, "prefix `{}/{}` is too long", prefix.address, prefix.len)
            }
            Self::RulesetInUse { ruleset } => {
                write!(f, "ruleset {} is in use and cannot change", ruleset.0)
            }
            Self::RulesetNotWhole { ruleset } => {
                write!(
                    f,
                    "ruleset {} does not answer for every address: 0.0.0.0/0 or ::/0 is missing",
                    ruleset.0
                )
            }
            Self::Steps { address, count } => {
                write!(
                    f,
                    "`{address}` has {count} steps, expected 1 to {MAX_STEPS}"
                )
            }
            Self::StepOrder { address } => write!(f, "steps of `{address}` do not ascend"),
            Self::TableFull {
                table,
                rows,
                capacity,
            } => {
                write!(
                    f,
                    "`{table}` would have {rows} rows with those in force, the limit is {capacity}"
                )
            }
            Self::SlotTaken { slot } => write!(f, "slot {slot} is not free"),
            Self::ServerTwice { workload, server } => {
                write!(
                    f,
                    "`{server}` has a slot for workload {} already",
                    workload.0
                )
            }
        }
    }
}

impl core::error::Error for PlanError {}
