//! `egret diff` as a shell sees it. The cases of `tests/corpus/diff` hold its text and its JSON:
//! `EGRET_UPDATE=1 cargo test -p egret --test it diff` writes them anew.

use std::path::{Path, PathBuf};

use serde_json::Value;
use test_case::test_case;

use crate::shell::{egret, text};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/diff")
}

const GOLDEN: &str = "diff --old old.yaml --new new.yaml --world world.yaml";

#[test]
fn every_case_says_what_it_said() {
    let update = std::env::var_os("EGRET_UPDATE").is_some();
    let mut cases: Vec<PathBuf> = corpus()
        .read_dir()
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 4, "{cases:?}");
    for case in cases {
        for (name, line) in [
            ("diff.txt", GOLDEN.to_owned()),
            ("diff.json", format!("{GOLDEN} -o json")),
        ] {
            let output = egret(&case, &line);
            assert_eq!(text(&output.stderr), "", "{}", case.display());
            let is = text(&output.stdout);
            let path = case.join(name);
            if update {
                std::fs::write(&path, is).expect("the corpus can be written");
            } else {
                let known = std::fs::read_to_string(&path).unwrap_or_default();
                assert_eq!(
                    is,
                    known,
                    "{}: EGRET_UPDATE=1 writes it anew",
                    path.display()
                );
            }
        }
    }
}

/// A folder of files that are small and wrong in one way each.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = |namespace: &str, rest: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: {namespace}}}\n\
             spec:\n  podSelector: {{}}\n  policyTypes: [Egress]\n  egress: [{rest}]\n"
        )
    };
    let native = |rest: &str| {
        format!(
            "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: ci}}\nspec:\n  {rest}\n"
        )
    };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web-0, namespace: prod}\nstatus: {podIP: 10.0.0.5}\n";
    let files = [
        ("none.yaml", "# nothing\n".to_owned()),
        ("closed.yaml", policy("prod", "")),
        ("open.yaml", policy("prod", "{}")),
        (
            "some.yaml",
            policy("prod", "{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}"),
        ),
        (
            "elsewhere.yaml",
            policy("test", "{to: [{ipBlock: {cidr: x}}]}"),
        ),
        (
            "broken.yaml",
            policy("prod", "{to: [{ipBlock: {cidr: x}}]}"),
        ),
        ("syntax.yaml", "kind: [\n".to_owned()),
        (
            "command.yaml",
            native("egress: [{action: Allow, to: [{cidr: 192.0.2.0/24}]}]"),
        ),
        ("command-none.yaml", native("egress: []")),
        ("world.yaml", pod.to_owned()),
        ("other-world.yaml", pod.replace("web-0", "web-1")),
        ("wrong-world.yaml", pod.replace("10.0.0.5", "10.0.0")),
        ("with-pod.yaml", format!("{pod}---\n{}", policy("prod", ""))),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

#[test_case("--old closed.yaml --new closed.yaml --world world.yaml", 0; "the same")]
#[test_case("--old closed.yaml --new some.yaml --world world.yaml", 1; "wider")]
#[test_case("--old some.yaml --new closed.yaml --world world.yaml", 1; "narrower")]
#[test_case("--old closed.yaml --new some.yaml --world world.yaml --fail-on widened", 1; "wider and that counts")]
#[test_case("--old some.yaml --new closed.yaml --world world.yaml --fail-on widened", 0; "narrower and that does not count")]
#[test_case("--old none.yaml --new closed.yaml --world world.yaml", 1; "no policy before")]
#[test_case("--old none.yaml --new none.yaml --world world.yaml", 0; "no policy at all")]
#[test_case("--old none.yaml --new open.yaml --world world.yaml", 0; "a policy that changes nothing")]
#[test_case("--old command.yaml --new command.yaml", 0; "the command and nothing changes")]
#[test_case("--old command-none.yaml --new command.yaml", 1; "the command")]
#[test_case("--old closed.yaml --new elsewhere.yaml closed.yaml --world world.yaml", 0; "a refused policy that selects nobody here")]
#[test_case("--old closed.yaml --new with-pod.yaml --world world.yaml", 2; "a pod that stands in the world too")]
#[test_case("--old with-pod.yaml --new with-pod.yaml --world other-world.yaml", 0; "a pod among the policies")]
#[test_case("--old with-pod.yaml --new with-pod.yaml", 2; "a pod among the policies without a world")]
#[test_case("--old closed.yaml --new broken.yaml --world world.yaml", 2; "a refused policy")]
#[test_case("--old broken.yaml --new closed.yaml --world world.yaml", 2; "a refused policy that was there before")]
#[test_case("--old syntax.yaml --new closed.yaml --world world.yaml", 2; "no yaml")]
#[test_case("--old closed.yaml --new nothing.yaml --world world.yaml", 2; "no such file")]
#[test_case("--old closed.yaml --new closed.yaml --world nothing.yaml", 2; "no such world")]
#[test_case("--old closed.yaml --new closed.yaml --world wrong-world.yaml", 2; "a world that is wrong")]
#[test_case("--old closed.yaml --new closed.yaml --world closed.yaml", 2; "a world without pods")]
#[test_case("--old command.yaml --new closed.yaml", 1; "a policy that asks nothing of the command")]
#[test_case("--old command.yaml", 2; "one side")]
#[test_case("--old command.yaml --new command.yaml --labels a=b --world world.yaml", 2; "labels of a pod")]
fn exit_statuses(line: &str, expected: i32) {
    let folder = folder();
    for output in ["", " -o json"] {
        let line = format!("diff {line}{output}");
        let output = egret(folder.path(), &line);
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{line}\n{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        let says = !output.stderr.is_empty();
        assert_eq!(says, expected == 2, "{}", text(&output.stderr));
    }
}

#[test]
fn without_an_answer_the_json_says_why() {
    let folder = folder();
    for (line, error) in [
        (
            "--old nothing.yaml --new closed.yaml --world world.yaml",
            "--old: a path could not be read",
        ),
        (
            "--old closed.yaml --new broken.yaml --world world.yaml",
            "--new: a refused policy could select a workload, so what it may reach is not known",
        ),
    ] {
        let output = egret(folder.path(), &format!("diff -o json {line}"));
        let json: Value = serde_json::from_slice(&output.stdout).expect(line);
        assert_eq!(json["groups"], Value::Null, "{json}");
        assert_eq!(json["error"], error, "{json}");
        let told = [&json["unreadable"], &json["diagnostics"]]
            .iter()
            .any(|list| list.as_array().is_some_and(|list| !list.is_empty()));
        assert!(told, "{json}");
    }
}

#[test]
fn the_command_is_said_to_be_compared() {
    let folder = folder();
    let output = egret(
        folder.path(),
        "diff --old command-none.yaml --new command.yaml",
    );
    let text = text(&output.stdout);
    assert!(
        text.starts_with(
            "1 change for the command: 1 widened\ncompared for the command of `egret run`"
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "\ncommand\n  widened   192.0.2.0/24  every port\n    was     deny   no rule allows it, isolated by EgressPolicy/ci\n    is now  allow  command.yaml:5  EgressPolicy/ci rule 0\n"
        ),
        "{text}"
    );
}

#[test]
fn pods_of_one_ruleset_are_told_of_together() {
    let folder = folder();
    let pods: String = (0..12)
        .map(|number| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: web-{number}, namespace: prod}}\nstatus: {{podIP: 10.0.0.{}}}\n",
                number + 1
            )
        })
        .collect();
    std::fs::write(folder.path().join("pods.yaml"), pods).expect("a file");
    let output = egret(
        folder.path(),
        "diff --old closed.yaml --new some.yaml --world pods.yaml",
    );
    let text = text(&output.stdout);
    assert!(
        text.starts_with("1 change for 12 of 12 pods: 1 widened\n\nprod/web-0 and 11 more\n"),
        "{text}"
    );
}
