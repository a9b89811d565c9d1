//! Learned steps, prefixes, port lists.

use ebpf_abi::{Cause, Verdict};
use ebpf_logic::{Age, rule};
use test_case::test_case;

use crate::world::{EVERYTHING, MAIL, RULES, WEB, apply, learn, ruleset, tables, target, tcp};

const END: u64 = 2_000;
const LATER: u64 = 3_000;

#[test_case(1_000, Age::New, 80 => true; "first step")]
#[test_case(END, Age::New, 80 => true; "live while age is at most the ttl")]
#[test_case(END + 1, Age::New, 80 => false; "a moment after")]
#[test_case(END + 1, Age::New, 25 => true; "second step")]
#[test_case(LATER + 1, Age::New, 25 => false; "after the last step the prefixes answer")]
#[test_case(LATER + 1, Age::Established, 80 => true; "an established flow has the first step")]
#[test_case(LATER + 1, Age::Established, 22 => true; "whose list is the widest")]
fn steps(now: u64, age: Age, port: u16) -> bool {
    let mut maps = tables(&[]);
    learn(
        &mut maps,
        RULES,
        "192.0.2.9",
        &[(END, EVERYTHING), (LATER, MAIL)],
    );
    maps.now = now;
    rule(&maps, RULES.0, &tcp("192.0.2.9", port), age).allows()
}

#[test_case("198.51.100.9", 80 => true; "the /24")]
#[test_case("198.51.100.9", 25 => false; "another port of it")]
#[test_case("198.51.100.7", 80 => false; "the /32 inside it")]
#[test_case("198.51.100.7", 25 => true; "has a list of its own")]
#[test_case("198.51.101.7", 80 => false; "outside")]
#[test_case("2001:db8::5", 25 => true; "v6 prefix")]
#[test_case("2001:db8:0:1::5", 25 => false; "v6 outside")]
#[test_case("::ffff:198.51.100.9", 80 => true; "mapped is IPv4")]
#[test_case("::198.51.100.9", 80 => false; "compatible is not")]
fn prefixes(address: &str, port: u16) -> bool {
    let mut maps = tables(&[]);
    let other = ebpf_abi::plan::RulesetId(8);
    let open = [
        ("198.51.100.0/24", WEB),
        ("198.51.100.7/32", MAIL),
        ("2001:db8::/64", MAIL),
    ];
    apply(&mut maps, ruleset(other, &open));
    rule(&maps, other.0, &tcp(address, port), Age::New).allows()
}

#[test_case(6, 80 => false; "not named")]
#[test_case(6, 25 => true; "one port")]
#[test_case(6, 1023 => false; "below the range")]
#[test_case(6, 1024 => true; "first of the range")]
#[test_case(6, 2047 => true; "last of the range")]
#[test_case(6, 2048 => false; "above the range")]
#[test_case(17, 25 => false; "another protocol")]
fn port_lists(protocol: u8, port: u16) -> bool {
    let mut maps = tables(&[]);
    learn(&mut maps, RULES, "192.0.2.9", &[(END, MAIL)]);
    rule(
        &maps,
        RULES.0,
        &target("192.0.2.9", port, protocol),
        Age::New,
    )
    .allows()
}

#[test]
fn the_answer_names_its_list_reason_and_lease() {
    let mut maps = tables(&[]);
    learn(&mut maps, RULES, "192.0.2.9", &[(END, WEB)]);
    let learned = rule(&maps, RULES.0, &tcp("192.0.2.9", 80), Age::New);
    assert_eq!(
        (learned.cause, learned.list, learned.reason, learned.lease),
        (Cause::Policy, WEB.0, 80, 9)
    );
    let fixed = rule(&maps, RULES.0, &tcp("192.0.2.10", 80), Age::New);
    assert_eq!(
        (fixed.cause, fixed.list, fixed.reason, fixed.lease),
        (Cause::Policy, 1, 1, 0)
    );
}

#[test]
fn rulesets_do_not_share_what_names_open() {
    let mut maps = tables(&[]);
    let other = ebpf_abi::plan::RulesetId(8);
    apply(&mut maps, ruleset(other, &[]));
    learn(&mut maps, other, "192.0.2.9", &[(END, EVERYTHING)]);
    assert!(!rule(&maps, RULES.0, &tcp("192.0.2.9", 80), Age::New).allows());
    assert!(rule(&maps, other.0, &tcp("192.0.2.9", 80), Age::New).allows());
}

#[test]
fn what_is_missing_is_denied() {
    let maps = tables(&[]);
    let ruling = rule(&maps, 99, &tcp("192.0.2.9", 80), Age::New);
    assert_eq!(
        (ruling.verdict, ruling.cause),
        (Verdict::Deny, Cause::NoRuling),
        "no such ruleset"
    );
    let mut maps = tables(&[]);
    learn(&mut maps, RULES, "192.0.2.9", &[(END, WEB)]);
    apply(&mut maps, vec![ebpf_abi::plan::Op::DelList { list: WEB }]);
    let ruling = rule(&maps, RULES.0, &tcp("192.0.2.9", 80), Age::New);
    assert_eq!(
        (ruling.verdict, ruling.cause),
        (Verdict::Deny, Cause::NoRuling),
        "no such list"
    );
}
