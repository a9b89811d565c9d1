use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dns_names::Resolution;
use ebpf_abi::plan::{RulesetId, WorkloadId};
use policy_engine::{NameRules, PortVerdict, Ruleset};
use policy_model::{Guarded, Protocol};

use crate::mode::Mode;

/// What the hot path may know without asking anybody: immutable, and replaced as a whole.
#[derive(Debug, Default)]
pub struct View {
    pub(crate) workloads: BTreeMap<WorkloadId, Arc<WorkloadView>>,
    pub(crate) slots: BTreeMap<u16, Slot>,
    /// Moves when leases were taken back before their time: what an answer opened may be closed again.
    pub lease_epoch: u64,
}

/// What a slot address stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub workload: WorkloadId,
    /// The server the workload thinks it asks.
    pub server: SocketAddr,
}

/// A workload as its questions are judged.
#[derive(Debug)]
pub struct WorkloadView {
    pub id: WorkloadId,
    /// The ruleset's number in the kernel; a change of policy is another number.
    pub ruleset_id: RulesetId,
    pub ruleset: Arc<Ruleset>,
    pub mode: Mode,
    /// Whether there are audit or staged policies, so that the two rulings may differ.
    pub proposes: bool,
    /// The flow to each known resolver, judged as any flow is.
    pub(crate) servers: BTreeMap<(SocketAddr, Protocol), PortVerdict>,
}

/// An answer held against a ruleset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screened {
    /// The rules its names match; empty: it opens nothing, and nothing has to be written.
    pub rules: NameRules,
    /// Addresses the rebinding guard takes out of the answer, and what they are.
    pub stripped: Vec<(IpAddr, Guarded)>,
}

impl View {
    /// The workload, where it is held.
    pub fn workload(&self, id: WorkloadId) -> Option<&Arc<WorkloadView>> {
        self.workloads.get(&id)
    }

    /// What a slot stands for.
    pub fn slot(&self, number: u16) -> Option<Slot> {
        self.slots.get(&number).copied()
    }
}

impl WorkloadView {
    /// Whether the workload may talk to a known resolver over UDP or TCP at all; nothing where it is none.
    pub fn flow_to(&self, server: SocketAddr, protocol: Protocol) -> Option<PortVerdict> {
        self.servers.get(&(server, protocol)).copied()
    }

    /// Which rules an answer's names match, and which of its addresses may not be handed out.
    ///
    /// Only where names open something can they open the wrong thing: an answer no rule wants is left as it is.
    pub fn screen(&self, resolution: &Resolution) -> Screened {
        let rules = self
            .ruleset
            .name_rules(resolution.question(), &resolution.chain);
        let guarded = !rules.is_empty() && self.mode == Mode::Enforce;
        let stripped = resolution
            .addresses
            .iter()
            .map(|address| address.ip)
            .filter(|ip| guarded && !self.ruleset.allows_private(&rules, *ip))
            .filter_map(|ip| Some((ip, self.ruleset.world().guarded(ip)?)))
            .collect();
        Screened { rules, stripped }
    }
}
