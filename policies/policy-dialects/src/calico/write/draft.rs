//! Policies as objects, before each has its order.

use policy_model::{Action, DnsFilter, Peer, Peers, Policy, Rule, Standing, TierRef};

use crate::codes;
use crate::convert::{Losses, Names, subjects_meet};
use crate::kubernetes::ALLOW_PRIVATE;
use crate::yaml::write::{Map, Written};

use super::API;
use super::name_sets::NameSets;
use super::rule::{self, RuleWriter};
use super::tiers::{Item, Say, Tier};
use super::whom::{self, Whom};

/// LIMIT: `maxItems` of `egress` in the CRDs.
const MOST_RULES: usize = 1024;

/// An object without its order.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) policy: &'a Policy,
    pub(super) say: Say,
    /// Whether no order counts: it only adds to what others allow.
    pub(super) is_unordered: bool,
    /// The kind of a policy in force.
    kind: &'static str,
    name: String,
    whom: Whom,
    rules: Vec<Map>,
    /// Whether its names may hold private addresses; nothing where it has none.
    private: Option<bool>,
}

/// The pieces of one object are one again, where nothing for the same workloads stands between them.
pub(super) fn joined(drafts: Vec<Draft<'_>>) -> Vec<Draft<'_>> {
    let mut joined: Vec<Draft<'_>> = Vec::new();
    for mut draft in drafts {
        let meets = |other: &Draft<'_>| subjects_meet(&other.policy.subject, &draft.policy.subject);
        let last = joined.iter().rposition(meets);
        let belongs = last
            .and_then(|at| joined.get(at))
            .is_some_and(|other| other.belongs_to(&draft));
        if let Some(at) = last.filter(|_| belongs) {
            draft.follow(joined.remove(at));
        }
        joined.push(draft);
    }
    joined
}

/// Writes the policies of one tier.
pub(super) struct Drafter<'a> {
    pub(super) tier: &'a Tier<'a>,
    pub(super) names: &'a mut Names,
    pub(super) sets: &'a mut NameSets,
    pub(super) losses: &'a mut Losses,
}

impl Drafter<'_> {
    /// The objects of an item: more than one where it has more rules than an object takes.
    pub(super) fn drafts<'p>(&mut self, item: &Item<'p>) -> Vec<Draft<'p>> {
        let Item {
            policy,
            say,
            pass_denies,
        } = *item;
        let Some(whom) = whom::whom(policy, self.losses) else {
            return Vec::new();
        };
        let mut private = None;
        let rules = match say {
            Say::Rules => {
                note_manner(policy, self.losses);
                private = allows_private(policy, self.losses);
                let mut writer = RuleWriter {
                    policy,
                    namespace: whom.namespace.as_deref(),
                    pass_denies,
                    opened: false,
                    sets: self.sets,
                    losses: self.losses,
                };
                let rules: Vec<Map> = policy
                    .rules
                    .iter()
                    .flat_map(|rule| writer.rules(rule))
                    .collect();
                // Where its tier denies, that it selects is all it has to say.
                if rules.is_empty() && !self.tier.denies {
                    return Vec::new();
                }
                rules
            }
            Say::Deny => vec![rule::everything("Deny")],
            Say::Pass => vec![rule::everything("Pass")],
        };
        let kind = match whom.namespace {
            Some(_) => "NetworkPolicy",
            None => "GlobalNetworkPolicy",
        };
        let mut parts: Vec<Vec<Map>> = rules.chunks(MOST_RULES).map(<[Map]>::to_vec).collect();
        if parts.is_empty() {
            parts.push(Vec::new());
        }
        parts
            .into_iter()
            .map(|rules| Draft {
                policy,
                say,
                is_unordered: say == Say::Rules && only_allows(policy),
                kind,
                name: self.name(kind, whom.namespace.as_deref(), policy, say),
                whom: whom.clone(),
                rules,
                private,
            })
            .collect()
    }

    /// The policy's own name; with that of the tier before it, as Calico wants it outside of `default` and before a dot. A
    /// staged one has no name of another that is in force.
    fn name(&mut self, kind: &str, namespace: Option<&str>, policy: &Policy, say: Say) -> String {
        let prefix = format!("{}.", self.tier.name);
        let own = &*policy.id.name;
        let mut name = own.strip_prefix(&prefix).unwrap_or(own).to_owned();
        if let (None, Some(from)) = (namespace, policy.id.namespace.as_deref()) {
            name = format!("{from}.{name}");
        }
        match say {
            Say::Rules => {}
            Say::Deny => name.push_str("-end"),
            Say::Pass => name.push_str("-pass"),
        }
        // Of one tier and name are the same policy, whatever its dots.
        if !self.tier.is_default() || name.contains('.') {
            name = format!("{prefix}{name}");
        }
        self.names.free(kind, namespace, &name)
    }
}

impl Draft<'_> {
    /// Whether it can stand before the rules of another object, in that object.
    fn belongs_to(&self, other: &Self) -> bool {
        let rules = self.rules.len().saturating_add(other.rules.len());
        let private = self.private.is_none() || other.private.is_none();
        self.policy.id == other.policy.id
            && self.policy.standing == other.policy.standing
            && (self.say, other.say) == (Say::Rules, Say::Rules)
            && self.whom == other.whom
            && (private || self.private == other.private)
            && rules <= MOST_RULES
    }

    /// Puts another's rules before its own.
    fn follow(&mut self, other: Self) {
        let own = std::mem::replace(&mut self.rules, other.rules);
        self.rules.extend(own);
        self.name = other.name;
        self.private = self.private.or(other.private);
        self.is_unordered &= other.is_unordered;
    }

    fn kind(&self) -> String {
        match self.policy.standing {
            Standing::Enforced => self.kind.to_owned(),
            Standing::Audit | Standing::Staged(_) => format!("Staged{}", self.kind),
        }
    }

    /// What equal orders go by, as the reader has it.
    pub(super) fn tie(&self) -> String {
        let namespace = self.whom.namespace.as_deref().unwrap_or_default();
        format!("{}/{namespace}/{}", self.name, self.kind())
    }

    pub(super) fn object(self, tier: &Tier<'_>, order: Option<i64>) -> Written {
        let kind = self.kind();
        let mut metadata = Map::new()
            .with("name", self.name)
            .with_some("namespace", self.whom.namespace.as_deref());
        if self.private == Some(true) {
            metadata.push("annotations", Map::new().with(ALLOW_PRIVATE, "true"));
        }
        let mut spec = Map::new();
        if !tier.is_default() {
            spec.push("tier", tier.name.as_str());
        }
        if let Some(order) = order {
            spec.push("order", order);
        }
        spec.append(self.whom.fields);
        spec.push("types", vec!["Egress"]);
        if !self.rules.is_empty() {
            spec.push("egress", self.rules);
        }
        let mut comments = vec![format!("from {} ({})", self.policy.id, self.policy.origin)];
        match self.say {
            Say::Rules => {}
            Say::Deny => comments
                .push("what no rule before it decides is denied to those it selects".to_owned()),
            Say::Pass => comments.push(
                "what no rule before it decides is left to what stands behind the tier".to_owned(),
            ),
        }
        Written {
            comments,
            object: Map::new()
                .with("apiVersion", API)
                .with("kind", kind)
                .with("metadata", metadata)
                .with("spec", spec),
        }
    }
}

/// What a policy says beside its rules.
fn note_manner(policy: &Policy, losses: &mut Losses) {
    let mut note = |code, message: &str| losses.note(code, policy, &policy.origin, message);
    if policy.deny_style.is_some() {
        note(codes::CONVERT_MANNER, "how a deny looks cannot be said");
    }
    let asks = policy.rules.iter().any(|rule| rule.questions.is_some());
    if policy.dns == DnsFilter::Filter || asks {
        note(
            codes::CONVERT_QUESTIONS,
            "names are not filtered: every name may be asked of servers that a rule allows",
        );
    }
}

/// Whether it stands among others of which no order counts, and only allows.
fn only_allows(policy: &Policy) -> bool {
    let mut rules = policy.rules.iter();
    policy.tier.is_same_tier(&TierRef::union())
        && rules.all(|rule| matches!(rule.action, Action::Allow | Action::Log))
}

/// Whether its names may hold private addresses, which an object says for all of its rules; nothing where it has none.
fn allows_private(policy: &Policy, losses: &mut Losses) -> Option<bool> {
    let of: Vec<&Rule> = policy.rules.iter().filter(|rule| may_name(rule)).collect();
    if of.is_empty() {
        return None;
    }
    let private = of.iter().all(|rule| rule.allow_private);
    for rule in of.iter().filter(|rule| rule.allow_private && !private) {
        losses.note(
            codes::CONVERT_NARROWER,
            policy,
            &rule.origin,
            "names of some rules of the object may not hold private addresses, so none may: less is allowed",
        );
    }
    Some(private)
}

/// Whether it allows by name; endpoints may be sets that have some.
fn may_name(rule: &Rule) -> bool {
    let named = |peer: &Peer| matches!(peer, Peer::Fqdn(_) | Peer::Endpoints(_));
    let Peers::Of(peers) = &rule.peers else {
        return false;
    };
    rule.action == Action::Allow && peers.iter().any(named)
}
