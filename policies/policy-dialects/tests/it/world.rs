//! What is read of the objects of a cluster.

use std::net::IpAddr;
use std::sync::Arc;

use policy_dialects::{Context, Reading, read_with_world};
use policy_model::{Backend, Cluster, Protocol};
use test_case::test_case;

fn reading(world: &[&str]) -> Reading {
    let files = world.iter().map(|text| ("world.yaml", *text));
    read_with_world([], files, &Context::default())
}

fn cluster(world: &str) -> Cluster {
    let Reading {
        cluster,
        world_diagnostics,
        ..
    } = reading(&[world]);
    assert!(world_diagnostics.is_empty(), "{world_diagnostics:#?}");
    cluster
}

fn name(text: &str) -> (Arc<str>, Arc<str>) {
    let (namespace, name) = text.split_once('/').expect("namespace/name");
    (namespace.into(), name.into())
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts
        .iter()
        .map(|text| text.parse().expect("an address"))
        .collect()
}

#[test]
fn a_namespace_has_its_name_as_a_label() {
    let cluster = cluster(
        "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}\n---\n\
         {apiVersion: v1, kind: Namespace, metadata: {name: bare}}",
    );
    let labels: Vec<(&str, &str)> = cluster.namespaces["shop"]
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .collect();
    assert_eq!(
        labels,
        [("kubernetes.io/metadata.name", "shop"), ("team", "a")]
    );
    assert_eq!(cluster.namespaces["bare"].len(), 1);
}

#[test]
fn a_pod_is_read_whole() {
    let cluster = cluster(
        r#"
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}, annotations: {a: b}, uid: x}
spec:
  serviceAccountName: runner
  nodeName: n1
  containers:
    - {name: a, image: i, ports: [{name: http, containerPort: 8080}, {containerPort: 9}, {name: dns, containerPort: 53, protocol: UDP}]}
    - {name: b, ports: [{name: http, containerPort: 8081}]}
  initContainers:
    - {name: mesh, restartPolicy: Always, ports: [{name: admin, containerPort: 15000}]}
status: {phase: Running, podIP: 10.0.0.5, podIPs: [{ip: 10.0.0.5}, {ip: "fd00::5"}]}
"#,
    );
    let pod = &cluster.pods[&name("shop/web")];
    assert_eq!(
        (&*pod.service_account, pod.node.as_deref(), pod.host_network),
        ("runner", Some("n1"), false)
    );
    assert_eq!(pod.addresses, ips(&["10.0.0.5", "fd00::5"]));
    let ports: Vec<(&str, Protocol, u16)> = pod
        .ports
        .iter()
        .map(|port| (&*port.name, port.protocol, port.port))
        .collect();
    assert_eq!(
        ports,
        [
            ("http", Protocol::TCP, 8080),
            ("dns", Protocol::UDP, 53),
            ("http", Protocol::TCP, 8081),
            ("admin", Protocol::TCP, 15000)
        ]
    );
}

#[test_case("Succeeded", 0)]
#[test_case("Failed", 0)]
#[test_case("Pending", 1)]
#[test_case("Unknown", 1)]
fn finished_pods_are_not_there(phase: &str, expected: usize) {
    let cluster = cluster(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, status: {{phase: {phase}, podIP: 10.0.0.5}}}}"
    ));
    assert_eq!(cluster.pods.len(), expected);
}

const NODE: &str = r#"
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {zone: a}}
spec: {podCIDR: 10.0.1.0/24, podCIDRs: [10.0.1.0/24, "fd00:1::/64"]}
status: {addresses: [{type: InternalIP, address: 192.0.2.1}, {type: ExternalIP, address: 203.0.113.1}, {type: Hostname, address: n1}]}
"#;

#[test]
fn a_node_has_addresses_and_ranges() {
    let cluster = cluster(NODE);
    let node = &cluster.nodes["n1"];
    assert_eq!(node.addresses, ips(&["192.0.2.1", "203.0.113.1"]));
    let ranges: Vec<String> = node.pod_cidrs.iter().map(ToString::to_string).collect();
    assert_eq!(ranges, ["10.0.1.0/24", "fd00:1::/64"]);
}

#[test]
fn pods_in_the_hosts_network_and_nodes_share_addresses() {
    let pod = |name: &str, node: &str, ip: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{hostNetwork: true, nodeName: {node}}}, status: {{podIP: {ip}}}}}"
        )
    };
    let (agent, lone) = (
        pod("agent", "n1", "192.0.2.1"),
        pod("lone", "n2", "192.0.2.2"),
    );
    let cluster = reading(&[&agent, &lone, NODE]).cluster;
    assert_eq!(
        cluster.pods[&name("default/agent")].addresses,
        ips(&["192.0.2.1", "203.0.113.1"])
    );
    assert_eq!(cluster.nodes["n2"].addresses, ips(&["192.0.2.2"]));
}

/// A Service with a port by number and one by name.
const SERVICE: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop, labels: {app: api}}
spec:
  clusterIP: 10.96.0.9
  clusterIPs: [10.96.0.9, "fd00:96::9"]
  externalIPs: [203.0.113.9]
  selector: {app: api}
  ports: [{name: http, port: 80, targetPort: http}, {name: raw, port: 90, targetPort: 9000, protocol: UDP}, {name: same, port: 7}]
status: {loadBalancer: {ingress: [{ip: 198.51.100.9}, {hostname: lb.example}, {ip: 198.51.100.10, ipMode: Proxy}]}}
"#;

fn pod(name: &str, ip: &str, more: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: api}}}}, spec: {{containers: [{{ports: [{{name: http, containerPort: 80{}}}]}}]}}, status: {{podIP: {ip}{more}}}}}",
        ip.len()
    )
}

fn backends(reading: &Reading, port: u16) -> Vec<String> {
    let service = &reading.cluster.services[&name("shop/api")];
    let port = service.ports.iter().find(|own| own.port == port);
    port.expect("a port")
        .backends
        .iter()
        .map(|Backend { address, port }| format!("{address} {port}"))
        .collect()
}

#[test]
fn a_service_has_all_its_addresses() {
    let service = &cluster(SERVICE).services[&name("shop/api")];
    assert_eq!(
        service.addresses,
        ips(&["10.96.0.9", "fd00:96::9", "203.0.113.9", "198.51.100.9"])
    );
    assert!(!service.selectorless);
}

#[test]
fn without_endpoints_the_selector_says_who_serves() {
    let one = pod("one", "10.0.0.1", "");
    let two = pod("two", "10.0.0.22", "");
    let idle = pod(
        "idle",
        "10.0.0.3",
        ", conditions: [{type: Ready, status: 'False'}]",
    );
    // Whatever the order of the files.
    for files in [[SERVICE, &one, &two, &idle], [&one, &idle, &two, SERVICE]] {
        let reading = reading(&files);
        assert!(reading.world_diagnostics.is_empty());
        assert_eq!(backends(&reading, 80), ["10.0.0.1 808", "10.0.0.22 809"]);
        assert_eq!(backends(&reading, 90), ["10.0.0.1 9000", "10.0.0.22 9000"]);
        assert_eq!(backends(&reading, 7), ["10.0.0.1 7", "10.0.0.22 7"]);
    }
}

const SLICE: &str = r#"
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: api-x, namespace: shop, labels: {kubernetes.io/service-name: api}}
endpoints:
  - {addresses: [10.0.0.7], conditions: {ready: true}}
  - {addresses: [10.0.0.8], conditions: {ready: false, serving: true, terminating: true}}
  - {addresses: [10.0.0.9], conditions: {ready: false, serving: false}}
  - {addresses: [10.0.0.10], conditions: {ready: false, serving: true}}
  - {addresses: [10.0.0.11]}
ports: [{name: http, port: 8080}, {name: raw, port: 9000, protocol: UDP}, {name: raw, port: 9000}]
"#;

#[test]
fn slices_say_it_where_there_are_any() {
    let one = pod("one", "10.0.0.1", "");
    let endpoints = "{apiVersion: v1, kind: Endpoints, metadata: {name: api, namespace: shop}, subsets: [{addresses: [{ip: 10.0.0.99}], ports: [{name: http, port: 1}]}]}";
    let reading = reading(&[SERVICE, &one, SLICE, endpoints]);
    assert_eq!(
        backends(&reading, 80),
        ["10.0.0.7 8080", "10.0.0.10 8080", "10.0.0.11 8080"]
    );
    assert_eq!(backends(&reading, 90).len(), 3);
    assert_eq!(backends(&reading, 7), [""; 0]);
}

#[test_case("{ready: true, serving: false}", true; "published before it is ready")]
#[test_case("{ready: true, serving: true, terminating: true}", true; "published while it is going")]
#[test_case("{ready: false, serving: true, terminating: true}", true; "going and there is no other")]
#[test_case("{ready: false, serving: false, terminating: true}", false; "gone but for its name")]
#[test_case("{}", true; "nothing is said")]
fn endpoints_by_their_conditions(conditions: &str, taken: bool) {
    let slice = format!(
        "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {{name: x, namespace: shop, labels: {{kubernetes.io/service-name: api}}}}, endpoints: [{{addresses: [10.0.0.7], conditions: {conditions}}}], ports: [{{name: http, port: 8080}}]}}"
    );
    let expected: &[&str] = if taken { &["10.0.0.7 8080"] } else { &[] };
    assert_eq!(backends(&reading(&[SERVICE, &slice]), 80), expected);
}

/// Where no flow is sent to now.
fn idle(reading: &Reading, port: u16) -> Vec<String> {
    let service = &reading.cluster.services[&name("shop/api")];
    let port = service.ports.iter().find(|own| own.port == port);
    let idle = port.expect("a port").idle.iter();
    idle.map(|Backend { address, port }| format!("{address} {port}"))
        .collect()
}

#[test]
fn what_stands_behind_a_service_and_does_not_serve_is_known() {
    let one = pod("one", "10.0.0.1", "");
    let cold = pod(
        "cold",
        "10.0.0.3",
        ", conditions: [{type: Ready, status: 'False'}]",
    );
    let by_selector = reading(&[SERVICE, &one, &cold]);
    assert_eq!(idle(&by_selector, 7), ["10.0.0.3 7"]);
    assert_eq!(
        by_selector.cluster.services[&name("shop/api")].selected,
        ips(&["10.0.0.3", "10.0.0.1"])
    );
    assert_eq!(
        idle(&reading(&[SERVICE, SLICE]), 80),
        ["10.0.0.8 8080", "10.0.0.9 8080"]
    );
    let endpoints = "{apiVersion: v1, kind: Endpoints, metadata: {name: api, namespace: shop}, subsets: [{addresses: [{ip: 10.0.0.99}], notReadyAddresses: [{ip: 10.0.0.98}], ports: [{name: http, port: 8443}]}]}";
    assert_eq!(
        idle(&reading(&[SERVICE, endpoints]), 80),
        ["10.0.0.98 8443"]
    );
}

#[test]
fn a_pod_in_the_hosts_network_is_found_where_it_says() {
    let node = "{apiVersion: v1, kind: Node, metadata: {name: n}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}, {type: ExternalIP, address: 203.0.113.1}]}}";
    let host =
        pod("one", "192.0.2.1", "").replace("spec: {", "spec: {nodeName: n, hostNetwork: true, ");
    assert_eq!(
        backends(&reading(&[SERVICE, node, &host]), 7),
        ["192.0.2.1 7"]
    );
}

#[test]
fn pods_that_are_going_serve_where_no_other_does() {
    let going = pod("one", "10.0.0.1", "").replace(
        "metadata: {",
        "metadata: {deletionTimestamp: \"2026-01-01T00:00:00Z\", ",
    );
    assert_eq!(backends(&reading(&[SERVICE, &going]), 7), ["10.0.0.1 7"]);
    let other = pod("two", "10.0.0.2", "");
    assert_eq!(
        backends(&reading(&[SERVICE, &going, &other]), 7),
        ["10.0.0.2 7"]
    );
}

#[test_case("nodePort: 30080", Some(30_080); "given")]
#[test_case("nodePort: 0", None; "left out")]
#[test_case("targetPort: 8080", None; "absent")]
fn a_port_of_the_nodes(more: &str, expected: Option<u16>) {
    let cluster = cluster(&format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: api, namespace: shop}}, spec: {{type: NodePort, ports: [{{port: 80, {more}}}]}}}}"
    ));
    assert_eq!(
        cluster.services[&name("shop/api")].ports[0].node_port,
        expected
    );
}

#[test]
fn endpoints_say_it_where_there_are_no_slices() {
    let one = pod("one", "10.0.0.1", "");
    let endpoints = "{apiVersion: v1, kind: Endpoints, metadata: {name: api, namespace: shop}, subsets: [{addresses: [{ip: 10.0.0.99}], notReadyAddresses: [{ip: 10.0.0.98}], ports: [{name: http, port: 8443}]}]}";
    let reading = reading(&[SERVICE, &one, endpoints]);
    assert_eq!(backends(&reading, 80), ["10.0.0.99 8443"]);
}

#[test]
fn a_service_of_one_family_leads_to_that_family() {
    let service = "{apiVersion: v1, kind: Service, metadata: {name: api, namespace: shop}, spec: {clusterIP: 10.96.0.9, selector: {app: api}, ports: [{port: 80}]}}";
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop, labels: {app: api}}, status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}";
    assert_eq!(backends(&reading(&[service, pod]), 80), ["10.0.0.1 80"]);
}

#[test_case("clusterIP: None, ports: [{port: 80}]", 0, 1; "headless")]
#[test_case("type: ExternalName, externalName: www.example.com, ports: [{port: 80}]", 0, 0; "a name outside")]
fn services_without_an_address(spec: &str, addresses: usize, ports: usize) {
    let cluster = cluster(&format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: api, namespace: shop}}, spec: {{{spec}}}}}"
    ));
    let service = &cluster.services[&name("shop/api")];
    assert_eq!(
        (service.addresses.len(), service.ports.len()),
        (addresses, ports)
    );
}

#[test]
fn a_dump_of_a_cluster_is_read_for_what_says_something() {
    let Reading {
        cluster,
        world_diagnostics,
        ..
    } = reading(&[r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner", "namespace": "shop", "labels": {"a": "b"}}}]}"#]);
    assert!(world_diagnostics.is_empty(), "{world_diagnostics:#?}");
    assert_eq!(cluster.service_accounts[&name("shop/runner")].len(), 1);
}

#[test_case("{apiVersion: egret.dev/v1alpha1, kind: EgressPolicy, metadata: {name: p}, spec: {}}", "policy-in-world", 1; "a policy")]
#[test_case("{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {a: 1}}}", "wrong-type", 1; "a label that is no text")]
#[test_case("{apiVersion: v1, kind: Pod, metadata: {name: p},\n status: {podIP: nowhere}}", "invalid-value", 2; "no address")]
#[test_case("{apiVersion: v1, kind: Pod, metadata: {name: p},\n spec: {hostNetwork: 'yes'}}", "wrong-type", 2; "no truth value")]
#[test_case("{apiVersion: v1, kind: Service, metadata: {name: p},\n spec: {ports: [{port: 70000}]}}", "invalid-port", 2; "no port")]
#[test_case("{apiVersion: v1, kind: Namespace, metadata: {name: p}}\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: p}}", "duplicate-object", 3; "twice")]
#[test_case("{apiVersion: v2, kind: Pod, metadata: {name: p}}", "unsupported-version", 1; "another version")]
fn what_is_wrong_has_a_place(text: &str, code: &str, line: u32) {
    let found = reading(&[text]).world_diagnostics;
    assert_eq!(
        found
            .iter()
            .map(|one| (one.code, one.origin.line))
            .collect::<Vec<_>>(),
        [(code, line)],
        "{found:#?}"
    );
}
