//! The reference of `policy-engine` as an engine: the walk as the design writes it, without tables.

use std::net::IpAddr;
use std::sync::Arc;

use dns_names::{Name, Rcode};
use policy_engine::reference::{self, Ruled, RuledQuestion, Setting};
use policy_engine::{Age, Flow, NamedLease, Reason, Ruling, Verdict};
use policy_model::{DenyStyle, Protocol, RefusalCode};

use super::compiled::by;
use super::{Address, Engine, EngineError, Observed, ObservedFlow, ObservedQuery};
use crate::scene::{Trial, TrialKind};

/// Walks policies and leases naively. It does not say what was learned: that is a question about tables.
#[derive(Debug, Default)]
pub struct ReferenceEngine;

impl Engine for ReferenceEngine {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn knows_own_addresses(&self) -> bool {
        true
    }

    fn run(&mut self, trial: &Trial<'_>) -> Result<Observed, EngineError> {
        let run = Run {
            setting: Setting {
                policies: &trial.scene.policies,
                workload: &trial.workload,
                world: &trial.scene.world,
                settings: &trial.settings,
            },
            leases: trial.leases(),
            trial,
        };
        match &trial.kind {
            TrialKind::Flow {
                question,
                addresses,
                protocol,
                port,
                established,
            } => {
                let asked = question
                    .as_ref()
                    .and_then(|question| run.ask_anyone(&question.name));
                let age = if *established {
                    Age::Established
                } else {
                    Age::New { now: trial.now }
                };
                let refused = asked
                    .as_ref()
                    .is_some_and(|asked| asked.verdict == Verdict::Deny && !*established);
                let addresses = addresses
                    .iter()
                    .filter(|_| !refused)
                    .map(|ip| run.flow(Flow::new(*ip, *protocol, *port), age))
                    .collect();
                Ok(Observed::Flow(ObservedFlow {
                    question: asked,
                    addresses,
                }))
            }
            TrialKind::Query {
                question,
                server,
                port,
                protocol,
            } => Ok(Observed::Query(run.ask(
                *server,
                *port,
                *protocol,
                &question.name,
            ))),
            TrialKind::Learned { .. } => Err(EngineError::Unsupported {
                engine: self.name(),
                why: Arc::from("it has no tables to look into"),
            }),
        }
    }
}

struct Run<'a> {
    setting: Setting<'a>,
    leases: Vec<(IpAddr, NamedLease)>,
    trial: &'a Trial<'a>,
}

impl Run<'_> {
    fn ask_anyone(&self, name: &Name) -> Option<ObservedQuery> {
        let mut first = None;
        for resolver in &self.trial.scene.world.resolvers {
            for protocol in [Protocol::UDP, Protocol::TCP] {
                let server = (resolver.address, resolver.port);
                let untouched = Ruling::BOTH.iter().all(|ruling| {
                    reference::judge_question(self.setting, *ruling, server, protocol, name)
                        == RuledQuestion::NotFiltered
                });
                if untouched {
                    return None;
                }
                let asked = self.ask(resolver.address, resolver.port, protocol, name);
                if asked.verdict == Verdict::Allow {
                    return Some(asked);
                }
                first.get_or_insert(asked);
            }
        }
        first
    }

    fn ask(&self, server: IpAddr, port: u16, protocol: Protocol, name: &Name) -> ObservedQuery {
        let flow = self.flow(
            Flow::new(server, protocol, port),
            Age::New {
                now: self.trial.now,
            },
        );
        let judged = |ruling| {
            reference::judge_question(self.setting, ruling, (server, port), protocol, name)
        };
        let verdict_of = |question: &RuledQuestion| match question {
            RuledQuestion::NotFiltered | RuledQuestion::Forward { .. } => Verdict::Allow,
            RuledQuestion::Refuse { .. } => Verdict::Deny,
        };
        let (enforced, proposed) = (judged(Ruling::Enforced), judged(Ruling::Proposed));
        let would = flow.would.map(|would| would.max(verdict_of(&proposed)));
        if flow.verdict == Verdict::Deny {
            return ObservedQuery {
                verdict: Verdict::Deny,
                would,
                rcode: None,
                how: flow.how,
                by: flow.by,
            };
        }
        let verdict = verdict_of(&enforced);
        let (rcode, how, reason) = match enforced {
            RuledQuestion::NotFiltered => (None, None, Reason::NotFiltered),
            RuledQuestion::Forward { reason } => (None, None, reason),
            RuledQuestion::Refuse {
                code: RefusalCode::NxDomain,
                reason,
            } => (Some(Rcode::NXDOMAIN), Some(DenyStyle::Reject), reason),
            RuledQuestion::Refuse {
                code: RefusalCode::Refused,
                reason,
            } => (Some(Rcode::REFUSED), Some(DenyStyle::Reject), reason),
        };
        ObservedQuery {
            verdict,
            would,
            rcode,
            how,
            by: Some(by(&reason, Vec::new())),
        }
    }

    fn flow(&self, flow: Flow, age: Age) -> Address {
        let ip = flow.ip.to_canonical();
        let flow = Flow { ip, ..flow };
        let leases: Vec<NamedLease> = self
            .leases
            .iter()
            .filter(|(of, _)| *of == ip)
            .map(|(_, lease)| lease.clone())
            .collect();
        let ruled = |ruling| reference::decide(self.setting, ruling, &flow, &leases, age);
        let Ruled {
            verdict,
            style,
            reason,
        } = ruled(Ruling::Enforced);
        Address {
            ip,
            verdict,
            would: Some(ruled(Ruling::Proposed).verdict),
            how: (verdict == Verdict::Deny).then_some(style),
            by: Some(by(&reason, Vec::new())),
        }
    }
}
