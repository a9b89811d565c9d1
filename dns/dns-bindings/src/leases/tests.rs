use dns_names::{Record, RecordData};
use proptest::prelude::*;
use test_case::test_case;

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An answer that gives `question` the addresses, each with its TTL.
fn answer(question: &str, addresses: &[(u8, u32)]) -> Resolution {
    let record = |(last, ttl): &(u8, u32)| Record {
        owner: name(question),
        ttl: *ttl,
        data: RecordData::Address(ip(*last)),
    };
    let mut resolution = Resolution::follow(
        &name(question),
        &addresses.iter().map(record).collect::<Vec<_>>(),
    )
    .expect("no loop");
    // Each its own TTL, as from several answers.
    for (address, (_, ttl)) in resolution.addresses.iter_mut().zip(addresses) {
        address.ttl = *ttl;
    }
    resolution
}

fn exact() -> Leases {
    Leases::new(Timing::EXACT, Limits::default())
}

/// `question address expiry` per lease.
fn show(leases: &Leases) -> Vec<String> {
    leases
        .iter()
        .map(|l| format!("{} {} {}", l.names.question(), l.ip, l.expires_at.as_secs()))
        .collect()
}

#[test]
fn a_lease_lives_while_its_age_is_at_most_its_ttl() {
    let mut leases = exact();
    let observed = leases.observe(&answer("a", &[(1, 60)]), secs(0), Wanted::Yes, secs(100));
    assert_eq!(
        observed,
        Observed {
            changed: [ip(1)].into(),
            ..Observed::default()
        }
    );
    assert_eq!(show(&leases), ["a. 192.0.2.1 160"]);
    assert_eq!(
        leases.poll_timeout(),
        Some(secs(160) + Duration::from_nanos(1))
    );
    assert!(leases.of(ip(1)).all(
        |lease| lease.is_live(secs(160)) && !lease.is_live(secs(160) + Duration::from_nanos(1))
    ));
    assert_eq!(leases.expire(secs(160)), [].into());
    assert_eq!(
        leases.expire(secs(160) + Duration::from_nanos(1)),
        [ip(1)].into()
    );
    assert!(leases.is_empty());
    assert_eq!(leases.poll_timeout(), None);
}

#[test_case(Timing { min_ttl: secs(30), ..Timing::EXACT }, 5, 0, 130; "the floor lifts a short TTL")]
#[test_case(Timing { min_ttl: secs(30), ..Timing::EXACT }, 60, 0, 160; "the floor leaves a long TTL")]
#[test_case(Timing { grace: secs(7), ..Timing::EXACT }, 60, 0, 167; "grace comes on top")]
#[test_case(Timing { min_ttl: secs(30), grace: secs(7), ..Timing::EXACT }, 0, 0, 137; "floor and grace")]
#[test_case(Timing::EXACT, 60, 20, 140; "a cached answer is older than its TTL says")]
#[test_case(Timing::EXACT, 60, 90, 100; "an answer past its TTL lasts no longer than now")]
fn expiry(timing: Timing, ttl: u32, age: u64, expires_at: u64) {
    let mut leases = Leases::new(timing, Limits::default());
    leases.observe(&answer("a", &[(1, ttl)]), secs(age), Wanted::Yes, secs(100));
    assert_eq!(show(&leases), [format!("a. 192.0.2.1 {expires_at}")]);
}

#[test]
fn later_answers_prolong_and_never_shorten() {
    let mut leases = exact();
    leases.observe(&answer("a", &[(1, 60)]), secs(0), Wanted::Yes, secs(100));
    assert_eq!(
        leases
            .observe(&answer("a", &[(1, 10)]), secs(0), Wanted::Yes, secs(110))
            .changed,
        [].into()
    );
    assert_eq!(show(&leases), ["a. 192.0.2.1 160"]);
    assert_eq!(
        leases
            .observe(&answer("a", &[(1, 60)]), secs(0), Wanted::Yes, secs(120))
            .changed,
        [ip(1)].into()
    );
    assert_eq!(show(&leases), ["a. 192.0.2.1 180"]);
}

#[test]
fn names_and_chains_are_leases_of_their_own() {
    let mut leases = exact();
    leases.observe(&answer("a", &[(1, 60)]), secs(0), Wanted::Yes, secs(0));
    leases.observe(
        &answer("b", &[(1, 30), (2, 30)]),
        secs(0),
        Wanted::Yes,
        secs(0),
    );
    let aliased = Resolution::follow(
        &name("a"),
        &[
            Record {
                owner: name("a"),
                ttl: 20,
                data: RecordData::Alias(name("c")),
            },
            Record {
                owner: name("c"),
                ttl: 90,
                data: RecordData::Address(ip(1)),
            },
        ],
    )
    .expect("no loop");
    leases.observe(&aliased, secs(0), Wanted::Yes, secs(0));
    assert_eq!(
        show(&leases),
        [
            "a. 192.0.2.1 60",
            "a. 192.0.2.1 20",
            "b. 192.0.2.1 30",
            "b. 192.0.2.2 30"
        ]
    );
    assert_eq!(
        leases
            .of(ip(1))
            .map(|l| l.names.chain().len())
            .collect::<Vec<_>>(),
        [1, 2, 1]
    );
    assert_eq!(leases.expire(secs(31)), [ip(1), ip(2)].into());
    assert_eq!(show(&leases), ["a. 192.0.2.1 60"]);
}

#[test]
fn what_no_policy_wants_is_remembered_for_a_moment() {
    let mut leases = exact();
    leases.observe(&answer("a", &[(1, 300)]), secs(0), Wanted::No, secs(0));
    assert_eq!(
        leases.poll_timeout(),
        Some(secs(30) + Duration::from_nanos(1))
    );
    // The policy arrives in time: the lease lasts as long as its TTL says.
    let observed = leases.reconsider(
        |names| {
            if names.question() == &name("a") {
                Wanted::Yes
            } else {
                Wanted::No
            }
        },
        secs(20),
    );
    assert_eq!(observed.changed, [ip(1)].into());
    assert_eq!(leases.expire(secs(299)), [].into());
    assert_eq!(show(&leases), ["a. 192.0.2.1 300"]);
    // The policy goes: it is remembered for another moment.
    assert_eq!(
        leases.reconsider(|_| Wanted::No, secs(100)).changed,
        [ip(1)].into()
    );
    assert_eq!(
        leases.reconsider(|_| Wanted::No, secs(120)).changed,
        [].into()
    );
    assert_eq!(leases.expire(secs(131)), [ip(1)].into());
}

#[test]
fn a_policy_that_comes_too_late_finds_nothing() {
    let mut leases = exact();
    leases.observe(&answer("a", &[(1, 300)]), secs(0), Wanted::No, secs(0));
    leases.expire(secs(31));
    assert_eq!(
        leases.reconsider(|_| Wanted::Yes, secs(31)),
        Observed::default()
    );
}

#[test]
fn the_idlest_addresses_of_a_name_go_first() {
    let mut leases = Leases::new(
        Timing::EXACT,
        Limits {
            per_name: 2,
            ..Limits::default()
        },
    );
    leases.observe(&answer("b", &[(9, 60)]), secs(0), Wanted::Yes, secs(0));
    leases.observe(&answer("a", &[(1, 60)]), secs(0), Wanted::Yes, secs(1));
    leases.observe(&answer("a", &[(2, 60)]), secs(0), Wanted::Yes, secs(2));
    leases.observe(&answer("a", &[(1, 60)]), secs(0), Wanted::Yes, secs(3));
    let observed = leases.observe(&answer("a", &[(3, 60)]), secs(0), Wanted::Yes, secs(4));
    assert_eq!(observed.changed, [ip(2), ip(3)].into());
    let evicted: Vec<_> = observed.evicted.iter().map(|e| (e.ip, e.limit)).collect();
    assert_eq!(evicted, [(ip(2), Limit::PerName)]);
    assert_eq!(
        show(&leases),
        ["a. 192.0.2.1 63", "a. 192.0.2.3 64", "b. 192.0.2.9 60"]
    );
}

#[test]
fn an_answer_that_is_over_a_limit_by_itself_is_refused_in_part() {
    let limits = Limits {
        per_name: 2,
        ..Limits::default()
    };
    let mut leases = Leases::new(Timing::EXACT, limits);
    leases.observe(&answer("a", &[(4, 60)]), secs(0), Wanted::Yes, secs(0));
    let many = answer("a", &[(4, 60), (2, 60), (3, 60), (1, 60)]);
    let observed = leases.observe(&many, secs(0), Wanted::Yes, secs(1));
    assert_eq!(
        observed.refused,
        [(ip(3), Limit::PerName), (ip(4), Limit::PerName)].into()
    );
    let evicted: Vec<_> = observed.evicted.iter().map(|e| (e.ip, e.limit)).collect();
    assert_eq!(evicted, [(ip(4), Limit::PerName)], "it was held before");
    assert_eq!(show(&leases), ["a. 192.0.2.1 61", "a. 192.0.2.2 61"]);

    let turned = answer("a", &[(1, 60), (3, 60), (4, 60), (2, 60)]);
    let observed = leases.observe(&turned, secs(0), Wanted::Yes, secs(2));
    assert!(
        observed.evicted.is_empty(),
        "in another order it is the same"
    );
    assert_eq!(observed.refused.len(), 2);
}

#[test]
fn what_the_limit_of_all_does_not_hold_is_refused() {
    let limits = Limits {
        allowed: 1,
        ..Limits::default()
    };
    let mut leases = Leases::new(Timing::EXACT, limits);
    let observed = leases.observe(
        &answer("a", &[(1, 60), (2, 60)]),
        secs(0),
        Wanted::Yes,
        secs(0),
    );
    assert_eq!(observed.refused, [(ip(2), Limit::Allowed)].into());
    // At one moment nothing is idler than the other, and the order decides; who loses is told.
    let observed = leases.observe(&answer("b", &[(0, 60)]), secs(0), Wanted::Yes, secs(0));
    let held = leases.iter().map(|lease| lease.ip).collect::<Vec<_>>();
    assert_eq!(held, [ip(1)]);
    assert_eq!(observed.refused, [(ip(0), Limit::Allowed)].into());
}

#[test]
fn remembered_and_allowed_leases_have_limits_of_their_own() {
    let mut leases = Leases::new(
        Timing::EXACT,
        Limits {
            allowed: 1,
            remembered: 1,
            ..Limits::default()
        },
    );
    leases.observe(&answer("a", &[(1, 60)]), secs(0), Wanted::Yes, secs(0));
    leases.observe(&answer("x", &[(8, 60)]), secs(0), Wanted::No, secs(1));
    let observed = leases.observe(&answer("y", &[(9, 60)]), secs(0), Wanted::No, secs(2));
    assert_eq!(
        observed
            .evicted
            .iter()
            .map(|e| (e.ip, e.limit))
            .collect::<Vec<_>>(),
        [(ip(8), Limit::Remembered)]
    );
    let observed = leases.observe(&answer("b", &[(2, 60)]), secs(0), Wanted::Yes, secs(3));
    assert_eq!(
        observed
            .evicted
            .iter()
            .map(|e| (e.ip, e.limit))
            .collect::<Vec<_>>(),
        [(ip(1), Limit::Allowed)]
    );
    assert_eq!(show(&leases), ["b. 192.0.2.2 63", "y. 192.0.2.9 62"]);
}

proptest! {
    /// Against the plain list of everything ever answered.
    #[test]
    fn agrees_with_the_naive_record(answers in prop::collection::vec((0u8..3, 0u8..4, 0u32..50, 0u64..20), 1..40)) {
        let mut leases = exact();
        let mut record: Vec<(Name, IpAddr, Time)> = Vec::new();
        let mut now = secs(0);
        for (question, last, ttl, wait) in answers {
            now += secs(wait);
            leases.expire(now);
            let question = ["a", "b", "c"][usize::from(question)];
            leases.observe(&answer(question, &[(last, ttl)]), secs(0), Wanted::Yes, now);
            record.push((name(question), ip(last), now + secs(ttl.into())));
            for address in (0..4).map(ip) {
                let mut expected: Vec<(Name, Time)> = Vec::new();
                for (question, _, expires_at) in record.iter().filter(|(_, at, until)| *at == address && *until >= now) {
                    match expected.iter_mut().find(|(known, _)| known == question) {
                        Some((_, known)) => *known = (*known).max(*expires_at),
                        None => expected.push((question.clone(), *expires_at)),
                    }
                }
                expected.sort();
                let got: Vec<(Name, Time)> = leases.of(address).map(|l| (l.names.question().clone(), l.expires_at)).collect();
                prop_assert_eq!(got, expected);
            }
            prop_assert!(leases.poll_timeout().is_none_or(|at| at > now));
        }
    }
}
