//! Policies that are larger than what is compiled, or than the kernel's tables: refused as a whole, and said. Answers that
//! are larger than what is leased: they leave without what is not open.
//! The other limits are the compiler's own tests (`policy-engine`): text of that size takes long to read unoptimized.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use test_case::test_case;
use testkit::Lab;

use crate::in_lab;

#[test_case(&too_many_rules(), "the limit is 65536"; "rules")]
#[test_case(&too_many_port_rows(), "`PORTS` would have"; "the kernels port table")]
fn over_a_limit_nothing_starts_and_a_reload_leaves_the_last_good_rules(policy: &str, said: &str) {
    in_lab(|lab| {
        let ran = lab.folder().join("ran");
        let outcome = lab.held(policy).run([OsStr::new("touch"), ran.as_os_str()]);
        assert_eq!(outcome.code, Some(125), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
        assert!(!ran.exists());

        let gate = lab.folder().join("gate");
        let wait = format!("file {}", gate.display());
        let mut running = lab.held(&Lab::allowing(&["v4.example.com"])).start_probe(&[
            "tcp v4.example.com:7 before",
            &wait,
            "tcp v4.example.com:7 after",
            "tcp 198.51.100.66:7 x",
            "tcp 203.0.113.1:64 x",
            "until ok tcp forbidden.example.org:7 mended",
        ]);
        assert_eq!(running.sight().text.as_deref(), Some("before"));
        running.edit_policy(policy);
        running.wait_for_stderr("stay in force");
        assert!(running.stderr().contains(said), "{}", running.stderr());
        std::fs::write(&gate, "").unwrap();
        let seen: Vec<_> = (0..4).map(|_| running.sight()).collect();
        assert_eq!(seen[1].text.as_deref(), Some("after"), "{seen:#?}");
        assert_eq!(seen[2].error.as_deref(), Some("EPERM"), "{seen:#?}");
        assert_eq!(seen[3].error.as_deref(), Some("EPERM"), "{seen:#?}");
        running.edit_policy(&Lab::allowing(&["forbidden.example.org"]));
        assert_eq!(running.sight().text.as_deref(), Some("mended"));
        assert_eq!(running.finish().code, Some(0));
    });
}

/// 203.0.113.10 answers, and is the lowest of them; the highest is over the limit of a thousand.
fn many_addresses(lab: &Lab, count: u32) -> IpAddr {
    let first = u32::from(Ipv4Addr::new(203, 0, 113, 10));
    let mut zone = String::new();
    for number in (0..count).rev() {
        let ip = Ipv4Addr::from(first + number);
        writeln!(zone, "many.example.com 60 A {ip}").unwrap();
    }
    lab.internet.zone(&zone).unwrap();
    Ipv4Addr::from(first + count - 1).into()
}

#[test]
fn no_address_over_the_limit_leaves_and_what_is_left_out_is_told() {
    in_lab(|lab| {
        let last = many_addresses(lab, 1_100);
        let outcome = lab.held(&Lab::allowing(&["many.example.com"])).probe(&[
            "ask many.example.com A tcp",
            "ask many.example.com A tcp",
            "tcp 203.0.113.10:7 open",
            &format!("tcp {last}:7 x"),
        ]);
        for asked in &outcome.sights[..2] {
            assert_eq!(asked.addresses.len(), 1_000, "{:?}", asked.error);
            assert!(!asked.addresses.contains(&last));
        }
        assert_eq!(outcome.told()[2..], ["open", "EPERM"]);
        let told: Vec<_> = outcome
            .report
            .iter()
            .filter(|line| line["kind"] == "limit")
            .collect();
        let [told] = told.as_slice() else {
            panic!("one record: {told:#?}");
        };
        assert_eq!(
            [
                &told["effect"],
                &told["name"],
                &told["code"],
                &told["verdict"]
            ],
            [
                "withheld",
                "many.example.com",
                "limit-addresses-of-name",
                "deny"
            ]
        );
        assert_eq!(told["count"], 100, "{told}");
        let summary = outcome.report.last().unwrap();
        assert_eq!(summary["limits"][0]["count"], 100, "{summary}");
        assert!(
            outcome
                .stderr
                .contains("egret: withheld: 100 addresses of many.example.com\n"),
            "{}",
            outcome.stderr
        );
    });
}

#[test]
fn an_answer_that_was_cut_says_so() {
    in_lab(|lab| {
        many_addresses(lab, 1_001);
        let dig = [
            "dig",
            "+tries=1",
            "+time=10",
            "+tcp",
            "many.example.com",
            "A",
        ];
        let outcome = lab.held(&Lab::allowing(&["many.example.com"])).run(dig);
        assert!(outcome.stdout.contains("ANSWER: 1000,"), "{outcome:#?}");
        let error = "EDE: 0 (Other): (egret: 1 address left out";
        assert!(outcome.stdout.contains(error), "{}", outcome.stdout);
    });
}

#[test]
fn under_audit_an_answer_is_left_whole() {
    in_lab(|lab| {
        many_addresses(lab, 1_001);
        let outcome = lab
            .held(&Lab::allowing(&["many.example.com"]))
            .with(["--audit"])
            .probe(&["ask many.example.com A tcp"]);
        assert_eq!(outcome.sights[0].addresses.len(), 1_001);
        let told = outcome.report.iter().find(|line| line["kind"] == "limit");
        assert_eq!(told.unwrap()["verdict"], "allow");
    });
}

/// As many policies as it takes, each as long as one may be.
fn too_many_rules() -> String {
    let rule = "    - {action: Allow, to: [{cidr: 203.0.113.0/24}]}\n";
    let policies = (0..129).map(|number| policy(&format!("p{number}"), &rule.repeat(512)));
    policies.collect()
}

/// Every address of a hundred and ten has a list of its own, of ten thousand rows: ranges that fit no power of two.
fn too_many_port_rows() -> String {
    let mut rules = String::new();
    for rule in 0..16 {
        let ranges: Vec<String> = (0..64)
            .map(|range| (rule * 64 + range) * 64)
            .map(|start| format!("{{port: {}, endPort: {}}}", start + 1, start + 62))
            .collect();
        writeln!(
            rules,
            "    - {{action: Allow, to: [{{cidr: 203.0.113.0/24}}], ports: [{}]}}",
            ranges.join(", ")
        )
        .unwrap();
    }
    for host in 1..=110 {
        writeln!(
            rules,
            "    - {{action: Allow, to: [{{cidr: 203.0.113.{host}/32}}], ports: [{{port: {}}}]}}",
            host * 64
        )
        .unwrap();
    }
    policy("ports", &rules)
}

fn policy(name: &str, rules: &str) -> String {
    format!(
        "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {name}}}\nspec:\n  egress:\n{rules}---\n"
    )
}
