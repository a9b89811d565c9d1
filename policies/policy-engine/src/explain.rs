use dns_names::Name;
use ipnet::IpNet;
use policy_model::{DestinationClass, ObjectRef, TierRef, Time};

use crate::decide::{Age, Decision, Flow};
use crate::fold::LeaseRules;
use crate::guard::Guard;
use crate::limits::LimitError;
use crate::lists::Lists;
use crate::reason::{Reason, RuleReason};
use crate::ruleset::{Ruleset, Ruling, Verdict};

use tracer::Tracer;

mod story;
mod tracer;

/// A lease with the names it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLease {
    pub question: Name,
    /// Owner names on the CNAME chain; the question may be among them.
    pub chain: Vec<Name>,
    /// The last instant at which it holds.
    pub expires_at: Time,
}

/// A decision of one ruling, and every step that led to it.
#[derive(Debug, Clone)]
pub struct Explanation {
    pub flow: Flow,
    /// Of a flow to a Service: the flow to the backend whose steps are told, the first that decided.
    pub backend: Option<Flow>,
    pub ruling: Ruling,
    pub class: DestinationClass,
    pub decision: Decision,
    /// The verdict and reason of `ruling`.
    pub verdict: Verdict,
    pub reason: Reason,
    pub leases: Vec<LeaseTrace>,
    /// The guards that close the flow unless a rule of their kind opens it.
    pub guards: Vec<Guard>,
    /// The tiers in order, those behind the deciding one too.
    pub tiers: Vec<TierTrace>,
    /// What holds where no tier decides.
    pub default: (Verdict, Reason),
    /// Objects whose subject does not select the workload.
    pub unselected: Vec<ObjectRef>,
}

/// A lease given, and whether it counts.
#[derive(Debug, Clone)]
pub struct LeaseTrace {
    pub lease: NamedLease,
    pub live: bool,
}

/// A tier, its rules in the order of the walk, and how it ended.
#[derive(Debug, Clone)]
pub struct TierTrace {
    pub tier: TierRef,
    pub rules: Vec<RuleTrace>,
    pub outcome: TierOutcome,
}

/// How a tier ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierOutcome {
    /// The rule of that position in [`TierTrace::rules`] decided.
    Decided(usize),
    /// That rule passed on to the next tier.
    Passed(usize),
    /// No rule decided, and the tier ends in deny.
    DeniedAtEnd,
    /// No rule decided: the next tier.
    Next,
    /// The flow was decided before.
    NotReached,
}

/// A rule, and what it has to say of the flow, whether or not the walk came to it.
#[derive(Debug, Clone)]
pub struct RuleTrace {
    pub rule: RuleReason,
    /// The lease it matches by, as an index into [`Explanation::leases`]; nothing where it needs none or misses.
    pub lease: Option<usize>,
    /// Why it does not match; nothing: it matches.
    pub miss: Option<Miss>,
}

/// Why a rule does not match, the nearest miss first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miss {
    /// It would, but a guard asks for a rule that names the address.
    Guarded(Guard),
    /// It would by a lease that is over since then.
    Expired { lease: usize },
    /// It would by a name, and names may not hold this private address.
    Private { lease: usize },
    /// It would by a name, and a Deny by name stands before it.
    NameRefused { lease: usize },
    /// It means the destination, on other ports or protocols.
    Ports,
    /// A block of it has the address, and this exception of the block too.
    Excepted { by: IpNet },
    /// It means names, and none of the address's names.
    Name,
    /// It means other addresses.
    Address,
    /// It is closed, and so matches nothing.
    Closed(&'static str),
}

impl Ruleset {
    /// Decides a flow and tells every step, in one ruling.
    ///
    /// # Errors
    /// See [`fold`](Self::fold).
    pub fn explain(
        &self,
        lists: &mut Lists,
        flow: &Flow,
        leases: &[NamedLease],
        age: Age,
        ruling: Ruling,
    ) -> Result<Explanation, LimitError> {
        let rules: Vec<LeaseRules> = leases
            .iter()
            .map(|lease| LeaseRules {
                rules: self.name_rules(&lease.question, &lease.chain),
                expires_at: lease.expires_at,
            })
            .collect();
        let decision = self.decide(lists, flow, &rules, age)?;
        let backend = self.told_backend(lists, flow, age, ruling)?;
        let (verdict, reason) = match ruling {
            Ruling::Enforced => (decision.verdict, decision.reason),
            Ruling::Proposed => (decision.would, decision.would_reason),
        };
        let is_service = self.is_service(flow);
        let is_own = self.own_address(flow.ip).is_some();
        let tracer = Tracer {
            ruleset: self,
            chain: self.chains.of(ruling),
            flow: backend.as_ref().unwrap_or(flow),
            // Names stand for the Service's address, not for its backends'.
            leases: if is_service { &[] } else { leases },
            rules: if is_service { Vec::new() } else { rules },
            age,
            ruling,
        };
        let chain = self.chains.of(ruling);
        Ok(Explanation {
            flow: *flow,
            ruling,
            class: self.world.class_of(flow.ip),
            decision,
            verdict,
            reason: self.reason(reason).clone(),
            backend,
            guards: if is_own { Vec::new() } else { tracer.guards() },
            tiers: if is_own || (is_service && backend.is_none()) {
                Vec::new()
            } else {
                tracer.tiers()
            },
            leases: leases
                .iter()
                .map(|lease| LeaseTrace {
                    lease: lease.clone(),
                    live: age.admits(lease.expires_at),
                })
                .collect(),
            default: (
                chain.default.verdict,
                self.reason(chain.default.reason).clone(),
            ),
            unselected: self.unselected.to_vec(),
        })
    }

    fn is_service(&self, flow: &Flow) -> bool {
        let cluster = &self.world.cluster;
        cluster
            .backends(flow.ip, flow.protocol, flow.port)
            .is_some()
    }

    /// The first backend of a Service, or the first that is denied where not all are.
    fn told_backend(
        &self,
        lists: &mut Lists,
        flow: &Flow,
        age: Age,
        ruling: Ruling,
    ) -> Result<Option<Flow>, LimitError> {
        let cluster = &self.world.cluster;
        let backends = cluster.backends(flow.ip, flow.protocol, flow.port);
        let mut first = None;
        for backend in backends.into_iter().flatten() {
            let flow = Flow::new(backend.address, flow.protocol, backend.port);
            let decision = self.decide_address(lists, &flow, &[], age)?;
            let verdict = match ruling {
                Ruling::Enforced => decision.verdict,
                Ruling::Proposed => decision.would,
            };
            if verdict == Verdict::Deny {
                return Ok(Some(flow));
            }
            first = first.or(Some(flow));
        }
        Ok(first)
    }
}
