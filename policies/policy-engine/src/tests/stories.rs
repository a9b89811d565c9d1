//! What `explain` tells.
use std::time::Duration;

use policy_model::*;

use super::build::*;
use crate::{Age, Explanation, Flow, Miss, NamedLease, Ruling, TierOutcome, Verdict};

fn explain(policies: &[Policy], address: &str, port: u16, leases: &[(&str, u64)]) -> Explanation {
    let mut held = Held::by(policies);
    let leases: Vec<NamedLease> = leases
        .iter()
        .map(|(question, secs)| NamedLease {
            question: name(question),
            chain: Vec::new(),
            expires_at: Duration::from_secs(*secs),
        })
        .collect();
    let flow = Flow::new(ip(address), Protocol::TCP, port);
    let age = Age::New {
        now: Duration::from_secs(10),
    };
    let (ruleset, lists) = (&held.compiled.ruleset, &mut held.compiled.lists);
    ruleset
        .explain(lists, &flow, &leases, age, Ruling::Enforced)
        .unwrap()
}

/// The only rule of the only tier.
fn miss(policy: Policy, address: &str, port: u16, leases: &[(&str, u64)]) -> Option<Miss> {
    explain(&[policy], address, port, leases).tiers[0].rules[0].miss
}

#[test]
fn a_line_names_a_few_policies_and_counts_the_others() {
    let told = |many: usize| {
        let by = (0..many)
            .map(|at| ObjectRef::new("P", None, format!("p{at}").as_str()))
            .collect();
        let tier = TierRef::union();
        crate::Reason::Isolated { tier, by }.to_string()
    };
    assert_eq!(told(1), "no rule allows it, isolated by P/p0");
    assert_eq!(
        told(4),
        "no rule allows it, isolated by P/p0, P/p1, P/p2, P/p3"
    );
    assert_eq!(
        told(5),
        "no rule allows it, isolated by P/p0, P/p1, P/p2 and 2 others"
    );
}

#[test]
fn every_way_to_miss() {
    let by_name = || filtering("u", vec![on(allow(fqdn("a.example")), 443)]);
    let there = "203.0.113.7";
    assert_eq!(miss(by_name(), there, 443, &[("a.example", 60)]), None);
    assert_eq!(
        miss(by_name(), there, 80, &[("a.example", 60)]),
        Some(Miss::Ports)
    );
    assert_eq!(
        miss(
            by_name(),
            there,
            443,
            &[("b.example", 60), ("a.example", 9)]
        ),
        Some(Miss::Expired { lease: 1 })
    );
    assert_eq!(
        miss(by_name(), there, 443, &[("b.example", 60)]),
        Some(Miss::Name)
    );
    assert_eq!(
        miss(by_name(), "10.1.2.3", 443, &[("a.example", 60)]),
        Some(Miss::Private { lease: 0 })
    );
    let by_block = policy("u", TierRef::union(), vec![allow(net("198.51.100.0/24"))]);
    assert_eq!(miss(by_block, there, 443, &[]), Some(Miss::Address));
    let excepted = Peer::Block(Block {
        except: vec![
            "203.0.113.128/25".parse().unwrap(),
            "203.0.113.0/28".parse().unwrap(),
        ],
        ..Block::new("203.0.113.0/24".parse().unwrap(), Scope::Any)
    });
    let excepted = policy("u", TierRef::union(), vec![allow(excepted)]);
    let by = "203.0.113.0/28".parse().unwrap();
    assert_eq!(miss(excepted, there, 443, &[]), Some(Miss::Excepted { by }));
    let closed = Rule {
        closed: Some("no-proxy"),
        ..allow(net("0.0.0.0/0"))
    };
    let closed = policy("u", TierRef::union(), vec![closed]);
    assert_eq!(
        miss(closed, there, 443, &[]),
        Some(Miss::Closed("no-proxy"))
    );
    let broad = filtering("u", vec![allow(Peer::Entity(Entity::World))]);
    assert!(matches!(
        miss(broad, there, 853, &[]),
        Some(Miss::Guarded(_))
    ));
}

#[test]
fn a_name_a_deny_refuses() {
    let policies = [
        policy("d", TierRef::deny(), vec![deny(fqdn("a.example"))]),
        filtering("u", vec![allow(fqdn("a.example"))]),
    ];
    let story = explain(&policies, "203.0.113.7", 443, &[("a.example", 60)]);
    assert_eq!(
        story.tiers[1].rules[0].miss,
        Some(Miss::NameRefused { lease: 0 })
    );
    assert_eq!(story.verdict, Verdict::Deny);
}

#[test]
fn a_story_in_full() {
    let elsewhere = Subject::Plain(PlainSubject {
        user: Some("ci".into()),
        ..PlainSubject::default()
    });
    let policies = [
        Policy {
            subject: elsewhere,
            ..policy("other", TierRef::union(), Vec::new())
        },
        policy(
            "a",
            TierRef::kube_admin(),
            vec![pass(net("203.0.113.0/24"))],
        ),
        filtering(
            "u",
            vec![
                on(allow(fqdn("a.example")), 443),
                on(allow(net("203.0.113.7/32")), 80),
            ],
        ),
    ];
    let story = explain(&policies, "203.0.113.7", 443, &[("a.example", 9)]);
    assert_eq!(story.tiers[0].outcome, TierOutcome::Passed(0));
    assert_eq!(story.tiers[1].outcome, TierOutcome::DeniedAtEnd);
    assert_eq!(
        story.to_string(),
        "\
lease    a.example. until 9 s: over
policy   EgressPolicy/other: does not select this workload
tier     admin/kube-admin: passed on
  -> pass rule 0 of EgressPolicy/a (p.yaml:1:1), tier admin/kube-admin: matches
tier     namespace/union: no rule decided, denied at its end
     allow rule 0 of EgressPolicy/u (p.yaml:1:1), tier namespace/union: would match by a.example, which is over
     allow rule 1 of EgressPolicy/u (p.yaml:1:1), tier namespace/union: other ports
default  deny: no rule decided, the default holds
deny: no rule allows it, isolated by EgressPolicy/u"
    );
}
