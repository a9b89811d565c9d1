//! Cilium's pattern facts, each as a whole test file: a pod of a world, a policy with the pattern, an answer, a flow.

use policy_cases::{
    CaseFile, CompiledEngine, Engine, FileText, Outcome, ReferenceEngine, Scene, judge,
};
use serde_json::{Value, json};

fn facts() -> Option<Value> {
    let text = facts::text("cases/cilium.json")?;
    Some(serde_json::from_str(&text).expect("the facts are JSON"))
}

#[test]
fn a_name_opens_what_its_pattern_matches() {
    let Some(facts) = facts() else { return };
    let world = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}, "status": {"podIP": "10.0.0.5"}},
    ]});
    let (mut run, mut wrong) = (0, Vec::new());
    for case in facts["match_cases"].as_array().expect("a list") {
        let pattern = case["pattern"].as_str().expect("a pattern");
        let name = case["name"].as_str().expect("a name").trim_end_matches('.');
        if name.is_empty() {
            continue;
        }
        let policy = json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "p", "namespace": "shop"},
            "spec": {"endpointSelector": {}, "egress": [{"toFQDNs": [{"matchPattern": pattern}]}]},
        });
        let verdict = if case["match"].as_bool().expect("a verdict") {
            "allow"
        } else {
            "deny"
        };
        let file = json!({
            "dns": [{"query": name, "answers": [{"name": name, "type": "A", "data": "203.0.113.9", "ttl": 60}]}],
            "tests": [{"name": format!("{pattern} ~ {name}"), "from": "shop/web", "to": {"ip": "203.0.113.9"}, "port": 443, "expect": verdict}],
        });
        let file = CaseFile::parse("match.json", &file.to_string()).expect("a test file");
        // The root alone is refused as a pattern: it has no address to open.
        if pattern == "." {
            continue;
        }
        let text = |name: &str, value: &Value| FileText {
            name: name.into(),
            text: value.to_string(),
        };
        let scene = Scene::prepare(file, &[text("p.json", &policy)], &[text("w.json", &world)])
            .expect("a scene");
        for engine in [&mut CompiledEngine as &mut dyn Engine, &mut ReferenceEngine] {
            let result = judge(&scene, &scene.file.tests[0], engine);
            if result.outcome != Outcome::Passed {
                wrong.push(format!(
                    "{}: {}: {:?} {:?}",
                    engine.name(),
                    result.name,
                    result.outcome,
                    scene.diagnostics
                ));
            }
        }
        run += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(run >= 40, "{run} facts");
}
