//! The compiled ruleset as an engine: what the kernel tables are filled from.

use std::net::IpAddr;
use std::sync::Arc;

use dns_names::{Name, Rcode};
use policy_engine::{
    Age, Compiled, Flow, LeaseRules, Lists, NamedLease, PortList, QuestionRuling, Reason, Ruleset,
    Ruling, TierOutcome, Verdict, compile,
};
use policy_model::{DenyStyle, PortMatch, Protocol, RefusalCode, Settings, Time, Workload};

use super::{
    Address, By, Engine, EngineError, Observed, ObservedFlow, ObservedLearned, ObservedQuery, Who,
};
use crate::scene::{Trial, TrialKind};

/// Compiles the policies for who asks, and looks up.
#[derive(Debug, Default)]
pub struct CompiledEngine;

impl Engine for CompiledEngine {
    fn name(&self) -> &'static str {
        "compiled"
    }

    fn knows_own_addresses(&self) -> bool {
        true
    }

    fn run(&mut self, trial: &Trial<'_>) -> Result<Observed, EngineError> {
        let Compiled { ruleset, lists, .. } = compiled(trial)?;
        look_up(trial, &ruleset, lists)
    }
}

/// The same for many tests of one scene, which must not change meanwhile: what was compiled for a workload serves all its
/// tests.
#[derive(Debug, Default)]
pub struct CompiledOnce {
    /// Of one scene; the one that served last is last.
    compiled: Vec<Served>,
}

/// LIMIT: workloads whose rulesets are kept, which take memory by the policies that select them.
const MOST_KEPT: usize = 64;

/// What was compiled, and what for.
#[derive(Debug)]
struct Served {
    scene: Arc<()>,
    workload: Workload,
    settings: Settings,
    ruleset: Ruleset,
    lists: Lists,
}

impl Served {
    fn serves(&self, trial: &Trial<'_>) -> bool {
        Arc::ptr_eq(&self.scene, &trial.scene.identity)
            && self.workload == trial.workload
            && self.settings == trial.settings
    }
}

impl Engine for CompiledOnce {
    fn name(&self) -> &'static str {
        "compiled"
    }

    fn knows_own_addresses(&self) -> bool {
        true
    }

    fn run(&mut self, trial: &Trial<'_>) -> Result<Observed, EngineError> {
        let known = self.compiled.iter().rposition(|one| one.serves(trial));
        let served = match known {
            Some(known) => self.compiled.remove(known),
            None => {
                let Compiled { ruleset, lists, .. } = compiled(trial)?;
                self.compiled
                    .retain(|one| Arc::ptr_eq(&one.scene, &trial.scene.identity));
                if self.compiled.len() == MOST_KEPT {
                    self.compiled.remove(0);
                }
                Served {
                    scene: Arc::clone(&trial.scene.identity),
                    workload: trial.workload.clone(),
                    settings: trial.settings.clone(),
                    ruleset,
                    lists,
                }
            }
        };
        // Folds add lists: each test begins with those of the ruleset.
        let observed = look_up(trial, &served.ruleset, served.lists.clone());
        self.compiled.push(served);
        observed
    }
}

fn compiled(trial: &Trial<'_>) -> Result<Compiled, EngineError> {
    Ok(compile(
        &trial.scene.policies,
        &trial.workload,
        &trial.scene.world,
        &trial.settings,
    )?)
}

fn look_up(trial: &Trial<'_>, ruleset: &Ruleset, lists: Lists) -> Result<Observed, EngineError> {
    let mut run = Run {
        trial,
        ruleset,
        lists,
        leases: trial.leases(),
    };
    Ok(match &trial.kind {
        TrialKind::Flow {
            question,
            addresses,
            protocol,
            port,
            established,
        } => {
            let asked = match question {
                Some(question) => run.ask_anyone(&question.name)?,
                None => None,
            };
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
                .collect::<Result<_, _>>()?;
            Observed::Flow(ObservedFlow {
                question: asked,
                addresses,
            })
        }
        TrialKind::Query {
            question,
            server,
            port,
            protocol,
        } => Observed::Query(run.ask(*server, *port, *protocol, &question.name)?),
        TrialKind::Learned { host } => Observed::Learned(run.learned(host)?),
    })
}

struct Run<'a> {
    trial: &'a Trial<'a>,
    ruleset: &'a Ruleset,
    lists: Lists,
    leases: Vec<(IpAddr, NamedLease)>,
}

impl Run<'_> {
    /// A look-up as a stub resolver does it: of any known resolver, over either protocol. Nothing where names are not
    /// filtered, since nobody then stands between a program and its resolver.
    fn ask_anyone(&mut self, name: &Name) -> Result<Option<ObservedQuery>, EngineError> {
        let mut first = None;
        for resolver in self.trial.scene.world.resolvers.clone() {
            for protocol in [Protocol::UDP, Protocol::TCP] {
                let server = (resolver.address, resolver.port);
                let filtered = Ruling::BOTH.iter().any(|ruling| {
                    let ruling = self
                        .ruleset
                        .judge_question_by(*ruling, server, protocol, name);
                    !matches!(ruling, QuestionRuling::NotFiltered { .. })
                });
                if !filtered {
                    return Ok(None);
                }
                let asked = self.ask(resolver.address, resolver.port, protocol, name)?;
                if asked.verdict == Verdict::Allow {
                    return Ok(Some(asked));
                }
                first.get_or_insert(asked);
            }
        }
        Ok(first)
    }

    /// A question to one server: the flow to it, and the name.
    fn ask(
        &mut self,
        server: IpAddr,
        port: u16,
        protocol: Protocol,
        name: &Name,
    ) -> Result<ObservedQuery, EngineError> {
        let flow = self.flow(
            Flow::new(server, protocol, port),
            Age::New {
                now: self.trial.now,
            },
        )?;
        let enforced = self.ruleset.judge_question((server, port), protocol, name);
        let proposed =
            self.ruleset
                .judge_question_by(Ruling::Proposed, (server, port), protocol, name);
        let both = |a: Verdict, b: Verdict| a.max(b);
        let would = flow.would.map(|would| both(would, proposed.verdict()));
        if flow.verdict == Verdict::Deny {
            return Ok(ObservedQuery {
                verdict: Verdict::Deny,
                would,
                rcode: None,
                how: flow.how,
                by: flow.by,
            });
        }
        let (rcode, how) = match enforced {
            QuestionRuling::NotFiltered { .. } | QuestionRuling::Forward { .. } => (None, None),
            QuestionRuling::Refuse {
                code: RefusalCode::NxDomain,
                ..
            } => (Some(Rcode::NXDOMAIN), Some(DenyStyle::Reject)),
            QuestionRuling::Refuse {
                code: RefusalCode::Refused,
                ..
            } => (Some(Rcode::REFUSED), Some(DenyStyle::Reject)),
        };
        let by = by(self.ruleset.reason(enforced.reason()), Vec::new());
        Ok(ObservedQuery {
            verdict: enforced.verdict(),
            would,
            rcode,
            how,
            by: Some(by),
        })
    }

    fn flow(&mut self, flow: Flow, age: Age) -> Result<Address, EngineError> {
        let ip = flow.ip.to_canonical();
        let flow = Flow { ip, ..flow };
        let leases: Vec<NamedLease> = self
            .leases
            .iter()
            .filter(|(of, _)| *of == ip)
            .map(|(_, lease)| lease.clone())
            .collect();
        let story = self
            .ruleset
            .explain(&mut self.lists, &flow, &leases, age, Ruling::Enforced)?;
        // Rules of the deciding tier that match and do the same decide equally, wherever they stand in it.
        let mut equals = Vec::new();
        for tier in &story.tiers {
            if let TierOutcome::Decided(at) = tier.outcome
                && let Some(decided) = tier.rules.get(at)
            {
                let same = |rule: &&policy_engine::RuleTrace| {
                    rule.miss.is_none() && rule.rule.action == decided.rule.action
                };
                equals.extend(
                    tier.rules
                        .iter()
                        .filter(same)
                        .map(|rule| rule.rule.policy.clone()),
                );
            }
        }
        Ok(Address {
            ip,
            verdict: story.decision.verdict,
            would: Some(story.decision.would),
            how: (story.decision.verdict == Verdict::Deny).then_some(story.decision.style),
            by: Some(by(&story.reason, equals)),
        })
    }

    fn learned(&mut self, host: &Name) -> Result<ObservedLearned, EngineError> {
        let mut learned = ObservedLearned::default();
        let leases = learned_leases(self.trial, self.ruleset, host);
        let mut ports: Option<Vec<String>> = None;
        for (ip, ttl) in leases {
            let rules: Vec<LeaseRules> = self
                .leases
                .iter()
                .filter(|(of, _)| *of == ip)
                .map(|(_, lease)| LeaseRules {
                    rules: self.ruleset.name_rules(&lease.question, &lease.chain),
                    expires_at: lease.expires_at,
                })
                .collect();
            let steps = self.ruleset.fold(&mut self.lists, ip, &rules)?;
            let list = steps
                .iter()
                .find(|step| self.trial.now <= step.expires_at)
                .map_or_else(|| self.ruleset.static_list(ip), |step| step.list);
            let open = open_ports(self.lists.get(list));
            let known = ports.get_or_insert_with(|| open.clone());
            if *known != open {
                known.extend(open);
                known.sort();
                known.dedup();
            }
            learned.addresses.push(ip);
            learned.ttl = Some(learned.ttl.map_or(ttl, |known| known.min(ttl)));
        }
        learned.addresses.sort_unstable();
        learned.addresses.dedup();
        learned.ports = Some(ports.unwrap_or_default());
        Ok(learned)
    }
}

/// The addresses that answers to `host` opened for a ruleset and that are live, each with the TTL it was learned with.
pub fn learned_leases(trial: &Trial<'_>, ruleset: &Ruleset, host: &Name) -> Vec<(IpAddr, u32)> {
    let mut opened = Vec::new();
    for response in trial
        .scene
        .responses
        .iter()
        .filter(|response| response.trusted)
    {
        let [question, chain @ ..] = response.resolution.chain.as_slice() else {
            continue;
        };
        if question != host {
            continue;
        }
        let rules = ruleset.name_rules(question, chain);
        for address in &response.resolution.addresses {
            let ip = address.ip.to_canonical();
            let expires: Time = response.at
                + core::time::Duration::from_secs(address.ttl.into())
                + trial.settings.grace;
            let private = ruleset.world().is_private(ip) && trial.settings.guards;
            if !rules.is_empty()
                && trial.now <= expires
                && (!private || ruleset.allows_private(&rules, ip))
            {
                opened.push((ip, address.ttl));
            }
        }
    }
    opened
}

/// The ports a list allows: `443/TCP`, `8000-8010/TCP`, `UDP`; `any` where protocols nobody names are allowed.
fn open_ports(list: &PortList) -> Vec<String> {
    let allows = |protocol, port| list.look_up(protocol, port).verdict == Verdict::Allow;
    let mut open = Vec::new();
    let mut protocols: Vec<Protocol> = list.rows().iter().filter_map(|row| row.protocol).collect();
    protocols.sort_unstable();
    protocols.dedup();
    if list
        .rows()
        .first()
        .is_some_and(|row| row.verdict.verdict == Verdict::Allow)
    {
        open.push("any".to_owned());
        protocols.retain(|protocol| (0..=u16::MAX).any(|port| !allows(*protocol, port)));
    }
    for protocol in protocols {
        let mut first = None;
        for port in 0..=u16::MAX {
            let allowed = allows(protocol, port);
            if allowed && first.is_none() {
                first = Some(port);
            }
            let ends = !allowed || port == u16::MAX;
            if let (Some(start), true) = (first, ends) {
                let last = if allowed {
                    port
                } else {
                    port.saturating_sub(1)
                };
                open.push(PortMatch::range(protocol, start, last).to_string());
                first = None;
            }
        }
    }
    open.sort();
    open
}

/// Who decided, of a reason; `equals` are policies that decide the same.
pub(super) fn by(reason: &Reason, equals: Vec<policy_model::ObjectRef>) -> By {
    let who = match reason {
        Reason::Guard(_) => Who::Guard,
        Reason::Rule(_)
        | Reason::TierEnd { .. }
        | Reason::Isolated { .. }
        | Reason::NotNamed { .. } => {
            let mut policies: Vec<_> = reason.policies().into_iter().cloned().collect();
            policies.extend(equals);
            policies.dedup();
            Who::Policies(policies)
        }
        Reason::Service(_)
        | Reason::Default
        | Reason::NoPolicy
        | Reason::OwnAddress
        | Reason::SearchExpansion
        | Reason::NotFiltered => Who::Default,
    };
    By {
        who,
        text: reason.to_string(),
        tier: reason.tier().map(ToString::to_string),
    }
}
