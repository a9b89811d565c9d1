//! The log held against the published structure, as far as it is used here (SARIF 2.1.0, the sections named).

use policy_model::{ObjectRef, Origin};
use serde_json::Value;
use test_case::test_case;

use super::*;

/// What a property may be.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    Flag,
    /// Not below it.
    Count(u64),
    One(&'static str),
    Many(&'static str),
    /// `properties`, a bag of the tool's own (§3.8).
    Bag,
}

/// An object of the standard: (property, must be there, what it is). A property that is not in it is an error, as the
/// published schema's `additionalProperties: false` has it.
const OBJECTS: &[(&str, &[(&str, bool, Shape)])] = &[
    // §3.13
    (
        "sarifLog",
        &[
            ("$schema", false, Shape::Text),
            ("version", true, Shape::Word(&["2.1.0"])),
            ("runs", true, Shape::Many("run")),
        ],
    ),
    // §3.14
    (
        "run",
        &[
            ("tool", true, Shape::One("tool")),
            (
                "columnKind",
                false,
                Shape::Word(&["utf16CodeUnits", "unicodeCodePoints"]),
            ),
            ("invocations", false, Shape::Many("invocation")),
            ("results", false, Shape::Many("result")),
        ],
    ),
    // §3.18
    ("tool", &[("driver", true, Shape::One("toolComponent"))]),
    // §3.19
    (
        "toolComponent",
        &[
            ("name", true, Shape::Text),
            ("semanticVersion", false, Shape::Text),
            ("rules", false, Shape::Many("reportingDescriptor")),
        ],
    ),
    // §3.49
    (
        "reportingDescriptor",
        &[
            ("id", true, Shape::Text),
            ("shortDescription", false, Shape::One("message")),
            ("help", false, Shape::One("message")),
            (
                "defaultConfiguration",
                false,
                Shape::One("reportingConfiguration"),
            ),
            ("properties", false, Shape::Bag),
        ],
    ),
    // §3.50
    ("reportingConfiguration", &[("level", false, LEVEL)]),
    // §3.11, §3.12
    ("message", &[("text", true, Shape::Text)]),
    // §3.20
    (
        "invocation",
        &[
            ("executionSuccessful", true, Shape::Flag),
            (
                "toolExecutionNotifications",
                false,
                Shape::Many("notification"),
            ),
        ],
    ),
    // §3.58
    (
        "notification",
        &[
            ("level", false, LEVEL),
            ("message", true, Shape::One("message")),
        ],
    ),
    // §3.27
    (
        "result",
        &[
            ("ruleId", false, Shape::Text),
            ("ruleIndex", false, Shape::Count(0)),
            ("level", false, LEVEL),
            ("message", true, Shape::One("message")),
            ("locations", false, Shape::Many("location")),
        ],
    ),
    // §3.28
    (
        "location",
        &[
            ("physicalLocation", false, Shape::One("physicalLocation")),
            ("logicalLocations", false, Shape::Many("logicalLocation")),
        ],
    ),
    // §3.29
    (
        "physicalLocation",
        &[
            ("artifactLocation", false, Shape::One("artifactLocation")),
            ("region", false, Shape::One("region")),
        ],
    ),
    // §3.4
    ("artifactLocation", &[("uri", false, Shape::Text)]),
    // §3.30
    (
        "region",
        &[
            ("startLine", false, Shape::Count(1)),
            ("startColumn", false, Shape::Count(1)),
            ("endColumn", false, Shape::Count(1)),
        ],
    ),
    // §3.33
    (
        "logicalLocation",
        &[
            ("name", false, Shape::Text),
            ("kind", false, Shape::Text),
            ("fullyQualifiedName", false, Shape::Text),
        ],
    ),
];

const LEVEL: Shape = Shape::Word(&["none", "note", "warning", "error"]);

/// What is wrong with a value that should be an object of that name.
fn faults(value: &Value, object: &str, path: &str, found: &mut Vec<String>) {
    let (_, properties) = OBJECTS
        .iter()
        .find(|(name, _)| *name == object)
        .expect("a known object");
    let Some(fields) = value.as_object() else {
        found.push(format!("{path}: no object"));
        return;
    };
    for (name, must, _) in *properties {
        if *must && !fields.contains_key(*name) {
            found.push(format!("{path}: {name} is missing"));
        }
    }
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        let Some((_, _, shape)) = properties.iter().find(|(known, _, _)| known == name) else {
            found.push(format!("{path}: no such property"));
            continue;
        };
        let right = match shape {
            Shape::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Shape::Word(words) => value.as_str().is_some_and(|text| words.contains(&text)),
            Shape::Flag => value.is_boolean(),
            Shape::Count(least) => value.as_u64().is_some_and(|number| number >= *least),
            Shape::Bag => value.is_object(),
            Shape::One(object) => {
                faults(value, object, &path, found);
                true
            }
            Shape::Many(object) => match value.as_array() {
                Some(items) => {
                    for (at, item) in items.iter().enumerate() {
                        faults(item, object, &format!("{path}[{at}]"), found);
                    }
                    true
                }
                None => false,
            },
        };
        if !right {
            found.push(format!("{path}: {value} is not {shape:?}"));
        }
    }
}

fn checked(diagnostics: &[Diagnostic], unreadable: &[PolicyFileError]) -> Value {
    let log: Value = serde_json::from_str(&log(diagnostics, unreadable)).expect("JSON");
    let mut found = Vec::new();
    faults(&log, "sarifLog", "$", &mut found);
    assert_eq!(found, [""; 0]);
    log
}

fn findings() -> Vec<Diagnostic> {
    let origin = Origin {
        width: 4,
        ..Origin::new("policies/a b.yaml", 5, 3, "spec.tier")
    };
    vec![
        Diagnostic::new(Level::Refused, "invalid-value", origin, "`admn` is wrong")
            .with_help("did you mean `admin`?")
            .about(ObjectRef::new("ClusterEgressPolicy", None, "ci")),
        Diagnostic::new(
            Level::Lint,
            "of-no-table",
            Origin::new("b.yaml", 0, 0, ""),
            "a place nobody knows",
        ),
    ]
}

#[test]
fn a_log_has_the_published_structure() {
    let diagnostics = findings();
    let log = checked(&diagnostics, &[]);
    let result = &log["runs"][0]["results"][0];
    assert_eq!(
        result["message"]["text"],
        "`admn` is wrong; did you mean `admin`?"
    );
    assert_eq!(
        result["locations"][0],
        serde_json::json!({
            "physicalLocation": {
                "artifactLocation": {"uri": "policies/a%20b.yaml"},
                "region": {"startLine": 5, "startColumn": 3, "endColumn": 7}
            },
            "logicalLocations": [{
                "name": "ci", "kind": "resource", "fullyQualifiedName": "ClusterEgressPolicy/ci#spec.tier"
            }]
        })
    );
}

#[test]
fn every_result_names_its_rule_and_every_code_is_one() {
    let diagnostics = findings();
    let log = checked(&diagnostics, &[]);
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    for code in codes::ALL {
        let of_code: Vec<&Value> = rules.iter().filter(|rule| rule["id"] == code.id).collect();
        assert_eq!(of_code.len(), 1, "{}", code.id);
        let help = of_code[0]["help"]["text"].as_str().expect("help");
        assert!(help.ends_with('.') && help.len() > 20, "{help}");
    }
    for result in run["results"].as_array().expect("results") {
        let at = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[at]["id"], result["ruleId"]);
    }
}

#[test]
fn what_was_not_read_is_a_run_that_did_not_succeed() {
    let unreadable = [PolicyFileError::NoMatch {
        pattern: "*.toml".to_owned(),
    }];
    let log = checked(&[], &unreadable);
    let invocation = &log["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert_eq!(
        invocation["toolExecutionNotifications"][0]["message"]["text"],
        "`*.toml` matches no file"
    );
}

#[test]
fn the_test_would_notice_a_wrong_structure() {
    let mut found = Vec::new();
    let wrong =
        serde_json::json!({"version": "2.0", "runs": [{"results": [{"level": "bad"}]}], "x": 1});
    faults(&wrong, "sarifLog", "$", &mut found);
    assert_eq!(found.len(), 5, "{found:?}");
}

#[test_case("./a/b.yaml", "a/b.yaml"; "relative")]
#[test_case("/etc/egret/p.yaml", "file:///etc/egret/p.yaml"; "from the root")]
#[test_case("a:b#c?.yaml", "a%3Ab%23c%3F.yaml"; "characters that mean something")]
#[test_case("grün.yaml", "gr%C3%BCn.yaml"; "beyond ascii")]
fn paths_become_references(path: &str, expected: &str) {
    assert_eq!(uri(path), expected);
}
