#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks at the operations it is about"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use dns_bindings::{Limit, Limits, Timing};
use dns_names::{Name, Record, RecordData, Resolution};
use ebpf_abi::plan::{ListId, Op, RulesetId, WorkloadId};
use ebpf_abi::workload_flags;
use policy_dialects::Context;
use policy_engine::LeaseRules;
use policy_model::{Guarded, Policy, Resolver, Settings, Time, Workload, World};

use crate::{GatewayState, Mode, Plan, Withheld};

const COMMAND: WorkloadId = WorkloadId(7);
const NOW: Time = Duration::from_secs(1_000);

#[test]
fn a_ruleset_is_written_before_the_workload_is_switched_to_it() {
    let mut state = state();
    let plan = hold(&mut state, ONE_NAME);
    let ops = plan.batch().ops();
    let switch = position(ops, |op| matches!(op, Op::SetWorkload { .. }));
    let last_write = ops
        .iter()
        .rposition(|op| matches!(op, Op::PutList { .. } | Op::PutPrefix { .. }));
    assert!(last_write < Some(switch), "{ops:?}");
    assert!(matches!(
        ops[switch],
        Op::SetWorkload {
            workload: COMMAND,
            flags: workload_flags::FILTERED,
            ..
        }
    ));
    assert!(
        state.view().workload(COMMAND).is_none(),
        "not before it is applied"
    );
    state.applied(plan);
    assert!(state.view().workload(COMMAND).is_some());
    assert_eq!(
        state.view().slot(1).map(|slot| slot.server.to_string()),
        Some("192.0.2.53:53".into())
    );
}

#[test]
fn an_answer_is_one_row_and_the_same_answer_is_none() {
    let mut state = held(ONE_NAME);
    let answer = answer("api.example.com", &["203.0.113.7"], 60);
    let plan = state.plan_answer(&answer, Duration::ZERO, NOW).unwrap();
    assert_eq!(learned(&plan), [("203.0.113.7".to_owned(), vec![1_060])]);
    state.applied(plan);
    let again = state.plan_answer(&answer, Duration::ZERO, NOW).unwrap();
    assert!(again.is_empty(), "{again:?}");
    state.applied(again);
    let later = state
        .plan_answer(&answer, Duration::ZERO, NOW + Duration::from_secs(10))
        .unwrap();
    assert_eq!(learned(&later), [("203.0.113.7".to_owned(), vec![1_070])]);
    state.applied(later);
}

#[test]
fn a_name_no_rule_wants_opens_nothing() {
    let mut state = held(ONE_NAME);
    let plan = state
        .plan_answer(
            &answer("other.example.com", &["203.0.113.7"], 60),
            Duration::ZERO,
            NOW,
        )
        .unwrap();
    assert!(plan.is_empty(), "{plan:?}");
    state.applied(plan);
}

#[test]
fn names_that_share_an_address_close_step_by_step() {
    let mut state = held(TWO_NAMES);
    for (name, ttl) in [("a.example.com", 30), ("b.example.com", 300)] {
        let plan = state
            .plan_answer(&answer(name, &["203.0.113.7"], ttl), Duration::ZERO, NOW)
            .unwrap();
        state.applied(plan);
    }
    let steps = |plan: &Plan| learned(plan);
    // The first of them ends: what is left is one step.
    let plan = state.plan_timeout(NOW + Duration::from_secs(31));
    assert_eq!(steps(&plan), [("203.0.113.7".to_owned(), vec![1_300])]);
    state.applied(plan);
    let plan = state.plan_timeout(NOW + Duration::from_secs(301));
    assert_eq!(steps(&plan), [("203.0.113.7".to_owned(), vec![])]);
    state.applied(plan);
    assert_eq!(state.poll_timeout(), None);
}

#[test]
fn a_reload_after_expiry_knows_what_flows_began_under() {
    let timing = Timing {
        memory: Duration::from_secs(3_600),
        ..Timing::EXACT
    };
    let mut state = GatewayState::new(timing, Limits::default());
    let plan = hold(&mut state, ONE_NAME);
    state.applied(plan);
    let plan = state
        .plan_answer(
            &answer("api.example.com", &["203.0.113.7"], 60),
            Duration::ZERO,
            NOW,
        )
        .unwrap();
    state.applied(plan);
    let later = NOW + Duration::from_secs(600);
    let plan = state.plan_timeout(later);
    assert!(
        plan.is_empty(),
        "its end is the kernel's business: {plan:?}"
    );
    state.applied(plan);
    // The row that is over is written for the new rules, too: a flow that is judged again uses its first step.
    let plan = hold_at(&mut state, ONE_NAME, later);
    assert_eq!(learned(&plan), [("203.0.113.7".to_owned(), vec![1_060])]);
    state.applied(plan);
    // What the new rules do not want, they do not remember either.
    let plan = hold_at(&mut state, OTHER_NAME, later);
    assert_eq!(learned(&plan), []);
    state.applied(plan);
    let plan = hold_at(&mut state, ONE_NAME, later);
    state.applied(plan);
    let plan = state.plan_timeout(NOW + Duration::from_secs(60 + 3_601));
    assert_eq!(state.poll_timeout(), None);
    state.applied(plan);
}

#[test]
fn what_the_kernel_refused_is_written_again() {
    let mut state = held(ONE_NAME);
    let answer = answer("api.example.com", &["203.0.113.7"], 60);
    let refused = state.plan_answer(&answer, Duration::ZERO, NOW).unwrap();
    let undo = state.abandoned(refused);
    assert!(
        undo.is_empty(),
        "rows of names are not taken back: {undo:?}"
    );
    let again = state.plan_answer(&answer, Duration::ZERO, NOW).unwrap();
    assert_eq!(learned(&again), [("203.0.113.7".to_owned(), vec![1_060])]);
    assert!(
        again
            .batch()
            .ops()
            .iter()
            .any(|op| matches!(op, Op::PutList { .. })),
        "its list too"
    );
    state.applied(again);
}

/// What the old rules want is not forgotten after a moment because rules that never came do not want it.
#[test]
fn a_refused_reload_leaves_what_names_opened_for_its_whole_time() {
    let mut state = held(ONE_NAME);
    let answer = answer("api.example.com", &["203.0.113.7"], 600);
    let plan = state.plan_answer(&answer, Duration::ZERO, NOW).unwrap();
    state.applied(plan);
    let refused = hold(&mut state, OTHER_NAME);
    drop(state.abandoned(refused));
    let plan = state.plan_timeout(NOW + Duration::from_secs(599));
    assert!(plan.is_empty(), "{plan:?}");
    state.applied(plan);
    let plan = state.plan_timeout(NOW + Duration::from_secs(601));
    assert_eq!(learned(&plan), [("203.0.113.7".to_owned(), vec![])]);
    state.applied(plan);
}

#[test]
fn a_reload_carries_what_names_opened_and_removes_the_old_ruleset_last() {
    let mut state = held(ONE_NAME);
    let plan = state
        .plan_answer(
            &answer("api.example.com", &["203.0.113.7"], 60),
            Duration::ZERO,
            NOW,
        )
        .unwrap();
    state.applied(plan);
    let before = state.view().workload(COMMAND).unwrap().ruleset_id;
    let plan = hold(&mut state, ONE_NAME_OTHER_PORT);
    assert_eq!(learned(&plan), [("203.0.113.7".to_owned(), vec![1_060])]);
    let ops = plan.batch().ops();
    let switch = position(ops, |op| matches!(op, Op::SetWorkload { .. }));
    let removal = position(ops, |op| *op == Op::DelRuleset { ruleset: before });
    assert!(switch < removal, "{ops:?}");
    state.applied(plan);
    assert_ne!(state.view().workload(COMMAND).unwrap().ruleset_id, before);
}

#[test]
fn a_refused_reload_leaves_the_last_good_rules_and_cleans_up() {
    let mut state = held(ONE_NAME);
    let before = state.view().workload(COMMAND).unwrap().ruleset_id;
    let plan = hold(&mut state, TWO_NAMES);
    let undo = state.abandoned(plan);
    assert!(
        matches!(undo.ops()[0], Op::DelRuleset { ruleset } if ruleset != before),
        "{undo:?}"
    );
    assert_eq!(state.view().workload(COMMAND).unwrap().ruleset_id, before);
}

#[test]
fn a_refused_change_of_resolvers_puts_the_slots_back() {
    let mut state = held(ONE_NAME);
    let plan = hold_asking(&mut state, ONE_NAME, "192.0.2.54");
    let undo = state.abandoned(plan);
    let slots: Vec<&Op> = undo
        .ops()
        .iter()
        .filter(|op| matches!(op, Op::PutSlot { .. } | Op::DelSlot { .. }))
        .collect();
    assert_eq!(
        slots,
        [
            &Op::PutSlot {
                slot: 1,
                workload: COMMAND,
                server: "192.0.2.53:53".parse().unwrap(),
            },
            &Op::DelSlot { slot: 2 },
        ]
    );
}

#[test]
fn a_policy_that_comes_after_the_look_up_opens_what_was_remembered() {
    let mut state = held(ONE_NAME);
    let plan = state
        .plan_answer(
            &answer("a.example.com", &["203.0.113.9"], 60),
            Duration::ZERO,
            NOW,
        )
        .unwrap();
    assert!(plan.is_empty());
    state.applied(plan);
    let plan = hold(&mut state, TWO_NAMES);
    assert_eq!(learned(&plan), [("203.0.113.9".to_owned(), vec![1_060])]);
    state.applied(plan);
}

#[test]
fn the_guard_strips_private_addresses_of_names_that_open_something() {
    let state = held(ONE_NAME);
    let view = state.view();
    let workload = view.workload(COMMAND).unwrap();
    let screened = workload.screen(&answer("api.example.com", &["203.0.113.7", "10.0.0.1"], 60));
    assert_eq!(
        screened.stripped,
        [("10.0.0.1".parse::<IpAddr>().unwrap(), Guarded::Private)]
    );
    let unwanted = workload.screen(&answer("other.example.com", &["10.0.0.1"], 60));
    assert!(unwanted.stripped.is_empty() && unwanted.rules.is_empty());
}

#[test]
fn a_released_workload_leaves_nothing() {
    let mut state = held(ONE_NAME);
    let plan = state
        .plan_answer(
            &answer("api.example.com", &["203.0.113.7"], 60),
            Duration::ZERO,
            NOW,
        )
        .unwrap();
    state.applied(plan);
    let plan = state.plan_release(COMMAND);
    let ops = plan.batch().ops();
    assert!(
        ops.contains(&Op::DelWorkload { workload: COMMAND })
            && ops.contains(&Op::DelSlot { slot: 1 }),
        "{ops:?}"
    );
    state.applied(plan);
    assert!(state.view().workload(COMMAND).is_none() && state.view().slot(1).is_none());
}

/// After any sequence of plans, applied or not, the kernel's tables name no list that is not there, and what names
/// opened is what was believed.
#[test]
fn every_list_a_row_names_is_there() {
    let mut state = held(TWO_NAMES);
    let mut lists: BTreeMap<ListId, ()> = BTreeMap::new();
    let mut check = |plan: &Plan| {
        for op in plan.batch().ops() {
            match op {
                Op::PutList { list, .. } => {
                    lists.insert(*list, ());
                }
                Op::PutLearned { steps, .. } => {
                    assert!(
                        steps.iter().all(|step| lists.contains_key(&step.list)),
                        "{op:?}"
                    );
                }
                _ => {}
            }
        }
    };
    let first = hold(&mut state, TWO_NAMES);
    check(&first);
    state.applied(first);
    for round in 0..20_u32 {
        let name = if round % 2 == 0 {
            "a.example.com"
        } else {
            "b.example.com"
        };
        let ip = format!("203.0.113.{}", round % 5);
        let plan = state
            .plan_answer(&answer(name, &[&ip], 30 + round), Duration::ZERO, NOW)
            .unwrap();
        check(&plan);
        if round % 3 == 0 {
            assert!(state.abandoned(plan).is_empty());
        } else {
            state.applied(plan);
        }
    }
}

#[test]
fn what_a_limit_withholds_or_closes_is_told() {
    let limits = Limits {
        per_name: 2,
        ..Limits::default()
    };
    let mut state = GatewayState::new(Timing::EXACT, limits);
    let plan = hold(&mut state, ONE_NAME);
    state.applied(plan);
    let many = answer(
        "api.example.com",
        &["203.0.113.3", "203.0.113.1", "203.0.113.2"],
        60,
    );
    let plan = state.plan_answer(&many, Duration::ZERO, NOW).unwrap();
    let withheld = Withheld {
        addresses: vec!["203.0.113.3".parse().unwrap()],
        limit: Limit::PerName,
        most: 2,
    };
    assert_eq!(plan.withheld(), Some(&withheld));
    assert_eq!(learned(&plan).len(), 2);
    state.applied(plan);
    assert!(state.take_evicted().is_empty(), "it was never handed out");
    let epoch = state.view().lease_epoch;

    let other = answer("api.example.com", &["203.0.113.9"], 60);
    let later = NOW + Duration::from_secs(1);
    let plan = state.plan_answer(&other, Duration::ZERO, later).unwrap();
    assert_eq!(plan.withheld(), None);
    state.applied(plan);
    let evicted = state.take_evicted();
    let evicted: Vec<_> = evicted.iter().map(|one| (one.ip, one.limit)).collect();
    assert_eq!(evicted, [("203.0.113.1".parse().unwrap(), Limit::PerName)]);
    assert_ne!(state.view().lease_epoch, epoch);
    assert!(state.take_evicted().is_empty(), "told once");
}

#[test]
fn what_the_limit_of_all_names_closes_is_told() {
    let limits = Limits {
        allowed: 2,
        ..Limits::default()
    };
    let mut state = GatewayState::new(Timing::EXACT, limits);
    let plan = hold(&mut state, TWO_NAMES);
    state.applied(plan);
    for (name, last, seconds) in [("a", 1, 0), ("a", 2, 1), ("b", 3, 2)] {
        let ip = format!("203.0.113.{last}");
        let given = answer(&format!("{name}.example.com"), &[&ip], 60);
        let now = NOW + Duration::from_secs(seconds);
        let plan = state.plan_answer(&given, Duration::ZERO, now).unwrap();
        assert_eq!(plan.withheld(), None);
        state.applied(plan);
    }
    let evicted = state.take_evicted();
    let [one] = evicted.as_slice() else {
        panic!("one: {evicted:?}")
    };
    assert_eq!(one.names.question().without_dot(), "a.example.com");
    assert_eq!(
        (one.ip.to_string().as_str(), one.limit),
        ("203.0.113.1", Limit::Allowed)
    );
    assert_eq!(state.most(one.limit), 2);

    let three = answer(
        "b.example.com",
        &["203.0.113.4", "203.0.113.5", "203.0.113.6"],
        60,
    );
    let now = NOW + Duration::from_secs(3);
    let plan = state.plan_answer(&three, Duration::ZERO, now).unwrap();
    let withheld = plan.withheld().expect("one too many");
    assert_eq!(
        (withheld.addresses.len(), withheld.limit),
        (1, Limit::Allowed)
    );
    state.applied(plan);
}

#[test]
fn what_no_rule_wants_is_closed_and_nobody_need_know() {
    let limits = Limits {
        per_name: 1,
        ..Limits::default()
    };
    let mut state = GatewayState::new(Timing::EXACT, limits);
    let plan = hold(&mut state, ONE_NAME);
    state.applied(plan);
    let other = answer("other.example.com", &["203.0.113.1", "203.0.113.2"], 60);
    let plan = state.plan_answer(&other, Duration::ZERO, NOW).unwrap();
    assert_eq!(plan.withheld(), None);
    state.applied(plan);
    let more = answer("other.example.com", &["203.0.113.3"], 60);
    let later = NOW + Duration::from_secs(1);
    let plan = state.plan_answer(&more, Duration::ZERO, later).unwrap();
    state.applied(plan);
    assert!(state.take_evicted().is_empty());
}

/// Leases with equal rules are kept as one. Whatever comes, expires or is evicted, what is written is what all of them
/// together would fold to.
#[test]
fn what_is_written_is_the_fold_of_every_lease() {
    let limits = Limits {
        per_name: 3,
        allowed: 8,
        ..Limits::default()
    };
    let mut state = GatewayState::new(Timing::EXACT, limits);
    let plan = hold(&mut state, TWO_NAMES);
    state.applied(plan);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let mut now = NOW;
    let mut evictions = 0;
    for _ in 0..2_000 {
        now += Duration::from_millis(next(4_000));
        let plan = state.plan_timeout(now);
        state.applied(plan);
        let name =
            ["a.example.com", "b.example.com", "c.example.com"][usize::try_from(next(3)).unwrap()];
        let ip = format!("203.0.113.{}", next(6));
        let ttl = u32::try_from(next(40)).unwrap();
        let before = state.view().lease_epoch;
        let plan = state
            .plan_answer(&answer(name, &[&ip], ttl), Duration::ZERO, now)
            .unwrap();
        state.applied(plan);
        evictions += state.view().lease_epoch - before;
        assert_written_is_folded(&state, now);
    }
    assert!(evictions > 10, "the limits are never met: {evictions}");
}

fn assert_written_is_folded(state: &GatewayState, now: Time) {
    for tables in state.tables.values() {
        let mut lists = tables.lists.clone();
        for ip in (0..6).map(|last| IpAddr::from([203, 0, 113, last])) {
            let leases = state.leases.of(ip).filter(|lease| lease.is_live(now));
            let leases: Vec<LeaseRules> = leases
                .map(|lease| LeaseRules {
                    rules: tables.rules_of(&lease.names),
                    expires_at: lease.expires_at,
                })
                .collect();
            let folded = tables.ruleset.fold(&mut lists, ip, &leases).unwrap();
            let expected: Vec<u64> = folded
                .iter()
                .map(|step| u64::try_from(step.expires_at.as_nanos()).unwrap())
                .collect();
            let written = tables.learned.get(&ip).into_iter().flatten();
            let written: Vec<u64> = written
                .map(|step| step.expires_at)
                .filter(|at| u128::from(*at) >= now.as_nanos())
                .collect();
            assert_eq!(written, expected, "{ip} at {now:?}");
        }
    }
}

const ONE_NAME: &str = r#"
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: one}
spec: {egress: [{action: Allow, to: [{fqdn: ["api.example.com"]}], ports: [{protocol: TCP, port: 443}]}]}
"#;

const ONE_NAME_OTHER_PORT: &str = r#"
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: one}
spec: {egress: [{action: Allow, to: [{fqdn: ["api.example.com"]}], ports: [{protocol: TCP, port: 8443}]}]}
"#;

const OTHER_NAME: &str = r#"
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: one}
spec: {egress: [{action: Allow, to: [{fqdn: ["other.example.net"]}], ports: [{protocol: TCP, port: 443}]}]}
"#;

const TWO_NAMES: &str = r#"
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: two}
spec:
  egress:
    - {action: Allow, to: [{fqdn: ["a.example.com"]}], ports: [{protocol: TCP, port: 443}]}
    - {action: Allow, to: [{fqdn: ["b.example.com"]}], ports: [{protocol: TCP, port: 80}]}
"#;

fn held(policy: &str) -> GatewayState {
    let mut state = state();
    let plan = hold(&mut state, policy);
    state.applied(plan);
    state
}

fn state() -> GatewayState {
    GatewayState::new(Timing::EXACT, Limits::default())
}

fn hold(state: &mut GatewayState, policy: &str) -> Plan {
    hold_at(state, policy, NOW)
}

fn hold_at(state: &mut GatewayState, policy: &str, now: Time) -> Plan {
    hold_with(state, policy, "192.0.2.53", now)
}

fn hold_asking(state: &mut GatewayState, policy: &str, resolver: &str) -> Plan {
    hold_with(state, policy, resolver, NOW)
}

fn hold_with(state: &mut GatewayState, policy: &str, resolver: &str, now: Time) -> Plan {
    let world = World {
        resolvers: vec![Resolver {
            address: resolver.parse().unwrap(),
            port: 53,
        }],
        ..World::default()
    };
    let policies = policies(policy);
    let planned = state.plan_policies(
        COMMAND,
        &Workload::command(),
        Mode::Enforce,
        &policies,
        &world,
        &Settings::default(),
        now,
    );
    planned.unwrap().0
}

fn policies(text: &str) -> Vec<Policy> {
    let policy_dialects::Reading {
        policies,
        diagnostics,
        ..
    } = policy_dialects::read("test.yaml", text, &Context::default());
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    policies
}

fn answer(name: &str, addresses: &[&str], ttl: u32) -> Resolution {
    let name = Name::parse(name).unwrap();
    let records: Vec<Record> = addresses
        .iter()
        .map(|ip| Record {
            owner: name.clone(),
            data: RecordData::Address(ip.parse().unwrap()),
            ttl,
        })
        .collect();
    Resolution::follow(&name, &records).unwrap()
}

/// Learned rows of a plan: address, and the second each step ends.
fn learned(plan: &Plan) -> Vec<(String, Vec<u64>)> {
    plan.batch()
        .ops()
        .iter()
        .filter_map(|op| match op {
            Op::PutLearned {
                address,
                steps,
                ruleset: RulesetId(_),
                ..
            } => {
                let seconds = steps
                    .iter()
                    .map(|step| step.expires_at / 1_000_000_000)
                    .collect();
                Some((address.to_string(), seconds))
            }
            Op::DelLearned { address, .. } => Some((address.to_string(), Vec::new())),
            _ => None,
        })
        .collect()
}

fn position(ops: &[Op], wanted: impl Fn(&Op) -> bool) -> usize {
    ops.iter().position(wanted).expect("it is in the plan")
}
