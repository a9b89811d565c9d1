use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dns_bindings::{Eviction, Leases, Names};
use ebpf_abi::plan::{Batch, LearnedStep, ListId as KernelListId, Op, RulesetId};
use policy_engine::{
    LeaseRules, LimitError, ListId, Lists, MAX_STEPS, NameRules, PortVerdict, Ruleset,
};
use policy_model::{Protocol, Standing, Time};

use crate::rows;
use crate::writes::{Writes, Written};

/// One ruleset and what the kernel holds of it.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) id: RulesetId,
    pub(crate) ruleset: Arc<Ruleset>,
    pub(crate) lists: Lists,
    /// The kernel's number of each list, by the ruleset's own.
    numbers: Vec<KernelListId>,
    /// How many of them are written, or in a plan.
    written: usize,
    /// The kernel's number of the ruleset's reason 0.
    pub(crate) first_reason: u32,
    /// The different rules that names open an address by, and until when at the latest.
    leased: BTreeMap<IpAddr, BTreeMap<NameRules, Time>>,
    /// Addresses with more steps than the kernel holds, and when the first of them ends.
    pub(crate) fold_again: BTreeSet<(Time, IpAddr)>,
    /// What is written of learned addresses.
    pub(crate) learned: BTreeMap<IpAddr, Vec<LearnedStep>>,
    /// Addresses whose row may or may not have been written.
    unknown: BTreeSet<IpAddr>,
}

/// Numbers that are unique among all rulesets, ever: a late event must not be read with another ruleset's words.
#[derive(Debug)]
pub(crate) struct Numbers {
    ruleset: u32,
    list: u32,
    reason: u32,
}

impl Default for Numbers {
    /// 0 is no ruleset, list or reason.
    fn default() -> Self {
        Self {
            ruleset: 1,
            list: 1,
            reason: 1,
        }
    }
}

impl Numbers {
    pub(crate) fn ruleset(&mut self) -> RulesetId {
        let number = self.ruleset;
        self.ruleset = self.ruleset.wrapping_add(1).max(1);
        RulesetId(number)
    }

    fn list(&mut self) -> KernelListId {
        let number = self.list;
        self.list = self.list.wrapping_add(1).max(1);
        KernelListId(number)
    }

    pub(crate) fn reasons(&mut self, count: usize) -> u32 {
        let first = self.reason;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.reason = self.reason.checked_add(count).unwrap_or(1);
        first
    }
}

impl Tables {
    pub(crate) fn new(
        id: RulesetId,
        ruleset: Arc<Ruleset>,
        lists: Lists,
        first_reason: u32,
    ) -> Self {
        Self {
            id,
            ruleset,
            lists,
            numbers: Vec::new(),
            written: 0,
            first_reason,
            leased: BTreeMap::new(),
            fold_again: BTreeSet::new(),
            learned: BTreeMap::new(),
            unknown: BTreeSet::new(),
        }
    }

    /// Everything that stands still: port lists and prefixes.
    pub(crate) fn write_static(&mut self, numbers: &mut Numbers, writes: &mut Writes) {
        self.write_lists(numbers, writes);
        for (net, list) in self.ruleset.statics() {
            let list = self.number(*list);
            writes.batch.push(Op::PutPrefix {
                ruleset: self.id,
                prefix: rows::prefix(net),
                list,
            });
        }
    }

    /// Which of the rules the names of an answer match.
    pub(crate) fn rules_of(&self, names: &Names) -> NameRules {
        self.ruleset.name_rules(names.question(), names.chain())
    }

    /// Takes in one lease of an address; leases with equal rules are one, with the later expiry.
    ///
    /// So an address that a thousand names share costs no more than one name's: nothing is folded anew but the few
    /// different sets of rules.
    pub(crate) fn learn(&mut self, ip: IpAddr, rules: &NameRules, expires_at: Time) {
        if rules.is_empty() {
            return;
        }
        let latest = self
            .leased
            .entry(ip)
            .or_default()
            .entry(rules.clone())
            .or_default();
        *latest = (*latest).max(expires_at);
    }

    /// Forgets what is known of an address and takes its leases in again.
    pub(crate) fn learn_again(&mut self, ip: IpAddr, leases: &Leases) {
        self.leased.remove(&ip);
        for lease in leases.of(ip) {
            let rules = self.rules_of(&lease.names);
            self.learn(ip, &rules, lease.expires_at);
        }
    }

    /// One lease was taken back before its time. Only where it was the one that lasts longest for its rules does anything
    /// change: what is idlest mostly ends first, and an address may have a great many leases.
    pub(crate) fn unlearn(&mut self, evicted: &Eviction, leases: &Leases) {
        let rules = self.rules_of(&evicted.names);
        let latest = self
            .leased
            .get(&evicted.ip)
            .and_then(|leased| leased.get(&rules));
        if latest.is_some_and(|latest| *latest <= evicted.expires_at) {
            self.learn_again(evicted.ip, leases);
        }
    }

    /// Writes what names open at an address now, where that is not what stands there.
    ///
    /// # Errors
    /// Over a limit of the engine. Nothing of this address is in the plan then.
    pub(crate) fn write_learned(
        &mut self,
        ip: IpAddr,
        now: Time,
        numbers: &mut Numbers,
        writes: &mut Writes,
    ) -> Result<(), LimitError> {
        let standing = self.standing(ip, now);
        self.fold_again.retain(|(_, address)| *address != ip);
        self.fold_again
            .extend(Self::fold_again_at(&standing, now).map(|at| (at, ip)));
        let steps = self.ruleset.fold(&mut self.lists, ip, &standing)?;
        self.write_lists(numbers, writes);
        let steps: Vec<LearnedStep> = steps
            .iter()
            .map(|step| rows::learned_step(step, self.number(step.list)))
            .collect();
        self.put_learned(ip, steps, writes);
        Ok(())
    }

    /// Closes an address to what the prefixes say of it.
    pub(crate) fn forget(&self, ip: IpAddr, writes: &mut Writes) {
        self.put_learned(ip, Vec::new(), writes);
    }

    /// The plan that was to write lists came to nothing: they are to be written again.
    pub(crate) fn lists_not_written(&mut self, before: usize) {
        self.written = self.written.min(before);
    }

    pub(crate) fn learned_written(&mut self, ip: IpAddr, steps: Vec<LearnedStep>) {
        self.unknown.remove(&ip);
        if steps.is_empty() {
            self.learned.remove(&ip);
        } else {
            self.learned.insert(ip, steps);
        }
    }

    /// What stands in the kernel for an address is not known: the next plan writes it whatever it says.
    pub(crate) fn learned_unknown(&mut self, ip: IpAddr) {
        self.unknown.insert(ip);
    }

    /// Takes everything of this ruleset out of the kernel. No workload may use it any more.
    pub(crate) fn remove(&self, batch: &mut Batch) {
        batch.push(Op::DelRuleset { ruleset: self.id });
        for list in &self.numbers {
            batch.push(Op::DelList { list: *list });
        }
    }

    /// Whether a policy of the ruleset is not, or not yet, in force.
    pub(crate) fn proposes(&self) -> bool {
        let policies = self.ruleset.policies().iter();
        policies
            .into_iter()
            .any(|policy| policy.standing != Standing::Enforced)
    }

    /// The flow to each known resolver, as the prefixes judge it.
    pub(crate) fn servers(&self) -> BTreeMap<(SocketAddr, Protocol), PortVerdict> {
        let resolvers = self.ruleset.world().resolvers.iter();
        resolvers
            .flat_map(|resolver| {
                [Protocol::UDP, Protocol::TCP].map(|protocol| (resolver, protocol))
            })
            .map(|(resolver, protocol)| {
                let list = self.lists.get(self.ruleset.static_list(resolver.address));
                let server = SocketAddr::new(resolver.address, resolver.port);
                ((server, protocol), list.look_up(protocol, resolver.port))
            })
            .collect()
    }

    /// The ruleset's own number of a list the kernel names.
    pub(crate) fn list_of(&self, number: u32) -> Option<ListId> {
        let index = self.numbers.iter().position(|list| list.0 == number)?;
        u32::try_from(index).ok().map(ListId)
    }

    /// What is leased of an address: what is live by itself, and what is over as one, with the latest of its ends.
    ///
    /// The step that is over opens nothing new. It is what flows that began under it are judged by when rules change.
    fn standing(&self, ip: IpAddr, now: Time) -> Vec<LeaseRules> {
        let leased = self.leased.get(&ip).into_iter().flatten();
        let (live, over): (Vec<_>, Vec<_>) =
            leased.partition(|(_, expires_at)| now <= **expires_at);
        let ended = over
            .iter()
            .map(|(_, expires_at)| **expires_at)
            .max()
            .unwrap_or_default();
        let over = over.into_iter().map(|(rules, _)| (rules, ended));
        let live = live
            .into_iter()
            .map(|(rules, expires_at)| (rules, *expires_at));
        over.chain(live)
            .map(|(rules, expires_at)| LeaseRules {
                rules: rules.clone(),
                expires_at,
            })
            .collect()
    }

    /// When an address must be folded again although no lease of it goes: its latest steps may have been cut.
    fn fold_again_at(standing: &[LeaseRules], now: Time) -> Option<Time> {
        let live = || {
            standing
                .iter()
                .map(|lease| lease.expires_at)
                .filter(|expires_at| now <= *expires_at)
        };
        (standing.len() > MAX_STEPS).then(|| live().min()).flatten()
    }

    fn put_learned(&self, address: IpAddr, steps: Vec<LearnedStep>, writes: &mut Writes) {
        let written = self.learned.get(&address);
        let same = written.map_or(steps.is_empty(), |written| *written == steps);
        if same && !self.unknown.contains(&address) {
            return;
        }
        let ruleset = self.id;
        writes.batch.push(if steps.is_empty() {
            Op::DelLearned { ruleset, address }
        } else {
            Op::PutLearned {
                ruleset,
                address,
                lease: 0,
                steps: steps.clone(),
            }
        });
        writes.written.push(Written::Learned {
            ruleset,
            address,
            steps,
        });
    }

    fn write_lists(&mut self, numbers: &mut Numbers, writes: &mut Writes) {
        let all = self.lists.all();
        while self.numbers.len() < all.len() {
            self.numbers.push(numbers.list());
        }
        if self.written == all.len() {
            return;
        }
        for (list, number) in all.iter().zip(&self.numbers).skip(self.written) {
            let rows = rows::port_rules(list, self.first_reason);
            writes.batch.push(Op::PutList {
                list: *number,
                rows,
            });
        }
        writes.written.push(Written::Lists {
            ruleset: self.id,
            before: self.written,
        });
        self.written = all.len();
    }

    fn number(&self, list: ListId) -> KernelListId {
        let index = usize::try_from(list.0).expect("32 bits fit an index");
        self.numbers[index]
    }
}
