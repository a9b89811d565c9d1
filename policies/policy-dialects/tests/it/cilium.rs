//! Cilium policies: what they lower to, and what surprises in them.

use policy_dialects::{Context, Reading, read};
use policy_model::{
    DnsFilter, Entity, FqdnBy, Labels, Level, Peer, Peers, PodIdentity, Policy, Ports, Scope,
    Selects, Subject, Workload,
};
use test_case::test_case;

use crate::support::{codes, has_level, read_text};

fn policy(spec: &str) -> String {
    let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec:\n  endpointSelector: {{}}\n{spec}"
    )
}

fn clean(text: &str) -> Vec<Policy> {
    let (policies, diagnostics) = read_text(text);
    assert_eq!(
        codes(&diagnostics),
        Vec::<&str>::new(),
        "{text}\n{diagnostics:?}"
    );
    policies
}

fn ports(policy: &Policy, rule: usize) -> Vec<String> {
    match &policy.rules[rule].ports {
        Ports::Any => vec!["any".into()],
        Ports::Only(ports) => ports.iter().map(ToString::to_string).collect(),
        Ports::AllBut(ports) => ports.iter().map(|port| format!("not {port}")).collect(),
    }
}

#[test]
fn names_are_held_against_the_question_and_never_mean_the_cluster() {
    let policies = clean(&policy(
        "egress:\n- toFQDNs: [{matchName: API.example.com}, {matchPattern: \"*.cdn.example.com\"}]\n  toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]\n",
    ));
    let [policy] = policies.as_slice() else {
        panic!("one policy")
    };
    assert_eq!(
        (
            policy.isolates,
            policy.dns,
            policy.tier.to_string().as_str()
        ),
        (true, DnsFilter::Filter, "namespace/union")
    );
    let Peers::Of(peers) = &policy.rules[0].peers else {
        panic!("peers")
    };
    for peer in peers {
        let Peer::Fqdn(peer) = peer else {
            panic!("a name")
        };
        assert_eq!((peer.by, peer.scope), (FqdnBy::Question, Scope::Outside));
    }
    assert_eq!(ports(policy, 0), ["443/TCP"]);
}

#[test]
fn names_without_a_dns_rule_are_fine() {
    clean(&policy(
        "egress:\n- toFQDNs: [{matchName: api.example.com}]\n",
    ));
}

#[test]
fn any_is_three_protocols_and_port_zero_is_every_port() {
    let policies = clean(&policy(
        "egress:\n- toPorts: [{ports: [{port: \"53\"}]}]\n- toPorts: [{ports: [{port: \"0\", protocol: UDP}]}]\n- toPorts: [{ports: [{port: \"8000\", endPort: 8010, protocol: TCP}]}]\n- toPorts: [{ports: [{port: \"0\"}]}]\n",
    ));
    let policy = &policies[0];
    assert_eq!(ports(policy, 0), ["53/TCP", "53/UDP", "53/SCTP"]);
    assert_eq!(ports(policy, 1), ["UDP"]);
    assert_eq!(ports(policy, 2), ["8000-8010/TCP"]);
    assert_eq!(
        ports(policy, 3),
        ["TCP", "UDP", "SCTP"],
        "a rule with ports never means ICMP"
    );
    assert_eq!(
        policy.rules[0].peers,
        Peers::Any,
        "no peer means every destination"
    );
}

#[test]
fn entities() {
    let policies = clean(&policy(
        "egress:\n- toEntities: [world, host, all]\n- toEntities: [world-ipv6, none]\n",
    ));
    let Peers::Of(first) = &policies[0].rules[0].peers else {
        panic!("peers")
    };
    assert_eq!(
        first,
        &[
            Peer::Entity(Entity::World),
            Peer::Entity(Entity::Host),
            Peer::Entity(Entity::All)
        ]
    );
    let Peers::Of(second) = &policies[0].rules[1].peers else {
        panic!("peers")
    };
    assert_eq!(
        second,
        &[Peer::Entity(Entity::WorldIpv6)],
        "`none` is no destination"
    );
}

#[test]
fn icmp_types_by_number_and_name() {
    let policies = clean(&policy(
        "egress:\n- icmps: [{fields: [{type: \"8\"}, {type: EchoRequest, family: IPv6}]}]\n",
    ));
    assert_eq!(
        ports(&policies[0], 0),
        ["2048-2303/ICMP", "32768-33023/ICMPv6"]
    );
}

#[test_case("icmps: [{}]"; "no fields")]
#[test_case("icmps: [{fields: []}]"; "an empty list of fields")]
fn icmps_without_a_type_mean_nothing(icmps: &str) {
    let text = policy(&format!("egress:\n- toCIDR: [203.0.113.0/24]\n  {icmps}\n"));
    let (policies, diagnostics) = read_text(&text);
    assert_eq!(codes(&diagnostics), ["cilium-empty-ports"]);
    assert_eq!(ports(&policies[0], 0), Vec::<String>::new());
}

#[test_case("[8]"; "a list")]
#[test_case("{v: 8}"; "a mapping")]
#[test_case("true"; "a boolean")]
#[test_case("256"; "a number that is none")]
#[test_case("Ecco"; "a name that is none")]
#[test_case("\"+8\""; "a number with a sign")]
#[test_case("\"08\""; "a number with a zero in front")]
#[test_case("\"\""; "nothing in quotes")]
#[test_case("ExtendedEchoReply"; "a name that the definition misspells")]
fn an_icmp_type_that_is_none_is_refused(kind: &str) {
    let text = policy(&format!(
        "egress:\n- toCIDR: [203.0.113.0/24]\n  icmps: [{{fields: [{{type: {kind}}}]}}]\n"
    ));
    let (_, diagnostics) = read_text(&text);
    assert_eq!(codes(&diagnostics), ["cilium-icmp"]);
    assert!(has_level(&diagnostics, Level::Refused));
}

#[test_case("toCIDR: [], toEntities: [world]", "cilium-empty-list"; "an empty list of peers beside one")]
#[test_case("toFQDNs: [], toEntities: [world]", "cilium-empty-list"; "an empty list of names beside peers")]
#[test_case("toEntities: [world], icmps: [], toPorts: [{ports: [{port: \"53\"}]}]", "empty-list-means-everything"; "icmps without an entry")]
#[test_case("toEntities: [world], toPorts: [], icmps: [{fields: [{type: 8}]}]", "empty-list-means-everything"; "ports without an entry")]
fn lists_without_entries_stand_beside_others(entry: &str, code: &str) {
    let (policies, diagnostics) = read_text(&policy(&format!("egress: [{{{entry}}}]\n")));
    assert_eq!(codes(&diagnostics), [code]);
    let Peers::Of(peers) = &policies[0].rules[0].peers else {
        panic!("peers")
    };
    assert_eq!(peers, &[Peer::Entity(Entity::World)]);
}

#[test_case("rules: {dns: [{matchName: a.example}]}", "port 53 must be specified"; "names without a port")]
#[test_case("ports: [{port: \"80\"}], rules: {http: [{}]}", "not ANY"; "requests of any protocol")]
#[test_case("ports: [{port: \"0\", protocol: TCP}], rules: {http: [{}]}", "when a port is 0"; "requests on port 0")]
fn port_rules_that_cilium_refuses(entry: &str, message: &str) {
    let (_, diagnostics) = read_text(&policy(&format!("egress:\n- toPorts: [{{{entry}}}]\n")));
    assert!(has_level(&diagnostics, Level::Refused));
    assert!(
        diagnostics.iter().any(|one| one.message.contains(message)),
        "{diagnostics:?}"
    );
}

#[test]
fn requests_may_be_looked_at_on_a_range_of_ports() {
    let (policies, diagnostics) = read_text(&policy(
        "egress:\n- toPorts: [{ports: [{port: \"80\", endPort: 89, protocol: TCP}], rules: {http: [{method: GET}]}}]\n",
    ));
    assert_eq!(codes(&diagnostics), ["cilium-http"]);
    assert_eq!(policies[0].rules[0].closed, Some("cilium-http"));
}

#[test]
fn a_dns_rule_keeps_its_names_beside_its_ports() {
    let policies = clean(&policy(
        "egress:\n- toEntities: [all]\n  toPorts:\n  - {ports: [{port: \"53\", protocol: UDP}], rules: {dns: [{matchName: a.example}]}}\n  - {ports: [{port: \"443\", protocol: TCP}]}\n",
    ));
    let rules = &policies[0].rules;
    assert_eq!(
        rules.len(),
        2,
        "a port rule with names is a rule of its own"
    );
    assert!(rules[0].questions.is_none());
    assert_eq!(rules[1].questions.as_ref().map(Vec::len), Some(1));
    assert!(rules.iter().all(|rule| rule.index == 0));
    assert_eq!(policies[0].dns, DnsFilter::Filter);
}

#[test]
fn dns_rules_limit_names_even_where_nothing_is_denied() {
    let text = policy(
        "enableDefaultDeny: {egress: false}\negress:\n- toPorts: [{ports: [{port: \"53\"}], rules: {dns: [{matchName: a.example}]}}]\n",
    );
    let (policies, diagnostics) = read_text(&text);
    assert_eq!(codes(&diagnostics), ["cilium-dns-limits"]);
    assert_eq!(
        (policies[0].isolates, policies[0].dns),
        (false, DnsFilter::Filter)
    );
}

#[test]
fn a_deny_only_policy_isolates_and_says_so() {
    let text = policy("egressDeny:\n- toCIDR: [198.51.100.0/24]\n");
    let (policies, diagnostics) = read_text(&text);
    assert_eq!(codes(&diagnostics), ["cilium-deny-only-isolates"]);
    let tiers: Vec<(String, bool)> = policies
        .iter()
        .map(|policy| (policy.tier.to_string(), policy.isolates))
        .collect();
    assert_eq!(
        tiers,
        [
            ("namespace/deny".into(), false),
            ("namespace/union".into(), true)
        ]
    );

    let policies = clean(&format!("{text}  enableDefaultDeny: {{egress: false}}\n"));
    assert_eq!(policies.len(), 1, "nothing is isolated");
}

#[test]
fn an_empty_rule_denies_everything() {
    let policies = clean(&policy("egress: [{}]\n"));
    let [policy] = policies.as_slice() else {
        panic!("one policy")
    };
    assert!(policy.isolates);
    assert_eq!(policy.rules[0].closed, None);
    assert_eq!(
        policy.rules[0].peers,
        Peers::Of(Vec::new()),
        "an entry without members allows nothing"
    );
}

#[test]
fn an_empty_list_of_peers_allows_nothing() {
    let (policies, diagnostics) = read_text(&policy(
        "egress:\n- toCIDR: []\n  toPorts: [{ports: [{port: \"443\"}]}]\n",
    ));
    assert_eq!(codes(&diagnostics), ["cilium-empty-list"]);
    assert_eq!(policies[0].rules[0].peers, Peers::Of(Vec::new()));
}

#[test]
fn ingress_alone_is_no_egress_policy() {
    let (policies, diagnostics) = read_text(&policy("ingress: [{fromEntities: [world]}]\n"));
    assert_eq!(codes(&diagnostics), ["cilium-ingress"]);
    assert!(policies.is_empty(), "it must not isolate egress");
}

#[test]
fn selectors_by_namespace_account_and_prefix() {
    let text = "apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p}\nspec:\n  endpointSelector:\n    matchLabels: {\"k8s:io.kubernetes.pod.namespace\": shop, io.cilium.k8s.policy.serviceaccount: web, \"any:app\": front, \"io.cilium.k8s.namespace.labels.team\": a}\n  egress: [{}]\n";
    let policies = clean(text);
    let Subject::Kubernetes(subject) = &policies[0].subject else {
        panic!("pods")
    };
    assert_eq!(subject.service_accounts, ["web".into()]);
    let pods = subject.pods.as_ref().expect("pods");
    assert_eq!(
        pods.match_labels.get("app").map(|value| &**value),
        Some("front")
    );
    let namespaces = subject.namespaces.as_ref().expect("namespaces");
    assert_eq!(
        namespaces
            .match_labels
            .get("kubernetes.io/metadata.name")
            .map(|value| &**value),
        Some("shop")
    );
    assert_eq!(
        namespaces.match_labels.get("team").map(|value| &**value),
        Some("a")
    );
}

#[test_case("{\"k8s:io.kubernetes.pod.namespace\": other}", "cilium-other-namespace"; "another namespace, which is left out")]
#[test_case("{io.kubernetes.pod.namespace: other}", "cilium-other-namespace"; "another namespace, beside the own")]
#[test_case("{\"reserved:health\": \"\"}", "cilium-reserved-label"; "a reserved label")]
#[test_case("{io.cilium.k8s.policy.cluster: east}", "cilium-subject"; "a cluster")]
fn selectors_that_surprise(labels: &str, code: &str) {
    let text = policy("egress: [{}]\n").replace(
        "endpointSelector: {}",
        &format!("endpointSelector: {{matchLabels: {labels}}}"),
    );
    let (_, diagnostics) = read_text(&text);
    assert_eq!(codes(&diagnostics), [code]);
}

/// Only the label of source `k8s` among `matchLabels` is written over by the policy's namespace.
#[test_case("matchLabels: {\"k8s:io.kubernetes.pod.namespace\": other}", true; "written over")]
#[test_case("matchLabels: {io.kubernetes.pod.namespace: other}", false; "a label of any source")]
#[test_case("matchLabels: {\"any:io.kubernetes.pod.namespace\": other}", false; "a label that says any source")]
#[test_case("matchExpressions: [{key: \"k8s:io.kubernetes.pod.namespace\", operator: In, values: [other]}]", false; "an expression")]
#[test_case("matchLabels: {io.kubernetes.pod.namespace: shop}", true; "its own")]
fn a_policy_that_asks_for_another_namespace_besides_its_own(selector: &str, selects: bool) {
    let text = policy("egress: [{}]\n").replace(
        "endpointSelector: {}",
        &format!("endpointSelector: {{{selector}}}"),
    );
    let (policies, _) = read_text(&text);
    let pod = Workload {
        pod: PodIdentity {
            namespace: Some("shop".into()),
            labels: Some(Labels::new()),
            namespace_labels: Some(Labels::from([(
                "kubernetes.io/metadata.name".into(),
                "shop".into(),
            )])),
            ..PodIdentity::default()
        },
        ..Workload::default()
    };
    let expected = if selects { Selects::Yes } else { Selects::No };
    assert_eq!(policies[0].subject.selects(&pod), expected);
}

#[test_case("toGroups: [{aws: {labels: {a: b}}}]", "cilium-to-groups"; "groups")]
#[test_case("toCIDRSet: [{cidrGroupRef: partners}]", "cilium-cidr-group"; "cidr group")]
#[test_case("toEntities: [health]", "cilium-cluster-entity"; "entity")]
#[test_case("toPorts: [{ports: [{port: \"443\", protocol: TCP}], serverNames: [a.example]}]", "cilium-server-names"; "server names")]
#[test_case("toPorts: [{ports: [{port: \"80\", protocol: TCP}], rules: {http: [{method: GET}]}}]", "cilium-http"; "http")]
#[test_case("toPorts: [{ports: [{port: \"443\", protocol: TCP}], terminatingTLS: {secret: {name: s}}}]", "cilium-tls"; "tls")]
#[test_case("toPorts: [{ports: [{port: \"80\", protocol: TCP}], listener: {name: l}}]", "cilium-envoy-listener"; "listener")]
#[test_case("authentication: {mode: required}", "cilium-authentication"; "authentication")]
#[test_case("toEndpoints: [{matchLabels: {\"cidr:10.0.0.0/8\": \"\"}}]", "cilium-to-endpoints"; "a label only Cilium has")]
#[test_case("toEndpoints: [{matchLabels: {\"reserved:host\": \"\", app: a}}]", "cilium-to-endpoints"; "a reserved label and another")]
#[test_case("toServices: [{}]", "cilium-to-services"; "a service without a name")]
#[test_case("toFQDN: [{matchName: a.example}]", "unknown-rule-field"; "a misspelt field")]
fn closed(entry: &str, code: &str) {
    let (policies, diagnostics) = read_text(&policy(&format!("egress:\n- {entry}\n")));
    assert_eq!(codes(&diagnostics), [code], "{diagnostics:?}");
    assert!(has_level(&diagnostics, Level::Closed));
    let rules = &policies[0].rules;
    assert!(
        rules
            .iter()
            .all(|rule| rule.closed == Some(diagnostics[0].code)),
        "{rules:?}"
    );
    assert!(!rules.is_empty());

    if !code.starts_with("cilium-server")
        && !entry.contains("rules")
        && !entry.contains("TLS")
        && !entry.contains("listener")
        && !entry.contains("auth")
    {
        let (policies, _) = read_text(&policy(&format!("egressDeny:\n- {entry}\n")));
        assert!(
            policies[0].rules[0].closed.is_some(),
            "a Deny is closed too: {policies:?}"
        );
    }
}

#[test]
fn peers_beside_one_that_is_closed_still_hold() {
    let (policies, _) = read_text(&policy("egress:\n- toEntities: [health, world]\n"));
    let closed: Vec<Option<&str>> = policies[0].rules.iter().map(|rule| rule.closed).collect();
    assert_eq!(closed, [None, Some("cilium-cluster-entity")]);
}

#[test_case("toCIDR: [20.1.1.1]", "cilium-cidr"; "a bare address")]
#[test_case("toFQDNs: []\n  toPorts: [{ports: [{port: \"443\"}]}]", "cilium-empty-peers"; "no names beside ports")]
#[test_case("toFQDNs: [{matchName: a.example}]\n  toCIDR: [192.0.2.0/24]", "cilium-l3-combination"; "names and blocks")]
#[test_case("toPorts: [{ports: [{port: 443}]}]", "wrong-type"; "a port without quotes")]
#[test_case("toPorts: [{ports: [{port: \"443\", protocol: tcp}]}]", "invalid-value"; "a protocol in small letters")]
#[test_case("toPorts: [{ports: [{port: \"+80\"}]}]", "cilium-port"; "a port with a sign")]
#[test_case("toPorts: [{ports: [{port: \"0+7\"}]}]", "cilium-port"; "an octal port with a sign")]
#[test_case("toPorts: [{ports: [{port: \"53\", endPort: 54}], rules: {dns: [{matchName: a.example}]}}]", "cilium-port"; "names on a range")]
#[test_case("toPorts: [{ports: [{port: \"0\"}], rules: {dns: [{matchName: a.example}]}}]", "cilium-port"; "names on every port")]
#[test_case("toPorts: [{ports: [{port: \"80\", protocol: TCP}], rules: {}}]", "cilium-l7"; "rules that say nothing")]
fn refused(entry: &str, code: &str) {
    let (policies, diagnostics) = read_text(&policy(&format!("egress:\n- {entry}\n")));
    assert_eq!(codes(&diagnostics), [code], "{diagnostics:?}");
    assert!(has_level(&diagnostics, Level::Refused));
    assert!(policies.is_empty());
}

#[test_case("path: \"/v1/[a\"", "missing closing ]"; "a path")]
#[test_case("method: \"(GET\"", "missing closing )"; "a method")]
#[test_case("path: \"a{1001}\"", "invalid repeat count"; "a path that other engines take")]
#[test_case("headerMatches: [{name: \"\"}]", "Header name missing"; "a header without a name")]
fn requests_that_cilium_refuses(request: &str, message: &str) {
    for direction in ["egress", "ingress"] {
        let (policies, diagnostics) = read_text(&policy(&format!(
            "{direction}: [{{toPorts: [{{ports: [{{port: \"80\", protocol: TCP}}], rules: {{http: [{{{request}}}]}}}}]}}]\n"
        )));
        let [refused] = diagnostics
            .iter()
            .filter(|one| one.level == Level::Refused)
            .collect::<Vec<_>>()[..]
        else {
            panic!("{diagnostics:?}")
        };
        assert_eq!(refused.code, "cilium-l7");
        assert!(refused.message.contains(message), "{refused:?}");
        assert!(refused.origin.path.contains(".rules.http[0]."));
        assert!(policies.is_empty());
    }
}

/// A server drops keys without a value, and what is left may mean more.
#[test_case("toPorts: [{ports: [{port: \"80\", protocol: TCP}], rules: {http: }}]", &["cilium-l7", "key-without-value"]; "rules of an empty template")]
#[test_case("{toCIDR: , toPorts: [{ports: [{port: \"53\"}]}]}", &["key-without-value"]; "a peer beside ports")]
#[test_case("{toEntities: [world], toPorts: }", &["key-without-value"]; "ports beside a peer")]
#[test_case("toEndpoints: [{matchLabels: {app: }}]", &["wrong-type"]; "a label, of which the reader has said it")]
fn keys_without_a_value(entry: &str, expected: &[&str]) {
    let (_, diagnostics) = read_text(&policy(&format!("egress:\n- {entry}\n")));
    assert_eq!(codes(&diagnostics), expected, "{diagnostics:?}");
}

/// Other engines refuse what Go takes.
#[test_case("path: \"/a{\""; "a brace")]
#[test_case("path: \"/[[a]\""; "a bracket")]
#[test_case("path: '\\Q/v1.0\\E/.*'"; "a quotation")]
fn requests_that_cilium_takes(request: &str) {
    let (policies, diagnostics) = read_text(&policy(&format!(
        "egress: [{{toPorts: [{{ports: [{{port: \"80\", protocol: TCP}}], rules: {{http: [{{{request}}}]}}}}]}}]\n"
    )));
    assert_eq!(codes(&diagnostics), ["cilium-http"]);
    assert_eq!(policies[0].rules[0].closed, Some("cilium-http"));
}

/// Cilium refuses the whole object.
#[test_case("fromCIDR: [192.0.2.0/33]", "cilium-cidr"; "a block that is none")]
#[test_case("fromCIDRSet: [{cidr: 192.0.2.0/24, except: [10.0.0.0/8]}]", "invalid-except"; "an exception outside")]
#[test_case("fromEntities: [wrld]", "cilium-entity"; "an entity that is none")]
#[test_case("fromEndpoints: [{matchExpressions: [{key: a, operator: Near}]}]", "invalid-value"; "a selector that is none")]
#[test_case("fromCIDR: [192.0.2.0/24], fromEntities: [world]", "cilium-l3-combination"; "two kinds of peers")]
#[test_case("icmps: [{fields: [{type: 8}]}], toPorts: [{ports: [{port: \"80\"}]}]", "cilium-icmps-with-ports"; "icmp beside ports")]
#[test_case("icmps: [{fields: [{type: \"+8\"}]}]", "cilium-icmp"; "an icmp type that is none")]
#[test_case("toPorts: [{ports: [{port: \"80\", protocol: TCP}], listener: {name: l}}]", "cilium-listener"; "a listener")]
#[test_case("fromEndpoints: {}", "wrong-type"; "peers that are no list")]
fn ingress_rules_that_cilium_refuses(entry: &str, code: &str) {
    let (policies, diagnostics) = read_text(&policy(&format!(
        "ingress: [{{{entry}}}]\negress: [{{}}]\n"
    )));
    let refused: Vec<&str> = diagnostics
        .iter()
        .filter(|one| one.level == Level::Refused)
        .map(|one| one.code)
        .collect();
    assert_eq!(refused, [code], "{diagnostics:?}");
    assert!(policies.is_empty());
}

/// What cannot be enforced of ingress closes nothing.
#[test_case("fromEntities: [health], toPorts: [{ports: [{port: \"443\", protocol: TCP}], terminatingTLS: {secret: {name: s}}, serverNames: [a.example]}]"; "what egress closes")]
#[test_case("fromEndpoints: [], fromCIDR: [192.0.2.0/24], authentication: {mode: required}"; "an empty list beside another")]
#[test_case("fromGroups: [{aws: {labels: {a: b}}}]"; "groups")]
fn ingress_rules_have_no_effect(entry: &str) {
    let (policies, diagnostics) = read_text(&policy(&format!(
        "ingress: [{{{entry}}}]\negress: [{{}}]\n"
    )));
    assert_eq!(codes(&diagnostics), ["cilium-ingress"], "{diagnostics:?}");
    assert_eq!(policies.len(), 1);
}

#[test]
fn a_host_that_only_ciliums_proxy_would_refuse_is_closed() {
    let (policies, diagnostics) = read_text(&policy(
        "egress: [{toPorts: [{ports: [{port: \"80\", protocol: TCP}], rules: {http: [{host: \"*.example.com\"}]}}]}]\n",
    ));
    assert_eq!(codes(&diagnostics), ["cilium-http", "cilium-http-host"]);
    assert!(policies[0].rules[0].closed.is_some());
}

#[test]
fn a_wildcard_of_names_is_exfiltration() {
    let (_, diagnostics) = read_text(&policy(
        "egress:\n- toPorts: [{ports: [{port: \"53\"}], rules: {dns: [{matchPattern: \"*\"}]}}]\n",
    ));
    assert_eq!(codes(&diagnostics), ["cilium-dns-wildcard"]);
}

#[test]
fn both_spec_and_specs_count() {
    let text = format!(
        "{}specs:\n- endpointSelector: {{matchLabels: {{a: b}}}}\n  egress: [{{toCIDR: [192.0.2.0/24]}}]\n",
        policy("egress:\n- toCIDR: [198.51.100.0/24]\n")
    );
    let policies = clean(&text);
    assert_eq!(policies.len(), 2);
    assert_eq!(policies[1].rules[0].index, 1, "rules are numbered through");
    assert_eq!(&*policies[1].rules[0].origin.path, "specs[0].egress[0]");
}

#[test]
fn a_policy_without_a_namespace_is_in_that_of_the_context() {
    let text = policy("egress: [{}]\n").replace(", namespace: shop", "");
    let context = Context {
        default_namespace: "team".into(),
        ..Context::default()
    };
    let Reading { policies, .. } = read("p.yaml", &text, &context);
    assert_eq!(policies[0].id.to_string(), "CiliumNetworkPolicy/team/p");
}

#[test]
fn the_annotation_lets_names_hold_private_addresses() {
    let text = policy("egress:\n- toFQDNs: [{matchName: db.corp.example}]\n").replace(
        "namespace: shop",
        "namespace: shop, annotations: {egret.dev/allow-private: \"true\"}",
    );
    assert!(clean(&text)[0].rules[0].allow_private);
}

#[test]
fn opening_a_guard_is_reported_and_so_is_not_opening_it() {
    let (_, diagnostics) = read_text(
        "apiVersion: egret.dev/v1alpha1\nkind: ClusterEgressPolicy\nmetadata: {name: p}\nspec:\n  egress:\n  - {action: Allow, metadata: [gcp]}\n  - {action: Allow, to: [{cidr: 169.254.169.254/32}]}\n  - {action: Allow, to: [{cidr: 169.254.0.0/16}]}\n  - {action: Allow, to: [{cidr: 0.0.0.0/0}]}\n",
    );
    assert_eq!(
        codes(&diagnostics),
        [
            "allow-opens-guard",
            "allow-opens-guard",
            "guard-stays-closed",
            "covers-host"
        ]
    );
    let (_, diagnostics) = read_text(&policy("egress:\n- toCIDR: [169.254.169.254/32]\n"));
    assert_eq!(codes(&diagnostics), ["guard-stays-closed"]);
}

#[test]
fn a_clusterwide_policy_for_everybody_says_so() {
    let (policies, diagnostics) = read_text(
        "apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p}\nspec:\n  endpointSelector: {}\n  egress: [{}]\n",
    );
    assert_eq!(codes(&diagnostics), ["cilium-selects-everything"]);
    assert_eq!(policies.len(), 1);
}
