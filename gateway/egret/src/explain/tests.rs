use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Verb};

const POLICY: &str = "\
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: ci}
spec:
  egress:
  - name: source
    action: Allow
    to: [{fqdn: [\"*.example.com\"]}]
    ports: [{port: 443}]
  - action: Allow
    to: [{cidr: 198.51.100.0/24}]
    ports: [{protocol: ICMP, type: 8}]
";

/// Runs the verb on files in a folder of their own.
#[expect(clippy::unwrap_in_result, reason = "a test's own files can be written")]
fn explain_with(files: &[(&str, &str)], line: &str) -> Result<Answer, ExplainError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let line = line.replace('@', &format!("{}/", folder.path().display()));
    let Verb::Explain(args) =
        Cli::try_parse_from(["egret", "explain"].into_iter().chain(line.split(' ')))
            .unwrap()
            .verb
    else {
        panic!("explain")
    };
    explain(&args)
}

fn answered(line: &str) -> Answer {
    explain_with(&[("ci.yaml", POLICY)], &format!("--policy @ci.yaml {line}")).unwrap()
}

/// The text without the folder's name, which changes.
fn told(answer: &Answer) -> String {
    let text = text::answer(answer, Look::Plain);
    text.lines()
        .map(|line| match line.find("/ci.yaml") {
            Some(at) => {
                let start = line[..at].rfind(' ').map_or(0, |space| space + 1);
                format!("{}{}\n", &line[..start], &line[at + 1..])
            }
            None => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn an_allow_begins_with_the_verdict_and_the_rule() {
    let answer = answered("--to api.example.com --port 443");
    assert_eq!(answer.verdict(), Verdict::Allow);
    let ip = answer.flows[0].enforced.flow.ip;
    let text = told(&answer);
    assert!(
        text.starts_with(&format!(
            "\
allow  api.example.com 443/TCP

  because   allow, rule 0 `source` of EgressPolicy/ci, tier namespace/union
  at        ci.yaml:6:5
  by name   api.example.com stands for {ip} for 60 s more
"
        )),
        "{text}"
    );
    assert!(text.contains("\n  namespace/union  decided\n    -> allow  ci.yaml:6  EgressPolicy/ci rule 0 `source`  matches by api.example.com\n"), "{text}");
}

#[test]
fn a_deny_names_the_nearest_rule() {
    let answer = answered("--to api.example.com --port 80");
    assert_eq!(answer.verdict(), Verdict::Deny);
    let text = told(&answer);
    assert!(
        text.contains("  because   no rule allows it, and what no rule allows is denied by\n            EgressPolicy/ci  ci.yaml:4:1\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "  nearest   ci.yaml:6  EgressPolicy/ci rule 0 `source`: another port or protocol\n"
        ),
        "{text}"
    );
}

#[test]
fn a_name_that_may_not_be_asked_is_denied_for_that() {
    let answer = answered("--to tracker.example.org --port 443");
    assert_eq!(answer.verdict(), Verdict::Deny);
    let text = told(&answer);
    assert!(
        text.contains("  because   tracker.example.org may not be asked: no rule names it, names are filtered by EgressPolicy/ci\n"),
        "{text}"
    );
    assert!(text.contains("NXDOMAIN"), "{text}");
}

#[test]
fn icmp_is_asked_by_type() {
    assert_eq!(
        answered("--to 198.51.100.1 --port 8/ICMP").verdict(),
        Verdict::Allow
    );
    assert_eq!(
        answered("--to 198.51.100.1 --port 13/ICMP").verdict(),
        Verdict::Deny
    );
}

#[test]
fn answers_age() {
    let dns =
        "- {query: api.example.com, answers: [{type: A, data: 203.0.113.7, ttl: 60}], age: 5}\n";
    let at = |seconds: u32| {
        explain_with(
            &[("ci.yaml", POLICY), ("dns.yaml", dns)],
            &format!(
                "--policy @ci.yaml --dns @dns.yaml --at {seconds} --to 203.0.113.7 --port 443"
            ),
        )
        .unwrap()
    };
    assert_eq!(at(55).verdict(), Verdict::Allow);
    let over = at(56);
    assert_eq!(over.verdict(), Verdict::Deny);
    assert!(
        told(&over).contains("would match by api.example.com, which is over"),
        "{}",
        told(&over)
    );
}

#[test]
fn a_refused_policy_leaves_no_answer_but_for_the_best_effort() {
    let broken = "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: b}\nspec: {egres: []}\n";
    let files = [("ci.yaml", POLICY), ("b.yaml", broken)];
    let line = "--policy @ci.yaml --policy @b.yaml --to 192.0.2.1 --port 1";
    assert!(matches!(
        explain_with(&files, line),
        Err(ExplainError::Refused(_))
    ));
    assert!(explain_with(&files, &format!("{line} --best-effort")).is_ok());
}

#[test]
fn a_selector_needs_to_know_the_labels() {
    let selecting = POLICY.replace(
        "spec:\n",
        "spec:\n  subject: {pods: {matchLabels: {app: web}}}\n",
    );
    let files = [("ci.yaml", selecting.as_str())];
    let line = "--policy @ci.yaml --to 192.0.2.1 --port 1";
    assert!(matches!(
        explain_with(&files, line),
        Err(ExplainError::Compile(_))
    ));
    let labelled = explain_with(&files, &format!("{line} --labels app=web")).unwrap();
    assert_eq!(labelled.verdict(), Verdict::Deny);
    let others = explain_with(&files, &format!("{line} --labels app=db")).unwrap();
    assert_eq!(others.verdict(), Verdict::Allow);
}

#[test]
fn nobody_knows_a_pod_or_a_file_that_is_not_there() {
    let line = "--policy @ci.yaml --to 192.0.2.1 --port 1 --from prod/web-0";
    assert!(matches!(
        explain_with(&[("ci.yaml", POLICY)], line),
        Err(ExplainError::Workload(_))
    ));
    let line = "--policy @nothing.yaml --to 192.0.2.1 --port 1";
    assert!(matches!(
        explain_with(&[], line),
        Err(ExplainError::Files(_))
    ));
    let line = "--policy @ci.yaml --to 192.0.2.1 --port 1 --dns @nothing.yaml";
    assert!(matches!(
        explain_with(&[("ci.yaml", POLICY)], line),
        Err(ExplainError::ReadAnswers { .. })
    ));
}

#[test]
fn json_tells_the_same() {
    let answer = answered("--to api.example.com --port 443");
    let json: serde_json::Value = serde_json::from_str(&json::answer(&answer)).unwrap();
    assert_eq!(json["verdict"], "allow");
    assert_eq!(json["reason"]["code"], "rule");
    assert_eq!(json["reason"]["rule"]["line"], 6);
    assert_eq!(
        json["addresses"][0]["tiers"][0]["rules"][0]["decides"],
        true
    );
    assert_eq!(
        json["addresses"][0]["tiers"][0]["rules"][1]["miss"],
        "address"
    );
    assert_eq!(json["made_up"], true);
}

#[test]
fn audit_shows_what_would_be() {
    let audited = POLICY.replace("spec:\n", "spec:\n  mode: audit\n");
    let answer = explain_with(
        &[("ci.yaml", &audited)],
        "--policy @ci.yaml --to 192.0.2.1 --port 443",
    )
    .unwrap();
    assert_eq!(
        (answer.verdict(), answer.would()),
        (Verdict::Allow, Verdict::Deny)
    );
    assert!(told(&answer).contains("would be deny"), "{}", told(&answer));
}
