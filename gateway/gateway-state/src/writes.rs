use std::net::IpAddr;

use ebpf_abi::plan::{Batch, LearnedStep, RulesetId};

/// Writes to rulesets' tables, and what stands once they are made.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) batch: Batch,
    pub(crate) written: Vec<Written>,
}

/// What is true of a ruleset's tables once the batch is applied.
#[derive(Debug)]
pub(crate) enum Written {
    /// Lists are written that were not; so many were before.
    Lists { ruleset: RulesetId, before: usize },
    /// What an address has opened; nothing: its row is gone.
    Learned {
        ruleset: RulesetId,
        address: IpAddr,
        steps: Vec<LearnedStep>,
    },
}
