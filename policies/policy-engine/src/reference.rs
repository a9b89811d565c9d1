//! The walk as the crate's own text says it: policies, rules, peers and leases, one after the other, for one
//! flow. Slow and obvious on purpose. Every other engine is held against it; it shares no fold, prefix, port or name index
//! with them, only the words (model, flows, reasons) and the lists of guarded addresses.
use std::net::IpAddr;
use std::sync::Arc;

use dns_names::Name;
use policy_model::{
    Action, Band, DefaultVerdict, DenyStyle, DnsFilter, Endpoint, EndpointPeer, Expression, FqdnBy,
    FqdnPeer, ObjectRef, Order, Peer, Peers, Policy, Protocol, RefusalCode, Rule, Scope, Selects,
    Settings, StagedChange, Standing, TierEnd, TierRef, Workload, World,
};

use crate::decide::{Age, Flow};
use crate::explain::NamedLease;
use crate::guard::Guard;
use crate::reason::{Reason, RuleReason, ServiceTrouble};
use crate::ruleset::{Ruling, Verdict};

use matching::is_metadata;

mod cluster;
mod matching;
mod questions;

/// Everything a decision depends on, apart from the flow and what its address stands for.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// All of them; those that do not select the workload, or that nobody can say of, are left out.
    pub policies: &'a [Policy],
    pub workload: &'a Workload,
    pub world: &'a World,
    pub settings: &'a Settings,
}

/// One ruling on a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruled {
    pub verdict: Verdict,
    /// Of no meaning with an allow.
    pub style: DenyStyle,
    pub reason: Reason,
}

/// One ruling on the name of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuledQuestion {
    NotFiltered,
    Forward { reason: Reason },
    Refuse { code: RefusalCode, reason: Reason },
}

/// Decides a flow in one ruling. `leases` are those of the flow's address.
pub fn decide(
    setting: Setting<'_>,
    ruling: Ruling,
    flow: &Flow,
    leases: &[NamedLease],
    age: Age,
) -> Ruled {
    if setting.workload.pod.is_own(flow.ip) {
        return Ruled {
            verdict: Verdict::Allow,
            style: DenyStyle::Reject,
            reason: Reason::OwnAddress,
        };
    }
    let live: Vec<&NamedLease> = leases
        .iter()
        .filter(|lease| match age {
            Age::New { now } => now <= lease.expires_at,
            Age::Established => true,
        })
        .collect();
    let policies = in_force(setting, ruling);
    let court = Court::new(setting, &policies);
    let cluster = &setting.world.cluster;
    let Some(backends) = cluster.backends(flow.ip, flow.protocol, flow.port) else {
        return court.decide(flow, &live);
    };
    let mut ruled = backends.iter().map(|backend| {
        let flow = Flow::new(backend.address, flow.protocol, backend.port);
        court.decide(&flow, &[])
    });
    let style = setting.settings.deny_style;
    let Some(first) = ruled.next() else {
        return court.deny(Reason::Service(ServiceTrouble::NoBackend), style);
    };
    if ruled.all(|other| other.verdict == first.verdict) {
        first
    } else {
        court.deny(Reason::Service(ServiceTrouble::BackendsDiffer), style)
    }
}

/// Judges the name of a question in one ruling, as [`Ruleset::judge_question`](crate::Ruleset::judge_question) does.
pub fn judge_question(
    setting: Setting<'_>,
    ruling: Ruling,
    server: (IpAddr, u16),
    protocol: Protocol,
    name: &Name,
) -> RuledQuestion {
    let policies = in_force(setting, ruling);
    Court::new(setting, &policies).judge_question(server, protocol, name)
}

/// The policies of a ruling that select the workload, as they stand there.
fn in_force(setting: Setting<'_>, ruling: Ruling) -> Vec<Policy> {
    let Setting {
        policies, workload, ..
    } = setting;
    let counts = |policy: &&Policy| {
        let changed = policies
            .iter()
            .any(|other| other.id == policy.id && matches!(other.standing, Standing::Staged(_)));
        match ruling {
            Ruling::Enforced => policy.standing == Standing::Enforced,
            Ruling::Proposed => match policy.standing {
                Standing::Enforced => !changed,
                Standing::Audit | Standing::Staged(StagedChange::Set) => true,
                Standing::Staged(StagedChange::Delete) => false,
            },
        }
    };
    let mut selected: Vec<Policy> = policies
        .iter()
        .filter(|policy| policy.subject.selects(workload) == Selects::Yes)
        .filter(counts)
        .cloned()
        .collect();
    // NetworkPolicies are Calico's where Calico has anything to say in that tier. Those of one object, which then have one
    // rank, follow each other as they did before.
    selected.sort_by(|a, b| (a.order, &a.tie).cmp(&(b.order, &b.tie)));
    let calico = selected
        .iter()
        .find(|policy| &*policy.tier.name == "calico-default")
        .map(|policy| policy.tier.clone());
    if let Some(tier) = calico {
        for policy in &mut selected {
            if &*policy.id.kind == "NetworkPolicy" && &*policy.tier.name == "union" {
                let namespace = policy.id.namespace.as_deref().unwrap_or_default();
                let name = format!("knp.default.{}", policy.id.name);
                policy.tie = format!("{name}/{namespace}/NetworkPolicy").into();
                policy.order = Order(1000.0);
                policy.tier = tier.clone();
            }
        }
    }
    // A set's names stand wherever the set does, if nothing but the set is said.
    let cluster = setting.world.cluster.objects();
    let rules = selected.iter_mut().flat_map(|policy| &mut policy.rules);
    for rule in rules.filter(|rule| rule.action == Action::Allow) {
        let Peers::Of(peers) = &mut rule.peers else {
            continue;
        };
        for peer in peers.clone() {
            let Peer::Endpoints(peer) = peer else {
                continue;
            };
            let bare = EndpointPeer {
                selector: peer.selector.clone(),
                ..EndpointPeer::default()
            };
            for ((namespace, _), set) in &cluster.network_sets {
                let endpoint = Endpoint::of_network_set(cluster, namespace.as_ref(), set);
                let selects = |by: &Expression| endpoint.selects(by) == Selects::Yes;
                if peer == bare && peer.selector.as_ref().is_some_and(selects) {
                    peers.extend(set.domains.iter().map(|pattern| {
                        Peer::Fqdn(FqdnPeer {
                            pattern: pattern.clone(),
                            by: FqdnBy::Chain,
                            scope: Scope::Any,
                        })
                    }));
                }
            }
        }
    }
    selected
}

/// The policies of a ruling in the order of the walk.
struct Court<'a> {
    workload: &'a Workload,
    world: &'a World,
    settings: &'a Settings,
    tiers: Vec<(TierRef, Vec<&'a Policy>)>,
    isolating_namespace: Vec<&'a Policy>,
    isolating_baseline: Vec<&'a Policy>,
}

/// What a rule does, once closed rules are taken for what they are.
#[derive(PartialEq, Eq)]
enum Does {
    Allow,
    Deny(Option<&'static str>),
    Pass,
    Nothing,
}

impl<'a> Court<'a> {
    /// `policies` are those of the ruling.
    fn new(setting: Setting<'a>, policies: &'a [Policy]) -> Self {
        let Setting {
            policies: _,
            workload,
            world,
            settings,
        } = setting;
        let mut selected: Vec<&Policy> = policies.iter().collect();
        selected.sort_by(|a, b| (a.order, &a.tie, &a.id).cmp(&(b.order, &b.tie, &b.id)));

        let mut tiers: Vec<(TierRef, Vec<&Policy>)> = Vec::new();
        for policy in &selected {
            match tiers
                .iter_mut()
                .find(|(tier, _)| tier.is_same_tier(&policy.tier))
            {
                Some((tier, members)) => {
                    let worst = [
                        TierEnd::Deny,
                        TierEnd::DenyUnlessIsolatedElsewhere,
                        TierEnd::DenyIfIsolated,
                        TierEnd::Next,
                    ];
                    let ends = [tier.end, policy.tier.end];
                    tier.end = worst
                        .into_iter()
                        .find(|end| ends.contains(end))
                        .unwrap_or(tier.end);
                    members.push(*policy);
                }
                None => tiers.push((policy.tier.clone(), vec![*policy])),
            }
        }
        selected.sort_by(|a, b| {
            let place = |p: &Policy| (p.tier.band, p.tier.order, p.tier.name.clone());
            place(a).cmp(&place(b))
        });
        let isolating = |from: Band, to: Band| -> Vec<&Policy> {
            selected
                .iter()
                .copied()
                .filter(|p| p.isolates && from <= p.tier.band && p.tier.band <= to)
                .filter(|p| matches!(p.tier.end, TierEnd::Next | TierEnd::DenyIfIsolated))
                .collect()
        };
        let isolating_namespace = isolating(Band::Guard, Band::Namespace);
        let isolating_baseline = isolating(Band::Baseline, Band::Default);
        let has_end = |tiers: &[(TierRef, Vec<&Policy>)], bands: [Band; 2]| {
            tiers
                .iter()
                .any(|(tier, _)| tier.end == TierEnd::DenyIfIsolated && bands.contains(&tier.band))
        };
        if !isolating_namespace.is_empty() && !has_end(&tiers, [Band::Namespace; 2]) {
            tiers.push((TierRef::union(), Vec::new()));
        }
        if !isolating_baseline.is_empty() && !has_end(&tiers, [Band::Baseline, Band::Default]) {
            tiers.push((
                TierRef {
                    order: Order::LAST,
                    ..TierRef::kube_baseline()
                },
                Vec::new(),
            ));
        }
        tiers.sort_by(|(a, _), (b, _)| (a.band, a.order, &a.name).cmp(&(b.band, b.order, &b.name)));
        Self {
            workload,
            world,
            settings,
            tiers,
            isolating_namespace,
            isolating_baseline,
        }
    }

    fn rules(&self) -> impl Iterator<Item = (&'a Policy, &'a Rule)> {
        self.tiers
            .iter()
            .flat_map(|(_, policies)| policies)
            .flat_map(|policy| policy.rules.iter().map(move |rule| (*policy, rule)))
    }

    fn policies(&self) -> Vec<&'a Policy> {
        self.tiers
            .iter()
            .flat_map(|(_, policies)| policies)
            .copied()
            .collect()
    }

    fn decide(&self, flow: &Flow, live: &[&NamedLease]) -> Ruled {
        if self.settings.guards && is_metadata(flow) {
            let opened = self
                .rules()
                .any(|(policy, rule)| self.opens_metadata(policy, rule, flow));
            if !opened {
                return self.deny(Reason::Guard(Guard::Metadata), self.settings.deny_style);
            }
        }
        let bypass = self.settings.guards && self.filters_names() && self.goes_around(flow);
        let mut skipped = false;
        let ruled = self.walk(flow, live, bypass, &mut skipped);
        let by_default = matches!(ruled.reason, Reason::Default | Reason::NoPolicy);
        if (ruled.verdict == Verdict::Deny && skipped)
            || (ruled.verdict == Verdict::Allow && bypass && by_default)
        {
            return self.deny(Reason::Guard(Guard::DnsBypass), self.settings.deny_style);
        }
        ruled
    }

    fn walk(&self, flow: &Flow, live: &[&NamedLease], bypass: bool, skipped: &mut bool) -> Ruled {
        'tiers: for (tier, policies) in &self.tiers {
            for policy in policies {
                for rule in &policy.rules {
                    let does = self.does(rule);
                    let matches = match does {
                        Does::Nothing => false,
                        Does::Deny(Some(_)) => true,
                        Does::Allow | Does::Deny(None) | Does::Pass => {
                            self.matches(policy, rule, flow, live, false)
                        }
                    };
                    if !matches {
                        continue;
                    }
                    match does {
                        Does::Allow if bypass && !self.matches(policy, rule, flow, live, true) => {
                            *skipped = true;
                        }
                        Does::Allow => {
                            return Ruled {
                                verdict: Verdict::Allow,
                                style: DenyStyle::Reject,
                                reason: reason_of(policy, rule, None),
                            };
                        }
                        Does::Deny(closed) => {
                            let style = policy.deny_style.unwrap_or(self.settings.deny_style);
                            return self.deny(reason_of(policy, rule, closed), style);
                        }
                        Does::Pass => {
                            if tier.end == TierEnd::DenyIfIsolated {
                                let others: Vec<&Policy> = self
                                    .isolating(tier)
                                    .iter()
                                    .copied()
                                    .filter(|other| other.id != policy.id)
                                    .collect();
                                if !others.is_empty() {
                                    return self.isolated(tier, &others);
                                }
                            }
                            continue 'tiers;
                        }
                        Does::Nothing => {}
                    }
                }
            }
            match tier.end {
                TierEnd::Next => {}
                TierEnd::Deny => return self.tier_end(tier, policies),
                TierEnd::DenyUnlessIsolatedElsewhere if self.isolating(tier).is_empty() => {
                    return self.tier_end(tier, policies);
                }
                TierEnd::DenyUnlessIsolatedElsewhere => {}
                TierEnd::DenyIfIsolated if self.isolating(tier).is_empty() => {}
                TierEnd::DenyIfIsolated => return self.isolated(tier, self.isolating(tier)),
            }
        }
        self.by_default()
    }

    fn by_default(&self) -> Ruled {
        let policies = self.policies();
        let reason = if policies.is_empty() {
            Reason::NoPolicy
        } else {
            Reason::Default
        };
        if self.settings.default == DefaultVerdict::DenyOnceSelected && !policies.is_empty() {
            return self.deny(reason, self.first_style(&policies));
        }
        Ruled {
            verdict: Verdict::Allow,
            style: DenyStyle::Reject,
            reason,
        }
    }

    fn isolating(&self, tier: &TierRef) -> &[&'a Policy] {
        match tier.band {
            Band::Guard | Band::Admin | Band::Namespace => &self.isolating_namespace,
            Band::Baseline | Band::Default => &self.isolating_baseline,
        }
    }

    fn isolated(&self, tier: &TierRef, by: &[&Policy]) -> Ruled {
        let mut objects: Vec<ObjectRef> = by.iter().map(|policy| policy.id.clone()).collect();
        objects.sort();
        objects.dedup();
        self.deny(
            Reason::Isolated {
                tier: tier.clone(),
                by: objects,
            },
            self.first_style(by),
        )
    }

    fn tier_end(&self, tier: &TierRef, policies: &[&Policy]) -> Ruled {
        let mut by: Vec<ObjectRef> = policies.iter().map(|policy| policy.id.clone()).collect();
        by.sort();
        by.dedup();
        self.deny(
            Reason::TierEnd {
                tier: tier.clone(),
                by,
            },
            self.settings.deny_style,
        )
    }

    fn first_style(&self, policies: &[&Policy]) -> DenyStyle {
        for policy in policies {
            if let Some(style) = policy.deny_style {
                return style;
            }
        }
        self.settings.deny_style
    }

    #[expect(clippy::unused_self, reason = "reads as the court's word")]
    fn deny(&self, reason: Reason, style: DenyStyle) -> Ruled {
        Ruled {
            verdict: Verdict::Deny,
            style,
            reason,
        }
    }

    /// Whether the ruling filters names.
    fn filters_names(&self) -> bool {
        !self.filtering().is_empty()
    }

    fn filtering(&self) -> Vec<ObjectRef> {
        let mut objects: Vec<ObjectRef> = self
            .policies()
            .into_iter()
            .filter(|policy| {
                let questions = policy
                    .rules
                    .iter()
                    .any(|rule| rule.questions.is_some() && self.does(rule) == Does::Allow);
                policy.dns == DnsFilter::Filter || questions
            })
            .map(|policy| policy.id.clone())
            .collect();
        objects.sort();
        objects.dedup();
        objects
    }
}

fn reason_of(policy: &Policy, rule: &Rule, closed: Option<&'static str>) -> Reason {
    Reason::Rule(Arc::new(RuleReason::new(
        policy,
        &policy.tier,
        rule,
        closed,
    )))
}
