//! Facts about Calico's selectors, from data beside the clone.

use policy_dialects::{Context, Reading, parse_selector, read};
use policy_model::{Expression, LabelValue, Level, Peer, Peers, Selects};
use serde_json::{Value, json};

fn facts() -> Option<Value> {
    let path = facts::path("cases/calico_selectors.json")?;
    let text = std::fs::read_to_string(path).expect("the facts can be read");
    Some(serde_json::from_str(&text).expect("the facts are JSON"))
}

fn holds(expression: &Expression, labels: &Value) -> bool {
    let label = |key: &str| match labels[key].as_str() {
        Some(value) => LabelValue::Is(value),
        None => LabelValue::Absent,
    };
    expression.holds(&label) == Selects::Yes
}

#[test]
fn selectors_are_read_as_calico_reads_them() {
    let Some(facts) = facts() else { return };
    let cases = facts["cases"].as_array().expect("a list");
    assert!(cases.len() >= 58);
    for case in cases {
        let text = case["selector"].as_str().expect("text");
        let parsed = parse_selector(text);
        assert_eq!(
            parsed.is_ok(),
            case["valid"] == json!(true),
            "{case}: {parsed:?}"
        );
        let Ok(selector) = parsed else { continue };
        let canonical = case["canonical"].as_str().expect("a canonical form");
        assert_eq!(selector.to_string(), canonical, "{case}");
        assert_eq!(parse_selector(canonical).as_ref(), Ok(&selector), "{case}");
        let matched = holds(&selector.expression(), &case["labels"]);
        assert_eq!(Some(matched), case["match"].as_bool(), "{case}");
    }
}

fn network_policy(kind: &str, namespace: &str, spec: Value) -> Reading {
    let mut metadata = json!({"name": "p"});
    if !namespace.is_empty() {
        metadata["namespace"] = json!(namespace);
    }
    let object = json!({
        "apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": spec,
    });
    read("fact.json", &object.to_string(), &Context::default())
}

fn entity_policy(namespace: &str, destination: &Value) -> Reading {
    let kind = if namespace.is_empty() {
        "GlobalNetworkPolicy"
    } else {
        "NetworkPolicy"
    };
    let rule = json!({"action": "Allow", "destination": destination});
    network_policy(
        kind,
        namespace,
        json!({"types": ["Egress"], "egress": [rule]}),
    )
}

#[test]
fn selectors_stand_where_calico_lets_them_stand() {
    let Some(facts) = facts() else { return };
    let rules = facts["contextRules"].as_array().expect("a list");
    assert!(rules.len() >= 5);
    for rule in rules {
        let selector = match rule["selector"].as_str().expect("text") {
            "(more than 1024 characters)" => format!("has({}) || has(b)", "a".repeat(1020)),
            text => text.to_owned(),
        };
        let field = rule["field"].as_str().expect("a field");
        let reading = match field {
            "GlobalNetworkPolicy.spec.selector" => network_policy(
                "GlobalNetworkPolicy",
                "",
                json!({"selector": selector, "types": ["Egress"]}),
            ),
            "EntityRule.selector" => entity_policy("ns1", &json!({"selector": selector})),
            "EntityRule.namespaceSelector" => {
                entity_policy("ns1", &json!({"namespaceSelector": selector}))
            }
            text if text.starts_with("any selector field") => {
                entity_policy("ns1", &json!({"notSelector": selector}))
            }
            other => panic!("no policy for {other}"),
        };
        let refused = reading
            .diagnostics
            .iter()
            .any(|d| d.level == Level::Refused);
        assert_eq!(
            !refused,
            rule["accepted"] == json!(true),
            "{rule}: {:?}",
            reading.diagnostics
        );
        assert_eq!(refused, reading.policies.is_empty(), "{rule}");
    }
}

#[test]
fn a_rules_selector_is_scoped_as_calico_scopes_it() {
    let Some(facts) = facts() else { return };
    let conversions = facts["ruleScopeConversions"]["items"]
        .as_array()
        .expect("a list");
    assert!(conversions.len() >= 7);
    for conversion in conversions {
        let namespace = conversion["policyNamespace"].as_str().expect("text");
        let reading = entity_policy(namespace, &conversion["entity"]);
        let [policy] = reading.policies.as_slice() else {
            panic!("{conversion}: {:?}", reading.diagnostics)
        };
        let Peers::Of(peers) = &policy.rules[0].peers else {
            panic!("{conversion}")
        };
        let [Peer::Endpoints(peer)] = peers.as_slice() else {
            panic!("{conversion}: {peers:?}")
        };
        let effective = match conversion["effective"].as_str() {
            Some(text) => parse_selector(text).expect("a selector").expression(),
            // The note says it: notSelector alone pins the namespace, and is passed on as it is.
            None => {
                let not = conversion["entity"]["notSelector"].as_str().expect("text");
                let not = parse_selector(not).expect("a selector").expression();
                assert_eq!(peer.not_selector, Some(not), "{conversion}");
                Expression::Equal("projectcalico.org/namespace".into(), namespace.into())
            }
        };
        assert_eq!(peer.selector, Some(effective), "{conversion}");
    }
}
