//! The report under a command that means it ill: it stays small, and the sums stay true.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use test_case::test_case;
use testkit::{Lab, Outcome};

use crate::in_lab;

/// Sends to `argv[1]` ports of each of ten forbidden addresses, `argv[2]` rounds of it; says how often it was refused.
const FLOOD: &str = "
import socket, sys
ports, rounds = int(sys.argv[1]), int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
refused = 0
for _ in range(rounds):
    for last in range(60, 70):
        for port in range(1, ports + 1):
            try: s.sendto(b'x', (f'198.51.100.{last}', 1000 + port))
            except PermissionError: refused += 1
print(refused)";

const MIB: u64 = 1 << 20;

#[test]
fn what_repeats_is_a_line_a_second_with_its_count() {
    in_lab(|lab| {
        let outcome = flood(lab, "64", [1, 2_000]);
        let (denied, lost) = told(&outcome);
        assert_eq!((denied + lost, refused(&outcome)), (20_000, 20_000));
        let (denied, lost) = told(&outcome);
        assert_eq!((denied + lost, refused(&outcome)), (20_000, 20_000));
        let lines = flows(&outcome);
        let summary = summary(&outcome);
        assert_eq!(summary["unwritten"], 0, "{summary}");
        // Ten destinations: a line each, and one a second; the slowest machine needs less than ten seconds.
        assert!(lines.len() <= 10 * 10, "{} lines", lines.len());
        assert!(lines.iter().any(|line| line["count"].as_u64() > Some(1)));
        assert_eq!(counts(&lines), denied);
    });
}

#[test]
fn a_report_does_not_outgrow_its_limit_and_its_sums_are_true() {
    in_lab(|lab| {
        let outcome = flood(lab, "1", [3_000, 1]);
        let summary = summary(&outcome);
        let (denied, lost) = told(&outcome);
        assert_eq!(denied + lost, refused(&outcome), "{summary}");
        let lines = flows(&outcome);
        let unwritten = summary["unwritten"].as_u64().unwrap();
        assert!(unwritten > 0, "the limit was not reached: {summary}");
        assert_eq!(counts(&lines) + unwritten, denied);
        let [.., cut, _] = outcome.report.as_slice() else {
            panic!("no end: {summary}");
        };
        assert_eq!(
            (&cut["kind"], &cut["limit"]),
            (&"cut".into(), &MIB.into()),
            "{cut}"
        );
        let bytes: usize = lines.iter().map(|line| line.to_string().len() + 1).sum();
        assert!(bytes as u64 <= MIB, "{bytes}");
        assert!(
            outcome.stderr.contains("not written to the report"),
            "{}",
            outcome.stderr
        );
    });
}

#[test]
fn a_report_cannot_be_written_or_replaced_by_what_it_is_about() {
    in_lab(|lab| {
        let folder = lab.folder().display().to_string();
        let script = "cd $1 && for f in *.jsonl; do
            echo forged > $f; echo forged > new && mv new $f; rm $f; truncate -s 0 $f; done; echo tried";
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com"]))
            .run(["sh", "-c", script, "sh", &folder]);
        assert_eq!(outcome.stdout, "tried\n", "{outcome:#?}");
        // Anything else than Egret's own lines would not have been read.
        assert_eq!(summary(&outcome)["denied_flows"], 0);
        assert!(outcome.stderr.contains("Read-only"), "{}", outcome.stderr);
    });
}

#[test_case(false; "by its name")]
#[test_case(true; "by a link")]
fn a_report_over_a_policy_is_125_and_the_policy_stays(linked: bool) {
    in_lab(|lab| {
        let text = Lab::allowing(&["v4.example.com"]);
        let policy = lab.folder().join("p.yaml");
        std::fs::write(&policy, &text).unwrap();
        let report = if linked {
            let link = lab.folder().join("link");
            std::os::unix::fs::symlink(&policy, &link).unwrap();
            link
        } else {
            policy.clone()
        };
        let outcome = egret(lab, &policy, report.to_str().unwrap());
        assert_eq!(outcome.status.code(), Some(125), "{outcome:?}");
        assert_eq!(std::fs::read_to_string(&policy).unwrap(), text);
    });
}

/// Its lines would be safe, and whoever reads the link would read the command's.
#[test]
fn a_report_by_a_link_that_the_command_could_replace_is_125() {
    in_lab(|lab| {
        let policy = lab.folder().join("p.yaml");
        std::fs::write(&policy, Lab::allowing(&["v4.example.com"])).unwrap();
        let report = lab.folder().join("r.jsonl");
        std::fs::write(&report, "").unwrap();
        let link = lab.folder().join("link");
        std::os::unix::fs::symlink(&report, &link).unwrap();
        let outcome = egret(lab, &policy, link.to_str().unwrap());
        let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert_eq!(outcome.status.code(), Some(125), "{said}");
        assert!(
            said.contains("a link that the command could replace"),
            "{said}"
        );
        assert_eq!(outcome.stdout, b"", "the command ran");
    });
}

#[test]
fn what_cannot_be_a_report_is_125_at_once() {
    in_lab(|lab| {
        let policy = lab.folder().join("p.yaml");
        std::fs::write(&policy, Lab::allowing(&["v4.example.com"])).unwrap();
        let pipe = lab.folder().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (report, why) in [
            ("-", "standard output is the command's"),
            (pipe.to_str().unwrap(), "a pipe that nobody reads"),
            (lab.folder().to_str().unwrap(), "directory"),
        ] {
            let outcome = egret(lab, &policy, report);
            let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
            assert_eq!(outcome.status.code(), Some(125), "{report}: {said}");
            assert!(said.contains(why), "{report}: {said}");
            assert_eq!(outcome.stdout, b"", "the command ran");
        }
    });
}

#[test]
fn a_report_that_another_run_writes_is_125() {
    in_lab(|lab| {
        let policy = lab.folder().join("p.yaml");
        std::fs::write(&policy, Lab::allowing(&["v4.example.com"])).unwrap();
        let mut running = lab.held(&Lab::allowing(&["v4.example.com"])).start([
            "sh",
            "-c",
            "echo ready; exec sleep 1000",
        ]);
        assert_eq!(running.line(), "ready");
        let report = std::fs::read_dir(lab.folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|kind| kind == "jsonl"))
            .unwrap();
        let second = egret(lab, &policy, report.to_str().unwrap());
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.code(), Some(125), "{said}");
        assert!(said.contains("written by another run"), "{said}");
    });
}

/// `egret run` of `echo ran` with this report.
fn egret(lab: &Lab, policy: &Path, report: &str) -> Output {
    let mut egret = Command::new(lab.program());
    egret
        .args(["run", "--report", report, "--policy"])
        .arg(policy)
        .args(["--", "echo", "ran"]);
    lab.internet.output(egret).unwrap()
}

fn flood(lab: &Lab, limit: &str, [ports, rounds]: [u32; 2]) -> Outcome {
    let (ports, rounds) = (ports.to_string(), rounds.to_string());
    let outcome = lab
        .held(&Lab::allowing(&["v4.example.com"]))
        .with(["--report-limit", limit])
        .run(["python3", "-c", FLOOD, &ports, &rounds]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    outcome
}

/// How often the command itself was refused.
fn refused(outcome: &Outcome) -> u64 {
    outcome.stdout.trim().parse().unwrap()
}

/// Denials counted, and those that nobody had room to count.
fn told(outcome: &Outcome) -> (u64, u64) {
    let summary = summary(outcome);
    let count = |key: &str| summary[key].as_u64().unwrap();
    (count("denied_flows"), count("lost"))
}

fn summary(outcome: &Outcome) -> &Value {
    let last = outcome.report.last().unwrap();
    assert_eq!(last["kind"], "summary");
    last
}

fn flows(outcome: &Outcome) -> Vec<&Value> {
    outcome
        .report
        .iter()
        .filter(|line| line["kind"] == "flow" && line["verdict"] == "deny")
        .collect()
}

fn counts(lines: &[&Value]) -> u64 {
    lines
        .iter()
        .map(|line| line["count"].as_u64().unwrap())
        .sum()
}
