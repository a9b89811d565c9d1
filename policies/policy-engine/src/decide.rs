use std::net::IpAddr;

use policy_model::{DenyStyle, Protocol, Time};

use crate::faults::{Fault, is_on};
use crate::fold::LeaseRules;
use crate::limits::LimitError;
use crate::lists::Lists;
use crate::port_list::{PortKey, covers};
use crate::reason::ReasonId;
use crate::ruleset::{ByRuling, Effect, Outcome, Ruleset, Ruling, Verdict};

/// What a workload wants to send, as the kernel sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    pub ip: IpAddr,
    pub protocol: Protocol,
    /// ICMP: `type << 8 | code`; protocols without ports: 0.
    pub port: u16,
}

impl Flow {
    pub const fn new(ip: IpAddr, protocol: Protocol, port: u16) -> Self {
        Self { ip, protocol, port }
    }

    /// An ICMP or ICMPv6 message, by the address's family.
    pub const fn icmp(ip: IpAddr, kind: u8, code: u8) -> Self {
        let protocol = match ip {
            IpAddr::V4(_) => Protocol::ICMP,
            IpAddr::V6(_) => Protocol::ICMPV6,
        };
        Self::new(ip, protocol, u16::from_be_bytes([kind, code]))
    }
}

/// When a flow began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Age {
    /// It begins now: leases that are over do not count.
    New { now: Time },
    /// It began when every lease given was fresh, and is judged again: it outlives their expiry, not their rules.
    Established,
}

impl Age {
    /// Whether a lease that holds until `expires_at` counts.
    pub(crate) fn admits(self, expires_at: Time) -> bool {
        match self {
            Self::New { now } => now <= expires_at,
            Self::Established => true,
        }
    }
}

/// Both rulings on a flow, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    /// With every staged and audit policy in force.
    pub would: Verdict,
    /// How a deny looks; of no meaning with an allow.
    pub style: DenyStyle,
    pub reason: ReasonId,
    pub would_reason: ReasonId,
    /// The lease, as an index into those given, that the allowing rule counts by; nothing where it needs none.
    pub lease: Option<usize>,
}

impl Ruleset {
    /// Decides a flow as the kernel does: by the steps of its address, else by its prefix. A flow to a Service is decided as
    /// those to its backends, which must agree; `leases` are those of the flow's address. A flow to the workload's own address
    /// is free, where the ruleset was compiled for it alone.
    ///
    /// # Errors
    /// See [`fold`](Self::fold).
    pub fn decide(
        &self,
        lists: &mut Lists,
        flow: &Flow,
        leases: &[LeaseRules],
        age: Age,
    ) -> Result<Decision, LimitError> {
        if let Some(reason) = self.own_address(flow.ip) {
            return Ok(Decision {
                verdict: Verdict::Allow,
                would: Verdict::Allow,
                style: DenyStyle::Reject,
                reason,
                would_reason: reason,
                lease: None,
            });
        }
        let cluster = &self.world.cluster;
        let Some(backends) = cluster.backends(flow.ip, flow.protocol, flow.port) else {
            return self.decide_address(lists, flow, leases, age);
        };
        let decisions: Vec<Decision> = backends
            .iter()
            .map(|backend| {
                let flow = Flow::new(backend.address, flow.protocol, backend.port);
                self.decide_address(lists, &flow, &[], age)
            })
            .collect::<Result<_, _>>()?;
        Ok(self.agreed(&decisions))
    }

    fn agreed(&self, backends: &[Decision]) -> Decision {
        let ruled = |ruling: Ruling, of: fn(&Decision) -> (Verdict, DenyStyle, ReasonId)| {
            let service = self.chains.of(ruling).service;
            let trouble = |outcome: Outcome| (outcome.verdict, outcome.style, outcome.reason);
            let Some(first) = backends.first().map(of) else {
                return trouble(service.no_backend);
            };
            if backends.iter().all(|decision| of(decision).0 == first.0) {
                first
            } else {
                trouble(service.differ)
            }
        };
        let (verdict, style, reason) = ruled(Ruling::Enforced, |decision| {
            (decision.verdict, decision.style, decision.reason)
        });
        let (would, _, would_reason) = ruled(Ruling::Proposed, |decision| {
            (decision.would, decision.style, decision.would_reason)
        });
        Decision {
            verdict,
            would,
            style,
            reason,
            would_reason,
            lease: None,
        }
    }

    pub(crate) fn decide_address(
        &self,
        lists: &mut Lists,
        flow: &Flow,
        leases: &[LeaseRules],
        age: Age,
    ) -> Result<Decision, LimitError> {
        let node = self.node(flow.ip);
        let steps = self.fold_at(lists, flow.ip, node, leases)?;
        let step = match age {
            Age::New { now } => steps.iter().find(|step| {
                now < step.expires_at || (now == step.expires_at && !is_on(Fault::ExpiryExclusive))
            }),
            Age::Established => steps.first(),
        };
        let list = step.map_or(node.list, |step| step.list);
        let verdict = lists.get(list).look_up(flow.protocol, flow.port);
        let lease = match verdict.verdict {
            Verdict::Allow if !leases.is_empty() => {
                self.lease_used(flow, verdict.reason, leases, age)
            }
            Verdict::Allow => None,
            Verdict::Deny => None,
        };
        Ok(Decision {
            verdict: verdict.verdict,
            would: verdict.would,
            style: verdict.style,
            reason: verdict.reason,
            would_reason: verdict.would_reason,
            lease,
        })
    }

    /// The lease that lives longest among those the deciding rule counts by, where the rule does not hold without one.
    fn lease_used(
        &self,
        flow: &Flow,
        reason: ReasonId,
        leases: &[LeaseRules],
        age: Age,
    ) -> Option<usize> {
        let node = self.node(flow.ip);
        let is_of_rule = |clause: &u32| {
            self.place(Ruling::Enforced, *clause)
                .is_some_and(|place| match place.effect {
                    Effect::Decide(outcome) => outcome.reason == reason,
                    Effect::Pass | Effect::Log => false,
                })
        };
        let key = PortKey {
            protocol: Some(flow.protocol),
            port: flow.port,
        };
        let covers = |clause: &u32| covers(&self.clause(*clause).ports, key);
        let holds = |clauses: &[u32]| clauses.iter().any(|c| is_of_rule(c) && covers(c));
        if holds(&self.shape(node.shape).clauses) {
            return None;
        }
        leases
            .iter()
            .enumerate()
            .filter(|(_, lease)| age.admits(lease.expires_at))
            .filter(|(_, lease)| {
                let ByRuling { enforced, .. } = self.counting(flow.ip, node, &lease.rules);
                holds(&enforced)
            })
            .max_by_key(|(index, lease)| (lease.expires_at, std::cmp::Reverse(*index)))
            .map(|(index, _)| index)
    }
}
