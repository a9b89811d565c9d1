//! `check`, `convert` and `explain` as a shell sees them: what they print where, and their exit status.

use std::collections::BTreeSet;

use serde_json::Value;
use test_case::test_case;

use crate::shell::{egret, text};

const CLEAN: &str = "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: ci}\nspec:\n  egress:\n  - action: Allow\n    to: [{fqdn: [api.example.com]}]\n    ports: [{port: 443}]\n";
const LINTED: &str = "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: linted}\nspec:\n  egress:\n  - {action: Allow, to: [{cidr: 192.0.2.1/24}]}\n";
const CLOSED: &str = "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: closed}\nspec:\n  egress:\n  - {action: Allow, to: [{set: partners}]}\n";

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web-0, namespace: prod, labels: {app: web}}\nstatus: {podIP: 10.0.0.5}\n";
const PODS: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: pods, namespace: prod}\nspec:\n  podSelector: {}\n  policyTypes: [Egress]\n  egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        ("clean.yaml", CLEAN),
        ("linted.yaml", LINTED),
        ("closed.yaml", CLOSED),
        ("broken.yaml", "kind: [\n"),
        ("b/in.yml", CLEAN),
        ("world.yaml", POD),
        ("pods.yaml", PODS),
        (
            "wrong-world.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: web-0}\nstatus: {podIP: x}\n",
        ),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(
            path,
            text.replace(
                "name: ci",
                if name == "b/in.yml" {
                    "name: other"
                } else {
                    "name: ci"
                },
            ),
        )
        .expect("a file");
    }
    folder
}

#[test_case("check clean.yaml", 0; "nothing to report")]
#[test_case("check --strict clean.yaml", 0; "nothing to report at all")]
#[test_case("check linted.yaml", 0; "a lint does not count")]
#[test_case("check --strict linted.yaml", 1; "a lint counts")]
#[test_case("check closed.yaml", 1; "a closed rule")]
#[test_case("check broken.yaml", 1; "a syntax error")]
#[test_case("check clean.yaml broken.yaml", 1; "the highest of two")]
#[test_case("check b", 0; "a folder")]
#[test_case("check c*n.yaml", 0; "a glob")]
#[test_case("check *.toml", 2; "a glob that matches nothing")]
#[test_case("check nothing.yaml", 2; "no such file")]
#[test_case("check broken.yaml nothing.yaml", 2; "no such file beside a broken one")]
#[test_case("check", 2; "no path")]
#[test_case("check --nonsense clean.yaml", 2; "bad usage")]
#[test_case("check pods.yaml", 1; "pods that nobody knows")]
#[test_case("check pods.yaml --world world.yaml", 0; "pods that are known")]
#[test_case("check --world world.yaml pods.yaml", 0; "pods that are known, the world first")]
#[test_case("check world.yaml", 1; "a pod is no policy")]
#[test_case("check pods.yaml world.yaml --world world.yaml", 0; "a pod among the policies of a world")]
#[test_case("check pods.yaml --world wrong-world.yaml", 1; "a world that is wrong")]
#[test_case("check pods.yaml --world nothing.yaml", 2; "no such world")]
#[test_case("check -o sarif closed.yaml", 1; "the same as a log")]
#[test_case("check -o github closed.yaml", 1; "the same as annotations")]
#[test_case("convert --to native clean.yaml", 0; "nothing lost")]
#[test_case("convert --to native clean.yaml b broken.yaml", 1; "something lost")]
#[test_case("convert --to native broken.yaml", 2; "nothing written")]
#[test_case("convert --to native clean.yaml nothing.yaml", 2; "half of a set")]
#[test_case("convert clean.yaml", 2; "no dialect")]
#[test_case("convert --to nonsense clean.yaml", 2; "a dialect nobody has")]
#[test_case("convert --to networkpolicy pods.yaml", 0; "nothing lost on the way out")]
#[test_case("convert --to cilium pods.yaml", 0; "nor to Cilium")]
#[test_case("convert --to calico pods.yaml", 0; "nor to Calico")]
#[test_case("convert --to calico clean.yaml", 1; "names are not filtered by Calico")]
#[test_case("convert --to cilium clean.yaml", 1; "names mean less in Cilium")]
#[test_case("convert --to clusternetworkpolicy pods.yaml", 0; "nor to the API of the cluster")]
#[test_case("convert --to clusternetworkpolicy clean.yaml", 1; "names are not filtered there")]
#[test_case("convert --to networkpolicy clean.yaml", 2; "nothing that a NetworkPolicy can say")]
#[test_case("explain --policy clean.yaml --to api.example.com --port 443", 0; "allowed")]
#[test_case("explain --policy clean.yaml --to api.example.com --port 80", 1; "denied")]
#[test_case("explain --policy broken.yaml --to api.example.com --port 80", 2; "a refused policy")]
#[test_case("explain --best-effort --policy broken.yaml --to 192.0.2.1 --port 80", 0; "the best effort")]
#[test_case("explain --policy nothing.yaml --to 192.0.2.1 --port 80", 2; "no such policy")]
#[test_case("explain --policy clean.yaml --to 192.0.2.1 --port x", 2; "no port")]
#[test_case("explain --policy clean.yaml --to 192.0.2.1 --port 80 --from prod/web-0", 2; "an unknown workload")]
#[test_case("explain --policy clean.yaml", 2; "no destination")]
#[test_case("explain --policy pods.yaml --world world.yaml --from prod/web-0 --to pod/prod/web-0 --port 80", 0; "a pod")]
#[test_case("explain --policy pods.yaml --world world.yaml --from prod/web-0 --to 192.0.2.1 --port 80", 1; "a pod is denied")]
#[test_case("explain --policy pods.yaml --world world.yaml --from prod/web-1 --to 192.0.2.1 --port 80", 2; "an unknown pod")]
#[test_case("explain --policy pods.yaml --world world.yaml --from prod/web-0 --to no.prod.svc.cluster.local --port 80", 2; "an unknown name")]
#[test_case("explain --policy pods.yaml --world wrong-world.yaml --from prod/web-0 --to 192.0.2.1 --port 80", 2; "a wrong world")]
#[test_case("explain --policy pods.yaml world.yaml --to 192.0.2.1 --port 80", 2; "a pod among policies")]
fn exit_statuses(line: &str, expected: i32) {
    let folder = folder();
    let output = egret(folder.path(), line);
    assert_eq!(
        output.status.code(),
        Some(expected),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    if expected == 2 {
        assert!(
            !output.stderr.is_empty(),
            "what kept it from answering is on standard error"
        );
    }
}

#[test]
fn nothing_is_coloured_for_a_pipe() {
    let folder = folder();
    for line in [
        "check .",
        "explain --policy clean.yaml --to api.example.com --port 443",
    ] {
        let output = egret(folder.path(), line);
        assert!(!text(&output.stdout).contains('\u{1b}'), "{line}");
    }
}

#[test]
fn json_is_one_document_whatever_is_found() {
    let folder = folder();
    for line in [
        "check -o json .",
        "check -o json clean.yaml",
        "check -o json nothing.yaml",
        "convert -o json --to native clean.yaml broken.yaml",
        "convert -o json --to native nothing.yaml",
        "explain -o json --policy clean.yaml --to api.example.com --port 443",
        "explain -o json --policy broken.yaml --to api.example.com --port 443",
        "explain -o json --policy nothing.yaml --to api.example.com --port 443",
        "explain -o json --policy clean.yaml --to api.example.com --port x",
    ] {
        let output = egret(folder.path(), line);
        let json: Value = serde_json::from_slice(&output.stdout).expect(line);
        for diagnostic in json["diagnostics"].as_array().expect("diagnostics") {
            let keys: Vec<&str> = diagnostic
                .as_object()
                .expect("an object")
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(
                keys,
                [
                    "code", "column", "file", "help", "level", "line", "message", "object", "path"
                ]
            );
        }
    }
}

#[test]
fn every_key_of_an_answer_is_documented() {
    let documented: BTreeSet<&str> = include_str!("../../json.md")
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    let folder = folder();
    for line in [
        "check -o json . nothing.yaml",
        "convert -o json --to native clean.yaml broken.yaml",
        "explain -o json --policy clean.yaml --to api.example.com --port 80",
        "explain -o json --policy nothing.yaml --to api.example.com --port 80",
        "explain -o json --policy pods.yaml --world world.yaml --from prod/web-0 --to pod/prod/web-0 --port 80",
        "diff -o json --old clean.yaml --new linted.yaml",
        "diff -o json --old clean.yaml --new nothing.yaml",
    ] {
        let output = egret(folder.path(), line);
        let json: Value = serde_json::from_slice(&output.stdout).expect(line);
        let missing: Vec<String> = keys(&json)
            .into_iter()
            .filter(|key| !documented.contains(key.as_str()))
            .collect();
        assert_eq!(missing, [""; 0], "{line}");
    }
}

fn keys(json: &Value) -> BTreeSet<String> {
    match json {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| keys(value).into_iter().chain([key.clone()]))
            .collect(),
        Value::Array(items) => items.iter().flat_map(keys).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeSet::new(),
    }
}

#[test]
fn a_path_that_is_not_read_is_in_the_answer() {
    let folder = folder();
    let output = egret(folder.path(), "check nothing.yaml");
    assert_eq!(
        text(&output.stdout),
        "0 files, 0 policies, 0 rules: 1 path not read\n"
    );
    for line in [
        "check -o json clean.yaml nothing.yaml",
        "explain -o json --policy nothing.yaml --to 192.0.2.1 --port 80",
    ] {
        let output = egret(folder.path(), line);
        let json: Value = serde_json::from_slice(&output.stdout).expect(line);
        assert_eq!(json["unreadable"][0]["path"], "nothing.yaml", "{line}");
    }
}

#[test]
fn a_pod_among_policies_is_told_where_it_belongs() {
    let folder = folder();
    let said = text(&egret(folder.path(), "check world.yaml").stdout);
    assert!(
        said.contains("refused[world-in-policies]: a Pod is no policy: it describes a cluster, and here policies are read"),
        "{said}"
    );
    assert!(said.contains("with `--world`"), "{said}");
}

#[test]
fn a_cause_is_said_once() {
    let folder = folder();
    let line = "explain --policy clean.yaml --to 192.0.2.1 --port 70000";
    let said = text(&egret(folder.path(), line).stderr);
    assert_eq!(said.matches("`70000`").count(), 1, "{said}");
}

#[test]
fn annotations_are_one_line_each() {
    let folder = folder();
    let said = text(&egret(folder.path(), "check -o github linted.yaml closed.yaml").stdout);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(
        lines[0].starts_with("::error file=closed.yaml,line=6,"),
        "{said}"
    );
    assert!(
        lines[1].starts_with("::warning file=linted.yaml,line=6,"),
        "{said}"
    );
}

#[test]
fn what_is_converted_goes_alone_to_standard_output() {
    let folder = folder();
    let output = egret(folder.path(), "convert --to native clean.yaml broken.yaml");
    let written = folder.path().join("written.yaml");
    std::fs::write(&written, &output.stdout).expect("a file");
    assert_eq!(
        egret(folder.path(), "check written.yaml").status.code(),
        Some(0)
    );
    let said = text(&output.stderr);
    assert!(said.contains("refused[yaml-syntax]"), "{said}");
    assert!(said.ends_with("1 object written, 1 thing lost\n"), "{said}");
}

#[test]
fn files_of_one_check_are_one_set() {
    let folder = folder();
    std::fs::write(folder.path().join("again.yaml"), CLEAN).expect("a file");
    let output = egret(folder.path(), "check clean.yaml again.yaml");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains(
            "refused[duplicate-object]: `EgressPolicy/ci` stands at clean.yaml:3:18 already"
        ),
        "{}",
        text(&output.stdout)
    );
}
