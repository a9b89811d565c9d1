use policy_model::Protocol;

use crate::compile::clauses::Clause;
use crate::decide::Flow;
use crate::guard::GuardFacts;
use crate::port_list::{PortKey, PortList, PortVerdict, Segment, covers};
use crate::ruleset::{ByRuling, Chain, Effect, Outcome, Place, Ruleset, Ruling, Verdict};

/// The port list of an address of that shape on which those name clauses count.
pub(crate) fn port_list(ruleset: &Ruleset, shape: u32, names: &ByRuling<Vec<u32>>) -> PortList {
    let shape = ruleset.shape(shape);
    let walks = ByRuling::from_fn(|ruling| {
        Walk::new(
            ruleset,
            ruling,
            &shape.clauses,
            names.of(ruling),
            &shape.facts,
        )
    });
    let verdict = |key| {
        let (enforced, proposed) = (walks.enforced.at(key), walks.proposed.at(key));
        PortVerdict {
            verdict: enforced.verdict,
            would: proposed.verdict,
            style: enforced.style,
            reason: enforced.reason,
            would_reason: proposed.reason,
        }
    };
    let default = verdict(PortKey {
        protocol: None,
        port: 0,
    });
    let clauses = || walks.enforced.clauses().chain(walks.proposed.clauses());
    let mut protocols: Vec<Protocol> = clauses()
        .flat_map(|clause| port_matches(clause).iter().map(|one| one.protocol))
        .collect();
    // The guards treat these two apart from all others.
    protocols.extend([Protocol::TCP, Protocol::UDP]);
    protocols.sort_unstable();
    protocols.dedup();
    let protocols: Vec<(Protocol, Vec<Segment>)> = protocols
        .into_iter()
        .map(|protocol| {
            let starts = starts(protocol, clauses(), &shape.facts);
            (protocol, segments(protocol, &starts, verdict))
        })
        .collect();
    PortList::build(default, &protocols)
}

/// What becomes of a flow to an address on which no name counts.
pub(crate) fn outcome(ruleset: &Ruleset, ruling: Ruling, flow: &Flow) -> Outcome {
    let shape = ruleset.shape(ruleset.node(flow.ip).shape);
    let walk = Walk::new(ruleset, ruling, &shape.clauses, &[], &shape.facts);
    walk.at(PortKey {
        protocol: Some(flow.protocol),
        port: flow.port,
    })
}

/// The walk of one ruling over what holds for an address.
struct Walk<'a> {
    chain: &'a Chain,
    facts: &'a GuardFacts,
    guards: bool,
    /// In the order of the chain.
    matched: Vec<(Place, &'a Clause)>,
}

impl<'a> Walk<'a> {
    fn new(
        ruleset: &'a Ruleset,
        ruling: Ruling,
        statics: &[u32],
        names: &[u32],
        facts: &'a GuardFacts,
    ) -> Self {
        let mut matched: Vec<(Place, &Clause)> = statics
            .iter()
            .chain(names)
            .filter_map(|clause| Some((ruleset.place(ruling, *clause)?, ruleset.clause(*clause))))
            .collect();
        matched.sort_by_key(|(place, _)| place.rank);
        let guards = ruleset.settings.guards;
        Self {
            chain: ruleset.chains.of(ruling),
            facts,
            guards,
            matched,
        }
    }

    fn clauses(&self) -> impl Iterator<Item = &'a Clause> {
        self.matched.iter().map(|(_, clause)| *clause)
    }

    fn at(&self, key: PortKey) -> Outcome {
        if self.guards && self.facts.closes_metadata(key) && !self.opens_metadata(key) {
            return self.chain.guard.metadata;
        }
        let bypass = self.guards && !self.chain.filters.is_empty() && self.facts.bypasses_dns(key);
        let mut skipped = false;
        let outcome = self.decide(key, bypass, &mut skipped);
        match outcome.verdict {
            // A deny that a broad Allow would have prevented, and an allow by default.
            Verdict::Deny if skipped => self.chain.guard.dns_bypass,
            Verdict::Allow if bypass && outcome == self.chain.default => {
                self.chain.guard.dns_bypass
            }
            Verdict::Allow | Verdict::Deny => outcome,
        }
    }

    fn decide(&self, key: PortKey, bypass: bool, skipped: &mut bool) -> Outcome {
        let mut matched = self.matched.iter().peekable();
        for (number, tier) in (0..).zip(&self.chain.tiers) {
            let mut passed = false;
            while let Some((place, clause)) = matched.next_if(|(place, _)| place.tier == number) {
                if passed || !covers(&clause.ports, key) {
                    continue;
                }
                match place.effect {
                    Effect::Log => {}
                    Effect::Pass => passed = true,
                    Effect::Decide(outcome)
                        if bypass && outcome.verdict == Verdict::Allow && !clause.names_address =>
                    {
                        *skipped = true;
                    }
                    Effect::Decide(outcome) => return outcome,
                }
            }
            if let (Some(end), false) = (tier.end, passed) {
                return end;
            }
        }
        self.chain.default
    }

    /// An Allow of this ruling that may open the address, on this port.
    fn opens_metadata(&self, key: PortKey) -> bool {
        self.matched.iter().any(|(place, clause)| {
            let allows = match place.effect {
                Effect::Decide(outcome) => outcome.verdict == Verdict::Allow,
                Effect::Pass | Effect::Log => false,
            };
            allows && clause.opens_metadata && covers(&clause.ports, key)
        })
    }
}

fn port_matches(clause: &Clause) -> &[policy_model::PortMatch] {
    match &clause.ports {
        policy_model::Ports::Any => &[],
        policy_model::Ports::Only(matches) | policy_model::Ports::AllBut(matches) => matches,
    }
}

/// The ports of a protocol at which a verdict may change, 0 first.
fn starts<'a>(
    protocol: Protocol,
    clauses: impl Iterator<Item = &'a Clause>,
    facts: &GuardFacts,
) -> Vec<u16> {
    let of_rules = clauses
        .flat_map(port_matches)
        .filter(|one| one.protocol == protocol && one.first <= one.last)
        .flat_map(|one| [Some(one.first), one.last.checked_add(1)]);
    let of_guards = facts
        .boundaries()
        .flat_map(|port| [Some(port), port.checked_add(1)]);
    let mut starts: Vec<u16> = std::iter::once(0)
        .chain(of_rules.chain(of_guards).flatten())
        .collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}

fn segments(
    protocol: Protocol,
    starts: &[u16],
    verdict: impl Fn(PortKey) -> PortVerdict,
) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (index, first) in starts.iter().copied().enumerate() {
        let last = starts.get(index + 1).map_or(u16::MAX, |next| next - 1);
        let verdict = verdict(PortKey {
            protocol: Some(protocol),
            port: first,
        });
        match segments.last_mut() {
            Some(before) if before.verdict == verdict => before.last = last,
            Some(_) | None => segments.push(Segment {
                first,
                last,
                verdict,
            }),
        }
    }
    segments
}
