//! Design section 3, "the fold".
use std::time::Duration;

use policy_model::*;

use super::build::*;
use crate::{Age, Flow, Step, Verdict};
use Verdict::{Allow, Deny};

const SHARED: &str = "203.0.113.7";

fn held(rules: Vec<Rule>) -> Held {
    Held::by(&[filtering("u", rules)])
}

fn steps(held: &mut Held) -> Vec<Step> {
    let leases = held.leases_of(ip(SHARED));
    held.compiled
        .ruleset
        .fold(&mut held.compiled.lists, ip(SHARED), &leases)
        .unwrap()
}

fn expiries(held: &mut Held) -> Vec<u64> {
    steps(held)
        .iter()
        .map(|step| step.expires_at.as_secs())
        .collect()
}

#[test]
fn two_names_on_one_address_expire_one_after_the_other() {
    let rules = vec![
        on(allow(fqdn("a.example")), 443),
        on(allow(fqdn("b.example")), 80),
    ];
    let mut held = held(rules)
        .learn("a.example", SHARED, 30)
        .learn("b.example", SHARED, 300);
    assert_eq!(expiries(&mut held), [30, 300]);
    let mut verdicts = |secs| {
        [443, 80].map(|port| {
            held.decide(Flow::new(ip(SHARED), Protocol::TCP, port), secs)
                .verdict
        })
    };
    assert_eq!(verdicts(30), [Allow, Allow]);
    assert_eq!(verdicts(31), [Deny, Allow]);
    assert_eq!(
        verdicts(300),
        [Deny, Allow],
        "live while age is at most the ttl"
    );
    assert_eq!(verdicts(301), [Deny, Deny]);
}

#[test]
fn equal_rules_are_one_step_with_the_later_expiry() {
    let rules = vec![allow(fqdn("**.example"))];
    let mut held = held(rules)
        .learn("a.example", SHARED, 30)
        .learn("b.example", SHARED, 300);
    assert_eq!(expiries(&mut held), [300]);
}

#[test]
fn a_step_equal_to_its_successor_is_dropped() {
    let rules = vec![allow(fqdn("b.example")), on(allow(fqdn("a.example")), 443)];
    let mut held = held(rules)
        .learn("a.example", SHARED, 30)
        .learn("b.example", SHARED, 300);
    assert_eq!(
        expiries(&mut held),
        [300],
        "the first rule decides every port"
    );
}

#[test]
fn a_step_equal_to_the_prefixes_is_dropped() {
    let rules = vec![
        allow(net("203.0.113.0/24")),
        on(allow(fqdn("a.example")), 443),
    ];
    let mut held = held(rules).learn("a.example", SHARED, 30);
    assert_eq!(steps(&mut held), []);
    assert_eq!(held.tcp(SHARED, 443), Allow);
}

#[test]
fn a_name_no_rule_matches_opens_nothing() {
    let mut held = held(vec![allow(fqdn("a.example"))]).learn("b.example", SHARED, 30);
    assert_eq!(steps(&mut held), []);
    assert!(
        held.compiled
            .ruleset
            .name_rules(&name("b.example"), &[])
            .is_empty()
    );
}

#[test]
fn the_latest_steps_are_cut() {
    let names = [
        "a.example",
        "b.example",
        "c.example",
        "d.example",
        "e.example",
        "f.example",
    ];
    let rules = (1..)
        .zip(names)
        .map(|(port, text)| on(allow(fqdn(text)), port))
        .collect();
    let mut held = held(rules);
    for (tens, text) in (1..).zip(names) {
        held = held.learn(text, SHARED, tens * 10);
    }
    assert_eq!(expiries(&mut held), [10, 20, 30, 40]);
    let late = held.decide(Flow::new(ip(SHARED), Protocol::TCP, 6), 41);
    assert_eq!(late.verdict, Deny, "closed early until it is folded again");
}

#[test]
fn a_learned_address_in_a_denied_block_goes_by_order() {
    let denied = policy("d", TierRef::deny(), vec![deny(net("203.0.113.0/24"))]);
    let allowed = filtering("u", vec![allow(fqdn("a.example"))]);
    let mut namespaced =
        Held::by(&[denied.clone(), allowed.clone()]).learn("a.example", SHARED, 30);
    assert_eq!(namespaced.tcp(SHARED, 443), Deny);
    let admin = Policy {
        tier: TierRef::kube_admin(),
        ..allowed
    };
    let mut admin = Held::by(&[denied, admin]).learn("a.example", SHARED, 30);
    assert_eq!(admin.tcp(SHARED, 443), Allow);
}

#[test]
fn an_established_flow_outlives_expiry_and_not_its_rule() {
    let mut held = held(vec![on(allow(fqdn("a.example")), 443)]).learn("a.example", SHARED, 30);
    let leases = held.leases_of(ip(SHARED));
    let flow = |port| Flow::new(ip(SHARED), Protocol::TCP, port);
    let (ruleset, lists) = (&held.compiled.ruleset, &mut held.compiled.lists);
    let mut decide = |port, age| {
        ruleset
            .decide(lists, &flow(port), &leases, age)
            .unwrap()
            .verdict
    };
    assert_eq!(
        decide(
            443,
            Age::New {
                now: Duration::from_secs(31)
            }
        ),
        Deny
    );
    assert_eq!(decide(443, Age::Established), Allow);
    assert_eq!(decide(80, Age::Established), Deny);
}

#[test]
fn a_decision_says_the_lease_it_used() {
    let rules = vec![
        on(allow(fqdn("a.example")), 443),
        allow(net("203.0.113.0/28")),
    ];
    let held = held(rules)
        .learn("b.example", SHARED, 99)
        .learn("a.example", SHARED, 30);
    let mut held = held.learn("a.example", SHARED, 20);
    let decision = held.decide(Flow::new(ip(SHARED), Protocol::TCP, 443), 0);
    assert_eq!(decision.lease, Some(1), "the one that lives longest");
    let decision = held.decide(Flow::new(ip(SHARED), Protocol::TCP, 80), 0);
    assert_eq!((decision.verdict, decision.lease), (Allow, None));
}

#[test]
fn equal_folds_share_a_list() {
    let held = held(vec![on(allow(fqdn("**.example")), 443)]);
    let mut held = held
        .learn("a.example", SHARED, 30)
        .learn("b.example", "203.0.113.8", 40);
    let first = steps(&mut held)[0].list;
    let lists = held.compiled.lists.all().len();
    let leases = held.leases_of(ip("203.0.113.8"));
    let (ruleset, lists_of) = (&held.compiled.ruleset, &mut held.compiled.lists);
    let second = ruleset.fold(lists_of, ip("203.0.113.8"), &leases).unwrap()[0].list;
    assert_eq!(first, second);
    assert_eq!(lists_of.all().len(), lists);
}

#[test]
fn a_chain_counts_for_native_names_and_not_for_cilium_ones() {
    let by_question = Peer::Fqdn(FqdnPeer {
        pattern: cilium("cdn.example"),
        by: FqdnBy::Question,
        scope: Scope::Outside,
    });
    for (peer, learns) in [(fqdn("cdn.example"), true), (by_question, false)] {
        let held = held(vec![allow(peer)]);
        let rules = held
            .compiled
            .ruleset
            .name_rules(&name("www.example"), &[name("cdn.example")]);
        assert_eq!(!rules.is_empty(), learns);
    }
}
