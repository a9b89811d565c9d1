//! ClusterNetworkPolicies and the two kinds before them: what they lower to, what the API server refuses, what fails
//! closed, and what surprises in them.

use policy_model::{DnsFilter, FqdnBy, Order, Peer, Peers, Scope, Selects, Workload};
use test_case::test_case;

use crate::support::{codes, read_text, told};

fn cluster(spec: &str) -> String {
    object("v1alpha2", "ClusterNetworkPolicy", "p", spec)
}

fn object(version: &str, kind: &str, name: &str, spec: &str) -> String {
    let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: policy.networking.k8s.io/{version}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n{spec}"
    )
}

const SUBJECT: &str = "subject: {namespaces: {matchLabels: {team: a}}}\n";

/// An Admin policy with these rules.
fn admin(rules: &str) -> String {
    cluster(&format!(
        "tier: Admin\npriority: 7\n{SUBJECT}egress:\n{rules}"
    ))
}

fn anp(rules: &str) -> String {
    let spec = format!("priority: 7\n{SUBJECT}egress:\n{rules}");
    object("v1alpha1", "AdminNetworkPolicy", "p", &spec)
}

fn banp(rules: &str) -> String {
    let spec = format!("{SUBJECT}egress:\n{rules}");
    object("v1alpha1", "BaselineAdminNetworkPolicy", "default", &spec)
}

const ADMIN: &str = "admin/kube-admin at 7";

/// The findings without the one that a field is experimental.
fn stable(diagnostics: &[policy_model::Diagnostic]) -> Vec<&'static str> {
    let mut codes = codes(diagnostics);
    codes.retain(|code| *code != "cluster-network-policy-experimental");
    codes
}

#[test_case("- {action: Accept, to: [{namespaces: {}}]}", "0 allow to [pods {}/{}] on any"; "every pod")]
#[test_case("- {action: Deny, to: [{namespaces: {matchLabels: {a: b}}}]}", "0 deny to [pods {a=b}/{}] on any"; "namespaces")]
#[test_case("- {action: Pass, to: [{pods: {podSelector: {matchLabels: {c: d}}}}]}", "0 pass to [pods {}/{c=d}] on any"; "pods of every namespace")]
#[test_case("- {action: Pass, to: [{pods: {namespaceSelector: {matchLabels: {a: b}}, podSelector: {}}}]}", "0 pass to [pods {a=b}/{}] on any"; "pods of some")]
#[test_case("- {action: Deny, to: [{nodes: {}}, {networks: [10.0.0.0/8, \"fd00::/8\"]}]}", "0 deny to [nodes {}, 10.0.0.0/8, fd00::/8] on any"; "nodes and networks")]
#[test_case("- {action: Accept, to: [{domainNames: [Kubernetes.io, \"*.example.com.\"]}]}", "0 allow to [Kubernetes.io, *.example.com.] on any"; "names")]
#[test_case("- {action: Accept, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 443}}}, {udp: {destinationPort: {range: {start: 1, end: 9}}}}, {sctp: {destinationPort: {number: 3}}}]}", "0 allow to [pods {}/{}] on 443/TCP 1-9/UDP 3/SCTP"; "ports")]
#[test_case("- {action: Accept, to: [{namespaces: {}}], protocols: [{destinationNamedPort: http}]}", "0 allow to [pods {}/{}] on http"; "a named port of any protocol")]
fn rules(rules: &str, expected: &str) {
    let (policies, diagnostics) = read_text(&admin(rules));
    assert_eq!(stable(&diagnostics), Vec::<&str>::new(), "{diagnostics:?}");
    assert_eq!(told(&policies), [ADMIN, expected]);
}

#[test_case("- {action: Allow, to: [{namespaces: {}}], ports: [{portNumber: {port: 80}}]}", "0 allow to [pods {}/{}] on 80/TCP"; "tcp is the default")]
#[test_case("- {action: Deny, to: [{namespaces: {}}], ports: [{portRange: {protocol: UDP, start: 80, end: 90}}]}", "0 deny to [pods {}/{}] on 80-90/UDP"; "a range")]
#[test_case("- {action: Pass, to: [{namespaces: {}}], ports: [{namedPort: http}]}", "0 pass to [pods {}/{}] on http"; "a named port")]
#[test_case("- {action: Allow, to: [{domainNames: [\"*.kubernetes.io\"]}]}", "0 allow to [*.kubernetes.io] on any"; "names")]
fn rules_of_the_version_before(rules: &str, expected: &str) {
    let (policies, diagnostics) = read_text(&anp(rules));
    assert_eq!(stable(&diagnostics), Vec::<&str>::new(), "{diagnostics:?}");
    assert_eq!(told(&policies), [ADMIN, expected]);
}

#[test]
fn each_kind_stands_in_its_tier() {
    let rule = "- {action: Deny, to: [{networks: [192.0.2.0/24]}]}";
    let tier = |text: &str| {
        let (policies, diagnostics) = read_text(text);
        assert_eq!(codes(&diagnostics), Vec::<&str>::new(), "{text}");
        let policy = &policies[0];
        assert!(!policy.isolates, "{text}");
        assert_eq!(policy.deny_style, None);
        (policy.tier.to_string(), policy.order)
    };
    let baseline = admin(rule).replace("tier: Admin", "tier: Baseline");
    assert_eq!(tier(&admin(rule)), ("admin/kube-admin".into(), Order(7.0)));
    assert_eq!(
        tier(&baseline),
        ("baseline/kube-baseline".into(), Order(7.0))
    );
    assert_eq!(tier(&anp(rule)), ("admin/kube-admin".into(), Order(7.0)));
    let last = tier(&banp(rule));
    assert_eq!(last, ("baseline/kube-baseline".into(), Order::LAST));
    assert!(last.1 > Order(1000.0), "behind every priority");
    let later = admin(rule).replace("v1alpha2", "v1beta1");
    assert_eq!(tier(&later), tier(&admin(rule)), "one schema");
}

#[test]
fn names_filter_no_questions_and_hold_for_every_name_of_the_chain() {
    let (policies, diagnostics) = read_text(&admin(
        "- {action: Accept, to: [{domainNames: [db.y.svc.example]}]}",
    ));
    assert_eq!(codes(&diagnostics), ["cluster-network-policy-experimental"]);
    assert_eq!(policies[0].dns, DnsFilter::Untouched);
    let Peers::Of(peers) = &policies[0].rules[0].peers else {
        panic!("peers")
    };
    let [Peer::Fqdn(name)] = peers.as_slice() else {
        panic!("a name")
    };
    assert_eq!((name.by, name.scope), (FqdnBy::Chain, Scope::Any));
    assert!(!policies[0].rules[0].allow_private);
}

#[test]
fn an_annotation_lets_names_hold_private_addresses() {
    let text = admin("- {action: Accept, to: [{domainNames: [db.example.com]}]}").replace(
        "name: p",
        "name: p, annotations: {egret.dev/allow-private: \"true\"}",
    );
    assert!(read_text(&text).0[0].rules[0].allow_private);
}

/// "Treat the rule as matching no traffic", "treat the rule as a Deny all rule".
#[test_case("{to: [{}]}", "cluster-network-policy-peer"; "an empty peer")]
#[test_case("{to: [{namespaces: }]}", "cluster-network-policy-peer"; "a null peer")]
#[test_case("{to: [{services: {name: a}}]}", "unknown-rule-field"; "a peer of a later version")]
#[test_case("{to: [{namespaces: {}}, {services: {name: a}}]}", "unknown-rule-field"; "beside one that is known")]
#[test_case("{to: [{namespaces: {sameLabels: [a]}}]}", "unknown-rule-field"; "a peer of an earlier version")]
#[test_case("{to: [{pods: {podSelector: {}, zone: a}}]}", "unknown-rule-field"; "a field in a peer")]
#[test_case("{to: [{namespaces: {}}], schedule: nights}", "unknown-rule-field"; "a field in the rule")]
#[test_case("{to: [{namespaces: {}}], protocols: [{icmp: {type: 8}}]}", "unknown-rule-field"; "a protocol of a later version")]
#[test_case("{to: [{namespaces: {}}], protocols: [{}]}", "cluster-network-policy-protocol"; "an empty protocol")]
#[test_case("{to: [{namespaces: {}}], protocols: [{tcp: {flags: [syn]}}]}", "unknown-rule-field"; "a field in a protocol")]
#[test_case("{to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {set: a}}}]}", "unknown-rule-field"; "a field in a port")]
fn what_nobody_knows_fails_closed_in_every_action(rule: &str, code: &str) {
    for (word, action) in [("Accept", "allow"), ("Deny", "deny"), ("Pass", "pass")] {
        let rule = format!("- {{action: {word}, {}", &rule[1..]);
        let (policies, diagnostics) = read_text(&admin(&rule));
        let mut found = codes(&diagnostics);
        found.retain(|code| *code != "key-without-value");
        assert_eq!(found, [code], "{diagnostics:?}");
        let lines = told(&policies);
        assert!(lines[1].starts_with(&format!("0 {action} ")), "{lines:?}");
        assert!(
            lines[1].ends_with(&format!(" closed by {code}")),
            "{lines:?}"
        );
    }
}

#[test_case("{protocol: ICMP, port: 8}"; "a protocol of another version")]
#[test_case("{protocol: tcp, port: 80}"; "a protocol in small letters")]
fn the_version_before_takes_any_protocol_and_it_fails_closed(port: &str) {
    let rule =
        format!("- {{action: Deny, to: [{{namespaces: {{}}}}], ports: [{{portNumber: {port}}}]}}");
    let (policies, diagnostics) = read_text(&anp(&rule));
    assert_eq!(codes(&diagnostics), ["cluster-network-policy-protocol"]);
    assert!(policies[0].rules[0].closed.is_some());
}

#[test]
fn the_version_before_takes_a_range_the_wrong_way_round_and_it_fails_closed() {
    let (policies, diagnostics) = read_text(&anp(
        "- {action: Deny, to: [{namespaces: {}}], ports: [{portRange: {start: 90, end: 80}}]}",
    ));
    assert_eq!(codes(&diagnostics), ["cluster-network-policy-protocol"]);
    assert!(policies[0].rules[0].closed.is_some());
}

#[test]
fn a_baseline_of_the_version_before_has_no_names_and_no_pass() {
    let (policies, diagnostics) = read_text(&banp(
        "- {action: Deny, to: [{domainNames: [example.com]}]}",
    ));
    assert_eq!(codes(&diagnostics), ["unknown-rule-field"]);
    assert!(policies[0].rules[0].closed.is_some());
    let (policies, diagnostics) = read_text(&banp("- {action: Pass, to: [{namespaces: {}}]}"));
    assert_eq!(codes(&diagnostics), ["invalid-value"]);
    assert!(policies.is_empty());
}

#[test_case("Deny"; "deny")]
#[test_case("Pass"; "pass")]
fn a_deny_or_pass_by_name_denies_everything(action: &str) {
    let rule = format!(
        "- {{action: {action}, to: [{{domainNames: [example.com]}}, {{networks: [192.0.2.0/24]}}]}}"
    );
    let (policies, diagnostics) = read_text(&admin(&rule));
    assert_eq!(
        stable(&diagnostics),
        ["cluster-network-policy-deny-by-name"]
    );
    let lower = action.to_lowercase();
    assert_eq!(
        told(&policies)[1],
        format!("0 {lower} to [192.0.2.0/24] on any closed by cluster-network-policy-deny-by-name"),
        "no name is left, whose question would be refused"
    );
}

#[test]
fn names_in_the_baseline_tier_hold_and_are_said() {
    let text = admin("- {action: Accept, to: [{domainNames: [example.com]}]}")
        .replace("tier: Admin", "tier: Baseline");
    let (policies, diagnostics) = read_text(&text);
    assert_eq!(
        stable(&diagnostics),
        ["cluster-network-policy-baseline-by-name"]
    );
    assert_eq!(policies[0].rules[0].closed, None);
}

/// What the CRD refuses; the code, and words of the message or the help.
#[test_case("- {action: Allow, to: [{namespaces: {}}]}", "invalid-value", "write `Accept`"; "the action of the version before")]
#[test_case("- {action: accept, to: [{namespaces: {}}]}", "invalid-value", "did you mean `Accept`"; "an action in small letters")]
#[test_case("- {to: [{namespaces: {}}]}", "missing-field", "action"; "no action")]
#[test_case("- {action: Deny}", "missing-field", "to"; "no peers")]
#[test_case("- {action: Deny, to: []}", "empty-list", "to"; "an empty list of peers")]
#[test_case("- {action: Deny, to: [{namespaces: {}, nodes: {}}]}", "cluster-network-policy-one-of", "exactly one"; "two peers in one")]
#[test_case("- {action: Deny, to: [{pods: {namespaceSelector: {}}}]}", "missing-field", "podSelector"; "pods without their selector")]
#[test_case("- {action: Deny, to: [{networks: [10.0.0.1]}]}", "invalid-cidr", "10.0.0.1/32"; "an address is no block")]
#[test_case("- {action: Deny, to: [{networks: [010.0.0.0/8]}]}", "invalid-cidr", "leading zeros"; "leading zeros")]
#[test_case("- {action: Deny, to: [{networks: [\"::ffff:10.0.0.0/104\"]}]}", "invalid-cidr", "10.0.0.0/8"; "a mapped block")]
#[test_case("- {action: Deny, to: [{networks: [10.0.0.0/8, 10.0.0.0/8]}]}", "cluster-network-policy-duplicate", "twice"; "a block twice")]
#[test_case("- {action: Deny, to: [{networks: []}]}", "empty-list", "networks"; "no blocks")]
#[test_case("- {action: Accept, to: [{domainNames: [\"*.io\"]}]}", "invalid-pattern", "two labels"; "a wildcard of a top-level domain")]
#[test_case("- {action: Accept, to: [{domainNames: [\"**.example.com\"]}]}", "invalid-pattern", "whole first label"; "a wildcard of another dialect")]
#[test_case("- {action: Accept, to: [{domainNames: [https://example.com]}]}", "invalid-pattern", "without scheme"; "a url")]
#[test_case("- {action: Accept, to: [{namespaces: {}}], protocols: []}", "empty-list", "protocols"; "no protocols")]
#[test_case("- {action: Accept, to: [{namespaces: {}}], protocols: [{tcp: {}}]}", "missing-field", "start: 1"; "a protocol without a port")]
#[test_case("- {action: Accept, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {}}}]}", "missing-field", "number"; "a port without a number")]
#[test_case("- {action: Accept, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 5, end: 5}}}}]}", "invalid-port", "less than"; "a range of one")]
#[test_case("- {action: Accept, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 0}}}]}", "invalid-port", "between 1"; "port zero")]
#[test_case("- {action: Accept, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 1}}, udp: {destinationPort: {number: 1}}}]}", "cluster-network-policy-one-of", "exactly one"; "two protocols in one")]
#[test_case("- {action: Accept, to: [{nodes: {}}], protocols: [{destinationNamedPort: http}]}", "cluster-network-policy-named-port", "cannot be set"; "a named port of nodes")]
#[test_case("- {action: Accept, to: [{namespaces: {}}, {networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: http}]}", "cluster-network-policy-named-port", "cannot be set"; "a named port of networks")]
fn refused(rules: &str, code: &str, words: &str) {
    let (policies, diagnostics) = read_text(&admin(rules));
    assert_eq!(stable(&diagnostics), [code], "{diagnostics:?}");
    let finding = diagnostics
        .iter()
        .find(|diagnostic| diagnostic.code == code)
        .expect("the finding");
    let said = format!("{} {:?}", finding.message, finding.help);
    assert!(said.contains(words), "{said}");
    assert!(policies.is_empty());
}

#[test]
fn the_new_action_in_the_old_kind_is_refused_with_advice() {
    let (policies, diagnostics) = read_text(&anp("- {action: Accept, to: [{namespaces: {}}]}"));
    assert_eq!(diagnostics[0].help.as_deref(), Some("write `Allow`"));
    assert!(policies.is_empty());
}

#[test_case("tier: Admin\npriority: 1001", SUBJECT, "invalid-value"; "priority beyond the last")]
#[test_case("tier: Admin\npriority: -1", SUBJECT, "invalid-value"; "priority below the first")]
#[test_case("tier: Admin", SUBJECT, "missing-field"; "no priority")]
#[test_case("priority: 1", SUBJECT, "missing-field"; "no tier")]
#[test_case("tier: admin\npriority: 1", SUBJECT, "invalid-value"; "a tier in small letters")]
#[test_case("tier: Admin\npriority: 1", "", "missing-field"; "no subject")]
#[test_case("tier: Admin\npriority: 1", "subject: {}\n", "cluster-network-policy-subject"; "an empty subject")]
#[test_case("tier: Admin\npriority: 1", "subject: {namespaces: {}, pods: {podSelector: {}}}\n", "cluster-network-policy-subject"; "two subjects")]
#[test_case("tier: Admin\npriority: 1", "subject: {serviceAccounts: [a]}\n", "unknown-field"; "a subject of a later version")]
#[test_case("tier: Admin\npriority: 1", "subject: {pods: {namespaceSelector: {}}}\n", "missing-field"; "pods without their selector")]
#[test_case("tier: Admin\npriority: 1\nmode: audit", SUBJECT, "unknown-field"; "an unknown field")]
fn refused_whole(head: &str, subject: &str, code: &str) {
    let text = cluster(&format!(
        "{head}\n{subject}egress: [{{action: Deny, to: [{{namespaces: {{}}}}]}}]"
    ));
    let (policies, diagnostics) = read_text(&text);
    assert_eq!(codes(&diagnostics), [code], "{diagnostics:?}");
    assert!(policies.is_empty());
}

#[test]
fn a_baseline_of_another_name_is_refused() {
    let text = banp("- {action: Deny, to: [{namespaces: {}}]}").replace("default", "other");
    let (policies, diagnostics) = read_text(&text);
    assert_eq!(
        codes(&diagnostics),
        ["cluster-network-policy-baseline-name"]
    );
    assert!(policies.is_empty());
}

/// The limits hold where no API server looks: 25 in the new kind, 100 in the old ones.
#[test]
fn limits() {
    let deny = "{namespaces: {}}";
    let rule = |action: &str, peers: usize| {
        format!(
            "- {{action: {action}, to: [{}]}}\n",
            [deny].repeat(peers).join(", ")
        )
    };
    let rules = |count: usize| -> String {
        (0..count)
            .map(|n| {
                format!("- {{action: Deny, to: [{{namespaces: {{matchLabels: {{n: n{n}}}}}}}]}}\n")
            })
            .collect()
    };
    let too_many = ["cluster-network-policy-too-many"];
    let none: [&str; 0] = [];
    let found = |text: String| codes(&read_text(&text).1);
    assert_eq!(found(admin(&rules(25))), none);
    assert_eq!(found(admin(&rules(26))), too_many);
    assert_eq!(found(admin(&rule("Deny", 25))), none);
    assert_eq!(found(admin(&rule("Deny", 26))), too_many);
    assert_eq!(found(anp(&rules(100))), none);
    assert_eq!(found(anp(&rules(101))), too_many);
    let networks = |count: usize| {
        let nets: Vec<String> = (0..count).map(|n| format!("10.{n}.0.0/16")).collect();
        anp(&format!(
            "- {{action: Deny, to: [{{networks: [{}]}}]}}",
            nets.join(", ")
        ))
    };
    assert_eq!(found(networks(25)), none);
    assert_eq!(found(networks(26)), too_many);
    let protocols = |count: usize| {
        let ports: Vec<String> = (1..=count)
            .map(|n| format!("{{tcp: {{destinationPort: {{number: {n}}}}}}}"))
            .collect();
        admin(&format!(
            "- {{action: Deny, to: [{deny}], protocols: [{}]}}",
            ports.join(", ")
        ))
    };
    assert_eq!(found(protocols(25)), none);
    assert_eq!(found(protocols(26)), too_many);
    let named = |length: usize| {
        admin(&format!(
            "- {{name: {}, action: Deny, to: [{deny}]}}",
            "a".repeat(length)
        ))
    };
    assert_eq!(found(named(100)), none);
    assert_eq!(found(named(101)), ["invalid-value"]);
}

#[test]
fn a_policy_without_egress_rules_does_nothing_to_egress() {
    let (policies, diagnostics) = read_text(&cluster(&format!(
        "tier: Admin\npriority: 1\n{SUBJECT}ingress: [{{action: Deny, from: [{{namespaces: {{}}}}]}}]"
    )));
    assert_eq!(codes(&diagnostics), ["cluster-network-policy-ingress"]);
    assert!(policies.is_empty());
}

#[test]
fn a_deny_that_selects_every_pod_says_so() {
    let text = admin("- {action: Deny, to: [{networks: [192.0.2.0/24]}]}");
    for subject in [
        "subject: {namespaces: {}}\n",
        "subject: {pods: {podSelector: {}}}\n",
    ] {
        let found = codes(&read_text(&text.replace(SUBJECT_INDENTED, &format!("  {subject}"))).1);
        assert_eq!(found, ["cluster-network-policy-selects-everything"]);
    }
    assert_eq!(codes(&read_text(&text).1), Vec::<&str>::new());
}

const SUBJECT_INDENTED: &str = "  subject: {namespaces: {matchLabels: {team: a}}}\n";

#[test]
fn a_port_name_that_no_container_can_have_is_said() {
    let (policies, diagnostics) = read_text(&admin(
        "- {action: Deny, to: [{namespaces: {}}], protocols: [{destinationNamedPort: \"443\"}]}",
    ));
    assert_eq!(codes(&diagnostics), ["cluster-network-policy-port-name"]);
    assert_eq!(told(&policies)[1], "0 deny to [pods {}/{}] on 443");
}

#[test]
fn ports_without_a_value_are_said_to_be_every_port() {
    let (policies, diagnostics) = read_text(&admin(
        "- {action: Accept, to: [{networks: [192.0.2.0/24]}], protocols: }",
    ));
    assert_eq!(codes(&diagnostics), ["empty-list-means-everything"]);
    assert_eq!(told(&policies)[1], "0 allow to [192.0.2.0/24] on any");
}

#[test]
fn pods_in_the_hosts_network_are_not_selected() {
    let (policies, _) = read_text(&admin("- {action: Deny, to: [{namespaces: {}}]}"));
    let mut workload = Workload::default();
    workload.pod.namespace_labels = Some([("team".into(), "a".into())].into());
    assert_eq!(policies[0].subject.selects(&workload), Selects::Yes);
    workload.pod.host_network = true;
    assert_eq!(policies[0].subject.selects(&workload), Selects::No);
}
