//! What the tables hold by now.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::{ListId, PortRule, RulesetId, WorkloadId};
use crate::address::{Address, to_ip};
use crate::learned::{LearnedKey, LearnedRow};
use crate::ports::{PortKey, PortRow};
use crate::prefix::{PrefixKey, PrefixRow};
use crate::slot::{SlotKey, SlotOrigin};
use crate::workload::{WorkloadKey, WorkloadRow};

/// One write of one table; `None` removes the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Port(PortKey, Option<PortRow>),
    /// Not a write: every row of the list stands by now.
    ListStands(ListId),
    /// Not a write: the rows of the list are about to go.
    ListFalls(ListId),
    Prefix(PrefixKey, Option<PrefixRow>),
    Learned(LearnedKey, Option<LearnedRow>),
    Slot(SlotKey, Option<u16>),
    Origin(u16, Option<SlotOrigin>),
    Workload(WorkloadKey, Option<WorkloadRow>),
    /// Established flows are judged again.
    Epoch(u32),
}

/// What user space has written so far. It knows every key, so that forgetting a ruleset needs no scan of the tables.
///
/// [`Self::stage`] says what a batch comes to; [`Self::wrote`] is told of each write that succeeded.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(super) lists: BTreeMap<ListId, Vec<PortRule>>,
    /// Lists whose rows may stand in part.
    pub(super) pending: BTreeMap<ListId, Vec<PortRule>>,
    pub(super) rulesets: BTreeMap<RulesetId, RulesetKeys>,
    pub(super) slots: BTreeMap<u16, (WorkloadId, SocketAddr)>,
    pub(super) workloads: BTreeMap<WorkloadId, RulesetId>,
    pub(super) epoch: u32,
    pub(super) rows: RowCounts,
}

/// How many rows the tables have. Lists that may stand in part count as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowCounts {
    pub(super) ports: usize,
    pub(super) prefixes: usize,
    pub(super) learned: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct RulesetKeys {
    pub(super) prefixes: BTreeSet<(u32, Address)>,
    pub(super) learned: BTreeSet<Address>,
}

impl Ledger {
    /// Empty tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that a write reached its table.
    pub fn wrote(&mut self, write: &Write) {
        match write {
            Write::Port(..) | Write::Slot(..) => {}
            Write::ListStands(list) => {
                if let Some(rows) = self.pending.remove(list) {
                    self.lists.insert(*list, rows);
                }
            }
            Write::ListFalls(list) => {
                let fallen = [self.pending.remove(list), self.lists.remove(list)];
                let rows: usize = fallen.iter().flatten().map(|rules| list_rows(rules)).sum();
                self.rows.ports = self.rows.ports.saturating_sub(rows);
            }
            Write::Prefix(key, row) => {
                let ruleset = RulesetId(u32::from_be_bytes(key.ruleset));
                let prefix = (key.bits - PrefixKey::RULESET_BITS, key.address);
                let keys = &mut self.rulesets.entry(ruleset).or_default().prefixes;
                note(keys, prefix, row.is_some(), &mut self.rows.prefixes);
                self.tidy(ruleset);
            }
            Write::Learned(key, row) => {
                let ruleset = RulesetId(key.ruleset);
                let keys = &mut self.rulesets.entry(ruleset).or_default().learned;
                note(keys, key.address, row.is_some(), &mut self.rows.learned);
                self.tidy(ruleset);
            }
            Write::Origin(slot, Some(origin)) => {
                let server = SocketAddr::new(to_ip(&origin.address), origin.port);
                self.slots
                    .insert(*slot, (WorkloadId(origin.workload), server));
            }
            Write::Origin(slot, None) => {
                self.slots.remove(slot);
            }
            Write::Workload(key, Some(row)) => {
                self.workloads
                    .insert(WorkloadId(key.cgroup), RulesetId(row.ruleset));
            }
            Write::Workload(key, None) => {
                self.workloads.remove(&WorkloadId(key.cgroup));
            }
            Write::Epoch(epoch) => self.epoch = *epoch,
        }
    }

    /// What a slot stands for.
    pub fn slot(&self, slot: u16) -> Option<(WorkloadId, SocketAddr)> {
        self.slots.get(&slot).copied()
    }

    /// Addresses that names opened, under every ruleset.
    pub fn learned_count(&self) -> usize {
        self.rows.learned
    }

    /// Forgets a ruleset that has no keys left.
    fn tidy(&mut self, ruleset: RulesetId) {
        let is_empty = |keys: &RulesetKeys| keys.prefixes.is_empty() && keys.learned.is_empty();
        if self.rulesets.get(&ruleset).is_some_and(is_empty) {
            self.rulesets.remove(&ruleset);
        }
    }
}

fn note<K: Ord>(keys: &mut BTreeSet<K>, key: K, stands: bool, count: &mut usize) {
    if stands {
        *count += usize::from(keys.insert(key));
    } else {
        *count -= usize::from(keys.remove(&key));
    }
}

/// Rows that a list takes: its own, and the one that says whether it opens anything.
pub(super) fn list_rows(rules: &[PortRule]) -> usize {
    rules.len() + 1
}
