//! Conversion into the dialects of others: where nothing is reported lost every verdict stays, where everything lost is
//! narrower nothing is allowed that was not, where everything lost is wider all that was allowed is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dns_names::Name;
use policy_dialects::{Context, Dialect, Effect, Reading, convert, effect, read};
use policy_engine::reference::{self, RuledQuestion, Setting};
use policy_engine::testing::{self as worlds, Case, Random, seed};
use policy_engine::{Age, DOH_ADDRESSES, Flow, NamedLease, Ruling, Verdict};
use policy_model::{
    Action, ClusterMap, DefaultVerdict, DnsFilter, Entity, FqdnBy, KubernetesSubject,
    LabelSelector, Labels, NamedPorts, NetworkSet, Peer, Peers, Policy, PortMatch, Ports, Protocol,
    Rule, Scope, Standing, Subject, TierRef, Workload, World,
};
use test_case::test_case;

use crate::convert::{setting, told, workloads};

const SETS: usize = 3_000;
const FLOWS: usize = 20;

/// What a run saw, so that it cannot pass by seeing nothing.
#[derive(Debug, Default)]
struct Seen {
    sets: usize,
    /// Sets of names beside the policies.
    sets_written: usize,
    whole: usize,
    narrower: usize,
    wider: usize,
    flows: usize,
    allowed: usize,
    losses: BTreeMap<&'static str, usize>,
}

#[test_case(Dialect::Cilium; "cilium")]
#[test_case(Dialect::NetworkPolicy; "network policy")]
#[test_case(Dialect::ClusterNetworkPolicy; "cluster network policy")]
#[test_case(Dialect::Calico; "calico")]
fn what_is_reported_lost_is_all_that_is_lost(to: Dialect) {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut seen = Seen::default();
    for _ in 0..SETS {
        let case = case(&mut random, to);
        if let Err(difference) = compare(&mut random, &case, to, &mut seen) {
            panic!("seed {seed}: {difference}");
        }
    }
    println!("{seen:?}");
    assert!(seen.whole * 20 >= seen.sets, "{seen:?}");
    assert!(seen.narrower * 40 >= seen.sets, "{seen:?}");
    assert!(seen.allowed * 10 >= seen.flows, "{seen:?}");
    assert!((seen.flows - seen.allowed) * 10 >= seen.flows, "{seen:?}");
    assert_eq!(seen.sets_written > 100, to == Dialect::Calico, "{seen:?}");
}

fn case(random: &mut Random, to: Dialect) -> Case {
    // These dialects are written for clusters, so one is known.
    let mut case = loop {
        let case = Case::random_in_cluster(random);
        if !case.world.cluster.is_unknown() {
            break case;
        }
    };
    // Pods: what no policy is about is allowed.
    case.settings.default = DefaultVerdict::Allow;
    let rules = case
        .policies
        .iter_mut()
        .flat_map(|policy| &mut policy.rules);
    for rule in rules {
        // No flow goes to port 0, and no policy of these dialects names it.
        if let Ports::Only(list) = &mut rule.ports {
            list.retain(|one| one.last > 0);
        }
    }
    let tame = random.below(3);
    for policy in &mut case.policies {
        if tame > 0 || random.chance(50) {
            policy.subject = subject(random, to);
        }
        if tame > 0 {
            policy.standing = Standing::Enforced;
            policy.deny_style = None;
        }
        if tame > 1 {
            tame_policy(random, policy, to);
        }
    }
    case
}

fn subject(random: &mut Random, to: Dialect) -> Subject {
    let accounts = [Dialect::Cilium, Dialect::Calico].contains(&to) && random.chance(10);
    Subject::Kubernetes(KubernetesSubject {
        namespace: Some(random.pick(&["prod", "test"]).into()),
        namespaces: None,
        pods: Some(LabelSelector {
            match_labels: if random.chance(50) {
                Labels::from([("app".into(), random.pick(&["web", "db"]).into())])
            } else {
                Labels::new()
            },
            match_expressions: Vec::new(),
        }),
        service_accounts: if accounts {
            vec!["robot".into()]
        } else {
            Vec::new()
        },
        nodes: None,
        host_network: false,
    })
}

/// What the dialect can say.
fn tame_policy(random: &mut Random, policy: &mut Policy, to: Dialect) {
    let ordered = to == Dialect::ClusterNetworkPolicy;
    let deny = to == Dialect::Cilium && random.chance(30);
    policy.tier = match to {
        Dialect::Cilium if deny => TierRef::deny(),
        Dialect::ClusterNetworkPolicy => random.pick(&[
            TierRef::kube_admin(),
            TierRef::kube_admin(),
            TierRef::kube_baseline(),
            TierRef::union(),
        ]),
        Dialect::Calico => random.pick(&[
            TierRef::kube_admin(),
            TierRef::deny(),
            TierRef::calico_default(),
            TierRef::union(),
            TierRef::union(),
            TierRef::kube_baseline(),
        ]),
        Dialect::Native | Dialect::Cilium | Dialect::NetworkPolicy => TierRef::union(),
    };
    let union = policy.tier.is_same_tier(&TierRef::union());
    policy.isolates = match to {
        Dialect::ClusterNetworkPolicy => union && random.chance(70) || random.chance(10),
        Dialect::NetworkPolicy => true,
        Dialect::Native | Dialect::Cilium | Dialect::Calico => !deny && random.chance(70),
    };
    for rule in &mut policy.rules {
        rule.action = match to {
            // As they come: order is what it has.
            Dialect::Calico => rule.action,
            Dialect::ClusterNetworkPolicy if !union => {
                random.pick(&[Action::Allow, Action::Deny, Action::Deny, Action::Pass])
            }
            _ if deny => Action::Deny,
            Dialect::Native
            | Dialect::Cilium
            | Dialect::NetworkPolicy
            | Dialect::ClusterNetworkPolicy => Action::Allow,
        };
        // Now and then something the dialect cannot say stays among what it can.
        if deny || random.chance(92) {
            tame_rule(rule, to);
        }
    }
    policy.rules.retain(|rule| !is_everything(rule) || !deny);
    let by_name = |rule: &Rule| matches!(&rule.peers, Peers::Of(peers) if peers.iter().any(|peer| matches!(peer, Peer::Fqdn(_))));
    let names = policy.rules.iter().any(by_name) && !deny && to != Dialect::Calico;
    policy.dns = if names && !(ordered && random.chance(80)) {
        DnsFilter::Filter
    } else {
        DnsFilter::Untouched
    };
}

fn is_everything(rule: &Rule) -> bool {
    rule.peers == Peers::Any || rule.ports == Ports::Any
}

fn tame_rule(rule: &mut Rule, to: Dialect) {
    rule.closed = None;
    rule.sni = None;
    rule.questions = None;
    rule.allow_private = false;
    rule.named_ports = NamedPorts::default();
    match &mut rule.ports {
        Ports::Any => {}
        Ports::AllBut(_) => rule.ports = Ports::Any,
        Ports::Only(list) => list.retain(|one| {
            matches!(one.protocol, Protocol::TCP | Protocol::UDP | Protocol::SCTP)
                || to == Dialect::Cilium && *one == PortMatch::icmp(Protocol::ICMP, 8, None)
        }),
    }
    let Peers::Of(peers) = &mut rule.peers else {
        return;
    };
    let deny = rule.action == Action::Deny;
    let stops = rule.action != Action::Allow;
    peers.retain_mut(|peer| match (peer, to) {
        (Peer::Fqdn(fqdn), Dialect::Calico) => {
            (fqdn.by, fqdn.scope) = (FqdnBy::Chain, Scope::Any);
            !stops
        }
        (Peer::Endpoints(_), Dialect::Calico) => true,
        (Peer::Block(block), Dialect::Cilium) => {
            block.scope = Scope::Outside;
            true
        }
        (Peer::Block(block), _) => {
            block.scope = Scope::Any;
            true
        }
        (Peer::Fqdn(fqdn), Dialect::Cilium) => {
            (fqdn.by, fqdn.scope) = (FqdnBy::Question, Scope::Outside);
            !deny
        }
        (Peer::Service(service), Dialect::Cilium) => {
            service.with_ports = false;
            true
        }
        (Peer::Entity(entity), Dialect::Cilium) => {
            !matches!(entity, Entity::Dns | Entity::Loopback)
        }
        (Peer::Pods(pods), Dialect::NetworkPolicy) => {
            pods.service_accounts.clear();
            true
        }
        (Peer::Fqdn(fqdn), Dialect::ClusterNetworkPolicy) => {
            (fqdn.by, fqdn.scope) = (FqdnBy::Chain, Scope::Any);
            !stops
        }
        (Peer::Pods(pods), Dialect::ClusterNetworkPolicy) => {
            pods.service_accounts.clear();
            true
        }
        (Peer::Nodes(nodes), Dialect::ClusterNetworkPolicy) => {
            nodes.remote = false;
            true
        }
        (Peer::Pods(_), _) => true,
        (Peer::Entity(entity), _) => *entity == Entity::All,
        _ => false,
    });
}

fn compare(random: &mut Random, case: &Case, to: Dialect, seen: &mut Seen) -> Result<(), String> {
    let policies = &case.policies;
    let conversion = convert(policies, case.world.cluster.objects(), to);
    seen.sets += 1;
    for loss in &conversion.losses {
        *seen.losses.entry(loss.code).or_default() += 1;
    }
    let text = &conversion.text;
    let (back, sets) = if text.is_empty() {
        (Vec::new(), BTreeMap::new())
    } else {
        let Reading {
            policies,
            cluster,
            diagnostics,
            ..
        } = read("converted.yaml", text, &Context::default());
        let errors: Vec<_> = diagnostics
            .iter()
            .filter(|one| one.level.is_error())
            .collect();
        if !errors.is_empty() {
            return Err(format!("{errors:?}\n{text}"));
        }
        (policies, cluster.network_sets)
    };
    seen.sets_written += sets.len();
    let world = beside(&case.world, sets);
    let lost: BTreeSet<Effect> = conversion
        .losses
        .iter()
        .filter_map(|loss| effect(loss.code))
        .collect();
    let either = lost.contains(&Effect::Either);
    let may_open = either || lost.contains(&Effect::Wider);
    let may_close = either || lost.contains(&Effect::Narrower);
    let may_ask_more = may_open || lost.contains(&Effect::Questions);
    match (may_open, may_close) {
        (true, true) => return Ok(()),
        (false, false) if !may_ask_more => seen.whole += 1,
        (false, _) => seen.narrower += 1,
        (true, false) => seen.wider += 1,
    }
    let mut all = workloads();
    all.retain(|workload| !workload.pod.host_network);
    if case.workload.pod.namespace.is_some() && !case.workload.pod.host_network {
        all.push(case.workload.clone());
    }
    let workload: Workload = random.pick(&all);
    let settings = [(policies.as_slice(), &case.world), (&back, &world)]
        .map(|(policies, world)| setting(policies, &workload, world, &case.settings));
    for _ in 0..FLOWS {
        let leases: Vec<NamedLease> = worlds::leases(random, case);
        let ip = case.address(random);
        let flow = worlds::flow(random, ip);
        if flow.protocol.has_ports() && flow.port == 0 {
            continue;
        }
        let age = Age::New {
            now: Duration::from_secs(random.number() % 80),
        };
        let ruling = random.pick(&Ruling::BOTH);
        let [was, is] =
            settings.map(|setting| reference::decide(setting, ruling, &flow, &leases, age));
        seen.flows += 1;
        seen.allowed += usize::from(was.verdict == Verdict::Allow);
        let wrong = match (was.verdict, is.verdict) {
            (Verdict::Deny, Verdict::Allow) => {
                let may_ask_it = may_ask_more && is_dns(&flow, &case.world);
                !(may_open || may_ask_it)
            }
            (Verdict::Allow, Verdict::Deny) => !may_close,
            (Verdict::Allow, Verdict::Allow) | (Verdict::Deny, Verdict::Deny) => false,
        };
        if wrong {
            let told = told(&flow, ruling, &leases, &was, &is, policies, text);
            return Err(format!("{:?}\n{told}", conversion.losses));
        }
        let name = worlds::question(random);
        let [was, is] = settings.map(|setting| may_ask(setting, ruling, &name));
        if was && !is && !may_close || is && !was && !may_ask_more {
            return Err(format!(
                "{name} may be asked: {was}, then {is}\n{:?}\n{policies:?}\n{text}",
                conversion.losses
            ));
        }
    }
    Ok(())
}

/// The world with sets that are written beside those it has.
fn beside(world: &World, sets: BTreeMap<(Option<Arc<str>>, Arc<str>), NetworkSet>) -> World {
    let mut cluster = world.cluster.objects().clone();
    for (name, set) in sets {
        let there = cluster.network_sets.insert(name, set);
        assert_eq!(there, None, "a set that is there is written over");
    }
    World {
        cluster: ClusterMap::new(cluster),
        ..world.clone()
    }
}

/// Whether it is to a known server, or one of those that a filter of names closes as a way around it; of a Service, any of its
/// backends.
fn is_dns(flow: &Flow, world: &World) -> bool {
    let backends = world
        .cluster
        .backends(flow.ip, flow.protocol, flow.port)
        .into_iter()
        .flatten()
        .map(|backend| (backend.address, backend.port));
    backends.chain([(flow.ip, flow.port)]).any(|(ip, port)| {
        let doh = DOH_ADDRESSES.contains(&ip.to_canonical());
        world.is_resolver(ip, port) || [53, 853].contains(&port) || port == 443 && doh
    })
}

/// Whether the question gets to a known server and is answered.
fn may_ask(setting: Setting<'_>, ruling: Ruling, name: &Name) -> bool {
    let Some(resolver) = setting.world.resolvers.first() else {
        return false;
    };
    let flow = Flow::new(resolver.address, Protocol::UDP, resolver.port);
    let age = Age::New {
        now: Duration::ZERO,
    };
    let reached = reference::decide(setting, ruling, &flow, &[], age);
    let server = (resolver.address, resolver.port);
    let ruled = reference::judge_question(setting, ruling, server, Protocol::UDP, name);
    reached.verdict == Verdict::Allow && !matches!(ruled, RuledQuestion::Refuse { .. })
}
