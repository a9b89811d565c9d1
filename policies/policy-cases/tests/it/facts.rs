//! The facts about dialects that lie beside the clone, turned into test files and run by the reference and by the compiled
//! ruleset.

use std::fmt::Write as _;

use policy_cases::{
    CaseFile, CompiledOnce, Engine, FileText, Outcome, ReferenceEngine, Scene, judge,
};
use serde_json::{Value, json};

/// A file of facts; nothing where it is absent, which is said.
fn facts(name: &str) -> Option<Value> {
    let text = facts::text(&format!("cases/{name}"))?;
    Some(serde_json::from_str(&text).expect("JSON"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The items of a list; none where it is absent.
fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn namespace(name: &str, labels: &Value) -> Value {
    let labels = if labels.is_object() {
        labels
    } else {
        &json!({})
    };
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// A pod from a case's `src` or `dst`.
fn pod(of: &Value, host_network: bool) -> Value {
    let ports: Vec<Value> = items(&of["named_ports"])
        .iter()
        .map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            json!({"name": port["name"], "containerPort": port["port"], "protocol": protocol})
        })
        .collect();
    let labels = if of["labels"].is_object() {
        of["labels"].clone()
    } else {
        json!({})
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": of["pod"], "namespace": of["namespace"], "labels": labels},
        "spec": {
            "serviceAccountName": of["service_account"].as_str().unwrap_or("default"),
            "nodeName": of["node"], "hostNetwork": host_network,
            "containers": [{"name": "c", "ports": ports}],
        },
        "status": {"phase": "Running", "podIP": of["ip"]},
    })
}

/// Runs a test file on both engines and gives what went wrong: sentences, and how many tests there were.
fn run(name: &str, file: &Value, policies: &str, world: &[Value], wrong: &mut String) -> usize {
    let case = CaseFile::parse(name, &file.to_string())
        .unwrap_or_else(|errors| panic!("{name}: {errors:#?}"));
    let world = json!({"apiVersion": "v1", "kind": "List", "items": world});
    let part = |name: &str, text: String| FileText {
        name: name.to_owned(),
        text,
    };
    let policies = part("policies.yaml", policies.to_owned());
    let scene = Scene::prepare(case, &[policies], &[part("world.yaml", world.to_string())])
        .unwrap_or_else(|error| panic!("{name}: {error:#?}"));
    for diagnostic in scene.unexpected() {
        writeln!(wrong, "{name}: {} {}", diagnostic.code, diagnostic.message).expect("text");
    }
    let engines: [&mut dyn Engine; 2] = [&mut CompiledOnce::default(), &mut ReferenceEngine];
    for engine in engines {
        for test in &scene.file.tests {
            let outcome = judge(&scene, test, engine).outcome;
            if outcome != Outcome::Passed {
                let engine = engine.name();
                writeln!(wrong, "{name}: {}: {engine}: {outcome:?}", test.name).expect("text");
            }
        }
    }
    scene.file.tests.len()
}

fn check(what: &str, ran: usize, at_least: usize, wrong: &str) {
    println!("{what}: {ran} facts on two engines");
    let shown: String = wrong.lines().take(60).collect::<Vec<_>>().join("\n");
    let number = wrong.lines().count();
    assert!(wrong.is_empty(), "{number} wrong\n{shown}");
    assert!(ran >= at_least, "{ran} of {at_least}");
}

/// Everything around the flow of a case.
fn surroundings(case: &Value) -> Vec<Value> {
    let (src, dst) = (&case["src"], &case["dst"]);
    let own = text(src, "namespace");
    let mut world = vec![
        namespace(own, &src["namespace_labels"]),
        pod(src, src["host_network"].as_bool().unwrap_or(false)),
    ];
    let other = text(dst, "namespace");
    if !other.is_empty() && other != own {
        world.push(namespace(other, &dst["namespace_labels"]));
    }
    if dst["pod"].is_string() && (other, &dst["pod"]) != (own, &src["pod"]) {
        world.push(pod(dst, text(dst, "kind") == "host_network_pod"));
    }
    for node in items(&case["nodes"]) {
        let addresses: Vec<Value> = items(&node["ips"])
            .iter()
            .map(|ip| json!({"type": "InternalIP", "address": ip}))
            .collect();
        let (name, labels) = (&node["name"], &node["labels"]);
        world.push(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": {"addresses": addresses}}));
    }
    let service = &dst["via_service"];
    if service.is_object() {
        let target = json!([{"port": case["port"], "protocol": case["protocol"]}]);
        world.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "svc", "namespace": other},
            "spec": {"clusterIP": service["cluster_ip"], "ports": [{"port": service["port"], "targetPort": case["port"], "protocol": case["protocol"]}]}}));
        world.push(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "svc-1", "namespace": other, "labels": {"kubernetes.io/service-name": "svc"}},
            "endpoints": [{"addresses": [dst["ip"]]}], "ports": target}));
    }
    world
}

/// The test of a case.
fn flow(case: &Value) -> Value {
    let (src, dst) = (&case["src"], &case["dst"]);
    let from = format!("{}/{}", text(src, "namespace"), text(src, "pod"));
    if dst["dns_question"].is_string() {
        return json!({"query": {"name": dst["dns_question"], "type": "A", "from": from}, "expect": case["expected"]});
    }
    let mut port = &case["port"];
    let to = if dst["via_service"].is_object() {
        port = &dst["via_service"]["port"];
        json!({"service": format!("{}/svc", text(dst, "namespace"))})
    } else if dst["pod"].is_string() && matches!(text(dst, "kind"), "pod" | "host_network_pod") {
        json!({"pod": format!("{}/{}", text(dst, "namespace"), text(dst, "pod"))})
    } else {
        json!({"ip": dst["ip"]})
    };
    let mut test = json!({"from": from, "to": to, "protocol": case["protocol"], "expect": case["expected"],
        "established": text(case, "conn_state") == "established"});
    if case["protocol"] != "ICMP" {
        test["port"] = port.clone();
    }
    test
}

/// Cases whose answer the APIs leave open, or only allow, and what Egret does: each is run like the others, and
/// `policies/README.md` says why. A case that is open and not listed fails the test.
const OPEN: &[(&str, &str)] = &[
    (
        "np-46",
        "a pod in the network of its node is its node, which no NetworkPolicy isolates",
    ),
    ("np-63", "a flow to a Service is judged as its backends"),
    (
        "np-64",
        "the same, so a block that holds the address of the Service opens nothing",
    ),
    (
        "fqdn-10",
        "an address nobody asked for is reached by no name, and the Deny behind holds",
    ),
    (
        "fqdn-19",
        "a chain of aliases counts within one response, so an address that a second one brings belongs to the second name",
    ),
];

#[test]
fn network_policies_of_every_kind_rule_as_the_facts_say() {
    let Some(facts) = facts("network_policy_api.json") else {
        return;
    };
    let is_open = |case: &&Value| matches!(text(case, "level"), "ambiguous" | "may-deny");
    let open: Vec<&str> = items(&facts["cases"])
        .iter()
        .filter(is_open)
        .map(|case| text(case, "id"))
        .collect();
    let listed: Vec<&str> = OPEN.iter().map(|(id, _)| *id).collect();
    assert_eq!(open, listed, "cases that are open, and what Egret does");
    let (mut wrong, mut ran) = (String::new(), 0);
    for case in items(&facts["cases"]) {
        let id = text(case, "id");
        let dns: Vec<Value> = items(&case["dns"])
            .iter()
            .map(|seen| {
                let mut response = json!({"query": seen["qname"], "answers": seen["answers"], "age": seen["age_s"]});
                if !matches!(text(seen, "server"), "" | "cluster-dns") {
                    response["server"] = json!("198.51.100.53");
                    response["trusted"] = json!(false);
                }
                response
            })
            .collect();
        let file = json!({"dns": dns, "settings": {"guards": false, "closed": "accept"}, "tests": [flow(case)]});
        ran += run(
            id,
            &file,
            text(case, "policies"),
            &surroundings(case),
            &mut wrong,
        );
    }
    check("network policy API", ran, 256, &wrong);
}

#[test]
fn whole_tables_of_network_policies_rule_as_the_facts_say() {
    let Some(facts) = facts("network_policy_tables.json") else {
        return;
    };
    let pods: Vec<String> = ["x", "y", "z"]
        .iter()
        .flat_map(|namespace| ["a", "b", "c"].map(|pod| format!("{namespace}/{pod}")))
        .collect();
    let (mut wrong, mut cells) = (String::new(), 0);
    for (number, case) in items(&facts["cases"]).iter().enumerate() {
        let mut world: Vec<Value> = ["x", "y", "z"]
            .iter()
            .map(|name| namespace(name, &case["namespace_labels"][name]))
            .collect();
        for (index, name) in pods.iter().enumerate() {
            let usual = format!("192.168.{}.{}", index / 3 + 1, index % 3 + 1);
            let ip = case["pod_ips"][name].as_str().unwrap_or(&usual);
            let (space, own) = name.split_once('/').expect("namespace/name");
            let ports: Vec<Value> = ["TCP", "UDP", "SCTP"]
                .iter()
                .flat_map(|protocol| {
                    [80, 81].map(|port| {
                        let name = format!("serve-{port}-{}", protocol.to_lowercase());
                        json!({"name": name, "port": port, "protocol": protocol})
                    })
                })
                .collect();
            let labels = case["pod_labels"].get(name).cloned();
            let labels = labels.unwrap_or_else(|| json!({"pod": own}));
            world.push(pod(
                &json!({"pod": own, "namespace": space, "ip": ip, "labels": labels, "named_ports": ports}),
                false,
            ));
        }
        let tables = case["egress_table"].as_object().expect("tables");
        let tests: Vec<Value> = tables
            .iter()
            .map(|(what, rows)| {
                let (protocol, port) = what.split_once('/').expect("protocol/port");
                let port: u16 = port.parse().expect("a port");
                json!({"matrix": {"from": pods, "to": pods, "port": port, "protocol": protocol}, "expect": rows})
            })
            .collect();
        let (name, file) = (format!("table {number}"), json!({ "tests": tests }));
        cells += run(&name, &file, text(case, "policies"), &world, &mut wrong);
    }
    check("cells of tables", cells, 54_864 + 127 * 54, &wrong);
}

#[test]
fn calico_selectors_select_as_the_facts_say() {
    let Some(facts) = facts("calico_selectors.json") else {
        return;
    };
    let (mut wrong, mut ran) = (String::new(), 0);
    for case in items(&facts["cases"]) {
        if case["valid"] != true {
            continue;
        }
        let selector = Some(text(case, "selector")).filter(|selector| !selector.is_empty());
        let policy = json!({"apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy", "metadata": {"name": "p"},
            "spec": {"selector": selector.unwrap_or("all()"), "types": ["Egress"], "egress": [{"action": "Deny"}]}});
        let world = [
            namespace("n", &json!({})),
            pod(
                &json!({"pod": "w", "namespace": "n", "labels": case["labels"], "ip": "10.0.0.5"}),
                false,
            ),
        ];
        let expect = if case["match"] == true {
            "deny"
        } else {
            "allow"
        };
        let file = json!({"tests": [{"from": "n/w", "to": {"ip": "203.0.113.9"}, "port": 443, "expect": expect}]});
        ran += run(
            text(case, "id"),
            &file,
            &policy.to_string(),
            &world,
            &mut wrong,
        );
    }
    check("Calico selectors", ran, 40, &wrong);
}
