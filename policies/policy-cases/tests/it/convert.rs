//! Conversion: where nothing is reported lost, every verdict stays.

use std::collections::BTreeMap;
use std::time::Duration;

use dns_names::Name;
use policy_dialects::{Context, Dialect, Reading, convert, read};
use policy_engine::reference::{self, RuledQuestion, Setting};
use policy_engine::testing::{self as worlds, Case, Random, seed};
use policy_engine::{Age, Flow, NamedLease, Ruling, Verdict};
use policy_model::{
    Action, Block, Cluster, Diagnostic, DnsFilter, KubernetesSubject, LabelSelector, Labels, Level,
    ObjectRef, Order, Origin, Peer, Peers, PodIdentity, Policy, PortMatch, Ports, Protocol, Rule,
    Scope, Settings, Standing, Subject, TierEnd, TierRef, Workload, World,
};

const SETS: usize = 4_000;
const FLOWS: usize = 20;

/// What a run saw, so that it cannot pass by seeing nothing.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    sets: usize,
    whole: usize,
    flows: usize,
    allowed: usize,
    losses: BTreeMap<&'static str, usize>,
}

#[test]
fn models_become_native_policies_with_the_same_verdicts() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut seen = Seen::default();
    for _ in 0..SETS {
        let case = case(&mut random);
        if let Err(difference) = compare(
            &mut random,
            &case,
            &case.policies,
            Dialect::Native,
            &mut seen,
        ) {
            panic!("seed {seed}: {difference}");
        }
    }
    println!("{seen:?}");
    assert!(seen.whole * 5 >= seen.sets, "{seen:?}");
    assert!(seen.allowed * 8 >= seen.flows, "{seen:?}");
    assert!(seen.flows - seen.allowed >= seen.flows / 8, "{seen:?}");
    assert!(seen.losses.len() >= 4, "{seen:?}");
}

/// No flow has port 0, so a rule of that port alone is left out; but one that names a metadata service's address also lets
/// its name be asked, and that is lost.
#[test]
fn a_guard_that_port_0_opens_is_told_of() {
    let origin = Origin::new("p.yaml", 1, 1, "spec");
    let block = |net: &str| Peer::Block(Block::new(net.parse().unwrap(), Scope::Any));
    let losses = |net: &str| {
        let mut rule = Rule::new(0, Action::Allow, origin.clone());
        rule.peers = Peers::Of(vec![block(net)]);
        rule.ports = Ports::Only(vec![PortMatch::port(Protocol::SCTP, 0)]);
        let policy = Policy {
            id: ObjectRef::new("ClusterNetworkPolicy", None, "p"),
            origin: origin.clone(),
            tier: TierRef::kube_admin(),
            order: Order(10.0),
            tie: "".into(),
            subject: Subject::All,
            isolates: false,
            standing: Standing::Enforced,
            deny_style: None,
            dns: DnsFilter::Untouched,
            rules: vec![rule],
        };
        let conversion = convert(&[policy], &Cluster::default(), Dialect::Native);
        let codes = conversion.losses.iter().map(|loss| loss.code);
        codes.collect::<Vec<_>>()
    };
    assert_eq!(losses("169.254.169.254/32"), ["convert-ports"]);
    assert_eq!(losses("203.0.113.7/32"), [""; 0]);
}

/// A random model, its subjects those of pods, and half of the time only such policies as one dialect writes.
fn case(random: &mut Random) -> Case {
    let mut case = if random.chance(50) {
        Case::random_in_cluster(random)
    } else {
        Case::random(random)
    };
    let tame = random.chance(60);
    let tier = random.pick(&[
        TierRef::kube_admin(),
        TierRef::kube_baseline(),
        TierRef::union(),
        TierRef::calico_default(),
    ]);
    for policy in &mut case.policies {
        policy.subject = subject(random, policy);
        if tame {
            tame_policy(random, policy, &tier);
        }
    }
    case
}

fn subject(random: &mut Random, policy: &Policy) -> Subject {
    if random.chance(20) {
        return policy.subject.clone();
    }
    let selector = |random: &mut Random| LabelSelector {
        match_labels: Labels::from([("app".into(), random.pick(&["web", "db"]).into())]),
        match_expressions: Vec::new(),
    };
    if random.chance(5) {
        return Subject::Nodes(LabelSelector::default());
    }
    Subject::Kubernetes(KubernetesSubject {
        namespace: policy.id.namespace.clone(),
        namespaces: None,
        pods: random.chance(50).then(|| selector(random)),
        service_accounts: if random.chance(10) {
            vec!["robot".into()]
        } else {
            Vec::new()
        },
        nodes: random.chance(10).then(|| LabelSelector {
            match_labels: Labels::from([("zone".into(), "a".into())]),
            match_expressions: Vec::new(),
        }),
        host_network: random.chance(50),
    })
}

/// One dialect's policies stand in one place, and have the actions of that place.
fn tame_policy(random: &mut Random, policy: &mut Policy, tier: &TierRef) {
    policy.tier = tier.clone();
    if matches!(policy.standing, Standing::Staged(_)) {
        policy.standing = Standing::Audit;
    }
    if policy.tier.end == TierEnd::DenyUnlessIsolatedElsewhere {
        policy.isolates = false;
    }
    for rule in &mut policy.rules {
        rule.closed = None;
        rule.sni = None;
        if policy.tier.is_same_tier(&TierRef::union()) && rule.action != Action::Log {
            rule.action = Action::Allow;
        }
    }
    if policy.tier.is_same_tier(&TierRef::union()) && random.chance(20) {
        policy.tier = TierRef::deny();
        policy.isolates = false;
        for rule in &mut policy.rules {
            rule.action = Action::Deny;
            rule.questions = None;
            let by_name = |peer: &Peer| matches!(peer, Peer::Fqdn(_));
            if matches!(&rule.peers, Peers::Of(peers) if peers.iter().all(by_name)) {
                rule.ports = Ports::Any;
            }
        }
    }
}

pub(crate) fn workloads() -> Vec<Workload> {
    let pod = |namespace: &str, app: &str, account: &str, zone: &str, host_network| Workload {
        pod: PodIdentity {
            namespace: Some(namespace.into()),
            namespace_labels: Some(Labels::from([(
                "kubernetes.io/metadata.name".into(),
                namespace.into(),
            )])),
            labels: Some(Labels::from([("app".into(), app.into())])),
            service_account: Some(account.into()),
            service_account_labels: Some(Labels::new()),
            node_labels: Some(Labels::from([("zone".into(), zone.into())])),
            host_network,
            ..PodIdentity::default()
        },
        ..Workload::default()
    };
    vec![
        pod("prod", "web", "default", "a", false),
        pod("prod", "db", "robot", "b", false),
        pod("other", "web", "default", "a", false),
        pod("prod", "web", "default", "a", true),
    ]
}

/// Converts, reads back, and holds both against random flows and questions of random workloads.
pub(crate) fn compare(
    random: &mut Random,
    case: &Case,
    policies: &[Policy],
    to: Dialect,
    seen: &mut Seen,
) -> Result<(), String> {
    let conversion = convert(policies, case.world.cluster.objects(), to);
    seen.sets += 1;
    for loss in &conversion.losses {
        *seen.losses.entry(loss.code).or_default() += 1;
    }
    if conversion
        .losses
        .iter()
        .any(|loss| loss.level != Level::Lint)
    {
        return Ok(());
    }
    seen.whole += 1;
    let text = &conversion.text;
    let (back, found) = if text.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        let Reading {
            policies,
            diagnostics,
            ..
        } = read("converted.yaml", text, &Context::default());
        (policies, diagnostics)
    };
    if found.iter().any(|one| one.level == Level::Closed) {
        return Ok(());
    }
    let errors: Vec<&Diagnostic> = found.iter().filter(|one| one.level.is_error()).collect();
    if !errors.is_empty() {
        return Err(format!("{errors:?}\n{policies:?}\n{text}"));
    }
    let in_cluster = !case.world.cluster.is_unknown();
    let workload = if in_cluster && random.chance(50) {
        case.workload.clone()
    } else {
        random.pick(&workloads())
    };
    let (before, after) = (
        setting(policies, &workload, &case.world, &case.settings),
        setting(&back, &workload, &case.world, &case.settings),
    );
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
        for ruling in Ruling::BOTH {
            let [was, is] = [before, after]
                .map(|setting| reference::decide(setting, ruling, &flow, &leases, age));
            seen.flows += 1;
            seen.allowed += usize::from(was.verdict == Verdict::Allow);
            if was.verdict != is.verdict {
                return Err(told(&flow, ruling, &leases, &was, &is, policies, text));
            }
        }
        let name = worlds::question(random);
        for ruling in Ruling::BOTH {
            let [was, is] = [before, after].map(|setting| question(setting, ruling, &name));
            if was.1 != is.1 {
                return Err(format!(
                    "question {name} {ruling:?}: {was:?}, {is:?}\n{policies:?}\n{text}"
                ));
            }
        }
    }
    Ok(())
}

pub(crate) const fn setting<'a>(
    policies: &'a [Policy],
    workload: &'a Workload,
    world: &'a World,
    settings: &'a Settings,
) -> Setting<'a> {
    Setting {
        policies,
        workload,
        world,
        settings,
    }
}

fn question(setting: Setting<'_>, ruling: Ruling, name: &Name) -> (RuledQuestion, Verdict) {
    let server = setting.world.resolvers.first().map_or_else(
        || {
            (
                policy_cases::resolver().address,
                policy_cases::resolver().port,
            )
        },
        |resolver| (resolver.address, resolver.port),
    );
    let ruled = reference::judge_question(setting, ruling, server, Protocol::UDP, name);
    let verdict = match &ruled {
        RuledQuestion::NotFiltered | RuledQuestion::Forward { .. } => Verdict::Allow,
        RuledQuestion::Refuse { .. } => Verdict::Deny,
    };
    (ruled, verdict)
}

pub(crate) fn told(
    flow: &Flow,
    ruling: Ruling,
    leases: &[NamedLease],
    was: &reference::Ruled,
    is: &reference::Ruled,
    policies: &[Policy],
    text: &str,
) -> String {
    format!("{flow:?} {ruling:?} by {leases:?}\nwas {was:?}\nis {is:?}\n{policies:?}\n{text}")
}
