use std::net::IpAddr;

use ebpf_abi::plan::{Batch, LearnedStep, RulesetId, WorkloadId};

use crate::mode::Mode;
use crate::tables::Tables;

/// A change of the kernel's tables, and what becomes true once it is made.
///
/// Not to be dropped: hand it back as applied or abandoned.
#[derive(Debug)]
#[must_use = "hand it back with `applied` or `abandoned`, or the state does not know what the kernel holds"]
pub struct Plan {
    pub(crate) batch: Batch,
    pub(crate) effects: Vec<Effect>,
}

/// What a plan changes in the state once it is applied.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Lists of a ruleset are written that were not; so many were before.
    Lists { ruleset: RulesetId, before: usize },
    /// What an address has opened under a ruleset; nothing: its row is gone.
    Learned {
        ruleset: RulesetId,
        address: IpAddr,
        steps: Vec<LearnedStep>,
    },
    /// A workload has changed to a new ruleset.
    Switched {
        workload: WorkloadId,
        mode: Mode,
        tables: Box<Tables>,
    },
    /// A workload is held no more.
    Released { workload: WorkloadId },
}

impl Plan {
    /// What to write, in this order.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    pub(crate) const fn new() -> Self {
        Self {
            batch: Batch::new(),
            effects: Vec::new(),
        }
    }
}
