//! Policies that upstream publishes, from data beside the clone: read without surprise.

use policy_dialects::{Context, Reading, read};
use policy_model::Level;

use crate::examples::yaml_files;

/// Files that no API server would take as they are, and the code that says so: templates with `{{ }}`, broken YAML, peers of
/// an earlier version, a list whose `items` are misspelt, and what the API's own tests want refused.
const BROKEN: &[(&str, &str)] = &[
    (
        "conformance/admin_tier/experimental-egress-selector-rules.yaml",
        "yaml-syntax",
    ),
    (
        "conformance/baseline_tier/experimental-egress-selector-rules.yaml",
        "yaml-syntax",
    ),
    ("conformance/manifests.yaml", "unknown-kind"),
    (
        "crdtest/invalid/invalid-ingress-action.yaml",
        "invalid-value",
    ),
    ("examples/user-story-4-v1.yaml", "yaml-syntax"),
    ("examples/user-story-4-v2.yaml", "yaml-syntax"),
    (
        "legacy-anp/admin_network_policy/experimental-egress-selector-rules.yaml",
        "yaml-syntax",
    ),
    (
        "legacy-anp/baseline_admin_network_policy/experimental-egress-selector-rules.yaml",
        "yaml-syntax",
    ),
    (
        "netpol/test__example-policies__anps__anp-list.yaml",
        "unknown-kind",
    ),
    (
        "netpol/test__example-policies__anps__anp.yaml",
        "unknown-rule-field",
    ),
    (
        "netpol/test__example-policies__banp__banp.yaml",
        "unknown-rule-field",
    ),
];

#[test]
fn every_example_is_read_as_it_was_meant() {
    let Some(folder) = facts::path("examples/network-policy-api") else {
        return;
    };
    let files = yaml_files(&folder);
    let mut wrong = Vec::new();
    let mut lowered = 0;
    for path in &files {
        let name = path
            .strip_prefix(&folder)
            .expect("inside")
            .display()
            .to_string();
        let text = std::fs::read_to_string(path).expect("text");
        let Reading {
            policies,
            diagnostics,
            ..
        } = read(&name, &text, &Context::default());
        lowered += policies.len();
        let expected = BROKEN.iter().find(|(file, _)| *file == name);
        let errors: Vec<String> = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.level != Level::Lint)
            .map(|diagnostic| {
                format!(
                    "{} {}: {}",
                    diagnostic.origin, diagnostic.code, diagnostic.message
                )
            })
            .collect();
        match expected {
            Some((_, code)) if errors.iter().any(|error| error.contains(code)) => {}
            None if errors.is_empty() => {}
            Some(_) | None => wrong.push(format!("{name}: {errors:#?}")),
        }
        assert!(
            !policies.is_empty() || !diagnostics.is_empty(),
            "{name} is passed over in silence"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        files.len() >= 50 && lowered >= 40,
        "{} files, {lowered} policies",
        files.len()
    );
}
