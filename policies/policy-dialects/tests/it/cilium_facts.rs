//! Facts about Cilium's validation, from data beside the clone.

use policy_dialects::{CiliumFlags, Context, Reading, read};
use policy_model::Level;
use serde_json::{Map, Value, json};

fn facts() -> Option<Value> {
    let path = facts::path("cases/cilium.json")?;
    let text = std::fs::read_to_string(path).expect("the facts can be read");
    Some(serde_json::from_str(&text).expect("the facts are JSON"))
}

/// Whether Cilium's admission would take the policy, and the findings.
fn accepted(policy: &Value, context: &Context) -> (bool, String) {
    let Reading {
        policies,
        diagnostics,
        ..
    } = read("fact.json", &policy.to_string(), context);
    let refused = diagnostics
        .iter()
        .any(|diagnostic| diagnostic.level == Level::Refused);
    assert!(
        !refused || policies.is_empty(),
        "a refused object gives no policy: {policy}"
    );
    let text = diagnostics
        .iter()
        .map(|d| format!("{}: {}", d.code, d.message))
        .collect::<Vec<_>>()
        .join("; ");
    (!refused, text)
}

fn policy(kind: &str, spec: Value) -> Value {
    let namespace = if kind == "CiliumNetworkPolicy" {
        json!("n")
    } else {
        Value::Null
    };
    json!({"apiVersion": "cilium.io/v2", "kind": kind, "metadata": {"name": "p", "namespace": namespace}, "spec": spec})
}

#[test]
fn rule_validation() {
    let Some(facts) = facts() else { return };
    let cases = facts["rule_validation"].as_array().expect("a list");
    assert!(cases.len() >= 48);
    let mut wrong = Vec::new();
    for case in cases {
        let id = case["id"].as_str().expect("an id");
        let mut rule = case["rule"].as_object().expect("a rule").clone();
        let kind = match rule.remove("kind") {
            Some(kind) => kind.as_str().expect("a kind").to_owned(),
            // A node selector is cluster-wide by its nature.
            None if rule.contains_key("nodeSelector") => {
                "CiliumClusterwideNetworkPolicy".to_owned()
            }
            None => "CiliumNetworkPolicy".to_owned(),
        };
        if !rule.contains_key("endpointSelector") && !rule.contains_key("nodeSelector") {
            rule.insert("endpointSelector".into(), json!({}));
        }
        for direction in ["egress", "egressDeny"] {
            for entry in rule
                .get_mut(direction)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                fill_placeholders(entry.as_object_mut().expect("a rule entry"));
            }
        }
        // The facts about `toNodes` are about two settings of one flag: only the case named so is about its absence.
        let context = Context {
            cilium: CiliumFlags {
                node_selector_labels: id != "toNodes-without-flag",
                extended_protocols: false,
            },
            ..Context::default()
        };
        let (accepted, found) = accepted(&policy(&kind, Value::Object(rule)), &context);
        let valid = case["valid"].as_bool().expect("a verdict");
        if accepted != valid {
            wrong.push(format!("{id}: valid {valid}, found [{found}]"));
        }
        if let (false, Some(error)) = (valid, case["error"].as_str()) {
            let known = error.split(" (").next().unwrap_or(error);
            if !found.to_lowercase().contains(&known.to_lowercase())
                && !either_order(known, &found)
                && !reworded(id)
            {
                wrong.push(format!("{id}: `{known}` is not in [{found}]"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// "combining A and B": the two names may stand in either order.
fn either_order(error: &str, found: &str) -> bool {
    let Some(rest) = error.strip_prefix("combining ") else {
        return false;
    };
    let Some((a, rest)) = rest.split_once(" and ") else {
        return false;
    };
    let Some((b, end)) = rest.split_once(' ') else {
        return false;
    };
    found.contains(&format!("combining {b} and {a} {end}"))
}

/// Facts that tell the error in their own words.
fn reworded(id: &str) -> bool {
    matches!(id, "cidrset-10.0.0.1" | "cidrset-10.0.0.0/254.0.0.255")
}

/// The facts write `...` where any valid value will do.
fn fill_placeholders(entry: &mut Map<String, Value>) {
    let real = |field: &str| match field {
        "toCIDR" => json!(["192.0.2.0/24"]),
        "toCIDRSet" => json!([{"cidr": "198.51.100.0/24", "except": ["198.51.100.8/29"]}]),
        "toEndpoints" => json!([{"matchLabels": {"role": "backend"}}]),
        "toEntities" => json!(["world"]),
        "toServices" => json!([{"k8sService": {"serviceName": "api", "namespace": "n"}}]),
        "toGroups" => json!([{"aws": {"securityGroupsIds": ["sg-1"]}}]),
        "toNodes" => json!([{"matchLabels": {"role": "node"}}]),
        "toFQDNs" => json!([{"matchName": "api.example.com"}]),
        "toPorts" => json!([{"ports": [{"port": "443", "protocol": "TCP"}]}]),
        "icmps" => json!([{"fields": [{"type": 8, "family": "IPv4"}]}]),
        "listener" => {
            json!({"envoyConfig": {"kind": "CiliumEnvoyConfig", "name": "e"}, "name": "l"})
        }
        other => panic!("no value for {other}"),
    };
    for (field, value) in entry.iter_mut() {
        if *value == json!(["..."]) {
            *value = real(field);
        }
        for item in value.as_array_mut().into_iter().flatten() {
            let Some(item) = item.as_object_mut() else {
                continue;
            };
            if item.get("listener") == Some(&json!("...")) {
                item.insert("listener".into(), real("listener"));
            }
            if item.get("ports") == Some(&json!("41 entries")) {
                let ports: Vec<Value> = (1..=41)
                    .map(|port| json!({"port": port.to_string(), "protocol": "TCP"}))
                    .collect();
                item.insert("ports".into(), Value::Array(ports));
            }
        }
    }
}

#[test]
fn selector_validation() {
    let Some(facts) = facts() else { return };
    let cases = facts["selector_validation"].as_array().expect("a list");
    assert!(cases.len() >= 22);
    for case in cases {
        let selector = &case["selector"];
        let rule = match case["kind"].as_str() {
            Some("toFQDNs") => json!({"toFQDNs": [selector]}),
            _ => {
                json!({"toPorts": [{"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [selector]}}]})
            }
        };
        let policy = policy(
            "CiliumNetworkPolicy",
            json!({"endpointSelector": {}, "egress": [rule]}),
        );
        let (accepted, found) = accepted(&policy, &Context::default());
        assert_eq!(
            accepted,
            case["valid"].as_bool().expect("a verdict"),
            "{case}: {found}"
        );
    }
}

#[test]
fn crd_validation() {
    let Some(facts) = facts() else { return };
    let cases = facts["crd_validation"]["cases"].as_array().expect("a list");
    assert!(cases.len() >= 9);
    for case in cases {
        let field = case["field"].as_str().expect("a field");
        let rule = json!({"toFQDNs": [{field: case["value"]}]});
        let policy = policy(
            "CiliumNetworkPolicy",
            json!({"endpointSelector": {}, "egress": [rule]}),
        );
        let (accepted, found) = accepted(&policy, &Context::default());
        assert_eq!(
            accepted,
            case["valid"].as_bool().expect("a verdict"),
            "{case}: {found}"
        );
    }
}

#[test]
fn every_published_example_is_read_with_honest_findings() {
    let Some(folder) = facts::path("examples/cilium") else {
        return;
    };
    let mut read_files = 0;
    for folder in [folder.clone(), folder.join("templated")] {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        for path in files.into_iter().filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        }) {
            let text = std::fs::read_to_string(&path).expect("text");
            let Reading {
                policies,
                diagnostics,
                ..
            } = read("example.yaml", &text, &Context::default());
            assert!(
                !policies.is_empty() || !diagnostics.is_empty(),
                "{} is passed over in silence",
                path.display()
            );
            for diagnostic in &diagnostics {
                assert!(
                    diagnostic.origin.line > 0,
                    "{}: {diagnostic:?}",
                    path.display()
                );
                assert!(
                    diagnostic.code != "yaml-syntax" || text.contains("{{"),
                    "{}: {diagnostic:?}",
                    path.display()
                );
            }
            read_files += 1;
        }
    }
    assert!(read_files >= 30, "{read_files} files");
}
