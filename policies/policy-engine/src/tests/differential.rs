#![expect(
    clippy::print_stdout,
    reason = "a random test says its seed and what it saw"
)]

use std::time::Duration;

use policy_model::{Action, Peer, Peers, Policy, Protocol, Standing, TierRef};

use crate::reference::{self, Ruled, RuledQuestion, Setting};
use crate::testing::{self as worlds, Case};
use crate::testing::{Random, seed};
use crate::{
    Age, Compiled, Fault, Flow, LeaseRules, MAX_STEPS, NamedLease, QuestionRuling, Ruling,
    TierOutcome, Verdict, compile, with_fault,
};

/// Rulesets, sets of answers for each, flows for each set: a little over 100,000 triples.
const RULESETS: usize = 3_500;
const ANSWERS: usize = 5;
const FLOWS: usize = 6;

#[derive(Debug, Default)]
struct Seen {
    triples: usize,
    allowed: usize,
    denied: usize,
    capped: usize,
}

#[test]
fn engine_and_reference_agree() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut seen = Seen::default();
    for _ in 0..RULESETS {
        if let Err(difference) = compare(&mut random, ANSWERS, &mut seen) {
            panic!("seed {seed}: {difference}");
        }
    }
    println!("{seen:?}");
    assert!(seen.triples >= 100_000, "{seen:?}");
    assert!(seen.allowed * 5 >= seen.triples, "{seen:?}");
    assert!(seen.denied * 5 >= seen.triples, "{seen:?}");
    assert!(seen.capped > 0, "{seen:?}");
}

#[test]
fn every_fault_is_caught() {
    let seed = seed();
    println!("seed {seed}");
    for fault in Fault::ALL {
        let mut random = Random::new(seed);
        let mut seen = Seen::default();
        let caught = with_fault(fault, || {
            (0..20_000).find(|_| compare(&mut random, ANSWERS, &mut seen).is_err())
        });
        println!("{fault:?} after {caught:?} rulesets");
        assert!(caught.is_some(), "seed {seed}: nobody noticed {fault:?}");
    }
}

/// One ruleset, its questions, and flows at times to addresses with answers.
fn compare(random: &mut Random, answers: usize, seen: &mut Seen) -> Result<(), String> {
    let case = if random.chance(50) {
        Case::random_in_cluster(random)
    } else {
        Case::random(random)
    };
    let Case {
        policies,
        workload,
        world,
        settings,
        names: _,
    } = &case;
    let mut compiled = compile(policies, workload, world, settings).map_err(|e| e.to_string())?;
    let setting = Setting {
        policies,
        workload,
        world,
        settings,
    };
    for _ in 0..4 {
        compare_question(random, &case, setting, &compiled)?;
    }
    for _ in 0..answers {
        let leases = worlds::leases(random, &case);
        let ip = case.address(random);
        for _ in 0..FLOWS {
            let flow = worlds::flow(random, ip);
            let age = if random.chance(10) {
                Age::Established
            } else {
                Age::New { now: time(random) }
            };
            compare_flow(&case, setting, &mut compiled, flow, &leases, age, seen)?;
        }
    }
    Ok(())
}

/// At an expiry, one nanosecond before or after, or anywhere.
fn time(random: &mut Random) -> Duration {
    let at = Duration::from_secs(10 * (random.number() % 9));
    let tick = Duration::from_nanos(1);
    match random.below(3) {
        0 => at,
        1 => at.saturating_sub(tick),
        _ => at + tick,
    }
}

fn compare_flow(
    case: &Case,
    setting: Setting<'_>,
    compiled: &mut Compiled,
    flow: Flow,
    leases: &[NamedLease],
    age: Age,
    seen: &mut Seen,
) -> Result<(), String> {
    let Compiled { ruleset, lists, .. } = compiled;
    let rules: Vec<LeaseRules> = leases
        .iter()
        .map(|lease| LeaseRules {
            rules: ruleset.name_rules(&lease.question, &lease.chain),
            expires_at: lease.expires_at,
        })
        .collect();
    let steps = ruleset
        .fold(lists, flow.ip, &rules)
        .map_err(|e| e.to_string())?;
    let decision = ruleset
        .decide(lists, &flow, &rules, age)
        .map_err(|e| e.to_string())?;
    let enforced = reference::decide(setting, Ruling::Enforced, &flow, leases, age);
    let proposed = reference::decide(setting, Ruling::Proposed, &flow, leases, age);
    seen.triples += 1;
    match enforced.verdict {
        Verdict::Allow => seen.allowed += 1,
        Verdict::Deny => seen.denied += 1,
    }
    let got = Ruled {
        verdict: decision.verdict,
        style: decision.style,
        reason: ruleset.reason(decision.reason).clone(),
    };
    let would = (
        decision.would,
        ruleset.reason(decision.would_reason).clone(),
    );
    let same = got == enforced && would == (proposed.verdict, proposed.reason.clone());
    let is_late = |age| match (age, steps.last()) {
        (Age::New { now }, Some(last)) => steps.len() == MAX_STEPS && now > last.expires_at,
        (Age::New { .. } | Age::Established, _) => false,
    };
    if !same && is_late(age) {
        // Steps were cut: closing early is right, opening is not.
        seen.capped += 1;
        let opens = |ours, theirs| ours == Verdict::Allow && theirs == Verdict::Deny;
        if !opens(got.verdict, enforced.verdict) && !opens(would.0, proposed.verdict) {
            return Ok(());
        }
    } else if same {
        return explained(compiled, flow, leases, age);
    }
    Err(format!(
        "{flow:?} at {age:?}\nleases {leases:#?}\nengine {got:?} would {would:?}\nreference {enforced:?} would {proposed:?}\n{case:#?}"
    ))
}

/// The story ends where the decision does.
fn explained(
    compiled: &mut Compiled,
    flow: Flow,
    leases: &[NamedLease],
    age: Age,
) -> Result<(), String> {
    let Compiled { ruleset, lists, .. } = compiled;
    for ruling in Ruling::BOTH {
        let story = ruleset
            .explain(lists, &flow, leases, age, ruling)
            .map_err(|e| e.to_string())?;
        let last = story.tiers.iter().find(|tier| {
            matches!(
                tier.outcome,
                TierOutcome::Decided(_) | TierOutcome::DeniedAtEnd
            )
        });
        let told = match last.map(|tier| (tier, tier.outcome)) {
            Some((tier, TierOutcome::Decided(rule))) => story
                .reason
                .rule()
                .is_none_or(|reason| *reason == tier.rules[rule].rule),
            Some((tier, _)) => story.reason.tier().is_none_or(|told| *told == tier.tier),
            None => story.reason.tier().is_none(),
        };
        if !told {
            return Err(format!("{ruling:?}\n{story}\n{story:#?}"));
        }
    }
    Ok(())
}

fn compare_question(
    random: &mut Random,
    case: &Case,
    setting: Setting<'_>,
    compiled: &Compiled,
) -> Result<(), String> {
    let ruleset = &compiled.ruleset;
    let name = if random.chance(20) {
        case.cluster_name(random)
    } else {
        worlds::question(random)
    };
    let server = match case.world.resolvers.first() {
        Some(resolver) if random.chance(90) => (resolver.address, resolver.port),
        Some(_) | None => (worlds::address(random), 53),
    };
    let protocol = random.pick(&[Protocol::UDP, Protocol::TCP]);
    for ruling in Ruling::BOTH {
        let got = match ruleset.judge_question_by(ruling, server, protocol, &name) {
            QuestionRuling::NotFiltered { .. } => RuledQuestion::NotFiltered,
            QuestionRuling::Forward { reason } => RuledQuestion::Forward {
                reason: ruleset.reason(reason).clone(),
            },
            QuestionRuling::Refuse { code, reason } => RuledQuestion::Refuse {
                code,
                reason: ruleset.reason(reason).clone(),
            },
        };
        let expected = reference::judge_question(setting, ruling, server, protocol, &name);
        if got != expected {
            return Err(format!(
                "{ruling:?} {name} to {server:?} {protocol}\nengine {got:?}\nreference {expected:?}\n{case:#?}"
            ));
        }
    }
    Ok(())
}

#[test]
fn an_expiring_lease_never_opens() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    for _ in 0..400 {
        let case = Case::random_in_cluster(&mut random);
        let mut compiled =
            compile(&case.policies, &case.workload, &case.world, &case.settings).unwrap();
        for _ in 0..20 {
            let leases = worlds::leases(&mut random, &case);
            let ip = case.address(&mut random);
            let flow = worlds::flow(&mut random, ip);
            let verdicts: Vec<Verdict> = (0..9)
                .map(|tens| verdict(&mut compiled, &flow, &leases, tens * 10))
                .collect();
            assert!(
                verdicts.is_sorted(),
                "seed {seed}: {verdicts:?} {flow:?} {leases:?} {case:#?}"
            );
        }
    }
}

fn verdict(compiled: &mut Compiled, flow: &Flow, leases: &[NamedLease], secs: u64) -> Verdict {
    let rules: Vec<LeaseRules> = leases
        .iter()
        .map(|lease| LeaseRules {
            rules: compiled.ruleset.name_rules(&lease.question, &lease.chain),
            expires_at: lease.expires_at,
        })
        .collect();
    let age = Age::New {
        now: Duration::from_secs(secs),
    };
    compiled
        .ruleset
        .decide(&mut compiled.lists, flow, &rules, age)
        .unwrap()
        .verdict
}

/// A rule that denies, in a policy that is there already; or a policy that denies and does not isolate.
pub(super) fn add_deny(random: &mut Random, case: &Case) -> Case {
    let mut more = case.clone();
    let origin = policy_model::Origin::new("deny.yaml", 1, 1, "spec");
    let mut deny = worlds::rule(random, 99, &origin);
    deny.action = Action::Deny;
    deny.questions = None;
    let enforced: Vec<usize> = (0..more.policies.len())
        .filter(|index| more.policies[*index].standing == Standing::Enforced)
        .collect();
    if !enforced.is_empty() && random.chance(50) {
        let policy = &mut more.policies[random.pick(&enforced)];
        let at = random.below(policy.rules.len() + 1);
        policy.rules.insert(at, deny);
    } else {
        more.policies.push(Policy {
            tie: "".into(),
            id: policy_model::ObjectRef::new("EgressPolicy", Some("prod"), "added"),
            origin,
            tier: random.pick(&[
                TierRef::deny(),
                TierRef::kube_admin(),
                TierRef::kube_baseline(),
            ]),
            order: policy_model::Order(5.0),
            subject: policy_model::Subject::All,
            isolates: false,
            standing: Standing::Enforced,
            deny_style: None,
            dns: policy_model::DnsFilter::Untouched,
            rules: vec![deny],
        });
    }
    more
}

#[test]
fn adding_a_deny_never_adds_access() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    for _ in 0..400 {
        let case = Case::random_in_cluster(&mut random);
        let more = add_deny(&mut random, &case);
        let [mut before, mut after] = [&case, &more].map(|case| {
            compile(&case.policies, &case.workload, &case.world, &case.settings).unwrap()
        });
        for _ in 0..20 {
            let leases = worlds::leases(&mut random, &case);
            let ip = case.address(&mut random);
            let flow = worlds::flow(&mut random, ip);
            let was = verdict(&mut before, &flow, &leases, 20);
            let is = verdict(&mut after, &flow, &leases, 20);
            assert!(
                was <= is,
                "seed {seed}: {was:?} -> {is:?} {flow:?} {leases:?} {more:#?}"
            );
        }
    }
}

#[test]
fn the_same_policies_give_the_same_ruleset() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    for _ in 0..400 {
        let mut case = Case::random_in_cluster(&mut random);
        let ids: Vec<_> = case
            .policies
            .iter()
            .map(|policy| policy.id.clone())
            .collect();
        let once = format!("{:?}", shown(&case));
        assert_eq!(once, format!("{:?}", shown(&case)), "seed {seed}");
        if ids
            .iter()
            .enumerate()
            .all(|(at, id)| !ids[..at].contains(id))
        {
            case.policies.reverse();
            assert_eq!(
                once,
                format!("{:?}", shown(&case)),
                "seed {seed}: {case:#?}"
            );
        }
    }
}

/// Everything a ruleset shows of itself.
fn shown(case: &Case) -> impl std::fmt::Debug + use<> {
    let compiled = compile(&case.policies, &case.workload, &case.world, &case.settings).unwrap();
    let Compiled {
        ruleset,
        lists,
        diagnostics,
    } = compiled;
    (
        ruleset.statics().to_vec(),
        lists.all().to_vec(),
        ruleset.reasons().to_vec(),
        diagnostics,
    )
}

/// Peers are what the generator is about; a world without names would test little.
#[test]
fn the_universe_has_names_in_it() {
    let mut random = Random::new(1);
    let mut names = 0;
    for _ in 0..100 {
        let case = Case::random(&mut random);
        for rule in case.policies.iter().flat_map(|policy| &policy.rules) {
            if let Peers::Of(peers) = &rule.peers {
                names += peers
                    .iter()
                    .filter(|peer| matches!(peer, Peer::Fqdn(_)))
                    .count();
            }
        }
    }
    assert!(names > 100, "{names}");
}
