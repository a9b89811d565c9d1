use std::path::Path;

use test_case::test_case;

use super::*;

const POLICY: &str = "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: web}\nspec:\n  egress:\n    - {action: Allow, to: [{cidr: 203.0.113.0/24}], ports: [{protocol: TCP, port: 443}]}\n";
const GOOD: &str = "policies: [policies]\ntests:\n- {name: in, tags: [a], to: {ip: 203.0.113.7}, port: 443, expect: allow, by: web}\n- {name: out, to: {ip: 203.0.113.7}, port: 80, expect: deny}\n";

fn folder(test: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    std::fs::write(folder.path().join("policies/web.yaml"), POLICY).unwrap();
    std::fs::write(folder.path().join("test.yaml"), test).unwrap();
    folder
}

fn ran(folder: &Path, tags: &[&str]) -> Report {
    let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    Report::of(&[folder.join("test.yaml")], &tags)
}

#[test_case(GOOD, PASSED; "all passed")]
#[test_case("policies: [policies]\ntests: [{to: {ip: 203.0.113.7}, port: 80, expect: allow}]", FAILED; "one failed")]
#[test_case("policies: [policies]\ntests: []", NOT_JUDGED; "no tests")]
#[test_case("policies: [nothing.yaml]\ntests: [{to: {ip: 203.0.113.7}, port: 80, expect: deny}]", NOT_JUDGED; "no such policy")]
#[test_case("policies: [policies]\nworld: [w*.yaml]\ntests: [{to: {ip: 203.0.113.7}, port: 80, expect: deny}]", NOT_JUDGED; "no such world")]
#[test_case("policies: [test.yaml]\ntests: [{to: {ip: 203.0.113.7}, port: 80, expect: allow}]", NOT_JUDGED; "a policy that is none")]
#[test_case("policies: [policies]\ntests: [{to: {pod: a/b}, port: 80, expect: allow}]", NOT_JUDGED; "a pod that is not there")]
#[test_case("policys: []", NOT_JUDGED; "an unknown key")]
fn the_exit_status_says_it(test: &str, expected: u8) {
    let folder = folder(test);
    let report = ran(folder.path(), &[]);
    assert_eq!(report.status(), expected, "{report:#?}");
    // Whatever happened, every way of printing it works.
    for text in [
        text::report(&report, Look::Plain),
        json::report(&report),
        junit::report(&report),
        github::report(&report),
    ] {
        assert!(!text.is_empty());
    }
}

#[test]
fn policies_beside_tests_are_no_tests() {
    let folder = folder(GOOD);
    let of = |paths: &[PathBuf]| Report::of(paths, &[]);
    let all = of(&[folder.path().to_owned()]);
    assert_eq!(
        (all.status(), all.passed(), all.files.len()),
        (PASSED, 2, 1)
    );
    // Named by itself, one is not left out in silence; nor is a folder in which there is nothing to run.
    let policies = folder.path().join("policies");
    let named = of(&[policies.join("web.yaml"), folder.path().join("test.yaml")]);
    assert_eq!((named.status(), named.passed()), (NOT_JUDGED, 2));
    let text = text::report(&named, Look::Plain);
    assert!(
        text.contains("a file with objects of kind `EgressPolicy` is no test file"),
        "{text}"
    );
    let none = of(&[policies]);
    assert_eq!(none.status(), NOT_JUDGED);
    let text = text::report(&none, Look::Plain);
    assert!(
        text.contains("no test file, only 1 file of objects"),
        "{text}"
    );
}

#[test]
fn tags_choose() {
    let folder = folder(GOOD);
    assert_eq!(ran(folder.path(), &["a"]).passed(), 1);
    assert_eq!(ran(folder.path(), &["b"]).status(), NOT_JUDGED);
}

#[test]
fn a_failure_says_what_came_from_where_and_why() {
    let folder = folder(
        "policies: [policies]\ntests:\n- {name: open, to: {ip: 203.0.113.7}, port: 443, expect: deny}\n",
    );
    let text = text::report(&ran(folder.path(), &[]), Look::Plain);
    for part in [
        "test.yaml:3",
        "expected deny, got allow",
        "policies/web.yaml:6",
        "the walk of 203.0.113.7",
        "0 passed, 1 failed in 1 file",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn json_has_what_it_promises() {
    let folder = folder(GOOD);
    let report = json::report(&ran(folder.path(), &[]));
    let value: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&value["passed"], &value["errors"]), (&2.into(), &0.into()));
    let first = &value["results"][0];
    for (key, expected) in [
        ("name", "in"),
        ("kind", "flow"),
        ("expect", "allow"),
        ("got", "allow"),
        ("would", "allow"),
        ("by", "EgressPolicy/web"),
    ] {
        assert_eq!(first[key], expected, "{key} of {first}");
    }
    assert_eq!((&first["line"], &first["ok"]), (&3.into(), &true.into()));
}

#[test]
fn what_stands_in_xml_and_annotations_is_escaped() {
    let folder = folder(
        "policies: [policies]\ntests:\n- {name: 'a<b>&\"c, 100%', to: {ip: 203.0.113.7}, port: 443, expect: deny}\n",
    );
    let report = ran(folder.path(), &[]);
    assert!(junit::report(&report).contains("name=\"a&lt;b&gt;&amp;&quot;c, 100%\""));
    assert!(github::report(&report).contains("title=a<b>&\"c%2C 100%25::expected deny"));
}
