//! What Cilium's policies say of a cluster: pods, Services, nodes, groups of blocks.

use policy_dialects::{CiliumFlags, Context, Reading, read, read_set};
use policy_model::{
    Entity, Labels, NamedPort, Peer, Peers, PodPeer, Policy, Protocol, Rule, Scope, Selects,
    ServicePeer, ServiceRef, SniCondition, Subject, Workload,
};
use test_case::test_case;

use crate::support::{codes, read_text};

fn policy(entry: &str) -> String {
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec:\n  endpointSelector: {{}}\n  egress:\n  - {entry}\n"
    )
}

fn clusterwide(entry: &str) -> String {
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {{name: p}}\nspec:\n  endpointSelector: {{matchLabels: {{app: web}}}}\n  egress:\n  - {entry}\n"
    )
}

fn clean(text: &str) -> Vec<Policy> {
    let (policies, diagnostics) = read_text(text);
    assert_eq!(codes(&diagnostics), Vec::<&str>::new(), "{diagnostics:?}");
    policies
}

fn peers(rule: &Rule) -> &[Peer] {
    match &rule.peers {
        Peers::Any => panic!("any peer"),
        Peers::Of(peers) => peers,
    }
}

fn pods(text: &str) -> PodPeer {
    let policies = clean(text);
    match peers(&policies[0].rules[0]) {
        [Peer::Pods(pods)] => pods.clone(),
        other => panic!("{other:?}"),
    }
}

const NAME: &str = "kubernetes.io/metadata.name";

#[test_case("toEndpoints: [{}]", Some("shop"), None; "every pod of the own namespace")]
#[test_case("toEndpoints: [{matchLabels: {app: db}}]", Some("shop"), None; "the own namespace is implied")]
#[test_case("toEndpoints: [{matchLabels: {\"k8s:io.kubernetes.pod.namespace\": pay}}]", None, Some("pay"); "another by its source")]
#[test_case("toEndpoints: [{matchLabels: {io.kubernetes.pod.namespace: pay}}]", None, Some("pay"); "another")]
#[test_case("toEndpoints: [{matchExpressions: [{key: io.kubernetes.pod.namespace, operator: Exists}]}]", None, None; "any namespace")]
fn namespaces_of_endpoints(entry: &str, own: Option<&str>, other: Option<&str>) {
    let pods = pods(&policy(entry));
    assert_eq!(pods.namespace.as_deref(), own);
    let named = pods
        .namespaces
        .as_ref()
        .and_then(|selector| selector.match_labels.get(NAME));
    assert_eq!(named.map(|name| &**name), other);
}

#[test]
fn labels_of_a_namespace_take_the_place_of_the_own_one() {
    let pods = pods(&policy(
        "toEndpoints: [{matchLabels: {\"k8s:io.cilium.k8s.namespace.labels.team\": a, \"any:app\": db, \"k8s:tier\": back}}]",
    ));
    assert_eq!(pods.namespace, None);
    let namespaces = pods.namespaces.expect("namespaces");
    assert_eq!(namespaces.match_labels.get("team").map(|v| &**v), Some("a"));
    assert!(pods.pods.match_labels.contains_key("app"));
    assert!(pods.pods.match_labels.contains_key("tier"));
}

#[test]
fn a_clusterwide_policy_means_pods_of_every_namespace() {
    let pods = pods(&clusterwide("toEndpoints: [{}]"));
    assert_eq!((pods.namespace, pods.namespaces), (None, None));
}

#[test_case("matchLabels: {io.cilium.k8s.policy.serviceaccount: web}", &["web"]; "a label")]
#[test_case("matchExpressions: [{key: \"k8s:io.cilium.k8s.policy.serviceaccount\", operator: In, values: [web, api]}]", &["web", "api"]; "a list")]
#[test_case("matchExpressions: [{key: io.cilium.k8s.policy.serviceaccount, operator: In, values: [web, api]}, {key: io.cilium.k8s.policy.serviceaccount, operator: NotIn, values: [api]}]", &["web"]; "a list less another")]
#[test_case("matchExpressions: [{key: io.cilium.k8s.policy.serviceaccount, operator: Exists}]", &[]; "every pod has one")]
fn accounts_of_endpoints(selector: &str, accounts: &[&str]) {
    let pods = pods(&policy(&format!("toEndpoints: [{{{selector}}}]")));
    let found: Vec<&str> = pods.service_accounts.iter().map(|name| &**name).collect();
    assert_eq!(found, accounts);
}

/// A workload of which everything is known.
fn workload(account: &str) -> Workload {
    let mut workload = Workload::default();
    workload.pod.namespace = Some("shop".into());
    workload.pod.namespace_labels = Some(Labels::from([(NAME.into(), "shop".into())]));
    workload.pod.labels = Some(Labels::from([("app".into(), "web".into())]));
    workload.pod.service_account = Some(account.into());
    workload
}

#[test]
fn all_accounts_but_one() {
    let text = policy("toEndpoints: [{}]").replace(
        "endpointSelector: {}",
        "endpointSelector: {matchLabels: {app: web}, matchExpressions: [{key: io.cilium.k8s.policy.serviceaccount, operator: NotIn, values: [admin]}]}",
    );
    let policies = clean(&text);
    let subject = &policies[0].subject;
    assert_eq!(subject.selects(&workload("web")), Selects::Yes);
    assert_eq!(subject.selects(&workload("admin")), Selects::No);
    let mut other = workload("web");
    other.pod.namespace = Some("pay".into());
    assert_eq!(
        subject.selects(&other),
        Selects::No,
        "its own namespace only"
    );
    let mut node = workload("web");
    node.pod.host_network = true;
    assert_eq!(subject.selects(&node), Selects::No, "it is its node");

    let policies = clean(&policy(
        "toEndpoints: [{matchExpressions: [{key: io.cilium.k8s.policy.serviceaccount, operator: NotIn, values: [admin]}]}]",
    ));
    assert!(matches!(peers(&policies[0].rules[0]), [Peer::Endpoints(_)]));
}

#[test_case("DoesNotExist"; "a pod without a namespace")]
fn what_no_pod_is_matches_nothing(operator: &str) {
    let policies = clean(&policy(&format!(
        "toEndpoints: [{{matchExpressions: [{{key: io.kubernetes.pod.namespace, operator: {operator}}}]}}]"
    )));
    assert!(peers(&policies[0].rules[0]).is_empty());
}

#[test_case("reserved:host", Entity::Host; "host")]
#[test_case("reserved:remote-node", Entity::RemoteNode; "other nodes")]
#[test_case("reserved:kube-apiserver", Entity::KubeApiserver; "api server")]
#[test_case("reserved:world", Entity::World; "world")]
fn reserved_endpoints_are_entities(label: &str, entity: Entity) {
    let policies = clean(&policy(&format!(
        "toEndpoints: [{{matchLabels: {{\"{label}\": \"\"}}}}]"
    )));
    assert_eq!(peers(&policies[0].rules[0]), [Peer::Entity(entity)]);
}

#[test]
fn a_label_cilium_leaves_out_of_identities() {
    let (policies, diagnostics) = read_text(&policy(
        "toEndpoints: [{matchLabels: {pod-template-hash: abc}}]",
    ));
    assert_eq!(codes(&diagnostics), ["cilium-identity-label"]);
    assert_eq!(policies[0].rules[0].closed, None);
}

#[test]
fn the_cluster_label_is_known_to_exist_and_no_more() {
    clean(&policy(
        "toEndpoints: [{matchExpressions: [{key: io.cilium.k8s.policy.cluster, operator: Exists}]}]",
    ));
    let (policies, diagnostics) = read_text(&policy(
        "toEndpoints: [{matchLabels: {io.cilium.k8s.policy.cluster: east}}, {matchLabels: {app: db}}]",
    ));
    assert_eq!(codes(&diagnostics), ["cilium-to-endpoints"]);
    let closed: Vec<Option<&str>> = policies[0].rules.iter().map(|rule| rule.closed).collect();
    assert_eq!(
        closed,
        [None, Some("cilium-to-endpoints")],
        "the other holds"
    );
}

#[test_case("remote-node", Entity::RemoteNode; "other nodes")]
#[test_case("kube-apiserver", Entity::KubeApiserver; "api server")]
#[test_case("world-ipv4", Entity::WorldIpv4; "half the world")]
fn entities(word: &str, entity: Entity) {
    let policies = clean(&policy(&format!("toEntities: [{word}]")));
    assert_eq!(peers(&policies[0].rules[0]), [Peer::Entity(entity)]);
}

/// Cilium's `cluster` holds `reserved:kube-apiserver`, which an API server outside of the cluster has, too.
#[test]
fn the_cluster_holds_its_api_server_wherever_that_is() {
    let policies = clean(&policy("toEntities: [cluster]"));
    assert_eq!(
        peers(&policies[0].rules[0]),
        [Entity::Cluster, Entity::KubeApiserver].map(Peer::Entity)
    );
}

#[test_case("health"; "health")]
#[test_case("ingress"; "ingress")]
#[test_case("init"; "init")]
#[test_case("unmanaged"; "unmanaged")]
#[test_case("cluster-mesh"; "mesh")]
fn entities_only_cilium_knows(word: &str) {
    let (policies, diagnostics) = read_text(&policy(&format!("toEntities: [{word}]")));
    assert_eq!(codes(&diagnostics), ["cilium-cluster-entity"]);
    assert!(
        diagnostics[0]
            .help
            .as_deref()
            .is_some_and(|help| help.contains("Cilium")),
        "it says who knows it"
    );
    assert_eq!(policies[0].rules[0].closed, Some("cilium-cluster-entity"));
}

#[test]
fn services_by_name_and_by_labels() {
    let policies = clean(&policy(
        "toServices: [{k8sService: {serviceName: api, namespace: pay}}, {k8sServiceSelector: {namespace: pay, selector: {matchLabels: {\"k8s:head\": none}}}}]",
    ));
    let [
        Peer::Service(ServicePeer {
            namespace: first,
            service: ServiceRef::Name(name),
            with_ports: false,
        }),
        Peer::Service(ServicePeer {
            namespace: second,
            service: ServiceRef::Labels(labels),
            with_ports: false,
        }),
    ] = peers(&policies[0].rules[0])
    else {
        panic!("two services")
    };
    assert_eq!((first.as_deref(), &**name), (Some("pay"), "api"));
    assert_eq!(second.as_deref(), Some("pay"));
    assert!(labels.match_labels.contains_key("head"));
}

#[test_case("{k8sService: {serviceName: api}}", "cilium-service-any-namespace"; "without a namespace")]
#[test_case("{k8sService: {serviceName: kubernetes, namespace: default}}", "cilium-service-kubernetes"; "the api server")]
fn services_that_surprise(service: &str, code: &str) {
    let (policies, diagnostics) = read_text(&policy(&format!("toServices: [{service}]")));
    assert_eq!(codes(&diagnostics), [code]);
    assert_eq!(policies[0].rules[0].closed, None);
}

#[test]
fn nodes_are_the_remote_ones_and_need_a_flag_of_ciliums() {
    let (policies, diagnostics) =
        read_text(&policy("toNodes: [{matchLabels: {\"node:role\": edge}}]"));
    assert_eq!(codes(&diagnostics), ["cilium-needs-flag"]);
    let [Peer::Nodes(nodes)] = peers(&policies[0].rules[0]) else {
        panic!("nodes")
    };
    assert!(nodes.labels.match_labels.contains_key("role"));
    assert!(nodes.remote, "a workload's own node is its host");
}

#[test]
fn nodes_are_refused_where_the_flag_is_known_to_be_off() {
    let context = Context {
        cilium: CiliumFlags {
            node_selector_labels: false,
            ..CiliumFlags::default()
        },
        ..Context::default()
    };
    let text = policy("toNodes: [{matchLabels: {\"node:role\": edge}}]");
    let Reading { diagnostics, .. } = read("p.yaml", &text, &context);
    assert_eq!(codes(&diagnostics), ["cilium-nodes-flag"]);
}

#[test]
fn a_node_selector_is_not_for_the_pods_on_the_node() {
    let (policies, diagnostics) = read_text(
        "apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p}\nspec:\n  nodeSelector: {matchLabels: {role: edge}}\n  egress: [{toEntities: [world]}]\n",
    );
    assert_eq!(codes(&diagnostics), ["cilium-node-subject"]);
    assert!(matches!(policies[0].subject, Subject::Nodes(_)));
    let mut pod = workload("web");
    pod.pod.node_labels = Some(Labels::from([("role".into(), "edge".into())]));
    assert_eq!(policies[0].subject.selects(&pod), Selects::No);
    pod.pod.host_network = true;
    assert_eq!(policies[0].subject.selects(&pod), Selects::Yes);
}

const GROUP: &str = "apiVersion: cilium.io/v2alpha1\nkind: CiliumCIDRGroup\nmetadata: {name: partners, labels: {destination: external}}\nspec: {externalCIDRs: [198.51.100.0/24, \"2001:db8::/32\"]}\n";

fn with_group(entry: &str) -> Reading {
    let policy = policy(entry);
    read_set(
        [("p.yaml", policy.as_str()), ("g.yaml", GROUP)],
        &Context::default(),
    )
}

#[test_case("cidrGroupRef: partners"; "by name")]
#[test_case("cidrGroupSelector: {matchLabels: {destination: external}}"; "by labels")]
fn a_group_stands_for_its_blocks(which: &str) {
    let reading = with_group(&format!(
        "toCIDRSet: [{{{which}, except: [198.51.100.7/32]}}, {{cidr: 192.0.2.0/24}}]"
    ));
    assert_eq!(codes(&reading.diagnostics), Vec::<&str>::new());
    let blocks: Vec<(String, usize, Scope)> = peers(&reading.policies[0].rules[0])
        .iter()
        .map(|peer| {
            let Peer::Block(block) = peer else {
                panic!("{peer:?}")
            };
            (block.net.to_string(), block.except.len(), block.scope)
        })
        .collect();
    assert_eq!(
        blocks,
        [
            ("198.51.100.0/24".into(), 1, Scope::Outside),
            ("2001:db8::/32".into(), 0, Scope::Outside),
            ("192.0.2.0/24".into(), 0, Scope::Outside)
        ]
    );
}

#[test]
fn an_exception_takes_away_a_block_of_a_group_whole() {
    let reading = with_group("toCIDRSet: [{cidrGroupRef: partners, except: [198.51.0.0/16]}]");
    assert_eq!(peers(&reading.policies[0].rules[0]).len(), 1);
}

#[test_case("cidrGroupRef: partner"; "by name")]
#[test_case("cidrGroupSelector: {matchLabels: {destination: internal}}"; "by labels")]
fn a_group_that_is_not_there_closes(which: &str) {
    let reading = with_group(&format!("toCIDRSet: [{{{which}}}, {{cidr: 192.0.2.0/24}}]"));
    assert_eq!(codes(&reading.diagnostics), ["cilium-cidr-group"]);
    let closed: Vec<Option<&str>> = reading.policies[0]
        .rules
        .iter()
        .map(|rule| rule.closed)
        .collect();
    assert_eq!(closed, [None, Some("cilium-cidr-group")]);
    let deny = policy(&format!("toCIDRSet: [{{{which}}}]")).replace("egress:", "egressDeny:");
    let (policies, _) = read_text(&deny);
    assert_eq!(policies[0].rules[0].closed, Some("cilium-cidr-group"));
}

#[test]
fn named_ports_are_ports_of_the_destination() {
    let policies = clean(&policy(
        "toEndpoints: [{}]\n    toPorts: [{ports: [{port: HTTP-Web, protocol: TCP}, {port: metrics}, {port: \"80\", protocol: TCP}]}]",
    ));
    let rule = &policies[0].rules[0];
    let port = |protocol, name: &str| NamedPort {
        protocol,
        name: name.into(),
    };
    assert_eq!(
        rule.named_ports.any_of,
        [port(Some(Protocol::TCP), "http-web"), port(None, "metrics")]
    );
}

#[test]
fn a_port_with_a_leading_zero_is_octal() {
    let (policies, diagnostics) = read_text(&policy(
        "toPorts: [{ports: [{port: \"0122\", protocol: TCP}]}]",
    ));
    assert_eq!(codes(&diagnostics), ["yaml-surprising-number"]);
    let text = format!("{:?}", policies[0].rules[0].ports);
    assert!(text.contains("first: 82"), "{text}");
}

#[test]
fn http_and_server_names_are_in_the_model_and_closed() {
    let (policies, diagnostics) = read_text(&policy(
        "toPorts: [{ports: [{port: \"80\", protocol: TCP}], rules: {http: [{method: GET, path: \"/v1/.*\", headers: [\"X-Token: 42\", X-Other]}]}}, {ports: [{port: \"443\", protocol: TCP}], serverNames: [\"*.example.com\"]}]",
    ));
    assert_eq!(codes(&diagnostics), ["cilium-http", "cilium-server-names"]);
    let rules = &policies[0].rules;
    assert_eq!(rules[0].closed, Some("cilium-http"));
    let http = &rules[0].http[0];
    assert_eq!(http.paths[0].as_str(), "/v1/.*");
    assert_eq!(
        http.headers.iter().map(|h| &*h.name).collect::<Vec<_>>(),
        ["x-token", "x-other"]
    );
    assert_eq!(rules[1].closed, Some("cilium-server-names"));
    assert!(matches!(&rules[1].sni, Some(SniCondition::Names(names)) if names.len() == 1));
}

#[test_case("toPorts: []", "empty-list-means-everything"; "no port rules")]
#[test_case("toPorts: [{ports: []}]", "cilium-empty-ports"; "no ports")]
#[test_case("toPorts: [{ports: [{port: \"53\"}], rules: {dns: []}}]", "empty-list-means-everything"; "no names to ask")]
#[test_case("toPorts: [{ports: [{port: \"80\", protocol: TCP}], rules: {http: []}}]", "empty-list-means-everything"; "no requests")]
#[test_case("toPorts: [{ports: [{port: \"80\"}], rules: {http: []}}]", "empty-list-means-everything"; "no requests of any protocol")]
#[test_case("toPorts: [{ports: [{port: \"443\", protocol: TCP}], serverNames: []}]", "empty-list-means-everything"; "no server names")]
fn empty_lists(entry: &str, code: &str) {
    let (policies, diagnostics) =
        read_text(&policy(&format!("toCIDR: [192.0.2.0/24]\n    {entry}")));
    assert_eq!(codes(&diagnostics), [code]);
    assert!(policies[0].rules.iter().all(|rule| rule.closed.is_none()));
}
