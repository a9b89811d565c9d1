//! Judging: whatever a test expects is compared. An expectation that nobody looks at passes for ever.

use policy_cases::{CaseFile, CompiledEngine, Outcome, Scene, judge};
use test_case::test_case;

/// Lines 1 to 17 of every file here; the tests follow.
const FILE: &str = r#"inline: |
  apiVersion: egret.dev/v1alpha1
  kind: EgressPolicy
  metadata: {name: web}
  spec:
    deny: drop
    egress:
    - {action: Allow, to: [{fqdn: ["*.example.com"]}], ports: [{protocol: TCP, port: 443}]}
    - {action: Allow, to: [{cidr: 198.51.100.9/24}]}
  ---
  apiVersion: egret.dev/v1alpha1
  kind: EgressPolicy
  metadata: {name: later}
  spec: {mode: audit, egress: [{action: Deny, to: [{cidr: 198.51.100.0/24}]}]}
dns:
- {query: www.example.com, answers: [{type: A, data: 203.0.113.7, ttl: 60}]}
- {query: two.example.com, answers: [{type: A, data: 198.51.100.1, ttl: 60}, {type: A, data: 203.0.113.8, ttl: 60}]}
"#;

fn scene(file: &str, tests: &str) -> Scene {
    let parsed = CaseFile::parse("t.yaml", &format!("{file}tests:\n{tests}"));
    let file = parsed.unwrap_or_else(|errors| panic!("{errors:#?}"));
    Scene::prepare(file, &[], &[]).expect("a scene")
}

/// What is wrong with the one test; nothing where it passes.
fn wrong(test: &str) -> Vec<String> {
    let scene = scene(FILE, &format!("- {{{test}}}\n"));
    let [test] = scene.file.tests.as_slice() else {
        panic!("one test")
    };
    match judge(&scene, test, &mut CompiledEngine).outcome {
        Outcome::Passed => Vec::new(),
        Outcome::Failed(wrong) => wrong,
        outcome @ (Outcome::Needs(_) | Outcome::Unsupported(_) | Outcome::Error(_)) => {
            panic!("{outcome:?}")
        }
    }
}

#[test_case("to: {ip: 198.51.100.1}, port: 22", "expect: allow", "expect: deny", "expected deny, got allow"; "a verdict")]
#[test_case("to: {ip: 198.51.100.1}, port: 22, expect: allow", "would: deny", "would: allow", "expected would allow, got deny"; "the verdict once audit is over")]
#[test_case("to: {ip: 192.0.2.1}, port: 22, expect: deny", "how: drop", "how: reject", "expected how reject, got drop"; "how it is denied")]
#[test_case("to: {ip: 198.51.100.1}, port: 22, expect: allow", "by: web", "by: later", "expected by later, got allow rule 1 of EgressPolicy/web"; "who decided")]
#[test_case("to: {ip: 192.0.2.1}, port: 22, expect: deny", "by: EgressPolicy/web", "by: guard", "expected by guard, got no rule allows it"; "that it is no guard")]
#[test_case("to: {ip: 169.254.169.254}, port: 80, expect: deny", "by: guard", "by: default", "expected by default, got guard"; "that it is a guard")]
#[test_case("to: {host: two.example.com}, port: 443", "expect: allow", "expect: deny", "198.51.100.1: expected deny, got allow"; "every address alike")]
#[test_case("to: {host: two.example.com, ip: 198.51.100.1}, port: 22", "expect: allow", "expect: deny", "expected deny, got allow"; "one address of a host")]
#[test_case("to: {host: two.example.com, ip: 203.0.113.8}, port: 22", "expect: deny", "expect: allow", "expected allow, got deny"; "and the other")]
#[test_case("query: {name: a.example.org}, expect: deny", "rcode: NXDOMAIN", "rcode: REFUSED", "expected rcode REFUSED, got NXDOMAIN"; "the answer to a question")]
#[test_case("query: {name: a.example.org}", "expect: deny", "expect: allow", "expected allow, got deny"; "the verdict on a question")]
#[test_case("learned: {host: www.example.com}", "expect: {addresses: [203.0.113.7]}", "expect: {addresses: []}", "expected addresses [], got [203.0.113.7]"; "addresses that were learned")]
#[test_case("learned: {host: www.example.com}", "expect: {ttl: 60}", "expect: {ttl: 61}", "expected ttl 61, got Some(60)"; "for how long")]
#[test_case("learned: {host: www.example.com}", "expect: {ports: [443/TCP]}", "expect: {ports: [443/TCP, 80/TCP]}", "expected ports"; "and on which ports")]
#[test_case("diagnostic: {code: cidr-host-bits}", "expect: reported", "expect: absent", "reported: t.yaml:9"; "a diagnostic")]
#[test_case("expect: reported", "diagnostic: {code: cidr-host-bits}", "diagnostic: {code: service-port}", "not reported"; "its code")]
#[test_case("expect: reported", "diagnostic: {code: cidr-host-bits, line: 9}", "diagnostic: {code: cidr-host-bits, line: 8}", "not reported"; "its line")]
#[test_case("expect: reported", "diagnostic: {code: cidr-host-bits, object: web}", "diagnostic: {code: cidr-host-bits, object: later}", "not reported"; "its object")]
#[test_case("expect: reported", "diagnostic: {code: cidr-host-bits, level: lint}", "diagnostic: {code: cidr-host-bits, level: closed}", "not reported"; "its level")]
fn what_a_test_expects_is_compared(test: &str, right: &str, other: &str, told: &str) {
    let none: [String; 0] = [];
    assert_eq!(wrong(&format!("{test}, {right}")), none);
    let wrong = wrong(&format!("{test}, {other}"));
    assert!(
        matches!(wrong.first(), Some(first) if first.starts_with(told)),
        "{wrong:?}"
    );
}

#[test]
fn an_address_that_differs_is_named_wherever_it_stands() {
    for (expect, other) in [("allow", "203.0.113.8"), ("deny", "198.51.100.1")] {
        let wrong = wrong(&format!(
            "to: {{host: two.example.com}}, port: 22, expect: {expect}"
        ));
        let [told] = wrong.as_slice() else {
            panic!("{wrong:?}")
        };
        assert!(told.starts_with(&format!("{other}: ")), "{told}");
    }
}

#[test_case("bogus: 1", "unknown-field", "", false; "a refused policy")]
#[test_case("bogus: 1", "unknown-field", "- diagnostic: {code: unknown-field}\n", true; "one that a test expects")]
#[test_case("egress: [{action: Allow, bogus: 1}]", "unknown-rule-field", "", false; "a closed rule")]
#[test_case("egress: [{action: Allow, bogus: 1}]", "unknown-rule-field", "- diagnostic: {code: unknown-rule-field}\n", true; "one that is expected")]
#[test_case("egress: [{action: Allow, bogus: 1}]", "unknown-rule-field", "- diagnostic: {code: unknown-rule-field, line: 99}\n", false; "one that is expected elsewhere")]
#[test_case("egress: [{action: Allow, bogus: 1}]", "unknown-rule-field", "- diagnostic: {code: unknown-rule-field, line: 99}\n  expect: absent\n", false; "one that is expected nowhere")]
fn what_no_test_expects_fails_the_file(spec: &str, code: &str, tests: &str, expected: bool) {
    let file = format!(
        "inline: |\n  apiVersion: egret.dev/v1alpha1\n  kind: EgressPolicy\n  metadata: {{name: web}}\n  spec: {{{spec}}}\n"
    );
    let scene = scene(
        &file,
        &format!("{tests}- {{to: {{ip: 192.0.2.1}}, port: 1, expect: deny}}\n"),
    );
    let codes: Vec<&str> = scene.unexpected().iter().map(|found| found.code).collect();
    let left: &[&str] = if expected { &[] } else { &[code] };
    assert_eq!(codes, left);
}
