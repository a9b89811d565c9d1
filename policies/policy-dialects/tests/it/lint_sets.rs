//! What surprises in policies because they stand together, or because of the cluster they stand in.

use policy_dialects::{Context, codes, read_with_world};
use policy_model::{Diagnostic, Level};
use test_case::test_case;

/// The codes found, each with the file's line, without those that are about one object alone.
fn found(policies: &str, world: &str) -> Vec<(&'static str, u32)> {
    const OF_SETS: [&str; 8] = [
        codes::DNS_NOT_ALLOWED.id,
        codes::DNS_NODE_LOCAL.id,
        codes::ORDER_TIE.id,
        codes::ONE_FAMILY.id,
        codes::SERVICE_PORT.id,
        codes::NETWORK_POLICY_BLOCK_BESIDE_CILIUM.id,
        codes::CLUSTER_NETWORK_POLICY_TWO_APIS.id,
        codes::CLUSTER_NETWORK_POLICY_DENIES_CLUSTER.id,
    ];
    let all = diagnostics(policies, world);
    let wrong: Vec<&Diagnostic> = all.iter().filter(|d| d.level != Level::Lint).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for lint in &all {
        assert!(lint.help.is_some() && lint.object.is_some(), "{lint:?}");
    }
    all.iter()
        .filter(|diagnostic| OF_SETS.contains(&diagnostic.code))
        .map(|diagnostic| (diagnostic.code, diagnostic.origin.line))
        .collect()
}

fn diagnostics(policies: &str, world: &str) -> Vec<Diagnostic> {
    let world = Some(("world.yaml", world)).filter(|(_, text)| !text.is_empty());
    let reading = read_with_world([("p.yaml", policies)], world, &Context::default());
    assert_eq!(reading.world_diagnostics, []);
    reading.diagnostics
}

/// One line for each object: what stands before the spec, and the spec.
fn set(objects: &[String]) -> String {
    objects.join("---\n")
}

fn network_policy(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: shop}}, spec: {{{spec}}}}}\n"
    )
}

fn cluster_network_policy(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {{name: {name}}}, spec: {{{spec}}}}}\n"
    )
}

fn calico(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {{name: {name}, namespace: shop}}, spec: {{types: [Egress], {spec}}}}}\n"
    )
}

const NOTHING: &str = "podSelector: {}, policyTypes: [Egress]";
const TO_DB: &str = "podSelector: {matchLabels: {app: web}}, egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]";
const TO_WEB: &str =
    "podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443}]}]";
const DNS_PODS: &str = "podSelector: {}, egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}]}]";
const DNS_OF_BATCH: &str =
    "podSelector: {matchLabels: {app: batch}}, egress: [{ports: [{port: 53, protocol: UDP}]}]";
const ALL_OF_KUBE_SYSTEM: &str = "podSelector: {}, egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]}]";

#[test_case(&[NOTHING, TO_DB], Some(1); "nothing by default, and a database by its name")]
#[test_case(&[NOTHING, TO_DB, DNS_PODS], None; "with a rule for dns")]
#[test_case(&[NOTHING, TO_DB, DNS_OF_BATCH], Some(1); "a rule for dns that is somebody else's")]
#[test_case(&[NOTHING, TO_DB, ALL_OF_KUBE_SYSTEM], None; "every port of the namespace with the resolvers")]
#[test_case(&[NOTHING], None; "nothing at all is no mistake")]
#[test_case(&[TO_DB], None; "a policy alone may be one of many")]
#[test_case(&[TO_WEB], Some(1); "the web is reached by name")]
#[test_case(&[TO_WEB, DNS_PODS], None; "the web, with a rule for dns")]
#[test_case(&["podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]"], None; "every port of every address")]
#[test_case(&["podSelector: {}, egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 443}]}]"], None; "chosen addresses need no name")]
fn names_without_dns(specs: &[&str], line: Option<u32>) {
    let objects: Vec<String> = (0..)
        .zip(specs)
        .map(|(number, spec): (u32, _)| network_policy(&format!("p{number}"), spec))
        .collect();
    let expected = Vec::from_iter(line.map(|line| ("dns-not-allowed", line)));
    assert_eq!(found(&set(&objects), ""), expected);
}

#[test_case("tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Accept, to: [{domainNames: [a.example.com]}]}, {action: Deny, to: [{networks: [0.0.0.0/0]}]}]", true; "names, and everything else denied")]
#[test_case("tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Accept, to: [{domainNames: [a.example.com]}]}]", false; "nothing is denied")]
#[test_case("tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Accept, to: [{namespaces: {}}], protocols: [{udp: {destinationPort: {number: 53}}}]}, {action: Accept, to: [{domainNames: [a.example.com]}]}, {action: Deny, to: [{networks: [0.0.0.0/0]}]}]", false; "dns is accepted before")]
fn names_of_a_cluster_network_policy_open_no_server(spec: &str, expected: bool) {
    let found = found(&cluster_network_policy("p", spec), "");
    assert_eq!(
        found.contains(&("dns-not-allowed", 1)),
        expected,
        "{found:?}"
    );
}

#[test]
fn names_of_native_and_cilium_policies_open_the_resolvers() {
    let native = "{apiVersion: egret.dev/v1alpha1, kind: EgressPolicy, metadata: {name: p}, spec: {egress: [{action: Allow, to: [{fqdn: [a.example.com]}], ports: [{port: 443}]}]}}";
    let cilium = "{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: p, namespace: shop}, spec: {endpointSelector: {}, egress: [{toFQDNs: [{matchName: a.example.com}]}]}}";
    assert_eq!(found(native, ""), []);
    assert_eq!(found(cilium, ""), []);
    let world = cilium.replace(
        "toFQDNs: [{matchName: a.example.com}]",
        "toEntities: [world], toPorts: [{ports: [{port: '443'}]}]",
    );
    assert_eq!(found(&world, ""), [("dns-not-allowed", 1)]);
}

/// A cache of DNS on every node, and a pod.
const NODE_LOCAL: &str = "\
{apiVersion: v1, kind: Pod, metadata: {name: cache, namespace: kube-system, labels: {k8s-app: node-local-dns}}, spec: {nodeName: n1, hostNetwork: true}, status: {podIP: 192.0.2.1}}
";

#[test_case(&[DNS_PODS], NODE_LOCAL, true; "pods are meant, and the cache is on the node")]
#[test_case(&[DNS_PODS], "", false; "no cache that anybody knows of")]
#[test_case(&[DNS_PODS, "podSelector: {}, egress: [{to: [{ipBlock: {cidr: 169.254.20.10/32}}], ports: [{port: 53, protocol: UDP}]}]"], NODE_LOCAL, false; "with its address")]
#[test_case(&["podSelector: {}, egress: [{ports: [{port: 53, protocol: UDP}]}]"], NODE_LOCAL, false; "every server")]
fn dns_on_the_node(specs: &[&str], world: &str, expected: bool) {
    let objects: Vec<String> = (0..)
        .zip(specs)
        .map(|(number, spec): (u32, _)| network_policy(&format!("p{number}"), spec))
        .collect();
    let expected = Vec::from_iter(expected.then_some(("dns-node-local", 1)));
    assert_eq!(found(&set(&objects), world), expected);
}

const ACCEPT: &str = "egress: [{action: Accept, to: [{networks: [192.0.2.0/24]}]}]";
const DENY: &str = "egress: [{action: Deny, to: [{networks: [192.0.2.0/25]}]}]";
const EVERYBODY: &str = "subject: {namespaces: {}}";
const SHOP: &str = "subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}";

#[test_case((1, EVERYBODY, ACCEPT), (1, SHOP, DENY), true; "the same priority")]
#[test_case((1, EVERYBODY, ACCEPT), (2, SHOP, DENY), false; "another priority")]
#[test_case((1, EVERYBODY, ACCEPT), (1, SHOP, ACCEPT), false; "nothing is decided differently")]
#[test_case((1, "subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: bank}}}", ACCEPT), (1, SHOP, DENY), false; "for nobody who is both")]
#[test_case((1, "subject: {namespaces: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [shop]}]}}", ACCEPT), (1, SHOP, DENY), false; "left out by an expression")]
#[test_case((1, EVERYBODY, ACCEPT), (1, SHOP, "egress: [{action: Deny, to: [{networks: [198.51.100.0/24]}]}]"), false; "of other addresses")]
#[test_case((1, EVERYBODY, "egress: [{action: Accept, to: [{networks: [192.0.2.0/24]}], protocols: [{tcp: {destinationPort: {number: 80}}}]}]"), (1, SHOP, "egress: [{action: Deny, to: [{networks: [192.0.2.0/24]}], protocols: [{tcp: {destinationPort: {number: 443}}}]}]"), false; "on other ports")]
fn equal_priorities(first: (u32, &str, &str), second: (u32, &str, &str), expected: bool) {
    let object = |name: &str, (priority, subject, egress): (u32, &str, &str)| {
        cluster_network_policy(
            name,
            &format!("tier: Admin, priority: {priority}, {subject}, {egress}"),
        )
    };
    let expected = Vec::from_iter(expected.then_some(("order-tie", 3)));
    assert_eq!(
        found(&set(&[object("a", first), object("b", second)]), ""),
        expected
    );
}

#[test]
fn which_of_two_apis_goes_first_is_written_nowhere() {
    let old = |priority: u32, action: &str| {
        format!(
            "{{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy, metadata: {{name: a}}, spec: {{priority: {priority}, {SHOP}, egress: [{{action: {action}, to: [{{networks: [192.0.2.0/25]}}]}}]}}}}\n"
        )
    };
    let new = cluster_network_policy(
        "b",
        &format!("tier: Admin, priority: 7, {EVERYBODY}, {ACCEPT}"),
    );
    let code = |old: String| found(&set(&[new.clone(), old]), "");
    assert_eq!(
        code(old(9, "Deny")),
        [("cluster-network-policy-two-apis", 3)]
    );
    assert_eq!(code(old(9, "Allow")), []);
    assert_eq!(found(&old(7, "Deny"), ""), []);
}

#[test_case("selector: app == 'web', egress: [{action: Allow}]", "selector: app == 'web', egress: [{action: Deny}]", true; "no order is one order")]
#[test_case("order: 5, selector: all(), egress: [{action: Allow}]", "order: 5, selector: has(app), egress: [{action: Pass}]", true; "the same order")]
#[test_case("order: 5, selector: all(), egress: [{action: Allow}]", "order: 6, selector: all(), egress: [{action: Deny}]", false; "another order")]
#[test_case("selector: app == 'web', egress: [{action: Allow}]", "selector: app == 'db', egress: [{action: Deny}]", false; "for other pods")]
#[test_case("selector: app == 'web', egress: [{action: Allow}]", "selector: all()", false; "the end of a tier is no rule")]
fn ties_of_calico(first: &str, second: &str, expected: bool) {
    let expected = Vec::from_iter(expected.then_some(("order-tie", 3)));
    let set = set(&[calico("a", first), calico("b", second)]);
    assert_eq!(found(&set, ""), expected);
}

#[test]
fn a_network_policy_ties_at_a_thousand_with_calicos() {
    let of = |order: u32| {
        let calico = calico(
            "a",
            &format!(
                "order: {order}, selector: all(), egress: [{{action: Deny, destination: {{nets: [192.0.2.0/24]}}}}]"
            ),
        );
        let network = network_policy(
            "b",
            "podSelector: {}, egress: [{to: [{ipBlock: {cidr: 192.0.2.7/32}}]}]",
        );
        found(&set(&[calico, network]), "")
    };
    assert_eq!(of(1000), [("order-tie", 3)]);
    assert_eq!(of(999), []);
}

#[test_case("10.0.0.0/8", "", true; "a private block where nobody knows the cluster")]
#[test_case("203.0.113.0/24", "", false; "a public block")]
#[test_case("203.0.113.0/24", "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}, status: {podIP: 203.0.113.9}}", true; "a block with a pod in it")]
#[test_case("10.0.0.0/8", "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}, status: {podIP: 203.0.113.9}}", false; "a block without any")]
fn blocks_beside_cilium(block: &str, world: &str, expected: bool) {
    let network = network_policy(
        "a",
        &format!("podSelector: {{}}, egress: [{{to: [{{ipBlock: {{cidr: {block}}}}}]}}]"),
    );
    let cilium = "{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: p, namespace: shop}, spec: {endpointSelector: {}, egress: [{toEndpoints: [{}]}]}}".to_owned();
    let expected = Vec::from_iter(expected.then_some(("network-policy-block-beside-cilium", 1)));
    assert_eq!(found(&set(&[network.clone(), cilium]), world), expected);
    assert_eq!(found(&network, world), [], "alone");
}

const BOTH: &str = "{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop}, status: {podIPs: [{ip: 10.0.0.9}, {ip: 'fd00::9'}]}}";
const ONE: &str =
    "{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop}, status: {podIP: 10.0.0.9}}";

#[test_case("{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}", BOTH, true; "all of one family")]
#[test_case("{to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: '::/0'}}]}", BOTH, false; "all of both")]
#[test_case("{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}, {to: [{ipBlock: {cidr: '::/0'}}]}", BOTH, false; "the other in another rule")]
#[test_case("{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}", ONE, false; "a cluster of one family")]
#[test_case("{to: [{ipBlock: {cidr: 10.0.0.0/24}}]}", BOTH, true; "one address of a pod of two")]
#[test_case("{to: [{ipBlock: {cidr: 10.0.0.0/24}}, {ipBlock: {cidr: 'fd00::/64'}}]}", BOTH, false; "both addresses of the pod")]
#[test_case("{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}", BOTH, false; "a partner with one family")]
fn one_family_of_two(rules: &str, world: &str, expected: bool) {
    let policy = network_policy("a", &format!("podSelector: {{}}, egress: [{rules}]"));
    let expected = Vec::from_iter(expected.then_some(("one-family", 1)));
    assert_eq!(found(&policy, world), expected);
}

/// A Service on port 80 before pods that listen on 8080.
const SERVICE: &str = "\
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, status: {podIP: 10.0.0.9}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {clusterIP: 10.96.0.9, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}
";

#[test_case("to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]", true; "the port of the service")]
#[test_case("to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]", false; "the port of the pods")]
#[test_case("to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {port: 8080}]", false; "both")]
#[test_case("to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 80}]", false; "other pods")]
#[test_case("to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80, protocol: UDP}]", false; "another protocol")]
#[test_case("to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 80}]", false; "whatever has such an address may listen there")]
fn ports_of_services(rule: &str, expected: bool) {
    let policy = network_policy("a", &format!("podSelector: {{}}, egress: [{{{rule}}}]"));
    let expected = Vec::from_iter(expected.then_some(("service-port", 1)));
    assert_eq!(found(&policy, SERVICE), expected);
}

#[test]
fn a_pod_that_listens_there_itself_is_meant() {
    let world = SERVICE.replace(
        "status: {podIP",
        "spec: {containers: [{name: c, ports: [{name: plain, containerPort: 80}]}]}, status: {podIP",
    );
    let policy = network_policy(
        "a",
        "podSelector: {}, egress: [{to: [{podSelector: {}}], ports: [{port: 80}]}]",
    );
    assert_eq!(found(&policy, SERVICE), [("service-port", 1)]);
    assert_eq!(found(&policy, &world), []);
}

#[test_case("{action: Deny, to: [{networks: [0.0.0.0/0]}]}", true; "every address")]
#[test_case("{action: Accept, to: [{namespaces: {}}]}, {action: Deny, to: [{networks: [0.0.0.0/0]}]}", false; "the cluster's own are accepted before")]
#[test_case("{action: Pass, to: [{pods: {namespaceSelector: {}, podSelector: {}}}]}, {action: Deny, to: [{networks: [0.0.0.0/0]}]}", false; "or left to others")]
#[test_case("{action: Deny, to: [{networks: [0.0.0.0/0]}], protocols: [{tcp: {destinationPort: {number: 25}}}]}", false; "one port of them")]
#[test_case("{action: Deny, to: [{networks: [192.0.2.0/24]}]}", false; "some addresses")]
fn a_deny_of_every_address(rules: &str, expected: bool) {
    let policy = cluster_network_policy(
        "p",
        &format!("tier: Admin, priority: 1, {SHOP}, egress: [{rules}]"),
    );
    let expected = Vec::from_iter(expected.then_some(("cluster-network-policy-denies-cluster", 1)));
    assert_eq!(found(&policy, ""), expected);
}
