//! Ordered tiers as what unordered dialects have: what is denied, what is allowed, and who is isolated.
//!
//! There a Deny holds before every Allow. A Deny that stood behind an Allow takes from it, an Allow that something before it kept
//! from deciding is left out, a Deny of everything is isolation: nothing is allowed that was not.

use std::sync::Arc;

use policy_model::{
    Action, Band, Block, DnsFilter, NamedPorts, ObjectRef, Order, Peer, Peers, Policy, Ports, Rule,
    Standing, TierEnd,
};

use super::Losses;
use super::blocks::is_guarded_address;
use super::meets::{rules_meet, subjects_meet};
use crate::codes;

/// What one object says to one subject.
#[derive(Debug)]
pub(crate) struct Flat<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) isolates: bool,
    pub(crate) dns: DnsFilter,
    /// Names stand in a part of it that opens no DNS server.
    pub(crate) watches: bool,
    pub(crate) denies: Vec<&'a Rule>,
    pub(crate) allows: Vec<&'a Rule>,
}

/// Every enforced policy, flat.
pub(crate) fn flatten<'a>(policies: &'a [Policy], losses: &mut Losses) -> Vec<Flat<'a>> {
    let sorted = sorted(policies, losses);
    let mut walk = Walk::default();
    for tier in sorted.chunk_by(|a, b| a.tier.is_same_tier(&b.tier)) {
        walk.tier(tier, losses);
    }
    walk.flat
}

/// Every enforced policy, in the order of the walk.
pub(crate) fn sorted<'a>(policies: &'a [Policy], losses: &mut Losses) -> Vec<&'a Policy> {
    let mut sorted: Vec<&Policy> = policies
        .iter()
        .filter(|policy| is_enforced(policy, losses))
        .collect();
    sorted.sort_by_key(|policy| rank(policy));
    sorted
}

fn is_enforced(policy: &Policy, losses: &mut Losses) -> bool {
    let enforced = policy.standing == Standing::Enforced;
    if !enforced {
        losses.note(
            codes::CONVERT_STAGED,
            policy,
            &policy.origin,
            "a policy that is not in force cannot be said: it is left out",
        );
    }
    enforced
}

/// By what the walk is ordered.
pub(crate) type Rank = (Band, Order, Arc<str>, Order, Arc<str>, ObjectRef);

/// Where the policy stands in the walk.
pub(crate) fn rank(policy: &Policy) -> Rank {
    let tier = policy.tier.clone();
    let tie = Arc::clone(&policy.tie);
    (
        tier.band,
        tier.order,
        tier.name,
        policy.order,
        tie,
        policy.id.clone(),
    )
}

/// What was met so far.
#[derive(Debug, Default)]
struct Walk<'a> {
    flat: Vec<Flat<'a>>,
    /// The Allows that are written.
    allows: Vec<(&'a Policy, &'a Rule)>,
    /// Behind these policies nothing decides for whom they select.
    ends: Vec<&'a Policy>,
    /// Nor behind these, unless it isolates by itself.
    soft_ends: Vec<&'a Policy>,
    isolating: Vec<&'a Policy>,
    /// Of the tier.
    passes: Vec<(&'a Policy, &'a Rule)>,
}

impl<'a> Walk<'a> {
    fn tier(&mut self, policies: &[&'a Policy], losses: &mut Losses) {
        self.passes.clear();
        for policy in policies {
            self.policy(policy, losses);
        }
        for policy in policies {
            match policy.tier.end {
                TierEnd::Deny => self.ends.push(policy),
                TierEnd::DenyUnlessIsolatedElsewhere => self.soft_ends.push(policy),
                TierEnd::Next | TierEnd::DenyIfIsolated => {}
            }
        }
    }

    fn policy(&mut self, policy: &'a Policy, losses: &mut Losses) {
        let mut isolates = match policy.tier.end {
            TierEnd::Deny | TierEnd::DenyUnlessIsolatedElsewhere => true,
            TierEnd::Next | TierEnd::DenyIfIsolated => policy.isolates,
        };
        if policy.deny_style.is_some() {
            let message = "how a deny looks cannot be said";
            losses.note(codes::CONVERT_MANNER, policy, &policy.origin, message);
        }
        let (mut denies, mut allows) = (Vec::new(), Vec::new());
        for (at, rule) in policy.rules.iter().enumerate() {
            let closed = is_closed(rule);
            match rule.action {
                Action::Log => {
                    let message = "a rule that only notes cannot be said";
                    losses.note(codes::CONVERT_MANNER, policy, &rule.origin, message);
                }
                Action::Allow if closed => losses.note(
                    codes::CONVERT_CLOSED,
                    policy,
                    &rule.origin,
                    "the rule is not in force where it comes from: it is left out",
                ),
                Action::Deny | Action::Pass
                    if closed || is_everything(rule) && rule.action == Action::Deny =>
                {
                    if closed {
                        let message = "the rule is not in force where it comes from and denies everything: here too";
                        losses.note(codes::CONVERT_CLOSED, policy, &rule.origin, message);
                    }
                    isolates = true;
                    self.ends.push(policy);
                    let behind = policy.rules.get(at + 1..).unwrap_or_default();
                    behind_everything(policy, behind, losses);
                    break;
                }
                Action::Pass => {
                    losses.note(
                        codes::CONVERT_ORDER,
                        policy,
                        &rule.origin,
                        "a Pass cannot be said: what it keeps from the rules behind it they deny, and do not allow",
                    );
                    self.passes.push((policy, rule));
                }
                Action::Deny => {
                    if self.stands_behind(policy, rule) {
                        losses.note(
                            codes::CONVERT_ORDER,
                            policy,
                            &rule.origin,
                            "there is no order: this Deny holds before the Allow that stood before it, and less is allowed",
                        );
                    }
                    if rule.questions.is_some() {
                        let message = "servers that are not the known ones are denied too";
                        losses.note(codes::CONVERT_NARROWER, policy, &rule.origin, message);
                    }
                    denies.push(rule);
                }
                Action::Allow => {
                    if self.is_kept_from(policy, rule) {
                        losses.note(
                            codes::CONVERT_ORDER,
                            policy,
                            &rule.origin,
                            "there is no order: what stands before this Allow would no longer keep it from deciding, so it is left out",
                        );
                        note_limit(policy, rule, losses);
                        continue;
                    }
                    if opens_guard(policy, rule) {
                        losses.note(
                            codes::CONVERT_NARROWER,
                            policy,
                            &rule.origin,
                            "a guarded address opens for rules of an admin tier, and no longer for this one",
                        );
                    }
                    self.allows.push((policy, rule));
                    allows.push(rule);
                }
            }
        }
        if isolates {
            self.isolating.push(policy);
        }
        let watches =
            policy.dns == DnsFilter::Untouched && allows.iter().any(|rule| names_hosts(rule));
        let same = self
            .flat
            .iter_mut()
            .find(|other| other.policy.id == policy.id && other.policy.subject == policy.subject);
        match same {
            Some(same) => {
                same.isolates |= isolates;
                same.dns = same.dns.max(policy.dns);
                same.watches |= watches;
                same.denies.append(&mut denies);
                same.allows.append(&mut allows);
            }
            None => self.flat.push(Flat {
                policy,
                isolates,
                dns: policy.dns,
                watches,
                denies,
                allows,
            }),
        }
    }

    /// Whether a Deny takes from an Allow before it; names open known servers too, on whatever addresses and ports.
    fn stands_behind(&self, policy: &Policy, deny: &Rule) -> bool {
        self.allows.iter().any(|(other, allow)| {
            let servers =
                other.dns.opens_resolvers() && names_hosts(allow) && !names_hosts_alone(deny);
            subjects_meet(&other.subject, &policy.subject) && (servers || rules_meet(allow, deny))
        })
    }

    /// Whether something before the Allow decides where it would; names open known servers too, on whatever ports.
    fn is_kept_from(&self, policy: &Policy, allow: &Rule) -> bool {
        let meets = |other: &&Policy| subjects_meet(&other.subject, &policy.subject);
        let baseline = policy.tier.band == Band::Baseline;
        self.ends.iter().any(meets)
            || self.passes.iter().any(|(other, pass)| {
                meets(other) && (names_hosts(allow) || rules_meet(pass, allow))
            })
            || (baseline || !policy.isolates) && self.soft_ends.iter().any(meets)
            || baseline
                && self
                    .isolating
                    .iter()
                    .filter(|other| other.tier.band != Band::Baseline)
                    .any(meets)
    }
}

/// Rules behind a Deny of everything decide no flow, and yet say which names may be asked.
fn behind_everything(policy: &Policy, rules: &[Rule], losses: &mut Losses) {
    for rule in rules.iter().filter(|rule| !is_closed(rule)) {
        match rule.action {
            Action::Allow if names_hosts(rule) || rule.questions.is_some() => {
                let message =
                    "the names of a rule behind a Deny of everything may no longer be asked";
                losses.note(codes::CONVERT_ORDER, policy, &rule.origin, message);
                note_limit(policy, rule, losses);
            }
            Action::Deny if names_hosts(rule) => {
                let message = "names that are refused behind a Deny of everything may be asked where another rule allows it";
                losses.note(codes::CONVERT_QUESTIONS, policy, &rule.origin, message);
            }
            Action::Allow | Action::Deny | Action::Pass | Action::Log => {}
        }
    }
}

/// With a rule that says which names may be asked of its servers, the limit goes too.
fn note_limit(policy: &Policy, rule: &Rule, losses: &mut Losses) {
    if rule.questions.is_some() {
        let message = "what limits the names that may be asked is left out, so more of them may be";
        losses.note(codes::CONVERT_QUESTIONS, policy, &rule.origin, message);
    }
}

/// Whether the rule is not in force, or cannot be where it comes from.
pub(crate) fn is_closed(rule: &Rule) -> bool {
    let peer = |is: fn(&Peer) -> bool| match &rule.peers {
        Peers::Any => false,
        Peers::Of(peers) => peers.iter().any(is),
    };
    // Of an Allow only the set itself is lost.
    let unknown = rule.action != Action::Allow && peer(|peer| matches!(peer, Peer::Set(_)));
    rule.closed.is_some()
        || rule.sni.is_some()
        || !rule.http.is_empty()
        || unknown
        || rule.action == Action::Pass && names_hosts(rule)
}

/// Whether names are among its peers.
pub(crate) fn names_hosts(rule: &Rule) -> bool {
    match &rule.peers {
        Peers::Any => false,
        Peers::Of(peers) => peers.iter().any(|peer| matches!(peer, Peer::Fqdn(_))),
    }
}

fn names_hosts_alone(rule: &Rule) -> bool {
    matches!(&rule.peers, Peers::Of(peers) if peers.iter().all(|peer| matches!(peer, Peer::Fqdn(_))))
}

fn is_everything(rule: &Rule) -> bool {
    let all = match &rule.peers {
        Peers::Any => true,
        Peers::Of(peers) => peers.contains(&Peer::Entity(policy_model::Entity::All)),
    };
    all && rule.ports == Ports::Any && rule.named_ports == NamedPorts::default()
}

/// Whether it opens a guarded address because of where it stands.
fn opens_guard(policy: &Policy, rule: &Rule) -> bool {
    let Peers::Of(peers) = &rule.peers else {
        return false;
    };
    policy.tier.band == Band::Admin
        && peers.iter().any(|peer| match peer {
            Peer::Block(Block { net, .. }) => is_guarded_address(*net),
            Peer::Fqdn(_)
            | Peer::Entity(_)
            | Peer::Metadata(_)
            | Peer::Pods(_)
            | Peer::Nodes(_)
            | Peer::Service(_)
            | Peer::Endpoints(_)
            | Peer::Set(_) => false,
        })
}
