use std::collections::BTreeSet;

use oracles::Set;
use serde_json::{Value, json};

use super::rewrite::{judge_own_address, list, selectors};
use super::{Difference, of_kind};

pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "own address",
        reason: "a pod cannot block itself; the matcher knows no addresses of sources",
        link: "https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation",
        apply: judge_own_address,
    },
    // Before the next one, which writes a NotIn that holds without the label.
    Difference {
        name: "NotIn needs the label",
        reason: "to Kubernetes, NotIn holds where there is no such label; to the matcher it does not",
        link: "https://github.com/mattfenwick/cyclonus/blob/v0.5.6/pkg/kube/labelselector.go#L42",
        apply: not_in_needs_the_label,
    },
    Difference {
        name: "no label is an empty one",
        reason: "a label that must be empty must be there; the matcher reads a missing one as empty",
        link: "https://github.com/mattfenwick/cyclonus/blob/v0.5.6/pkg/kube/labelselector.go#L71",
        apply: no_label_is_empty,
    },
    Difference {
        name: "one name for a port",
        reason: "a flow has one port name to the matcher; a pod may give a port several",
        link: "https://github.com/mattfenwick/cyclonus/blob/v0.5.6/pkg/matcher/traffic.go#L17",
        apply: one_name_for_a_port,
    },
];

fn not_in_needs_the_label(set: &mut Set) -> bool {
    let mut any = false;
    for policy in of_kind(set, "NetworkPolicy") {
        selectors(&mut policy["spec"], &mut |selector| {
            let Some(expressions) = list(selector, "matchExpressions") else {
                return;
            };
            let keys: Vec<Value> = expressions
                .iter()
                .filter(|expression| expression["operator"] == "NotIn")
                .map(|expression| expression["key"].clone())
                .collect();
            any |= !keys.is_empty();
            expressions.extend(
                keys.into_iter()
                    .map(|key| json!({"key": key, "operator": "Exists"})),
            );
        });
    }
    any
}

fn no_label_is_empty(set: &mut Set) -> bool {
    let used: BTreeSet<(String, String)> = set
        .objects
        .iter()
        .filter_map(|object| object["metadata"]["labels"].as_object())
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    let mut any = false;
    for policy in of_kind(set, "NetworkPolicy") {
        selectors(&mut policy["spec"], &mut |selector| {
            let Some(Value::Object(labels)) = selector.get_mut("matchLabels") else {
                return;
            };
            let empty: Vec<String> = labels
                .iter()
                .filter(|(_, value)| *value == "")
                .map(|(key, _)| key.clone())
                .collect();
            labels.retain(|_, value| value != "");
            any |= !empty.is_empty();
            for key in empty {
                let others: Vec<&str> = used
                    .iter()
                    .filter(|(used, value)| *used == key && !value.is_empty())
                    .map(|(_, value)| value.as_str())
                    .collect();
                if others.is_empty() {
                    continue;
                }
                let expression = json!({"key": key, "operator": "NotIn", "values": others});
                match list(selector, "matchExpressions") {
                    Some(expressions) => expressions.push(expression),
                    None => selector["matchExpressions"] = json!([expression]),
                }
            }
        });
    }
    any
}

fn one_name_for_a_port(set: &mut Set) -> bool {
    let mut any = false;
    for pod in of_kind(set, "Pod") {
        let mut seen: Vec<(Value, Value)> = Vec::new();
        for container in pod["spec"]["containers"].as_array_mut().unwrap() {
            let Some(ports) = list(container, "ports") else {
                continue;
            };
            ports.retain(|port| {
                let protocol = port
                    .get("protocol")
                    .cloned()
                    .unwrap_or_else(|| json!("TCP"));
                let this = (port["containerPort"].clone(), protocol);
                let new = !seen.contains(&this);
                any |= !new;
                seen.push(this);
                new
            });
        }
    }
    any
}
