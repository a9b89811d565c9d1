use std::net::IpAddr;

use dns_names::{Name, NamePattern};
use policy_model::{Preset, Protocol, RefusalCode, Resolver};

use crate::compile::clauses::{NameTarget, QuestionRule};
use crate::decide::Flow;
use crate::guard::{Guard, metadata_name};
use crate::numbering::index;
use crate::pattern_index::PatternIndex;
use crate::reason::{Reason, ReasonId, Reasons};
use crate::ruleset::{Chain, Effect, Outcome, Ruleset, Ruling, Verdict};
use crate::walk::outcome;

/// What becomes of a DNS question, as far as its name goes; the flow to the server is judged by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionRuling {
    /// Its names are nobody's business here: forward it.
    NotFiltered { reason: ReasonId },
    /// A rule names it: forward it.
    Forward { reason: ReasonId },
    /// Answer it with that code, and tell nobody upstream.
    Refuse { code: RefusalCode, reason: ReasonId },
}

impl QuestionRuling {
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::NotFiltered { .. } | Self::Forward { .. } => Verdict::Allow,
            Self::Refuse { .. } => Verdict::Deny,
        }
    }

    pub const fn reason(self) -> ReasonId {
        match self {
            Self::NotFiltered { reason }
            | Self::Forward { reason }
            | Self::Refuse { reason, .. } => reason,
        }
    }
}

/// What questions are judged by, beside the names of the FQDN rules.
#[derive(Debug, Clone)]
pub(crate) struct QuestionFilters {
    rules: Vec<QuestionRule>,
    patterns: PatternIndex,
    /// Which rule each pattern is of.
    rule_of: Vec<usize>,
    not_filtered: ReasonId,
    expansion: ReasonId,
    metadata_name: ReasonId,
}

impl QuestionFilters {
    pub(crate) fn build(rules: Vec<QuestionRule>, reasons: &mut Reasons) -> Self {
        let (rule_of, patterns) = rules
            .iter()
            .enumerate()
            .flat_map(|(at, rule)| {
                rule.patterns
                    .iter()
                    .map(move |pattern| (at, pattern.clone()))
            })
            .unzip();
        Self {
            rules,
            patterns: PatternIndex::build(patterns),
            rule_of,
            not_filtered: reasons.intern(Reason::NotFiltered),
            expansion: reasons.intern(Reason::SearchExpansion),
            metadata_name: reasons.intern(Reason::Guard(Guard::MetadataName)),
        }
    }
}

impl QuestionFilters {
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &NamePattern> {
        self.patterns.patterns().iter()
    }

    /// The rules with a pattern that `name` matches, in their order.
    fn naming(&self, name: &Name) -> Vec<&QuestionRule> {
        let mut found: Vec<usize> = self
            .patterns
            .matching(name)
            .map(|position| self.rule_of[position])
            .collect();
        found.sort_unstable();
        found.into_iter().map(|at| &self.rules[at]).collect()
    }
}

/// Why a name may be asked, or that it may not.
enum Named {
    ByRule(ReasonId),
    ByNobody,
    Unfiltered,
    Refused(ReasonId),
}

impl Ruleset {
    /// Judges the name of a question to `server` (as the workload addressed it) over `protocol`, as enforced.
    ///
    /// In order: a guarded metadata name that no rule opens, a Deny by name that stands before every Allow of that name, then
    /// the union of `rules.dns` where rules have them for that server, port and protocol, else the names of all FQDN rules
    /// where a policy filters and the names of the cluster's zone that stand for what may be reached, and the metadata names
    /// that a rule opens. Whether the workload may talk to the server at all is a flow, and not judged here. A server that
    /// is not a known resolver is nobody's business.
    pub fn judge_question(
        &self,
        server: (IpAddr, u16),
        protocol: Protocol,
        name: &Name,
    ) -> QuestionRuling {
        self.judge_question_by(Ruling::Enforced, server, protocol, name)
    }

    /// The same in either ruling.
    pub fn judge_question_by(
        &self,
        ruling: Ruling,
        server: (IpAddr, u16),
        protocol: Protocol,
        name: &Name,
    ) -> QuestionRuling {
        let (address, port) = server;
        let server = Resolver {
            address: address.to_canonical(),
            port,
        };
        if !self.world.is_resolver(address, port) {
            return QuestionRuling::NotFiltered {
                reason: self.questions.not_filtered,
            };
        }
        let refuse = |reason| QuestionRuling::Refuse {
            code: self.settings.refusal,
            reason,
        };
        let presets = metadata_name(name.as_str()).filter(|_| self.settings.guards);
        let opened = presets
            .as_ref()
            .and_then(|presets| self.opening(ruling, presets));
        if presets.is_some() && opened.is_none() {
            return refuse(self.questions.metadata_name);
        }
        match self.named(ruling, server, protocol, name) {
            Named::ByRule(reason) => QuestionRuling::Forward { reason },
            Named::Unfiltered => QuestionRuling::NotFiltered {
                reason: self.questions.not_filtered,
            },
            Named::Refused(reason) => refuse(reason),
            Named::ByNobody if let Some(reason) = opened => QuestionRuling::Forward { reason },
            Named::ByNobody if self.is_expansion(ruling, server, protocol, name) => {
                // Always NXDOMAIN: at REFUSED some resolvers do not go on to the name that is allowed.
                let (code, reason) = (RefusalCode::NxDomain, self.questions.expansion);
                QuestionRuling::Refuse { code, reason }
            }
            Named::ByNobody => refuse(self.chains.of(ruling).not_named),
        }
    }

    fn named(&self, ruling: Ruling, server: Resolver, protocol: Protocol, name: &Name) -> Named {
        let chain = self.chains.of(ruling);
        let targets = self.names.targets(name, &[]);
        let first = targets
            .iter()
            .filter_map(|target| Some((self.name_rank(ruling, *target)?, *target)))
            .min_by_key(|(rank, target)| (*rank, matches!(target, NameTarget::Refuse(_))));
        let by_rule = match first {
            Some((_, NameTarget::Refuse(rule))) => {
                return match outcome_of(chain, rule) {
                    Some(outcome) => Named::Refused(outcome.reason),
                    None => Named::ByNobody,
                };
            }
            Some((_, NameTarget::Clause(clause))) => outcome_of(chain, self.clause(clause).rule),
            None => None,
        };
        let allowed = |rule: &QuestionRule| {
            if rule.is_of(server, protocol) {
                outcome_of(chain, rule.rule)
            } else {
                None
            }
        };
        let named = self.questions.naming(name).into_iter().find_map(allowed);
        if let Some(outcome) = named {
            return Named::ByRule(outcome.reason);
        }
        let limited = self
            .questions
            .rules
            .iter()
            .any(|rule| allowed(rule).is_some());
        if limited {
            return Named::ByNobody;
        }
        if !chain.filters_by_names {
            return Named::Unfiltered;
        }
        by_rule
            .map(|outcome| outcome.reason)
            .or_else(|| self.reached_by(ruling, name))
            .map_or(Named::ByNobody, Named::ByRule)
    }

    /// Why a place may be reached that a name of the cluster's own zone stands for.
    fn reached_by(&self, ruling: Ruling, name: &Name) -> Option<ReasonId> {
        let zone = self.settings.cluster_domain.as_ref()?;
        let behind = self.world.cluster.objects().behind_name(name, zone);
        behind.into_iter().find_map(|(backend, protocol)| {
            let flow = Flow::new(backend.address, protocol, backend.port);
            let outcome = outcome(self, ruling, &flow);
            (outcome.verdict == Verdict::Allow).then_some(outcome.reason)
        })
    }

    /// Whether the name is one that may be asked with a zone of the search list behind it.
    fn is_expansion(
        &self,
        ruling: Ruling,
        server: Resolver,
        protocol: Protocol,
        name: &Name,
    ) -> bool {
        self.world
            .search
            .iter()
            .filter(|zone| !zone.is_root() && name.is_below(zone))
            .any(|zone| {
                let text = name
                    .as_str()
                    .strip_suffix(zone.as_str())
                    .unwrap_or_default();
                Name::parse(text).is_ok_and(|short| {
                    matches!(
                        self.named(ruling, server, protocol, &short),
                        Named::ByRule(_)
                    )
                })
            })
    }

    /// The first rule of the ruling that opens an address of one of the presets.
    fn opening(&self, ruling: Ruling, presets: &[Preset]) -> Option<ReasonId> {
        let addresses = presets.iter().flat_map(|preset| preset.addresses());
        addresses
            .filter_map(|address| self.opener(ruling, self.node(*address).shape))
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, reason)| reason)
    }

    /// The first Allow of the ruling that opens the metadata address of that shape, on whatever port.
    pub(crate) fn opener(&self, ruling: Ruling, shape: u32) -> Option<(u32, ReasonId)> {
        let clauses = self.shape(shape).clauses.iter();
        clauses
            .filter(|clause| self.clause(**clause).opens_metadata)
            .filter_map(|clause| {
                let place = self.place(ruling, *clause)?;
                match place.effect {
                    Effect::Decide(Outcome {
                        verdict: Verdict::Allow,
                        reason,
                        ..
                    }) => Some((place.rank, reason)),
                    Effect::Decide(_) | Effect::Pass | Effect::Log => None,
                }
            })
            .min_by_key(|(rank, _)| *rank)
    }
}

/// What a rule decides in a chain; nothing where it is not there or does not decide.
fn outcome_of(chain: &Chain, rule: u32) -> Option<Outcome> {
    match chain.places[index(rule)]?.effect {
        Effect::Decide(outcome) => Some(outcome),
        Effect::Pass | Effect::Log => None,
    }
}
