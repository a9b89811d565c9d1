//! Kubernetes NetworkPolicies: what they lower to, what the API server refuses, and what surprises in them.

use policy_dialects::{Context, Reading, read};
use policy_model::{Scope, Selects, Subject, Workload};
use test_case::test_case;

use crate::support::{codes, read_text, told};

fn policy(spec: &str) -> String {
    let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec:\n{spec}"
    )
}

/// A policy for egress of every pod with these rules.
fn egress(rules: &str) -> String {
    policy(&format!(
        "podSelector: {{}}\npolicyTypes: [Egress]\negress:\n{rules}"
    ))
}

const ISOLATES: &str = "namespace/union at 0, isolates";

#[test_case("podSelector: {}\npolicyTypes: [Egress]", &[ISOLATES], &[]; "no rules deny all")]
#[test_case("podSelector: {}\npolicyTypes: [Egress]\negress: []", &[ISOLATES], &[]; "an empty list of rules denies all")]
#[test_case("podSelector: {}\npolicyTypes: [Egress]\negress:", &[ISOLATES], &["key-without-value"]; "a null list of rules denies all")]
#[test_case("podSelector: {}\negress: [{}]", &[ISOLATES, "0 allow to anywhere on any"], &[]; "egress rules make it a policy for egress")]
#[test_case("podSelector: {}\npolicyTypes: []\negress: [{}]", &[ISOLATES, "0 allow to anywhere on any"], &[]; "empty types are absent types")]
#[test_case("podSelector: {}\negress: []", &[], &["network-policy-egress-ignored"]; "an empty egress without types is no policy for egress")]
#[test_case("podSelector: {}", &[], &["network-policy-ingress"]; "a selector alone is about ingress")]
#[test_case("podSelector: {}\npolicyTypes: [Ingress]\negress: [{}]", &[], &["network-policy-ingress", "network-policy-egress-ignored"]; "egress rules without the type")]
#[test_case("podSelector: {}\npolicyTypes: [Ingress, Egress]\ningress: [{}]", &[ISOLATES], &["network-policy-ingress"]; "both directions")]
#[test_case("podSelector: {}\ningress: [{}]\negress: [{}]", &[ISOLATES, "0 allow to anywhere on any"], &["network-policy-ingress"]; "ingress rules beside egress rules")]
#[test_case("policyTypes: [Egress]", &[ISOLATES], &["network-policy-no-selector"]; "no selector is every pod")]
#[test_case("podSelector:\npolicyTypes: [Egress]", &[ISOLATES], &["key-without-value", "network-policy-no-selector"]; "a null selector is every pod")]
fn directions(spec: &str, expected: &[&str], expected_codes: &[&str]) {
    let (policies, diagnostics) = read_text(&policy(spec));
    let mut found = codes(&diagnostics);
    let mut wanted = expected_codes.to_vec();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(
        (told(&policies), found),
        (expected.iter().map(ToString::to_string).collect(), wanted),
        "{diagnostics:?}"
    );
}

#[test_case("- {}", "0 allow to anywhere on any"; "nothing is everything")]
#[test_case("- to: [{podSelector: {}}]", "0 allow to [pods shop/{}] on any"; "pods of the own namespace")]
#[test_case("- to: [{podSelector: {matchLabels: {app: db}}}]", "0 allow to [pods shop/{app=db}] on any"; "pods by label")]
#[test_case("- to: [{namespaceSelector: {}}]", "0 allow to [pods {}/{}] on any"; "every pod, and nothing outside")]
#[test_case("- to: [{namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: db}}}]", "0 allow to [pods {team=a}/{app=db}] on any"; "both in one entry")]
#[test_case("- to: [{namespaceSelector: {matchLabels: {team: a}}}, {podSelector: {matchLabels: {app: db}}}]", "0 allow to [pods {team=a}/{}, pods shop/{app=db}] on any"; "one in each of two entries")]
#[test_case("- to: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [a, b]}]}}]", "0 allow to [pods {kubernetes.io/metadata.name NotIn([\"a\", \"b\"])}/{}] on any"; "not in")]
#[test_case("- to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.3.4/32]}}]", "0 allow to [10.0.0.0/8-10.1.0.0/16-10.2.3.4/32] on any"; "a block")]
#[test_case("- to: [{ipBlock: {cidr: \"2001:db8::/32\"}}]", "0 allow to [2001:db8::/32] on any"; "a block of the other family")]
#[test_case("- ports: [{port: 9443}]", "0 allow to anywhere on 9443/TCP"; "tcp is the default")]
#[test_case("- ports: [{protocol: UDP}]", "0 allow to anywhere on UDP"; "every port of a protocol")]
#[test_case("- ports: [{}]", "0 allow to anywhere on TCP"; "an empty entry is every port of tcp")]
#[test_case("- ports: [{protocol: SCTP, port: 9003}]", "0 allow to anywhere on 9003/SCTP"; "sctp")]
#[test_case("- ports: [{port: 32000, endPort: 32768}]", "0 allow to anywhere on 32000-32768/TCP"; "a range")]
#[test_case("- ports: [{port: 90, endPort: 90}]", "0 allow to anywhere on 90/TCP"; "a range of one")]
#[test_case("- ports: [{port: http}, {port: dns, protocol: UDP}, {port: 80}]", "0 allow to anywhere on 80/TCP http/TCP dns/UDP"; "names beside numbers")]
#[test_case("- ports: [{port: http}]", "0 allow to anywhere on http/TCP"; "a name alone opens no number")]
fn rules(rules: &str, expected: &str) {
    let (policies, diagnostics) = read_text(&egress(rules));
    assert_eq!(codes(&diagnostics), Vec::<&str>::new(), "{diagnostics:?}");
    assert_eq!(told(&policies), [ISOLATES, expected]);
}

/// What the API server would not take; the code, and words of the message or the help.
#[test_case("- to: [{}]", "network-policy-peer", "must specify a peer"; "an empty peer")]
#[test_case("- to: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]", "network-policy-peer", "may not specify both"; "a block beside a selector")]
#[test_case("- to: [{ipBlock: {}}]", "missing-field", "cidr"; "a block without a block")]
#[test_case("- to: [{ipBlock: {cidr: 10.0.0.7}}]", "invalid-cidr", "10.0.0.7/32"; "an address is no block")]
#[test_case("- to: [{ipBlock: {cidr: 010.0.0.0/8}}]", "invalid-cidr", "leading zeros"; "leading zeros")]
#[test_case("- to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]", "invalid-except", "strict subset"; "an exception outside")]
#[test_case("- to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]", "invalid-except", "strict subset"; "an exception of everything")]
#[test_case("- to: [{ipBlock: {cidr: 10.0.0.0/8, except: [\"2001:db8::/32\"]}}]", "invalid-except", "strict subset"; "an exception of the other family")]
#[test_case("- ports: [{port: \"443\"}]", "invalid-port", "leave out the quotes"; "a number in quotes is a name")]
#[test_case("- ports: [{port: 0}]", "invalid-port", "between 1 and 65535"; "port zero")]
#[test_case("- ports: [{port: 65536}]", "invalid-port", "between 1 and 65535"; "beyond the last port")]
#[test_case("- ports: [{port: HTTP}]", "invalid-port", "name"; "a name in capitals")]
#[test_case("- ports: [{port: 80, endPort: 79}]", "invalid-port", "greater than or equal"; "a range the wrong way round")]
#[test_case("- ports: [{port: http, endPort: 90}]", "invalid-port", "no number"; "a range from a name")]
#[test_case("- ports: [{endPort: 90}]", "invalid-port", "no number"; "a range from nothing")]
#[test_case("- ports: [{protocol: tcp}]", "invalid-value", "TCP"; "a protocol in small letters")]
#[test_case("- ports: [{protocol: ICMP}]", "invalid-value", "SCTP"; "a protocol without ports")]
#[test_case("- to: [{podSelector: {matchLabels: {app: y}}}]", "wrong-type", "quotes"; "a truth value of yaml")]
#[test_case("- to: [{podSelector: {matchLabels: {\"k8s:app\": a}}}]", "invalid-selector", "leave out the prefix: `app`"; "a key of another dialect")]
#[test_case("- to: [{podSelector: {matchExpressions: [{key: a, operator: Equals, values: [b]}]}}]", "invalid-value", "NotIn"; "an operator of another dialect")]
#[test_case("- to: [null]", "wrong-type", "mapping"; "a null peer")]
fn refused(rules: &str, code: &str, words: &str) {
    let (policies, diagnostics) = read_text(&egress(rules));
    assert_eq!(codes(&diagnostics), [code], "{diagnostics:?}");
    let said = format!("{} {:?}", diagnostics[0].message, diagnostics[0].help);
    assert!(said.contains(words), "{said}");
    assert!(policies.is_empty());
}

#[test_case("podSelector: {}\npolicyTypes: [Egres]", "invalid-value"; "a type misspelt")]
#[test_case("podSelector: {}\npolicyTypes: [Egress, Egress, Egress]", "invalid-value"; "three types")]
#[test_case("podSelector: {app: web}\npolicyTypes: [Egress]", "unknown-field"; "labels without matchLabels")]
#[test_case("podSelector: {}\npolicytypes: [Egress]\negress: [{}]", "unknown-field"; "a field misspelt")]
fn refused_whole(spec: &str, code: &str) {
    let (policies, diagnostics) = read_text(&policy(spec));
    assert!(codes(&diagnostics).contains(&code), "{diagnostics:?}");
    assert!(policies.is_empty());
}

#[test_case("podSelector: {}\npolicyTypes: [Egres]"; "no rules")]
#[test_case("podSelector: {}\npolicyTypes: [Egres]\negress: []"; "an empty list of rules")]
#[test_case("podSelector: {}\npolicyTypes: [Egres]\negress: [{}]"; "rules")]
#[test_case("podSelector: {}\npolicyTypes: [Ingress, Egres]\ningress: [{}]"; "ingress rules")]
fn nothing_follows_from_a_type_that_could_not_be_read(spec: &str) {
    let (_, diagnostics) = read_text(&policy(spec));
    assert_eq!(codes(&diagnostics)[0], "invalid-value", "{diagnostics:?}");
    assert!(
        codes(&diagnostics)
            .iter()
            .all(|code| !code.starts_with("network-policy-")),
        "{diagnostics:?}"
    );
}

/// Ingress is not enforced, and refuses the object as it does in the API server.
#[test]
fn a_broken_ingress_rule_refuses_the_policy() {
    let (policies, diagnostics) = read_text(&policy(
        "podSelector: {}\npolicyTypes: [Ingress, Egress]\ningress: [{from: [{}]}]",
    ));
    assert!(codes(&diagnostics).contains(&"network-policy-peer"));
    assert!(policies.is_empty());
}

#[test_case("- {to: [{podSelector: {}}], tls: {sni: a}}", "0 allow to [pods shop/{}] on any closed by unknown-rule-field"; "in the rule")]
#[test_case("- to: [{ipBlocks: {cidr: 10.0.0.0/8}}]", "0 allow to [] on any closed by unknown-rule-field"; "in the peer alone")]
#[test_case("- to: [{podSelector: {}, serviceAccount: a}]", "0 allow to [pods shop/{}] on any closed by unknown-rule-field"; "beside a peer")]
#[test_case("- to: [{podSelector: {matchLabel: {a: b}}}]", "0 allow to [pods shop/{}] on any closed by unknown-rule-field"; "in the selector")]
#[test_case("- to: [{ipBlock: {cidr: 10.0.0.0/8, excepts: [10.1.0.0/16]}}]", "0 allow to [10.0.0.0/8] on any closed by unknown-rule-field"; "in the block")]
#[test_case("- ports: [{port: 80, endport: 90}]", "0 allow to anywhere on 80/TCP closed by unknown-rule-field"; "in the port")]
fn an_unknown_field_closes_its_rule_and_the_policy_still_isolates(rules: &str, expected: &str) {
    let text = egress(&format!("{rules}\n- ports: [{{port: 53}}]"));
    let (policies, diagnostics) = read_text(&text);
    assert_eq!(
        codes(&diagnostics),
        ["unknown-rule-field"],
        "{diagnostics:?}"
    );
    assert_eq!(
        told(&policies),
        [ISOLATES, expected, "1 allow to anywhere on 53/TCP"]
    );
}

#[test_case("- to: []", "0 allow to anywhere on any"; "peers")]
#[test_case("- to:", "0 allow to anywhere on any"; "peers that are null")]
#[test_case("- {to: [{podSelector: {}}], ports: []}", "0 allow to [pods shop/{}] on any"; "ports")]
fn an_empty_list_means_everything_and_says_so(rules: &str, expected: &str) {
    let (policies, diagnostics) = read_text(&egress(rules));
    assert_eq!(codes(&diagnostics), ["empty-list-means-everything"]);
    assert_eq!(told(&policies), [ISOLATES, expected]);
}

#[test]
fn a_policy_without_a_namespace_says_whose_it_is_taken_to_be() {
    let text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}\n";
    let context = Context {
        default_namespace: "shop".into(),
        ..Context::default()
    };
    let Reading {
        policies,
        diagnostics,
        ..
    } = read("policy.yaml", text, &context);
    assert_eq!(codes(&diagnostics), ["network-policy-namespace"]);
    assert!(diagnostics[0].message.contains("`shop`"));
    assert_eq!(told(&policies)[1], "0 allow to [pods shop/{}] on any");
}

#[test]
fn host_bits_are_dropped_and_said() {
    let (policies, diagnostics) = read_text(&egress("- to: [{ipBlock: {cidr: 10.1.2.3/8}}]"));
    assert_eq!(codes(&diagnostics), ["cidr-host-bits"]);
    assert_eq!(told(&policies)[1], "0 allow to [10.0.0.0/8] on any");
}

#[test]
fn how_a_block_reads_the_cluster_is_a_setting() {
    let context = Context {
        network_policy_cidr: Scope::Outside,
        ..Context::default()
    };
    let Reading { policies, .. } = read(
        "policy.yaml",
        &egress("- to: [{ipBlock: {cidr: 10.0.0.0/8}}]"),
        &context,
    );
    assert_eq!(told(&policies)[1], "0 allow to [10.0.0.0/8 outside] on any");
}

#[test]
fn pods_in_the_hosts_network_are_not_selected() {
    let (policies, _) = read_text(&egress("- {}"));
    let mut workload = Workload::default();
    workload.pod.namespace = Some("shop".into());
    workload.pod.labels = Some(policy_model::Labels::new());
    assert_eq!(policies[0].subject.selects(&workload), Selects::Yes);
    workload.pod.host_network = true;
    assert_eq!(policies[0].subject.selects(&workload), Selects::No);
    let Subject::Kubernetes(subject) = &policies[0].subject else {
        panic!("a subject of Kubernetes")
    };
    assert_eq!(subject.namespace.as_deref(), Some("shop"));
}

#[test]
fn rules_of_several_documents_stand_apart() {
    let text = format!(
        "{}---\n{}",
        egress("- {}"),
        egress("- {}").replace("name: p", "name: q")
    );
    assert_eq!(read_text(&text).0.len(), 2);
}
