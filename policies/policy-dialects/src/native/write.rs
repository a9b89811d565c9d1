//! From the model to `egret.dev/v1alpha1`: objects that give the same verdicts, and what cannot be said.

mod peers;
mod place;
mod ports;
mod rule;
mod subject;

use std::collections::BTreeSet;

use policy_model::{
    Action, Cluster, DenyStyle, DnsFilter, ObjectRef, Peer, Peers, Policy, Rule, Standing,
};

use crate::convert::{Losses, moved};
use crate::yaml::write::{Map, Written};

use place::{Place, Placed, TierWord};
use rule::RuleWriter;

/// Every policy as objects of the native kinds, in the order of the walk.
pub(crate) fn objects(policies: &[Policy], cluster: &Cluster, losses: &mut Losses) -> Vec<Written> {
    let mut names = Names::default();
    let mut written = Vec::new();
    let policies = moved(policies, losses);
    for placed in place::place(&policies, losses) {
        for subject in subject::subjects(&placed, losses) {
            written.push(object(&placed, subject, cluster, &mut names, losses));
        }
    }
    written
}

fn object(
    placed: &Placed<'_>,
    subject: Option<Map>,
    cluster: &Cluster,
    names: &mut Names,
    losses: &mut Losses,
) -> Written {
    let Placed {
        policy,
        denies,
        place,
        standing,
        tier_end,
    } = placed;
    let (kind, namespace) = match place {
        Place::Namespace(namespace) => ("EgressPolicy", namespace.clone()),
        Place::Tier { .. } => ("ClusterEgressPolicy", None),
    };
    let mut metadata = Map::new().with("name", names.take(kind, policy, place, *tier_end));
    if let Some(namespace) = &namespace {
        metadata.push("namespace", &**namespace);
    }
    let mut spec = Map::new();
    if let Place::Tier {
        tier,
        priority,
        lifted: _,
    } = place
    {
        let word = match tier {
            TierWord::Admin => "admin",
            TierWord::Baseline => "baseline",
        };
        spec.push("tier", word);
        spec.push("priority", *priority);
    }
    if *standing == Standing::Audit {
        spec.push("mode", "audit");
    }
    if let Some(subject) = subject {
        spec.push("subject", subject);
    }
    let mut comments = vec![format!("from {} ({})", policy.id, policy.origin)];
    if *tier_end {
        comments.push(format!(
            "what no rule of tier {} decides is denied to those it selects",
            policy.tier
        ));
        spec.push("defaultDeny", false);
        spec.push("egress", vec![Map::new().with("action", "Deny")]);
    } else {
        spec.push("defaultDeny", place::isolates(policy));
        body(placed, cluster, namespace.as_deref(), &mut spec, losses);
    }
    if denies.is_some_and(|denies| denies.origin != policy.origin) {
        comments.push("its Deny rules stand first".to_owned());
    }
    Written {
        comments,
        object: Map::new()
            .with("apiVersion", "egret.dev/v1alpha1")
            .with("kind", kind)
            .with("metadata", metadata)
            .with("spec", spec),
    }
}

/// `dns`, `deny` and `egress`.
fn body(
    placed: &Placed<'_>,
    cluster: &Cluster,
    namespace: Option<&str>,
    spec: &mut Map,
    losses: &mut Losses,
) {
    let Placed {
        policy,
        denies,
        place,
        ..
    } = placed;
    let pieces = denies.iter().chain([policy]);
    let mut rules: Vec<Map> = Vec::new();
    for piece in pieces {
        let mut writer = RuleWriter {
            policy: piece,
            namespace,
            cluster,
            lifted: matches!(place, Place::Tier { lifted: true, .. }),
            losses,
        };
        for rule in &piece.rules {
            rules.extend(writer.rules(rule));
        }
    }
    let names = denies
        .iter()
        .chain([policy])
        .flat_map(|piece| &piece.rules)
        .any(has_names);
    let asks = denies
        .iter()
        .chain([policy])
        .flat_map(|piece| &piece.rules)
        .any(|rule| rule.questions.is_some());
    match (policy.dns, names) {
        (DnsFilter::Filter, _) => spec.push("dns", Map::new().with("filter", true)),
        (DnsFilter::Learn, true) => spec.push("dns", Map::new().with("filter", false)),
        (DnsFilter::Untouched, true) => spec.push("dns", Map::new().with("resolvers", false)),
        (DnsFilter::Learn | DnsFilter::Untouched, false) if asks => {
            spec.push("dns", Map::new().with("filter", false));
        }
        (DnsFilter::Learn | DnsFilter::Untouched, false) => {}
    }
    match policy.deny_style {
        Some(DenyStyle::Reject) => spec.push("deny", "reject"),
        Some(DenyStyle::Drop) => spec.push("deny", "drop"),
        None => {}
    }
    spec.push("egress", rules);
}

fn has_names(rule: &Rule) -> bool {
    match &rule.peers {
        Peers::Any => false,
        Peers::Of(peers) => {
            rule.action != Action::Pass && peers.iter().any(|peer| matches!(peer, Peer::Fqdn(_)))
        }
    }
}

/// Names of written objects, each once.
#[derive(Debug, Default)]
struct Names {
    taken: BTreeSet<ObjectRef>,
}

impl Names {
    fn take(&mut self, kind: &str, policy: &Policy, place: &Place, tier_end: bool) -> String {
        let mut name = policy.id.name.to_string();
        let namespace = match place {
            Place::Namespace(namespace) => namespace.as_deref(),
            Place::Tier { .. } => None,
        };
        if let (None, Some(from)) = (namespace, policy.id.namespace.as_deref()) {
            name = format!("{from}.{name}");
        }
        if tier_end {
            name.push_str(".tier-end");
        }
        let mut free = name.clone();
        let mut number = 1;
        while !self.taken.insert(ObjectRef::new(kind, namespace, &*free)) {
            number += 1;
            free = format!("{name}-{number}");
        }
        free
    }
}
