//! What the tables hold by now, and which writes a batch comes to, in an order that never opens.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::{Batch, LearnedStep, ListId, Op, PortRule, Prefix, RulesetId, WorkloadId};
use crate::address::{Address, MAPPED_BITS, from_ip};
use crate::learned::{LearnedKey, LearnedRow, MAX_STEPS, Step};
use crate::ports::{PROBE_PROTOCOL, PortKey, PortRow, Verdict};
use crate::prefix::{PrefixKey, PrefixRow};
use crate::slot::{SlotKey, SlotOrigin};
use crate::workload::{WorkloadKey, WorkloadRow};

/// One write of one table; `None` removes the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Port(PortKey, Option<PortRow>),
    /// Not a write: every row of the list stands by now.
    ListStands(ListId),
    Prefix(PrefixKey, Option<PrefixRow>),
    Learned(LearnedKey, Option<LearnedRow>),
    Slot(SlotKey, Option<u16>),
    Origin(u16, Option<SlotOrigin>),
    Workload(WorkloadKey, Option<WorkloadRow>),
    /// Established flows are judged again.
    Epoch(u32),
}

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
    /// A prefix of a ruleset that workloads use: rulesets are immutable.
    RulesetInUse { ruleset: RulesetId },
    /// A workload is held to a ruleset without a prefix for every address of both families.
    RulesetNotWhole { ruleset: RulesetId },
    /// More than [`MAX_STEPS`] steps, or none.
    Steps { address: IpAddr, count: usize },
    /// Steps that do not ascend, or one without a time.
    StepOrder { address: IpAddr },
    /// Slot 0, or a slot that stands for something else.
    SlotTaken { slot: u16 },
    /// A server with two slots for one workload.
    ServerTwice {
        workload: WorkloadId,
        server: SocketAddr,
    },
}

/// What user space has written so far. It knows every key, so that forgetting a ruleset needs no scan of the tables.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    lists: BTreeMap<ListId, Vec<PortRule>>,
    /// Lists whose rows may stand in part.
    pending: BTreeMap<ListId, Vec<PortRule>>,
    rulesets: BTreeMap<RulesetId, RulesetKeys>,
    slots: BTreeMap<u16, (WorkloadId, SocketAddr)>,
    workloads: BTreeMap<WorkloadId, (RulesetId, u32)>,
    epoch: u32,
}

#[derive(Clone, Debug, Default)]
struct RulesetKeys {
    prefixes: BTreeSet<(u32, Address)>,
    learned: BTreeSet<Address>,
}

impl Ledger {
    /// Empty tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// The writes of a batch, in phases: lists, what refers to lists, slots, then the workloads that use them, then
    /// the epoch, and last what is forgotten. Stopping after any write leaves tables that open nothing the batch does
    /// not open as a whole. The order of a batch counts among changes of one learned address, slot or workload.
    ///
    /// Call [`Self::wrote`] after each write that succeeded.
    ///
    /// # Errors
    ///
    /// [`PlanError`], and nothing is to be written.
    pub fn stage(&mut self, batch: &Batch) -> Result<Vec<Write>, PlanError> {
        let mut draft = Draft::default();
        for op in batch.ops() {
            self.stage_list(op, &mut draft)?;
        }
        for op in batch.ops() {
            self.stage_op(op, &mut draft)?;
        }
        let Draft {
            new_lists,
            lists,
            rules,
            slots,
            workloads,
            removals,
            ..
        } = draft;
        self.pending.extend(new_lists);
        let mut writes = lists;
        writes.extend(rules);
        writes.extend(slots);
        let switches = !workloads.is_empty();
        writes.extend(workloads);
        if switches {
            writes.push(Write::Epoch(self.epoch.wrapping_add(1)));
        }
        writes.extend(removals);
        Ok(writes)
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
            Write::Prefix(key, row) => {
                let keys = self.keys(u32::from_be_bytes(key.ruleset));
                let prefix = (key.bits - PrefixKey::RULESET_BITS, key.address);
                if row.is_some() {
                    keys.prefixes.insert(prefix)
                } else {
                    keys.prefixes.remove(&prefix)
                };
            }
            Write::Learned(key, row) => {
                let keys = self.keys(key.ruleset);
                if row.is_some() {
                    keys.learned.insert(key.address)
                } else {
                    keys.learned.remove(&key.address)
                };
            }
            Write::Origin(slot, Some(origin)) => {
                let server = SocketAddr::new(crate::address::to_ip(&origin.address), origin.port);
                self.slots
                    .insert(*slot, (WorkloadId(origin.workload), server));
            }
            Write::Origin(slot, None) => {
                self.slots.remove(slot);
            }
            Write::Workload(key, Some(row)) => {
                self.workloads
                    .insert(WorkloadId(key.cgroup), (RulesetId(row.ruleset), row.flags));
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
        self.rulesets.values().map(|keys| keys.learned.len()).sum()
    }

    fn stage_list(&self, op: &Op, draft: &mut Draft) -> Result<(), PlanError> {
        let Op::PutList { list, rows } = op else {
            return Ok(());
        };
        if list.0 == 0 {
            return Err(PlanError::ListZero);
        }
        match self.lists.get(list).or_else(|| draft.new_lists.get(list)) {
            Some(known) if known == rows => return Ok(()),
            Some(_) => return Err(PlanError::ListChanged { list: *list }),
            None => {}
        }
        if self.pending.get(list).is_some_and(|known| known != rows) {
            return Err(PlanError::ListChanged { list: *list });
        }
        for (key, row) in port_rows(*list, rows)? {
            draft.lists.push(Write::Port(key, Some(row)));
        }
        draft.lists.push(Write::ListStands(*list));
        draft.new_lists.insert(*list, rows.clone());
        Ok(())
    }

    fn stage_op(&self, op: &Op, draft: &mut Draft) -> Result<(), PlanError> {
        match op {
            Op::PutList { .. } => {}
            Op::DelList { list } => {
                let rows = self.lists.get(list).or_else(|| self.pending.get(list));
                for (key, _) in rows
                    .map(|rows| port_rows(*list, rows))
                    .transpose()?
                    .unwrap_or_default()
                {
                    draft.removals.push(Write::Port(key, None));
                }
            }
            Op::PutPrefix {
                ruleset,
                prefix,
                list,
            } => {
                self.known(*list, draft)?;
                if self.workloads.values().any(|(used, _)| used == ruleset) {
                    return Err(PlanError::RulesetInUse { ruleset: *ruleset });
                }
                let (len, address) = table_prefix(prefix)?;
                let row = PrefixRow {
                    list: list.0,
                    reserved: 0,
                };
                draft
                    .whole
                    .entry(*ruleset)
                    .or_default()
                    .insert((len, address));
                draft.rules.push(Write::Prefix(
                    PrefixKey::new(ruleset.0, address, len),
                    Some(row),
                ));
            }
            Op::PutLearned {
                ruleset,
                address,
                lease,
                steps,
            } => {
                for step in steps {
                    self.known(step.list, draft)?;
                }
                let row = learned_row(*ruleset, *address, *lease, steps)?;
                let key = LearnedKey {
                    ruleset: ruleset.0,
                    address: row.address,
                };
                draft.rules.push(Write::Learned(key, Some(row)));
            }
            Op::DelLearned { ruleset, address } => {
                let key = LearnedKey {
                    ruleset: ruleset.0,
                    address: from_ip(*address),
                };
                draft.rules.push(Write::Learned(key, None));
            }
            Op::PutSlot {
                slot,
                workload,
                server,
            } => self.stage_slot(*slot, *workload, *server, draft)?,
            Op::DelSlot { slot } => {
                let known = draft
                    .new_slots
                    .remove(slot)
                    .or_else(|| self.slots.get(slot).copied());
                if let Some((workload, server)) = known {
                    let (key, _) = slot_rows(workload, server);
                    draft.slots.push(Write::Slot(key, None));
                    draft.slots.push(Write::Origin(*slot, None));
                }
            }
            Op::SetWorkload {
                workload,
                ruleset,
                flags,
            } => {
                if !self.is_whole(*ruleset, draft) {
                    return Err(PlanError::RulesetNotWhole { ruleset: *ruleset });
                }
                let row = WorkloadRow {
                    ruleset: ruleset.0,
                    flags: *flags,
                };
                draft.workloads.push(Write::Workload(
                    WorkloadKey { cgroup: workload.0 },
                    Some(row),
                ));
            }
            Op::DelWorkload { workload } => {
                draft
                    .workloads
                    .push(Write::Workload(WorkloadKey { cgroup: workload.0 }, None));
            }
            Op::DelRuleset { ruleset } => self.stage_forgetting(*ruleset, draft),
        }
        Ok(())
    }

    fn stage_slot(
        &self,
        slot: u16,
        workload: WorkloadId,
        server: SocketAddr,
        draft: &mut Draft,
    ) -> Result<(), PlanError> {
        let server = SocketAddr::new(server.ip().to_canonical(), server.port());
        match draft.new_slots.get(&slot).or_else(|| self.slots.get(&slot)) {
            Some(known) if *known == (workload, server) => return Ok(()),
            Some(_) => return Err(PlanError::SlotTaken { slot }),
            None if slot == 0 => return Err(PlanError::SlotTaken { slot }),
            None => {}
        }
        if self
            .slots
            .values()
            .chain(draft.new_slots.values())
            .any(|known| *known == (workload, server))
        {
            return Err(PlanError::ServerTwice { workload, server });
        }
        draft.new_slots.insert(slot, (workload, server));
        let (key, origin) = slot_rows(workload, server);
        // The way back first: a question must never reach a slot nobody knows.
        draft.slots.push(Write::Origin(slot, Some(origin)));
        draft.slots.push(Write::Slot(key, Some(slot)));
        Ok(())
    }

    fn stage_forgetting(&self, ruleset: RulesetId, draft: &mut Draft) {
        let Some(keys) = self.rulesets.get(&ruleset) else {
            return;
        };
        for address in &keys.learned {
            let key = LearnedKey {
                ruleset: ruleset.0,
                address: *address,
            };
            draft.removals.push(Write::Learned(key, None));
        }
        for (len, address) in &keys.prefixes {
            draft.removals.push(Write::Prefix(
                PrefixKey::new(ruleset.0, *address, *len),
                None,
            ));
        }
    }

    fn known(&self, list: ListId, draft: &Draft) -> Result<(), PlanError> {
        if self.lists.contains_key(&list) || draft.new_lists.contains_key(&list) {
            Ok(())
        } else {
            Err(PlanError::UnknownList { list })
        }
    }

    /// Whether every address has an answer under the ruleset.
    fn is_whole(&self, ruleset: RulesetId, draft: &Draft) -> bool {
        let has = |prefix: (u32, Address)| {
            self.rulesets
                .get(&ruleset)
                .is_some_and(|keys| keys.prefixes.contains(&prefix))
                || draft
                    .whole
                    .get(&ruleset)
                    .is_some_and(|keys| keys.contains(&prefix))
        };
        has((0, [0; 16])) && has((MAPPED_BITS, crate::address::from_v4([0; 4])))
    }

    fn keys(&mut self, ruleset: u32) -> &mut RulesetKeys {
        self.rulesets.entry(RulesetId(ruleset)).or_default()
    }
}

/// A batch on its way: writes by phase, and what they will have made known.
#[derive(Default)]
struct Draft {
    new_lists: BTreeMap<ListId, Vec<PortRule>>,
    new_slots: BTreeMap<u16, (WorkloadId, SocketAddr)>,
    whole: BTreeMap<RulesetId, BTreeSet<(u32, Address)>>,
    lists: Vec<Write>,
    rules: Vec<Write>,
    slots: Vec<Write>,
    workloads: Vec<Write>,
    removals: Vec<Write>,
}

/// A list's rows, its default, and the row that says whether it opens anything.
fn port_rows(list: ListId, rules: &[PortRule]) -> Result<Vec<(PortKey, PortRow)>, PlanError> {
    let mut default = None;
    let mut rows = Vec::with_capacity(rules.len() + 1);
    for rule in rules {
        let PortRule {
            protocol,
            port,
            port_bits,
            ruling,
        } = *rule;
        let Some(protocol) = protocol else {
            if default.replace(ruling).is_some() {
                return Err(PlanError::ListWithoutDefault { list });
            }
            rows.push((PortKey::default_row(list.0), ruling));
            continue;
        };
        if port_bits > 16 || protocol == PROBE_PROTOCOL {
            return Err(PlanError::PortRow {
                list,
                protocol: Some(protocol),
                port_bits,
            });
        }
        let mask = u16::MAX.checked_shl(16 - u32::from(port_bits)).unwrap_or(0);
        rows.push((
            PortKey::row(list.0, protocol, port & mask, u32::from(port_bits)),
            ruling,
        ));
    }
    let Some(default) = default else {
        return Err(PlanError::ListWithoutDefault { list });
    };
    let opens = |pick: fn(&PortRow) -> u8| {
        let any = rules
            .iter()
            .any(|rule| Verdict::from_byte(pick(&rule.ruling)) == Verdict::Allow);
        if any {
            Verdict::Allow as u8
        } else {
            Verdict::Deny as u8
        }
    };
    let probe = PortRow {
        verdict: opens(|row| row.verdict),
        would: opens(|row| row.would),
        ..default
    };
    rows.push((PortKey::row(list.0, PROBE_PROTOCOL, 0, 0), probe));
    Ok(rows)
}

/// Length and address as the table has them, host bits cleared.
fn table_prefix(prefix: &Prefix) -> Result<(u32, Address), PlanError> {
    let (max, shift) = match prefix.address {
        IpAddr::V4(_) => (32, MAPPED_BITS),
        IpAddr::V6(_) => (128, 0),
    };
    let len = u32::from(prefix.len);
    if len > max {
        return Err(PlanError::PrefixTooLong { prefix: *prefix });
    }
    let len = len + shift;
    let mask = u128::MAX.checked_shl(128 - len).unwrap_or(0);
    let bits = u128::from_be_bytes(from_ip(prefix.address)) & mask;
    Ok((len, bits.to_be_bytes()))
}

fn learned_row(
    ruleset: RulesetId,
    address: IpAddr,
    lease: u32,
    steps: &[LearnedStep],
) -> Result<LearnedRow, PlanError> {
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return Err(PlanError::Steps {
            address,
            count: steps.len(),
        });
    }
    let mut row = LearnedRow {
        address: from_ip(address),
        ruleset: ruleset.0,
        lease,
        ..LearnedRow::default()
    };
    let mut before = 0;
    for (place, step) in row.steps.iter_mut().zip(steps) {
        if step.expires_at <= before {
            return Err(PlanError::StepOrder { address });
        }
        before = step.expires_at;
        *place = Step {
            expires_at: step.expires_at,
            list: step.list.0,
            reserved: 0,
        };
    }
    Ok(row)
}

fn slot_rows(workload: WorkloadId, server: SocketAddr) -> (SlotKey, SlotOrigin) {
    let address = from_ip(server.ip());
    let key = SlotKey {
        workload: workload.0,
        address,
        port: server.port(),
        reserved: [0; 6],
    };
    let origin = SlotOrigin {
        workload: workload.0,
        address,
        port: server.port(),
        reserved: [0; 6],
    };
    (key, origin)
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
