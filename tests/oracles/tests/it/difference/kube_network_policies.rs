use oracles::Set;
use serde_json::{Value, json};

use super::rewrite::{judge_own_address, list, revive, selectors};
use super::{Difference, of_kind};

pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "own address",
        reason: "a pod cannot block itself; the evaluator judges whatever packet it is given, and such packets never come to it",
        link: "https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation",
        apply: judge_own_address,
    },
    Difference {
        name: "pods that have ended",
        reason: "an ended pod's address is anybody's; the evaluator finds the pod by it as long as no other one runs there",
        link: "https://github.com/kubernetes-sigs/kube-network-policies/blob/v1.1.1/pkg/podinfo/ipresolver.go#L67",
        apply: revive,
    },
    Difference {
        name: "a policy for ingress accepts egress",
        reason: "isolation is per direction; the evaluator ends at a NetworkPolicy that selects the pod, whichever its types",
        link: "https://github.com/kubernetes-sigs/kube-network-policies/blob/v1.1.1/pkg/networkpolicy/networkpolicy.go#L200",
        apply: ingress_hides_baseline,
    },
    Difference {
        name: "named ports are any port",
        reason: "a named port is a number and a protocol; the v1alpha1 evaluator asks only whether the pod has a port of that name",
        link: "https://github.com/kubernetes-sigs/kube-network-policies/blob/v1.1.1/plugins/npa-v1alpha1/adminnetworkpolicy.go#L288",
        apply: named_ports_are_any,
    },
    Difference {
        name: "nodes are their pods",
        reason: "a node is its addresses; the v1alpha1 evaluator matches the pods that run on it and never the node",
        link: "https://github.com/kubernetes-sigs/kube-network-policies/blob/v1.1.1/plugins/npa-v1alpha1/adminnetworkpolicy.go#L191",
        apply: nodes_are_pods,
    },
];

const OF_OLD: [&str; 2] = ["AdminNetworkPolicy", "BaselineAdminNetworkPolicy"];

fn ingress_hides_baseline(set: &mut Set) -> bool {
    let namespace = set.flows[0].from.split_once('/').unwrap().0.to_owned();
    let there = of_kind(set, "NetworkPolicy").any(|policy| {
        let theirs = policy["metadata"]["namespace"].as_str();
        theirs.unwrap_or("default") == namespace && !isolates(policy)
    });
    let before = set.objects.len();
    if there {
        set.objects.retain(|object| {
            object["kind"] != "BaselineAdminNetworkPolicy" && object["spec"]["tier"] != "Baseline"
        });
    }
    set.objects.len() < before
}

/// Whether the policy has anything to say of egress.
fn isolates(policy: &Value) -> bool {
    let spec = &policy["spec"];
    match spec["policyTypes"].as_array() {
        Some(types) => types.contains(&json!("Egress")),
        None => spec["egress"]
            .as_array()
            .is_some_and(|rules| !rules.is_empty()),
    }
}

/// In a rule for this flow: all ports where the pod has that name, none where it has not.
fn named_ports_are_any(set: &mut Set) -> bool {
    let to = json!(set.flows[0].to);
    let names: Vec<Value> = set
        .objects
        .iter()
        .filter(|object| object["kind"] == "Pod" && object["spec"]["hostNetwork"] != true)
        .filter(|pod| {
            let addresses = pod["status"]["podIPs"].as_array().unwrap();
            addresses.iter().any(|address| address["ip"] == to)
        })
        .flat_map(|pod| pod["spec"]["containers"].as_array().unwrap())
        .filter_map(|container| container["ports"].as_array())
        .flatten()
        .map(|port| port["name"].clone())
        .collect();
    let mut any = false;
    for kind in OF_OLD {
        for policy in of_kind(set, kind) {
            let Some(rules) = list(&mut policy["spec"], "egress") else {
                continue;
            };
            rules.retain_mut(|rule| {
                let Some(ports) = list(rule, "ports") else {
                    return true;
                };
                let named = |port: &Value| port.get("namedPort").cloned();
                any |= ports.iter().any(|port| named(port).is_some());
                if ports
                    .iter()
                    .filter_map(named)
                    .any(|name| names.contains(&name))
                {
                    rule.as_object_mut().unwrap().remove("ports");
                    return true;
                }
                ports.retain(|port| named(port).is_none());
                !ports.is_empty()
            });
        }
    }
    any
}

/// Pods get their node's labels under a prefix, and a peer that was nodes asks for those.
fn nodes_are_pods(set: &mut Set) -> bool {
    const PREFIX: &str = "node.example.com/";
    let prefixed = |key: &str| format!("{PREFIX}{}", key.replace('/', "_"));
    let nodes: Vec<Value> = of_kind(set, "Node").map(|node| node.clone()).collect();
    for pod in of_kind(set, "Pod") {
        let on = pod["spec"]["nodeName"].clone();
        let Some(node) = nodes.iter().find(|node| node["metadata"]["name"] == on) else {
            continue;
        };
        for (key, value) in node["metadata"]["labels"].as_object().unwrap() {
            pod["metadata"]["labels"][prefixed(key)] = value.clone();
        }
    }
    let mut any = false;
    for kind in OF_OLD {
        for policy in of_kind(set, kind) {
            let peers = list(&mut policy["spec"], "egress")
                .into_iter()
                .flatten()
                .filter_map(|rule| list(rule, "to"))
                .flatten();
            for peer in peers {
                let Some(mut nodes) = peer.as_object_mut().unwrap().remove("nodes") else {
                    continue;
                };
                any = true;
                selectors(&mut nodes, &mut |selector| {
                    if let Some(Value::Object(labels)) = selector.get_mut("matchLabels") {
                        *labels = std::mem::take(labels)
                            .into_iter()
                            .map(|(key, value)| (prefixed(&key), value))
                            .collect();
                    }
                    for expression in list(selector, "matchExpressions").into_iter().flatten() {
                        expression["key"] = json!(prefixed(expression["key"].as_str().unwrap()));
                    }
                });
                peer["pods"] = json!({"namespaceSelector": {}, "podSelector": nodes});
            }
        }
    }
    any
}
