use std::net::IpAddr;

use dns_bindings::Limit;
use ebpf_abi::plan::{Batch, WorkloadId};
use policy_model::Time;

use crate::mode::Mode;
use crate::tables::Tables;
use crate::writes::Writes;

/// A change of the kernel's tables, and what becomes true once it is made.
///
/// Not to be dropped: hand it back as applied or abandoned.
#[derive(Debug, Default)]
#[must_use = "hand it back with `applied` or `abandoned`, or the state does not know what the kernel holds"]
pub struct Plan {
    pub(crate) writes: Writes,
    /// What becomes of a workload; most plans leave them as they are.
    pub(crate) change: Option<Change>,
    pub(crate) withheld: Option<Withheld>,
}

/// What a limit keeps out of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// In order; never empty.
    pub addresses: Vec<IpAddr>,
    pub limit: Limit,
    /// How many the limit leaves.
    pub most: usize,
}

/// What a plan changes of a workload once it is applied.
#[derive(Debug)]
pub(crate) enum Change {
    /// It is held to a new ruleset.
    Switched {
        workload: WorkloadId,
        mode: Mode,
        tables: Box<Tables>,
        planned_at: Time,
    },
    /// It is held no more.
    Released { workload: WorkloadId },
}

impl Plan {
    /// What to write, in this order.
    pub fn batch(&self) -> &Batch {
        &self.writes.batch
    }

    /// Addresses of the answer that are not opened, because there are too many: they must not be handed out.
    pub fn withheld(&self) -> Option<&Withheld> {
        self.withheld.as_ref()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes.batch.is_empty()
    }
}
