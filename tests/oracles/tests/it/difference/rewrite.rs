//! What several oracles read alike.

use oracles::Set;
use serde_json::{Value, json};

use super::of_kind;

/// Who asks for an address of his own becomes a twin of himself with other addresses: to the oracle, that flow is like any
/// other.
pub(super) fn judge_own_address(set: &mut Set) -> bool {
    let from = set.flows[0].from.clone();
    let to = json!(set.flows[0].to);
    let Some(pod) = set.objects.iter().find(|object| is_pod(object, &from)) else {
        return false;
    };
    let own = pod["status"]["podIPs"].as_array().unwrap();
    if !own.iter().any(|address| address["ip"] == to) || pod["spec"]["hostNetwork"] == true {
        return false;
    }
    let mut twin = pod.clone();
    twin["metadata"]["name"] = json!("twin");
    twin["status"]["podIP"] = json!("10.254.254.254");
    twin["status"]["podIPs"] = json!([{"ip": "10.254.254.254"}, {"ip": "fd00:254::254"}]);
    set.flows[0].from = format!("{}/twin", twin["metadata"]["namespace"].as_str().unwrap());
    set.objects.push(twin);
    true
}

/// Pods that have ended run on.
pub(super) fn revive(set: &mut Set) -> bool {
    let mut any = false;
    for pod in of_kind(set, "Pod") {
        let phase = &mut pod["status"]["phase"];
        if *phase == "Succeeded" || *phase == "Failed" {
            *phase = json!("Running");
            any = true;
        }
    }
    any
}

pub(crate) fn is_pod(object: &Value, name: &str) -> bool {
    object["kind"] == "Pod"
        && name.split_once('/')
            == object["metadata"]["namespace"]
                .as_str()
                .zip(object["metadata"]["name"].as_str())
}

/// Every label selector in a value, at whatever depth.
pub(super) fn selectors(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| selectors(item, change)),
        Value::Object(map) => {
            if map.contains_key("matchLabels") || map.contains_key("matchExpressions") {
                change(value);
            } else {
                map.values_mut().for_each(|item| selectors(item, change));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The list under a key, if there is one. (Indexing would put a null there.)
pub(super) fn list<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Vec<Value>> {
    value.get_mut(key)?.as_array_mut()
}
