use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dns_bindings::{Eviction, Leases, Limit, Limits, Names, Observed, Timing, Wanted};
use dns_names::{Name, Resolution};
use ebpf_abi::plan::{Batch, Op, RulesetId, WorkloadId};
use ebpf_abi::workload_flags;
use policy_engine::{CompileError, Compiled, LimitError, NameRules, compile};
use policy_model::{Diagnostic, Policy, Settings, Time, Workload, World};

use crate::mode::{Detail, Mode};
use crate::plan::{Change, Plan, Withheld};
use crate::tables::{Numbers, Tables};
use crate::view::{Slot, View, WorkloadView};
use crate::writes::Written;

/// Why policies did not come into force. The last good ones stay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The engine refuses them.
    #[error("the policies cannot be compiled")]
    Compile(#[from] CompileError),
    /// Names open more at once than the tables take.
    #[error("what names have opened does not fit the new rules")]
    Leases(#[from] LimitError),
    /// A workload has more known resolvers than slots.
    #[error("the workload has {got} known resolvers, the limit is {limit}", limit = MAX_SLOTS)]
    Resolvers {
        /// How many there are.
        got: usize,
    },
}

/// LIMIT: known resolvers of a workload. resolv.conf holds three; the rest is room for both families and upstreams.
pub(crate) const MAX_SLOTS: usize = 64;

/// Rulesets, leases and workloads, and what the kernel holds of them. One owner; no locks.
#[derive(Debug)]
pub struct GatewayState {
    pub(crate) leases: Leases,
    workloads: BTreeMap<WorkloadId, Held>,
    pub(crate) tables: BTreeMap<RulesetId, Tables>,
    /// The ruleset before the last change, so that late events are read with their own words.
    retired: Option<Tables>,
    numbers: Numbers,
    slots: BTreeMap<u16, Slot>,
    lease_epoch: u64,
    /// Until somebody takes them to tell of.
    evicted: Vec<Eviction>,
    detail: Detail,
    view: Arc<View>,
}

#[derive(Debug)]
struct Held {
    mode: Mode,
    ruleset: RulesetId,
}

impl GatewayState {
    /// Nothing held, nothing leased.
    pub fn new(timing: Timing, limits: Limits) -> Self {
        Self {
            leases: Leases::new(timing, limits),
            workloads: BTreeMap::new(),
            tables: BTreeMap::new(),
            retired: None,
            numbers: Numbers::default(),
            slots: BTreeMap::new(),
            lease_epoch: 0,
            evicted: Vec::new(),
            detail: Detail::default(),
            view: Arc::new(View::default()),
        }
    }

    /// The same, with so much told of the workloads held from now on.
    #[must_use]
    pub fn telling(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// What the hot path may read from now on.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    /// Plans to hold a workload to policies: a whole new ruleset is written, with what names have opened already, then
    /// the workload is switched to it. Nobody sees half of it.
    ///
    /// # Errors
    ///
    /// See [`PolicyError`]; nothing changes then.
    pub fn plan_policies(
        &mut self,
        id: WorkloadId,
        who: &Workload,
        mode: Mode,
        policies: &[Policy],
        world: &World,
        settings: &Settings,
        now: Time,
    ) -> Result<(Plan, Vec<Diagnostic>), PolicyError> {
        let Compiled {
            ruleset,
            lists,
            diagnostics,
        } = compile(policies, who, world, settings)?;
        let first_reason = self.numbers.reasons(ruleset.reasons().len());
        let ruleset_id = self.numbers.ruleset();
        let mut tables = Tables::new(ruleset_id, Arc::new(ruleset), lists, first_reason);
        let mut plan = Plan::default();
        self.plan_slots(id, world, &mut plan.writes.batch)?;
        tables.write_static(&mut self.numbers, &mut plan.writes);

        // What was remembered for a moment may be wanted now, and the other way round.
        let replaced = self.workloads.get(&id).map(|held| held.ruleset);
        let others = self
            .tables
            .values()
            .filter(|other| Some(other.id) != replaced);
        let all: Vec<&Tables> = others.chain([&tables]).collect();
        let wanted = |names: &Names| any_wants(&all, names.question(), names.chain());
        let Observed {
            changed: _,
            evicted,
            refused: _,
        } = self.leases.reconsider(wanted, now);
        self.note_evictions(&evicted, now);
        let leased: Vec<IpAddr> = self.leases.addresses().collect();
        for ip in leased {
            tables.learn_again(ip, &self.leases);
            if let Err(error) = tables.write_learned(ip, now, &mut self.numbers, &mut plan.writes) {
                self.want_as_in_force(now);
                return Err(error.into());
            }
        }

        let flags = flags(mode, self.detail, &tables);
        plan.writes.batch.push(Op::SetWorkload {
            workload: id,
            ruleset: ruleset_id,
            flags,
        });
        if let Some(before) = self
            .workloads
            .get(&id)
            .and_then(|held| self.tables.get(&held.ruleset))
        {
            before.remove(&mut plan.writes.batch);
        }
        // What is written of the new tables is theirs already once they are the workload's.
        for written in std::mem::take(&mut plan.writes.written) {
            if let Written::Learned { address, steps, .. } = written {
                tables.learned_written(address, steps);
            }
        }
        plan.change = Some(Change::Switched {
            workload: id,
            mode,
            tables: Box::new(tables),
            planned_at: now,
        });
        Ok((plan, diagnostics))
    }

    /// Plans what an answer opens for everybody whose rules want its names. `age` is how long ago it was read.
    ///
    /// # Errors
    ///
    /// Over a limit of the engine: the answer must not be released.
    pub fn plan_answer(
        &mut self,
        resolution: &Resolution,
        age: Time,
        now: Time,
    ) -> Result<Plan, LimitError> {
        let names = Names::of(resolution);
        let rules: Vec<(RulesetId, NameRules)> = self
            .tables
            .values()
            .map(|tables| (tables.id, tables.rules_of(&names)))
            .collect();
        let wanted = if rules.iter().any(|(_, rules)| !rules.is_empty()) {
            Wanted::Yes
        } else {
            Wanted::No
        };
        let Observed {
            changed: _,
            evicted,
            refused,
        } = self.leases.observe(resolution, age, wanted, now);
        self.note_evictions(&evicted, now);
        let given: BTreeSet<IpAddr> = resolution
            .addresses
            .iter()
            .map(|address| address.ip)
            .collect();
        let taken: BTreeSet<IpAddr> = evicted.iter().map(|eviction| eviction.ip).collect();
        let mut plan = Plan {
            withheld: refused
                .values()
                .next()
                .filter(|_| wanted == Wanted::Yes)
                .map(|limit| Withheld {
                    limit: *limit,
                    most: self.leases.limits().of(*limit),
                    addresses: refused.keys().copied().collect(),
                }),
            ..Plan::default()
        };
        for (id, rules) in &rules {
            let Some(tables) = self.tables.get_mut(id) else {
                continue;
            };
            for ip in &given {
                if let Some(lease) = self.leases.get(&names, *ip) {
                    tables.learn(*ip, rules, lease.expires_at);
                }
            }
            for eviction in &evicted {
                tables.unlearn(eviction, &self.leases);
            }
            for ip in given.union(&taken) {
                tables.write_learned(*ip, now, &mut self.numbers, &mut plan.writes)?;
            }
        }
        Ok(plan)
    }

    /// Plans what time has closed. To be called when [`poll_timeout`](Self::poll_timeout) says so.
    pub fn plan_timeout(&mut self, now: Time) -> Plan {
        let forgotten: BTreeSet<IpAddr> = self.leases.expire(now);
        let mut plan = Plan::default();
        for tables in self.tables.values_mut() {
            for ip in &forgotten {
                tables.learn_again(*ip, &self.leases);
            }
            let due = tables
                .fold_again
                .iter()
                .take_while(|(at, _)| *at < now)
                .map(|(_, ip)| *ip);
            let due: BTreeSet<IpAddr> = due.chain(forgotten.iter().copied()).collect();
            for ip in due {
                let folded = tables.write_learned(ip, now, &mut self.numbers, &mut plan.writes);
                if folded.is_err() {
                    tables.forget(ip, &mut plan.writes);
                }
            }
        }
        plan
    }

    /// When time has something to do here next.
    pub fn poll_timeout(&self) -> Option<Time> {
        let again = self
            .tables
            .values()
            .filter_map(|tables| tables.fold_again.first());
        // The last moment of a step counts: one step of the clock later it does not.
        let again = again.map(|(at, _)| at.saturating_add(Time::from_nanos(1)));
        again.chain(self.leases.poll_timeout()).min()
    }

    /// Plans to let a workload go: the kernel denies it everything from then on.
    pub fn plan_release(&mut self, id: WorkloadId) -> Plan {
        let mut plan = Plan::default();
        let Some(held) = self.workloads.get(&id) else {
            return plan;
        };
        plan.writes.batch.push(Op::DelWorkload { workload: id });
        let slots = self.slots.iter().filter(|(_, slot)| slot.workload == id);
        plan.writes
            .batch
            .extend(slots.map(|(number, _)| Op::DelSlot { slot: *number }));
        if let Some(tables) = self.tables.get(&held.ruleset) {
            tables.remove(&mut plan.writes.batch);
        }
        plan.change = Some(Change::Released { workload: id });
        plan
    }

    /// What limits have closed before its time since this was last asked, to be told to people.
    pub fn take_evicted(&mut self) -> Vec<Eviction> {
        std::mem::take(&mut self.evicted)
    }

    /// How many a limit leaves.
    pub fn most(&self, limit: Limit) -> usize {
        self.leases.limits().of(limit)
    }

    /// The plan is in the kernel.
    pub fn applied(&mut self, plan: Plan) {
        let Plan {
            writes,
            change,
            withheld: _,
        } = plan;
        for written in writes.written {
            match written {
                Written::Lists { .. } => {}
                Written::Learned {
                    ruleset,
                    address,
                    steps,
                } => {
                    if let Some(tables) = self.tables.get_mut(&ruleset) {
                        tables.learned_written(address, steps);
                    }
                }
            }
        }
        match change {
            None => {}
            Some(Change::Switched {
                workload,
                mode,
                tables,
                planned_at: _,
            }) => {
                let held = Held {
                    mode,
                    ruleset: tables.id,
                };
                self.tables.insert(tables.id, *tables);
                if let Some(before) = self.workloads.insert(workload, held) {
                    self.retired = self.tables.remove(&before.ruleset);
                }
                self.take_slots(&writes.batch);
                self.renew_view();
            }
            Some(Change::Released { workload }) => {
                if let Some(held) = self.workloads.remove(&workload) {
                    self.retired = self.tables.remove(&held.ruleset);
                }
                self.slots.retain(|_, slot| slot.workload != workload);
                self.renew_view();
            }
        }
    }

    /// The kernel refused the plan, or part of it. Returns what takes its half-written parts out again.
    pub fn abandoned(&mut self, plan: Plan) -> Batch {
        let Plan {
            writes,
            change,
            withheld: _,
        } = plan;
        let mut undo = Batch::new();
        self.restore_slots(&writes.batch, &mut undo);
        for written in writes.written {
            match written {
                Written::Lists { ruleset, before } => {
                    if let Some(tables) = self.tables.get_mut(&ruleset) {
                        tables.lists_not_written(before);
                    }
                }
                // Written or not, it is not known: forgetting it makes the next plan write it again.
                Written::Learned {
                    ruleset, address, ..
                } => {
                    if let Some(tables) = self.tables.get_mut(&ruleset) {
                        tables.learned_unknown(address);
                    }
                }
            }
        }
        if let Some(Change::Switched {
            tables, planned_at, ..
        }) = change
        {
            tables.remove(&mut undo);
            self.want_as_in_force(planned_at);
        }
        undo
    }

    pub(crate) fn tables_of(&self, ruleset: u32) -> Option<&Tables> {
        self.tables.get(&RulesetId(ruleset)).or_else(|| {
            self.retired
                .as_ref()
                .filter(|tables| tables.id.0 == ruleset)
        })
    }

    pub(crate) fn names_of(&self, ip: IpAddr) -> BTreeSet<Name> {
        self.leases
            .of(ip)
            .map(|lease| lease.names.question().clone())
            .collect()
    }

    /// One slot for each known resolver; slots that are there stay as they are.
    fn plan_slots(
        &self,
        id: WorkloadId,
        world: &World,
        batch: &mut Batch,
    ) -> Result<(), PolicyError> {
        if world.resolvers.len() > MAX_SLOTS {
            return Err(PolicyError::Resolvers {
                got: world.resolvers.len(),
            });
        }
        let wanted: BTreeSet<SocketAddr> = world
            .resolvers
            .iter()
            .map(|resolver| SocketAddr::new(resolver.address, resolver.port))
            .collect();
        let own = || self.slots.iter().filter(|(_, slot)| slot.workload == id);
        for (number, _) in own().filter(|(_, slot)| !wanted.contains(&slot.server)) {
            batch.push(Op::DelSlot { slot: *number });
        }
        let known: BTreeSet<SocketAddr> = own().map(|(_, slot)| slot.server).collect();
        let mut free = (1..=u16::MAX).filter(|number| !self.slots.contains_key(number));
        for server in wanted.difference(&known) {
            let Some(slot) = free.next() else {
                return Err(PolicyError::Resolvers {
                    got: world.resolvers.len(),
                });
            };
            batch.push(Op::PutSlot {
                slot,
                workload: id,
                server: *server,
            });
        }
        Ok(())
    }

    /// Puts slots back as they are known here: one left over would stand for another server than the next plan's.
    fn restore_slots(&self, batch: &Batch, undo: &mut Batch) {
        for op in batch.ops() {
            let (Op::PutSlot { slot: number, .. } | Op::DelSlot { slot: number }) = op else {
                continue;
            };
            undo.push(match self.slots.get(number) {
                Some(Slot { workload, server }) => Op::PutSlot {
                    slot: *number,
                    workload: *workload,
                    server: *server,
                },
                None => Op::DelSlot { slot: *number },
            });
        }
    }

    fn take_slots(&mut self, batch: &Batch) {
        for op in batch.ops() {
            match op {
                Op::PutSlot {
                    slot,
                    workload,
                    server,
                } => {
                    self.slots.insert(
                        *slot,
                        Slot {
                            workload: *workload,
                            server: *server,
                        },
                    );
                }
                Op::DelSlot { slot } => {
                    self.slots.remove(slot);
                }
                Op::PutList { .. }
                | Op::DelList { .. }
                | Op::PutPrefix { .. }
                | Op::PutLearned { .. }
                | Op::DelLearned { .. }
                | Op::SetWorkload { .. }
                | Op::DelWorkload { .. }
                | Op::DelRuleset { .. } => {}
            }
        }
    }

    /// The rules that were to come did not: what those in force want is wanted again.
    fn want_as_in_force(&mut self, now: Time) {
        let all: Vec<&Tables> = self.tables.values().collect();
        let wanted = |names: &Names| any_wants(&all, names.question(), names.chain());
        let Observed {
            changed: _,
            evicted,
            refused: _,
        } = self.leases.reconsider(wanted, now);
        self.note_evictions(&evicted, now);
    }

    /// What was evicted is closed before its time: nobody may rely on having opened it.
    fn note_evictions(&mut self, evicted: &[Eviction], now: Time) {
        let live = |eviction: &&Eviction| now <= eviction.expires_at;
        if evicted.iter().any(|eviction| live(&eviction)) {
            self.lease_epoch += 1;
            self.renew_view();
        }
        // What nobody's rules wanted was not open.
        let open = |eviction: &&Eviction| eviction.wanted == Wanted::Yes;
        let told = evicted.iter().filter(live).filter(open).cloned();
        self.evicted.extend(told);
    }

    fn renew_view(&mut self) {
        let workloads = self.workloads.iter().filter_map(|(id, held)| {
            let tables = self.tables.get(&held.ruleset)?;
            let view = WorkloadView {
                id: *id,
                ruleset_id: tables.id,
                ruleset: Arc::clone(&tables.ruleset),
                mode: held.mode,
                proposes: tables.proposes(),
                servers: tables.servers(),
            };
            Some((*id, Arc::new(view)))
        });
        self.view = Arc::new(View {
            workloads: workloads.collect(),
            slots: self.slots.clone(),
            lease_epoch: self.lease_epoch,
        });
    }
}

fn any_wants(all: &[&Tables], question: &Name, chain: &[Name]) -> Wanted {
    let wants = |tables: &&Tables| !tables.ruleset.name_rules(question, chain).is_empty();
    if all.iter().any(wants) {
        Wanted::Yes
    } else {
        Wanted::No
    }
}

fn flags(mode: Mode, detail: Detail, tables: &Tables) -> u32 {
    let told = match detail {
        Detail::Denials => 0,
        Detail::Everything => workload_flags::LOG_ALLOWED,
    };
    let audit = match mode {
        Mode::Audit => workload_flags::AUDIT,
        Mode::Enforce => 0,
    };
    let filtered = if tables.ruleset.redirects_dns() {
        workload_flags::FILTERED
    } else {
        0
    };
    audit | filtered | told
}
