//! From the model to `policy.networking.k8s.io/v1alpha2`.

mod entry;
mod names;
mod peers;
mod ports;
mod rule;
mod tiers;

use policy_model::{Cluster, DnsFilter, KubernetesSubject, LabelSelector, Order, Peer, Policy};

use crate::codes;
use crate::convert::{Losses, Names, moved, sorted, subjects};
use crate::kubernetes::{ALLOW_PRIVATE, in_namespace, selector};
use crate::yaml::write::{Map, Written};

use entry::Entry;
use rule::RuleWriter;
use tiers::{Placed, TierWord};

/// LIMIT: rules of one object, in the CRD.
const RULES: usize = 25;
/// LIMIT: the greatest `priority`, in the CRD.
const GREATEST_PRIORITY: u16 = 1000;

/// Every policy as ClusterNetworkPolicies, in the order of the walk.
pub(crate) fn objects(policies: &[Policy], cluster: &Cluster, losses: &mut Losses) -> Vec<Written> {
    let policies = moved(policies, losses);
    let sorted = sorted(&policies, losses);
    let placed = tiers::place(&sorted, losses);
    let mut names = Names::default();
    let mut written = Vec::new();
    for tier in [TierWord::Admin, TierWord::Baseline] {
        let mut drafts = Vec::new();
        for one in placed.iter().filter(|one| one.tier == tier) {
            drafts.extend(self::drafts(one, &sorted, cluster, losses));
        }
        let priorities = priorities(&drafts);
        for (at, draft) in drafts.into_iter().enumerate() {
            let Some(priority) = priorities.get(at) else {
                losses.note(
                    codes::CONVERT_TIER,
                    draft.policy,
                    &draft.policy.origin,
                    "there are more objects than priorities: it is left out",
                );
                continue;
            };
            written.push(draft.object(tier, *priority, &mut names));
        }
    }
    written
}

/// An object without its priority.
#[derive(Debug)]
struct Draft<'a> {
    policy: &'a Policy,
    subject: Map,
    rules: Vec<Map>,
    private: bool,
    /// The priority it has where it comes from, in the same tier.
    priority: Option<u16>,
    comment: Option<&'static str>,
}

impl Draft<'_> {
    fn object(self, tier: TierWord, priority: u16, names: &mut Names) -> Written {
        let mut metadata = Map::new().with(
            "name",
            names.take("ClusterNetworkPolicy", None, self.policy),
        );
        if self.private {
            metadata.push("annotations", Map::new().with(ALLOW_PRIVATE, "true"));
        }
        let spec = Map::new()
            .with("tier", tier.as_str())
            .with("priority", i64::from(priority))
            .with("subject", self.subject)
            .with("egress", self.rules);
        let mut comments = vec![format!("from {} ({})", self.policy.id, self.policy.origin)];
        comments.extend(self.comment.map(str::to_owned));
        Written {
            comments,
            object: Map::new()
                .with("apiVersion", "policy.networking.k8s.io/v1alpha2")
                .with("kind", "ClusterNetworkPolicy")
                .with("metadata", metadata)
                .with("spec", spec),
        }
    }
}

fn drafts<'a>(
    placed: &Placed<'a>,
    sorted: &[&Policy],
    cluster: &Cluster,
    losses: &mut Losses,
) -> Vec<Draft<'a>> {
    let Placed {
        policy,
        denies,
        tier,
        rules,
        ends,
        passes,
    } = *placed;
    let subjects = subjects_of(policy, losses);
    if subjects.is_empty() {
        return Vec::new();
    }
    let mut entries: Vec<Entry> = Vec::new();
    let pieces = denies.into_iter().chain([policy]).filter(|_| rules);
    for policy in pieces {
        note_manner(policy, losses);
        let mut writer = RuleWriter {
            policy,
            sorted,
            cluster,
            tier,
            passes,
            opened: false,
            losses,
        };
        for rule in &policy.rules {
            let written = writer.rule(rule);
            entries.extend(written.entries);
            if written.last {
                break;
            }
        }
    }
    if ends {
        let end = Entry::end();
        // The policy may say it itself.
        if entries.last().is_none_or(|last| last.rule != end.rule) {
            entries.push(end);
        }
    }
    let comment = (!rules).then_some("what no rule before it allows is denied to those it selects");
    let groups = groups(entries);
    let priority = own_priority(policy, tier).filter(|_| {
        let [_] = subjects.as_slice() else {
            return false;
        };
        rules && groups.len() <= 1
    });
    let mut drafts = Vec::new();
    for subject in &subjects {
        for (private, rules) in &groups {
            drafts.push(Draft {
                policy,
                subject: subject_map(subject),
                rules: rules.clone(),
                private: *private,
                priority,
                comment,
            });
        }
    }
    drafts
}

/// Rules that one object can hold: as many as the API takes, of those by name all with private addresses or none.
fn groups(entries: Vec<Entry>) -> Vec<(bool, Vec<Map>)> {
    let mut groups: Vec<(Option<bool>, Vec<Map>)> = Vec::new();
    for Entry { rule, private } in entries {
        let fits = |(of, rules): &&mut (Option<bool>, Vec<Map>)| {
            rules.len() < RULES && (private.is_none() || of.is_none() || *of == private)
        };
        match groups.last_mut().filter(fits) {
            Some((of, rules)) => {
                *of = of.or(private);
                rules.push(rule);
            }
            None => groups.push((private, vec![rule])),
        }
    }
    groups
        .into_iter()
        .map(|(private, rules)| (private == Some(true), rules))
        .collect()
}

/// The priority that a policy of the same tier has already.
fn own_priority(policy: &Policy, tier: TierWord) -> Option<u16> {
    let same = match tier {
        TierWord::Admin => policy_model::TierRef::kube_admin(),
        TierWord::Baseline => policy_model::TierRef::kube_baseline(),
    };
    let whole = (0..=GREATEST_PRIORITY).find(|whole| Order(f64::from(*whole)) == policy.order);
    whole.filter(|_| policy.tier.is_same_tier(&same))
}

/// One for each object, ascending: their own where they have such, else with room between them for whoever edits the file.
fn priorities(drafts: &[Draft<'_>]) -> Vec<u16> {
    let own: Option<Vec<u16>> = drafts.iter().map(|draft| draft.priority).collect();
    if let Some(own) = own.filter(|own| own.is_sorted_by(|a, b| a < b)) {
        return own;
    }
    let room = [100, 10, 1].into_iter().find(|room| {
        let last = drafts.len().saturating_mul(*room);
        last <= usize::from(GREATEST_PRIORITY)
    });
    let room = u16::try_from(room.unwrap_or(1)).unwrap_or(1);
    (1..)
        .map(|at: u16| at.saturating_mul(room))
        .take_while(|priority| *priority <= GREATEST_PRIORITY)
        .take(drafts.len())
        .collect()
}

/// Whom it selects, where labels say it.
fn subjects_of(policy: &Policy, losses: &mut Losses) -> Vec<KubernetesSubject> {
    let mut said = Vec::new();
    for subject in subjects(policy, losses) {
        if subject.service_accounts.is_empty() && subject.nodes.is_none() {
            said.push(subject);
        } else {
            losses.note(
                codes::CONVERT_SUBJECT,
                policy,
                &policy.origin,
                "pods cannot be selected by their service account or node: the policy is left out",
            );
        }
    }
    said
}

fn subject_map(subject: &KubernetesSubject) -> Map {
    let KubernetesSubject {
        namespace,
        namespaces,
        pods,
        service_accounts: _,
        nodes: _,
        host_network: _,
    } = subject;
    pods_map(
        namespace.as_deref(),
        namespaces.as_ref(),
        &pods.clone().unwrap_or_default(),
    )
}

/// Pods as a subject or a peer: of some namespaces, all of them or some.
fn pods_map(
    namespace: Option<&str>,
    namespaces: Option<&LabelSelector>,
    pods: &LabelSelector,
) -> Map {
    let namespaces = namespaces.cloned().unwrap_or_default();
    let namespaces = match namespace {
        Some(namespace) => in_namespace(&namespaces, namespace),
        None => namespaces,
    };
    if pods.is_empty() {
        return Map::new().with("namespaces", selector(&namespaces));
    }
    let map = Map::new()
        .with("namespaceSelector", selector(&namespaces))
        .with("podSelector", selector(pods));
    Map::new().with("pods", map)
}

/// What a policy says beside its rules.
fn note_manner(policy: &Policy, losses: &mut Losses) {
    let mut note = |code, message: &str| losses.note(code, policy, &policy.origin, message);
    if policy.deny_style.is_some() {
        note(codes::CONVERT_MANNER, "how a deny looks cannot be said");
    }
    let asks = policy.rules.iter().any(|rule| rule.questions.is_some());
    let refuses = policy.rules.iter().any(|rule| {
        rule.action == policy_model::Action::Deny
            && peers::has(rule, |peer| matches!(peer, Peer::Fqdn(_)))
    });
    if policy.dns == DnsFilter::Filter || asks || refuses {
        note(
            codes::CONVERT_QUESTIONS,
            "names are not filtered: every name may be asked of servers that a rule allows",
        );
    }
}
