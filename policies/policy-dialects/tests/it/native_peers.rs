//! Peers of native policies that are objects of a cluster, and sets.

use policy_dialects::{Context, Reading, read_set};
use policy_model::{
    Entity, NamedPort, Peer, Peers, PodPeer, Policy, Protocol, Rule, ServicePeer, ServiceRef,
};
use test_case::test_case;

use crate::support::{codes, read_text};

const SET: &str = "apiVersion: egret.dev/v1alpha1\nkind: EgressSet\nmetadata: {name: partners}\nspec:\n  members:\n  - cidr: 198.51.100.0/24\n    except: [198.51.100.7/32]\n  - fqdn: [api.partner.example, \"*.cdn.partner.example\"]\n";

fn namespaced(rule: &str) -> String {
    format!(
        "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: p, namespace: shop}}\nspec:\n  egress: [{rule}]\n"
    )
}

fn cluster(rule: &str) -> String {
    format!(
        "apiVersion: egret.dev/v1alpha1\nkind: ClusterEgressPolicy\nmetadata: {{name: p}}\nspec:\n  egress: [{rule}]\n"
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

fn only_pods(text: &str) -> PodPeer {
    let policies = clean(text);
    match peers(&policies[0].rules[0]) {
        [Peer::Pods(pods)] => pods.clone(),
        other => panic!("{other:?}"),
    }
}

const PODS: &str = "{action: Allow, to: [{pods: {matchLabels: {app: db}}}]}";

#[test]
fn pods_of_a_namespaced_policy_are_those_of_its_namespace() {
    let pods = only_pods(&namespaced(PODS));
    assert_eq!(pods.namespace.as_deref(), Some("shop"));
    assert_eq!(pods.namespaces, None);
}

#[test]
fn pods_of_a_cluster_policy_are_those_of_every_namespace() {
    let pods = only_pods(&cluster(PODS));
    assert_eq!((pods.namespace, pods.namespaces), (None, None));
}

#[test_case(namespaced; "in a namespace")]
#[test_case(cluster; "in the cluster")]
fn pods_of_chosen_namespaces(policy: fn(&str) -> String) {
    let pods = only_pods(&policy(
        "{action: Allow, to: [{pods: {namespaces: {matchLabels: {team: a}}, serviceAccounts: [db]}}]}",
    ));
    assert_eq!(pods.namespace, None);
    assert!(pods.namespaces.is_some_and(|selector| !selector.is_empty()));
    assert_eq!(pods.service_accounts, ["db".into()]);
    assert!(pods.pods.is_empty(), "no label is asked for");
}

#[test]
fn a_service_is_in_the_namespace_of_its_policy_unless_it_says_another() {
    let services: Vec<Peer> = [
        namespaced("{action: Allow, to: [{service: {name: api}}]}"),
        cluster("{action: Allow, to: [{service: {namespace: pay, name: api}}]}"),
    ]
    .iter()
    .map(|text| peers(&clean(text)[0].rules[0])[0].clone())
    .collect();
    let service = |namespace: &str| {
        Peer::Service(ServicePeer {
            namespace: Some(namespace.into()),
            service: ServiceRef::Name("api".into()),
            with_ports: true,
        })
    };
    assert_eq!(services, [service("shop"), service("pay")]);
}

#[test_case("cluster", Entity::Cluster; "cluster")]
#[test_case("kube-apiserver", Entity::KubeApiserver; "api server")]
#[test_case("dns", Entity::Dns; "dns")]
#[test_case("world", Entity::World; "world")]
#[test_case("host", Entity::Host; "host")]
#[test_case("loopback", Entity::Loopback; "loopback")]
#[test_case("all", Entity::All; "all")]
#[test_case("remote-node", Entity::RemoteNode; "remote node")]
#[test_case("world-ipv4", Entity::WorldIpv4; "half of the world")]
#[test_case("world-ipv6", Entity::WorldIpv6; "the other half")]
fn entities(word: &str, entity: Entity) {
    let policies = clean(&cluster(&format!(
        "{{action: Allow, to: [{{entity: {word}}}]}}"
    )));
    assert_eq!(peers(&policies[0].rules[0]), [Peer::Entity(entity)]);
}

#[test]
fn nodes_and_ports_by_name() {
    let policies = clean(&cluster(
        "{action: Allow, to: [{nodes: {matchLabels: {role: edge}}}], ports: [{name: metrics}, {protocol: UDP, port: 53}]}",
    ));
    let rule = &policies[0].rules[0];
    assert!(matches!(peers(rule), [Peer::Nodes(_)]));
    assert_eq!(
        rule.named_ports.any_of,
        [NamedPort {
            protocol: Some(Protocol::TCP),
            name: "metrics".into()
        }]
    );
}

#[test]
fn a_set_stands_for_its_members_wherever_its_file_stands() {
    let policy = cluster("{action: Allow, to: [{set: partners}], ports: [{port: 443}]}");
    for files in [
        [("a.yaml", SET), ("b.yaml", policy.as_str())],
        [("a.yaml", policy.as_str()), ("b.yaml", SET)],
    ] {
        let Reading {
            policies,
            diagnostics,
            ..
        } = read_set(files, &Context::default());
        assert_eq!(codes(&diagnostics), Vec::<&str>::new());
        let rule = &policies[0].rules[0];
        assert_eq!(rule.closed, None);
        let kinds: Vec<bool> = peers(rule)
            .iter()
            .map(|peer| matches!(peer, Peer::Block(_)))
            .collect();
        assert_eq!(kinds, [true, false, false]);
    }
}

#[test]
fn names_of_a_set_are_refused_in_a_pass_like_written_ones() {
    let policy = cluster("{action: Pass, to: [{set: partners}]}");
    let Reading { diagnostics, .. } = read_set(
        [("a.yaml", SET), ("b.yaml", policy.as_str())],
        &Context::default(),
    );
    assert_eq!(codes(&diagnostics), ["native-pass-by-name"]);
}

#[test_case("members: [{cidr: 192.0.2.1}]", "invalid-cidr"; "a member that is none")]
#[test_case("members: [{entity: world}]", "native-peer"; "an entity")]
#[test_case("members: [{set: others}]", "native-peer"; "another set")]
#[test_case("member: []", "missing-field"; "no members")]
fn a_set_that_is_refused_does_not_exist(spec: &str, code: &str) {
    let set = format!(
        "apiVersion: egret.dev/v1alpha1\nkind: EgressSet\nmetadata: {{name: partners}}\nspec: {{{spec}}}\n"
    );
    let policy = cluster("{action: Allow, to: [{set: partners}]}");
    let Reading {
        policies,
        diagnostics,
        ..
    } = read_set(
        [("a.yaml", set.as_str()), ("b.yaml", policy.as_str())],
        &Context::default(),
    );
    let found = codes(&diagnostics);
    assert!(found.contains(&code), "{found:?}");
    assert_eq!(found.last(), Some(&"native-set"), "{found:?}");
    assert_eq!(policies[0].rules[0].closed, Some("native-set"));
}

#[test]
fn a_list_that_is_too_long_is_refused() {
    let rules = vec!["{action: Allow}"; 513].join(", ");
    let (policies, diagnostics) = read_text(&cluster(&rules));
    assert_eq!(codes(&diagnostics), ["native-too-many"]);
    assert!(policies.is_empty());
}

#[test]
fn a_pass_in_a_namespace_says_where_it_leads() {
    let (_, diagnostics) = read_text(&namespaced("{action: Pass, to: [{cidr: 192.0.2.0/24}]}"));
    assert_eq!(codes(&diagnostics), ["native-pass-in-namespace"]);
    let (_, diagnostics) = read_text(&cluster("{action: Pass, to: [{cidr: 192.0.2.0/24}]}"));
    assert_eq!(codes(&diagnostics), Vec::<&str>::new());
}
