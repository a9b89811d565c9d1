use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use test_case::test_case;

use super::Tally;
use crate::destination::{Destination, Protocol};
use crate::record::{FlowRecord, GuardRecord, LimitEffect, LimitRecord, QueryRecord, Record};
use crate::ruling::{RuleRef, Ruling};
use crate::times::Times;
use crate::timestamp::Timestamp;
use crate::verdict::Verdict;

#[test]
fn nothing_denied_says_nothing() {
    let mut tally = Tally::default();
    tally.note(&flow(
        Verdict::Allow,
        "203.0.113.7",
        443,
        &["www.example.com"],
        ruling("rule", &[]),
    ));
    assert_eq!(text(&tally, 0), "");
}

#[test]
fn equal_denials_are_one_group() {
    let mut tally = Tally::default();
    for record_type in ["A", "AAAA", "A"] {
        tally.note(&query(
            "Tracker.example.org",
            record_type,
            ruling("not-named", &["EgressPolicy/ci/runners"]),
        ));
    }
    tally.note(&flow(
        Verdict::Deny,
        "203.0.113.7",
        8443,
        &["www.example.com"],
        ruling("isolated", &["EgressPolicy/ci/runners"]),
    ));
    tally.note(&flow(
        Verdict::Deny,
        "203.0.113.8",
        8443,
        &["www.example.com"],
        ruling("isolated", &["EgressPolicy/ci/runners"]),
    ));
    tally.note(&flow(
        Verdict::Deny,
        "2001:db8::9",
        443,
        &[],
        ruling("isolated", &["EgressPolicy/ci/runners"]),
    ));
    assert_eq!(
        text(&tally, 0),
        "\
egret: denied: 3 destinations, 6 attempts
  name tracker.example.org (A, AAAA), 3 times
    why not-named
    to allow it: add `- {action: Allow, to: [{fqdn: [\"tracker.example.org\"]}]}`
  www.example.com at 203.0.113.7:8443/TCP, 2 times, by curl
    why isolated
    to allow it: add `- {action: Allow, to: [{fqdn: [\"www.example.com\"]}], ports: [{protocol: TCP, port: 8443}]}`
  [2001:db8::9]:443/TCP, by curl
    why isolated
    to allow it: add `- {action: Allow, to: [{cidr: \"2001:db8::9/128\"}], ports: [{protocol: TCP, port: 443}]}`, or a rule with the name it is known by
"
    );
}

#[test]
fn the_advice_speaks_the_policy_s_dialect() {
    let by = ["CiliumNetworkPolicy/ci/runners"];
    let mut tally = Tally::default();
    tally.note(&query("www.example.com", "A", ruling("not-named", &by)));
    tally.note(&flow(
        Verdict::Deny,
        "203.0.113.7",
        443,
        &["www.example.com"],
        ruling("isolated", &by),
    ));
    tally.note(&flow(
        Verdict::Deny,
        "203.0.113.7",
        443,
        &[],
        ruling("isolated", &by),
    ));
    assert_eq!(
        remedies(&tally),
        [
            "add `- toFQDNs: [{matchName: \"www.example.com\"}]`, and where the policy has `rules.dns`, `- matchName: \"www.example.com\"` there",
            "add `- {toFQDNs: [{matchName: \"www.example.com\"}], toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]}`",
            "add `- {toCIDR: [\"203.0.113.7/32\"], toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]}`, or a rule with the name it is known by",
        ]
    );
}

#[test]
fn the_advice_fits_the_reason() {
    let mut tally = Tally::default();
    tally.note(&flow(
        Verdict::Deny,
        "127.0.0.1",
        22,
        &[],
        ruling("isolated", &[]),
    ));
    tally.note(&flow(
        Verdict::Deny,
        "169.254.169.254",
        80,
        &[],
        ruling("guard-metadata", &[]),
    ));
    tally.note(&flow(
        Verdict::Deny,
        "203.0.113.7",
        443,
        &[],
        denying_rule(None),
    ));
    tally.note(&flow(
        Verdict::Deny,
        "203.0.113.8",
        443,
        &[],
        denying_rule(Some("cilium-l3")),
    ));
    tally.note(&Record::Guard(GuardRecord {
        ts: moment(),
        times: Times::ONCE,
        verdict: Verdict::Deny,
        workload: "run".to_owned(),
        name: "intranet.example.com".to_owned(),
        address: address("10.0.0.5"),
        class: "private",
        ruling: denying_rule(None),
    }));
    tally.note(&flow(
        Verdict::Deny,
        "203.0.113.9",
        443,
        &[],
        ruling("source-route", &[]),
    ));
    assert_eq!(
        remedies(&tally),
        [
            "add `- {action: Allow, to: [{entity: loopback}], ports: [{protocol: TCP, port: 22}]}`",
            "if that is meant, add a rule with `metadata: [PRESET]` (aws-imds, gcp, azure, …)",
            "change the rule at p.yaml:12:5",
            "the rule at p.yaml:12:5 cannot be enforced as written (cilium-l3); see `egret check`",
            "if that is meant, say `allowPrivate: true` in the rule at p.yaml:12:5",
        ]
    );
}

const PRESET: &str =
    "if that is meant, add a rule with `metadata: [PRESET]` (aws-imds, gcp, azure, …)";
const PRIVATE: &str = "if that is meant, say `allowPrivate: true` in the rule";
const ANNOTATE: &str = "if that is meant, annotate the policy with `egret.dev/allow-private`";

#[test_case("169.254.169.254", "metadata", NATIVE, Some(PRESET); "a preset opens metadata")]
#[test_case("169.254.169.254", "metadata", CILIUM, Some(PRESET); "and in any dialect")]
#[test_case("2002:a9fe:a9fe::1", "metadata", NATIVE, None; "no preset opens a form of it")]
#[test_case("127.0.0.1", "loopback", NATIVE, Some(PRIVATE); "loopback")]
#[test_case("10.0.0.5", "private", NATIVE, Some(PRIVATE); "private")]
#[test_case("10.0.0.5", "private", CILIUM, Some(ANNOTATE); "private for cilium")]
#[test_case("127.0.0.1", "loopback", CILIUM, None; "loopback for cilium")]
#[test_case("0.0.0.0", "unspecified", NATIVE, None; "nothing is there")]
#[test_case("239.1.2.3", "multicast", NATIVE, None; "a group")]
#[test_case("255.255.255.255", "broadcast", NATIVE, None; "everybody")]
fn the_advice_for_an_inside_address(ip: &str, class: &str, policy: &str, expected: Option<&str>) {
    let ruling = ruling("guard-rebinding", &[policy]);
    let advice = crate::advice::for_address(address(ip), class, &ruling);
    assert_eq!(advice.as_deref(), expected);
}

#[test]
fn limits_are_a_line_each() {
    let mut tally = Tally::default();
    for (effect, name, count) in [
        (LimitEffect::Withheld, "a.example.com", 3),
        (LimitEffect::Evicted, "b.example.com", 1),
        (LimitEffect::Withheld, "c.example.com", 4),
    ] {
        tally.note(&Record::Limit(LimitRecord {
            ts: moment(),
            times: Times { count, until: None },
            verdict: Verdict::Deny,
            workload: "run".to_owned(),
            effect,
            name: name.to_owned(),
            addresses: vec![address("203.0.113.1")],
            code: "limit-addresses-of-name".to_owned(),
            reason: "too many".to_owned(),
        }));
    }
    assert_eq!(
        text(&tally, 0),
        "egret: withheld: 7 addresses of a.example.com, c.example.com\n    too many\n\
         egret: evicted: 1 address of b.example.com\n    too many\n"
    );
}

const NATIVE: &str = "EgressPolicy/ci/runners";
const CILIUM: &str = "CiliumNetworkPolicy/ci/runners";

#[test]
fn what_audit_let_pass_is_told_apart() {
    let mut tally = Tally::default();
    let Record::Flow(mut passed) = flow(
        Verdict::Deny,
        "203.0.113.7",
        443,
        &[],
        ruling("default", &[]),
    ) else {
        panic!("a flow");
    };
    passed.verdict = Verdict::Allow;
    tally.note(&Record::Flow(passed));
    let text = text(&tally, 0);
    assert!(
        text.starts_with("egret: would be denied: 1 destination, 1 attempt\n"),
        "{text}"
    );
}

#[test]
fn search_list_names_are_not_news() {
    let mut tally = Tally::default();
    tally.note(&query(
        "www.example.com.corp.example",
        "A",
        ruling("search-expansion", &[]),
    ));
    assert_eq!(text(&tally, 0), "");
    assert_eq!(tally.denied_queries, 1);
}

#[test]
fn what_was_lost_is_said() {
    assert_eq!(
        text(&Tally::default(), 3),
        "egret: 3 events lost: the counts are too low\n"
    );
}

#[test]
fn many_denials_are_cut_for_people_and_bounded_for_memory() {
    let mut tally = Tally::default();
    for port in 1..=1_500 {
        tally.note(&flow(
            Verdict::Deny,
            "203.0.113.7",
            port,
            &[],
            ruling("isolated", &[]),
        ));
    }
    let summary = tally.summary(moment(), 0, 0);
    assert_eq!(
        (
            summary.denied.len(),
            summary.ungrouped,
            summary.denied_flows
        ),
        (1_000, 500, 1_500)
    );
    let text = summary.to_string();
    assert!(
        text.contains("  and 980 more; `--report FILE` lists them\n"),
        "{text}"
    );
    assert!(
        text.contains("egret: beyond that, 500 denials of other destinations: only the first 1000 are told apart\n"),
        "{text}"
    );
}

#[test]
fn a_program_s_name_does_not_drive_the_terminal() {
    let mut tally = Tally::default();
    let Record::Flow(mut hostile) = flow(
        Verdict::Deny,
        "203.0.113.7",
        443,
        &[],
        ruling("isolated", &[]),
    ) else {
        panic!("a flow");
    };
    hostile.comm = Some("\u{1b}]0;x\u{7}\n\u{202e}".to_owned());
    tally.note(&Record::Flow(hostile));
    let text = text(&tally, 0);
    assert!(
        text.contains("by \\u{1b}]0;x\\u{7}\\n\\u{202e}\n"),
        "{text}"
    );
}

/// Advice is pasted into policies.
#[test]
fn a_name_does_not_write_the_advice() {
    const MORE: &str = "x\"]},{cidr: [\"0.0.0.0/0";
    for name in [MORE, "*", "*.example.org", "a\\010b.example.org"] {
        let mut tally = Tally::default();
        tally.note(&query(name, "A", ruling("not-named", &[])));
        assert_eq!(remedies(&tally), [""; 0], "{name}");
        let mut tally = Tally::default();
        let ruling = ruling("isolated", &[]);
        tally.note(&flow(Verdict::Deny, "203.0.113.7", 443, &[name], ruling));
        let remedies = remedies(&tally);
        let by_address = "add `- {action: Allow, to: [{cidr: \"203.0.113.7/32\"}], ";
        assert!(remedies[0].starts_with(by_address), "{remedies:?}");
    }
}

fn text(tally: &Tally, lost: u64) -> String {
    tally.summary(moment(), lost, 0).to_string()
}

fn remedies(tally: &Tally) -> Vec<String> {
    let groups = tally.summary(moment(), 0, 0).denied;
    groups
        .into_iter()
        .filter_map(|group| group.remedy)
        .collect()
}

fn moment() -> Timestamp {
    Timestamp(UNIX_EPOCH)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ruling(code: &str, policies: &[&str]) -> Ruling {
    Ruling {
        policies: policies.iter().map(|policy| (*policy).to_owned()).collect(),
        ..Ruling::plain(code, format!("why {code}"))
    }
}

fn denying_rule(closed: Option<&str>) -> Ruling {
    Ruling {
        rule: Some(RuleRef {
            index: 0,
            name: None,
            action: "deny".to_owned(),
            closed: closed.map(str::to_owned),
        }),
        place: Some("p.yaml:12:5".to_owned()),
        ..Ruling::plain("rule", "a rule")
    }
}

fn flow(verdict: Verdict, ip: &str, port: u16, names: &[&str], ruling: Ruling) -> Record {
    Record::Flow(FlowRecord {
        ts: moment(),
        times: Times::ONCE,
        verdict,
        would: verdict,
        workload: "run".to_owned(),
        hook: "connect",
        pid: Some(7),
        comm: Some("curl".to_owned()),
        destination: Destination::new(address(ip), Protocol::TCP, port),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        established: false,
        ruling,
    })
}

fn query(name: &str, record_type: &str, ruling: Ruling) -> Record {
    Record::Query(QueryRecord {
        ts: moment(),
        times: Times::ONCE,
        verdict: Verdict::Deny,
        would: Verdict::Deny,
        workload: "run".to_owned(),
        name: name.to_owned(),
        record_type: record_type.to_owned(),
        server: "192.0.2.53:53".parse().unwrap(),
        protocol: Protocol::UDP,
        client_port: 40_000,
        rcode: Some("NXDOMAIN".to_owned()),
        ruling,
    })
}
