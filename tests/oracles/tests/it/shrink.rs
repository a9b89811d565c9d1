//! From a set that shows a difference to the smallest one that still does.

use oracles::Set;
use serde_json::Value;

/// The lists something can be left out of, and the least they must keep to be valid.
const LISTS: &[(&str, usize)] = &[
    ("egress", 0),
    ("ingress", 0),
    ("to", 1),
    ("from", 1),
    ("ports", 1),
    ("protocols", 1),
    ("networks", 1),
    ("except", 1),
    ("matchExpressions", 1),
    ("values", 1),
    ("egressDeny", 0),
    ("nets", 1),
    ("notNets", 1),
    ("notPorts", 1),
    ("specs", 1),
    ("toCIDR", 1),
    ("toCIDRSet", 1),
    ("toEndpoints", 1),
    ("toEntities", 1),
    ("toFQDNs", 1),
    ("toNodes", 1),
    ("toPorts", 1),
    ("externalCIDRs", 1),
];
/// What can be left out as a whole.
const FIELDS: &[&str] = &[
    "destination",
    "egressDeny",
    "enableDefaultDeny",
    "endPort",
    "except",
    "ingress",
    "matchExpressions",
    "matchLabels",
    "labels",
    "ipVersion",
    "name",
    "namespaceSelector",
    "nets",
    "notNets",
    "notPorts",
    "notProtocol",
    "notSelector",
    "order",
    "ports",
    "protocols",
    "selector",
    "serviceAccountName",
    "serviceAccountSelector",
    "serviceAccounts",
    "source",
    "tier",
    "toPorts",
];

/// Leaves out objects, then parts of them, for as long as `differs` says that the difference is still there. The set has
/// one flow, which stays.
pub(crate) fn shrink(mut set: Set, mut differs: impl FnMut(&Set) -> bool) -> Set {
    loop {
        let before = set.clone();
        let mut at = 0;
        while at < set.objects.len() {
            let mut smaller = set.clone();
            smaller.objects.remove(at);
            if !leaves_somebody_alone(&set, at) && differs(&smaller) {
                set = smaller;
            } else {
                at += 1;
            }
        }
        for at in 0..set.objects.len() {
            // Each success changes how many ways there are.
            let mut way = 0;
            while let Some(smaller) = without(&set.objects[at], way) {
                let mut candidate = set.clone();
                candidate.objects[at] = smaller;
                if differs(&candidate) {
                    set = candidate;
                } else {
                    way += 1;
                }
            }
        }
        if set == before {
            return set;
        }
    }
}

/// Namespaces and nodes of pods that are there, and the pod that asks, stay.
fn leaves_somebody_alone(set: &Set, at: usize) -> bool {
    let object = &set.objects[at];
    let name = &object["metadata"]["name"];
    match object["kind"].as_str() {
        Some("Namespace") => set
            .objects
            .iter()
            .any(|other| other["kind"] == "Pod" && other["metadata"]["namespace"] == *name),
        Some("Node") => set
            .objects
            .iter()
            .any(|other| other["kind"] == "Pod" && other["spec"]["nodeName"] == *name),
        Some("Pod") => crate::difference::is_pod(object, &set.flows[0].from),
        _ => false,
    }
}

/// The value without its `way`th part that can be left out.
fn without(value: &Value, way: usize) -> Option<Value> {
    let mut left = way;
    let mut smaller = value.clone();
    leave_out(&mut smaller, &mut left).then_some(smaller)
}

fn leave_out(value: &mut Value, left: &mut usize) -> bool {
    let Value::Object(map) = value else {
        let Value::Array(items) = value else {
            return false;
        };
        return items.iter_mut().any(|item| leave_out(item, left));
    };
    // An object's own name is no part of it.
    let is_object = map.contains_key("namespace") || map.contains_key("resourceVersion");
    let keys: Vec<String> = map.keys().cloned().collect();
    for key in keys {
        if FIELDS.contains(&key.as_str()) && !(key == "name" && (is_object || map.len() <= 2)) {
            if *left == 0 {
                map.remove(&key);
                return true;
            }
            *left -= 1;
        }
        if let Some((_, least)) = LISTS.iter().find(|(list, _)| *list == key)
            && let Some(Value::Array(items)) = map.get_mut(&key)
            && items.len() > *least
        {
            if *left < items.len() {
                items.remove(*left);
                return true;
            }
            *left -= items.len();
        }
        if key == "matchLabels"
            && let Some(Value::Object(labels)) = map.get_mut(&key)
            && labels.len() > 1
        {
            let names: Vec<String> = labels.keys().cloned().collect();
            if let Some(name) = names.get(*left) {
                labels.remove(name);
                return true;
            }
            *left -= names.len();
        }
        if map
            .get_mut(&key)
            .is_some_and(|inner| leave_out(inner, left))
        {
            return true;
        }
    }
    false
}
