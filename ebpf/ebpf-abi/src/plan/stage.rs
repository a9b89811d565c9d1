//! Which writes a batch comes to, in an order that never opens.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::ledger::{RowCounts, list_rows};
use super::rows::{learned_row, port_rows, slot_rows, table_prefix};
use super::{
    Batch, LearnedStep, Ledger, ListId, Op, PlanError, PortRule, Prefix, RulesetId, WorkloadId,
    Write,
};
use crate::address::{Address, MAPPED_BITS, from_ip, from_v4};
use crate::capacity;
use crate::globals::maps;
use crate::learned::LearnedKey;
use crate::prefix::{PrefixKey, PrefixRow};
use crate::workload::{WorkloadKey, WorkloadRow};

/// A batch on its way: writes by phase, and what they will have made known.
#[derive(Default)]
struct Draft {
    new_lists: BTreeMap<ListId, Vec<PortRule>>,
    new_prefixes: BTreeMap<RulesetId, BTreeSet<(u32, Address)>>,
    new_learned: BTreeSet<(RulesetId, Address)>,
    /// `None`: forgotten on the way.
    new_slots: BTreeMap<u16, Option<(WorkloadId, SocketAddr)>>,
    /// Workloads that are switched, and to what.
    switched: BTreeMap<WorkloadId, Option<RulesetId>>,
    lists: Vec<Write>,
    rules: Vec<Write>,
    slots: Vec<Write>,
    workloads: Vec<Write>,
    removals: Vec<Write>,
}

impl Ledger {
    /// The writes of a batch, in phases: lists, what refers to lists, slots, then the workloads that use them, then
    /// the epoch, and last what is forgotten. Stopping after any write leaves tables that open nothing which was not
    /// open before and is not meant to be open after. The order of a batch counts only among changes of one learned
    /// address, slot or workload.
    ///
    /// Call [`Self::wrote`] after each write that succeeded.
    ///
    /// # Errors
    ///
    /// [`PlanError`], and nothing is to be written.
    pub fn stage(&mut self, batch: &Batch) -> Result<Vec<Write>, PlanError> {
        let mut draft = Draft::default();
        for op in batch.ops() {
            if let Op::PutList { list, rows } = op {
                self.put_list(*list, rows, &mut draft)?;
            }
        }
        for op in batch.ops() {
            self.put_rules_and_slots(op, &mut draft)?;
        }
        for op in batch.ops() {
            self.switch(op, &mut draft)?;
        }
        for op in batch.ops() {
            self.forget(op, &mut draft)?;
        }
        self.has_room(&draft)?;
        for (list, rows) in draft.new_lists {
            let count = list_rows(&rows);
            if self.pending.insert(list, rows).is_none() {
                self.rows.ports += count;
            }
        }
        let mut writes = draft.lists;
        writes.extend(draft.rules);
        writes.extend(draft.slots);
        if !draft.workloads.is_empty() {
            writes.extend(draft.workloads);
            writes.push(Write::Epoch(self.epoch.wrapping_add(1)));
        }
        writes.extend(draft.removals);
        Ok(writes)
    }

    fn put_list(
        &self,
        list: ListId,
        rows: &[PortRule],
        draft: &mut Draft,
    ) -> Result<(), PlanError> {
        if list.0 == 0 {
            return Err(PlanError::ListZero);
        }
        match self.lists.get(&list).or_else(|| draft.new_lists.get(&list)) {
            Some(known) if known == rows => return Ok(()),
            Some(_) => return Err(PlanError::ListChanged { list }),
            None => {}
        }
        if self.pending.get(&list).is_some_and(|known| known != rows) {
            return Err(PlanError::ListChanged { list });
        }
        for (key, row) in port_rows(list, rows)? {
            draft.lists.push(Write::Port(key, Some(row)));
        }
        draft.lists.push(Write::ListStands(list));
        draft.new_lists.insert(list, rows.to_vec());
        Ok(())
    }

    fn put_rules_and_slots(&self, op: &Op, draft: &mut Draft) -> Result<(), PlanError> {
        match op {
            Op::PutPrefix {
                ruleset,
                prefix,
                list,
            } => self.put_prefix(*ruleset, prefix, *list, draft),
            Op::PutLearned {
                ruleset,
                address,
                lease,
                steps,
            } => self.put_learned(*ruleset, *address, *lease, steps, draft),
            Op::DelLearned { ruleset, address } => {
                let key = LearnedKey {
                    ruleset: ruleset.0,
                    address: from_ip(*address),
                };
                draft.rules.push(Write::Learned(key, None));
                Ok(())
            }
            Op::PutSlot {
                slot,
                workload,
                server,
            } => self.put_slot(*slot, *workload, *server, draft),
            Op::DelSlot { slot } => {
                self.del_slot(*slot, draft);
                Ok(())
            }
            Op::PutList { .. }
            | Op::DelList { .. }
            | Op::SetWorkload { .. }
            | Op::DelWorkload { .. }
            | Op::DelRuleset { .. } => Ok(()),
        }
    }

    fn put_prefix(
        &self,
        ruleset: RulesetId,
        prefix: &Prefix,
        list: ListId,
        draft: &mut Draft,
    ) -> Result<(), PlanError> {
        self.known(list, draft)?;
        if self.workloads.values().any(|used| *used == ruleset) {
            return Err(PlanError::RulesetInUse { ruleset });
        }
        let (len, address) = table_prefix(prefix)?;
        draft
            .new_prefixes
            .entry(ruleset)
            .or_default()
            .insert((len, address));
        let row = PrefixRow {
            list: list.0,
            reserved: 0,
        };
        draft.rules.push(Write::Prefix(
            PrefixKey::new(ruleset.0, address, len),
            Some(row),
        ));
        Ok(())
    }

    fn put_learned(
        &self,
        ruleset: RulesetId,
        address: IpAddr,
        lease: u32,
        steps: &[LearnedStep],
        draft: &mut Draft,
    ) -> Result<(), PlanError> {
        for step in steps {
            self.known(step.list, draft)?;
        }
        let row = learned_row(ruleset, address, lease, steps)?;
        let key = LearnedKey {
            ruleset: ruleset.0,
            address: row.address,
        };
        draft.new_learned.insert((ruleset, row.address));
        draft.rules.push(Write::Learned(key, Some(row)));
        Ok(())
    }

    fn put_slot(
        &self,
        slot: u16,
        workload: WorkloadId,
        server: SocketAddr,
        draft: &mut Draft,
    ) -> Result<(), PlanError> {
        let server = SocketAddr::new(server.ip().to_canonical(), server.port());
        match self.drafted_slot(slot, draft) {
            Some(known) if known == (workload, server) => return Ok(()),
            Some(_) => return Err(PlanError::SlotTaken { slot }),
            None if slot == 0 => return Err(PlanError::SlotTaken { slot }),
            None => {}
        }
        let mut known = self.slots.keys().chain(draft.new_slots.keys());
        if known.any(|&slot| self.drafted_slot(slot, draft) == Some((workload, server))) {
            return Err(PlanError::ServerTwice { workload, server });
        }
        draft.new_slots.insert(slot, Some((workload, server)));
        let (key, origin) = slot_rows(workload, server);
        // The way back first: a question must never reach a slot nobody knows.
        draft.slots.push(Write::Origin(slot, Some(origin)));
        draft.slots.push(Write::Slot(key, Some(slot)));
        Ok(())
    }

    fn del_slot(&self, slot: u16, draft: &mut Draft) {
        let Some((workload, server)) = self.drafted_slot(slot, draft) else {
            return;
        };
        draft.new_slots.insert(slot, None);
        let (key, _) = slot_rows(workload, server);
        draft.slots.push(Write::Slot(key, None));
        draft.slots.push(Write::Origin(slot, None));
    }

    fn switch(&self, op: &Op, draft: &mut Draft) -> Result<(), PlanError> {
        let (workload, row) = match op {
            Op::SetWorkload {
                workload,
                ruleset,
                flags,
            } => {
                if !self.is_whole(*ruleset, draft) {
                    return Err(PlanError::RulesetNotWhole { ruleset: *ruleset });
                }
                (
                    *workload,
                    Some(WorkloadRow {
                        ruleset: ruleset.0,
                        flags: *flags,
                    }),
                )
            }
            Op::DelWorkload { workload } => (*workload, None),
            Op::PutList { .. }
            | Op::DelList { .. }
            | Op::PutPrefix { .. }
            | Op::PutLearned { .. }
            | Op::DelLearned { .. }
            | Op::PutSlot { .. }
            | Op::DelSlot { .. }
            | Op::DelRuleset { .. } => return Ok(()),
        };
        draft
            .switched
            .insert(workload, row.map(|row| RulesetId(row.ruleset)));
        draft
            .workloads
            .push(Write::Workload(WorkloadKey { cgroup: workload.0 }, row));
        Ok(())
    }

    fn forget(&self, op: &Op, draft: &mut Draft) -> Result<(), PlanError> {
        if let Op::DelList { list } = op {
            draft.removals.push(Write::ListFalls(*list));
            if let Some(rows) = self.lists.get(list).or_else(|| self.pending.get(list)) {
                let keys = port_rows(*list, rows)?;
                draft
                    .removals
                    .extend(keys.into_iter().map(|(key, _)| Write::Port(key, None)));
            }
        }
        if let Op::DelRuleset { ruleset } = op {
            if self.is_used_after(*ruleset, draft) {
                return Err(PlanError::RulesetInUse { ruleset: *ruleset });
            }
            let Some(keys) = self.rulesets.get(ruleset) else {
                return Ok(());
            };
            let learned = keys.learned.iter().map(|&address| {
                Write::Learned(
                    LearnedKey {
                        ruleset: ruleset.0,
                        address,
                    },
                    None,
                )
            });
            draft.removals.extend(learned);
            let prefixes = keys.prefixes.iter().map(|&(len, address)| {
                Write::Prefix(PrefixKey::new(ruleset.0, address, len), None)
            });
            draft.removals.extend(prefixes);
        }
        Ok(())
    }

    fn known(&self, list: ListId, draft: &Draft) -> Result<(), PlanError> {
        if self.lists.contains_key(&list) || draft.new_lists.contains_key(&list) {
            Ok(())
        } else {
            Err(PlanError::UnknownList { list })
        }
    }

    /// Whether the tables take what is new, on top of what they have: what is forgotten goes last.
    fn has_room(&self, draft: &Draft) -> Result<(), PlanError> {
        let lists = draft.new_lists.iter();
        let lists = lists.filter(|(list, _)| !self.pending.contains_key(list));
        let ports = lists.map(|(_, rules)| list_rows(rules)).sum();
        let known = |ruleset| self.rulesets.get(ruleset);
        let prefixes = draft.new_prefixes.iter().map(|(ruleset, new)| {
            let stands = |key| known(ruleset).is_some_and(|keys| keys.prefixes.contains(key));
            new.iter().filter(|&key| !stands(key)).count()
        });
        let learned = draft.new_learned.iter().filter(|(ruleset, address)| {
            known(ruleset).is_none_or(|keys| !keys.learned.contains(address))
        });
        let workloads = draft.switched.iter().filter(|(workload, ruleset)| {
            ruleset.is_some() && !self.workloads.contains_key(workload)
        });
        let RowCounts {
            ports: port_rows,
            prefixes: prefix_rows,
            learned: learned_rows,
        } = self.rows;
        room(maps::PORTS, port_rows, ports, capacity::PORTS)?;
        let new = prefixes.sum();
        room(maps::PREFIXES, prefix_rows, new, capacity::PREFIXES)?;
        room(
            maps::LEARNED,
            learned_rows,
            learned.count(),
            capacity::LEARNED,
        )?;
        let held = self.workloads.len();
        room(
            maps::WORKLOADS,
            held,
            workloads.count(),
            capacity::WORKLOADS,
        )
    }

    /// What a slot will stand for by now.
    fn drafted_slot(&self, slot: u16, draft: &Draft) -> Option<(WorkloadId, SocketAddr)> {
        match draft.new_slots.get(&slot) {
            Some(drafted) => *drafted,
            None => self.slots.get(&slot).copied(),
        }
    }

    /// Whether every address has an answer under the ruleset.
    fn is_whole(&self, ruleset: RulesetId, draft: &Draft) -> bool {
        let known = self.rulesets.get(&ruleset).map(|keys| &keys.prefixes);
        let new = draft.new_prefixes.get(&ruleset);
        let has = |prefix| {
            known
                .into_iter()
                .chain(new)
                .any(|keys| keys.contains(&prefix))
        };
        has((0, [0; 16])) && has((MAPPED_BITS, from_v4([0; 4])))
    }

    fn is_used_after(&self, ruleset: RulesetId, draft: &Draft) -> bool {
        let stays = self
            .workloads
            .iter()
            .any(|(workload, used)| *used == ruleset && !draft.switched.contains_key(workload));
        stays || draft.switched.values().any(|used| *used == Some(ruleset))
    }
}

/// Refuses what does not fit. A batch that adds nothing always fits.
fn room(table: &'static str, stands: usize, new: usize, capacity: usize) -> Result<(), PlanError> {
    let rows = stands.saturating_add(new);
    if new == 0 || rows <= capacity {
        Ok(())
    } else {
        Err(PlanError::TableFull {
            table,
            rows,
            capacity,
        })
    }
}
