//! What holds as written, and may not be what was meant; the same for every dialect.

use policy_dialects::{Context, read};
use test_case::test_case;

/// The lints of a policy's rules, with the line each is about.
fn lints(rules: &[&str]) -> Vec<(&'static str, u32)> {
    let text = format!(
        "apiVersion: egret.dev/v1alpha1\nkind: ClusterEgressPolicy\nmetadata: {{name: p}}\nspec:\n  egress:\n{}",
        rules
            .iter()
            .map(|rule| format!("  - {{{rule}}}\n"))
            .collect::<String>()
    );
    read("p.yaml", &text, &Context::default())
        .diagnostics
        .iter()
        .map(|diagnostic| (diagnostic.code, diagnostic.origin.line - 5))
        .collect()
}

const NARROW: &str = "action: Allow, to: [{cidr: 192.0.2.0/25}], ports: [{port: 443}]";

#[test_case("action: Allow, to: [{cidr: 192.0.2.0/24}]", NARROW, Some("unreachable-rule"); "said already")]
#[test_case("action: Deny, to: [{cidr: 192.0.2.0/24}]", NARROW, Some("shadowed-rule"); "denied before")]
#[test_case("action: Deny", NARROW, Some("shadowed-rule"); "everything denied before")]
#[test_case("action: Pass, to: [{cidr: 192.0.2.0/24}]", NARROW, Some("shadowed-rule"); "passed on before")]
#[test_case("action: Deny, to: [{cidr: 192.0.2.0/24}], ports: [{port: 440, endPort: 450}]", NARROW, Some("shadowed-rule"); "a range of ports")]
#[test_case("action: Deny, to: [{cidr: 192.0.2.0/24, except: [192.0.2.128/25]}]", NARROW, Some("shadowed-rule"); "an exception elsewhere")]
#[test_case("action: Deny, to: [{cidr: 192.0.2.0/24, except: [192.0.2.7/32]}]", NARROW, None; "an exception inside")]
#[test_case("action: Deny, to: [{cidr: 192.0.2.0/24}], ports: [{port: 80}]", NARROW, None; "another port")]
#[test_case("action: Deny, to: [{cidr: 192.0.2.0/26}]", NARROW, None; "a narrower block")]
#[test_case("action: Log", NARROW, None; "a log decides nothing")]
#[test_case("action: Deny, to: [{set: nobody}]", NARROW, None; "what is closed is reported for itself")]
#[test_case("action: Allow", "action: Allow, to: [{fqdn: [api.corp.example]}]", None; "a name may be asked because of its rule")]
#[test_case("action: Allow, to: [{cidr: 0.0.0.0/0}]", "action: Allow, to: [{cidr: 192.0.2.53/32}], ports: [{port: 53}]", None; "an address by name passes a guard that breadth does not")]
#[test_case("action: Allow, to: [{cidr: 169.254.0.0/16}]", "action: Allow, to: [{cidr: 169.254.169.254/32}]", None; "a whole metadata address opens its guard")]
#[test_case("action: Allow, to: [{entity: world}]", "action: Allow, to: [{entity: world}], ports: [{port: 443}]", Some("unreachable-rule"); "an entity")]
#[test_case("action: Allow, to: [{entity: world}]", "action: Deny, to: [{entity: world}], ports: [{port: 53}]", None; "guarded flows get to a deny")]
#[test_case("action: Deny, to: [{pods: {matchLabels: {app: a}}}]", "action: Allow, to: [{pods: {matchLabels: {app: a}}}]", Some("shadowed-rule"); "the same pods")]
#[test_case("action: Deny, to: [{pods: {matchLabels: {app: a}}}]", "action: Allow, to: [{pods: {matchLabels: {app: b}}}]", None; "other pods")]
#[test_case("action: Deny, to: [{pods: {}}]", "action: Allow, to: [{pods: {matchLabels: {app: b}}}]", Some("shadowed-rule"); "all pods")]
#[test_case("action: Deny, to: [{pods: {namespaces: {}}}]", "action: Allow, to: [{pods: {namespaces: {matchLabels: {team: a}}, matchLabels: {app: b}}}]", Some("shadowed-rule"); "all namespaces")]
#[test_case("action: Deny, to: [{pods: {matchLabels: {app: b}}}]", "action: Allow, to: [{pods: {matchLabels: {app: b, zone: c}}}]", Some("shadowed-rule"); "fewer labels")]
#[test_case("action: Deny, to: [{pods: {matchLabels: {app: b, zone: c}}}]", "action: Allow, to: [{pods: {matchLabels: {app: b}}}]", None; "more labels")]
#[test_case("action: Deny, to: [{pods: {namespaces: {matchLabels: {team: a}}}}]", "action: Allow, to: [{pods: {namespaces: {matchLabels: {team: b}}, matchLabels: {app: b}}}]", None; "other namespaces")]
#[test_case("action: Deny, to: [{pods: {namespaces: {matchLabels: {team: a}}}}]", "action: Allow, to: [{pods: {namespaces: {}, matchLabels: {app: b}}}]", None; "more namespaces")]
fn rules_that_no_flow_gets_to(first: &str, second: &str, expected: Option<&str>) {
    let found: Vec<&str> = lints(&[first, second])
        .into_iter()
        .filter(|(code, line)| *line == 2 && matches!(*code, "unreachable-rule" | "shadowed-rule"))
        .map(|(code, _)| code)
        .collect();
    assert_eq!(found, Vec::from_iter(expected));
}

#[test]
fn deny_rules_of_a_namespace_come_before_its_allows() {
    let text = "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  egress:\n  - {action: Allow, to: [{cidr: 192.0.2.0/25}]}\n  - {action: Deny, to: [{cidr: 192.0.2.0/24}]}\n";
    let found: Vec<(&str, u32)> = read("p.yaml", text, &Context::default())
        .diagnostics
        .iter()
        .map(|diagnostic| (diagnostic.code, diagnostic.origin.line))
        .collect();
    assert_eq!(found, [("shadowed-rule", 6), ("native-deny-first", 7)]);
}

#[test_case("cidr: 0.0.0.0/0", true; "all of ipv4")]
#[test_case("cidr: \"::/0\"", true; "all of ipv6")]
#[test_case("cidr: 64.0.0.0/2", true; "a part with loopback in it")]
#[test_case("cidr: 0.0.0.0/0, scope: outside", false; "outside")]
#[test_case("cidr: 0.0.0.0/0, except: [127.0.0.0/8]", false; "without loopback")]
#[test_case("cidr: 127.0.0.0/8", false; "loopback itself, which is meant")]
#[test_case("cidr: 128.0.0.0/1", false; "a part without it")]
#[test_case("cidr: \"2000::/3\"", false; "a part of ipv6 without it")]
#[test_case("entity: world", false; "the world")]
fn blocks_that_cover_the_machine_itself(peer: &str, expected: bool) {
    let rule = format!("action: Allow, to: [{{{peer}}}]");
    let found = lints(&[&rule]).contains(&("covers-host", 1));
    assert_eq!(found, expected);
    let deny = format!("action: Deny, to: [{{{peer}}}]");
    assert_eq!(lints(&[&deny]), [], "a Deny only closes");
}

#[test]
fn pods_have_a_loopback_of_their_own() {
    let text = "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  subject: {pods: {matchLabels: {app: a}}}\n  egress: [{action: Allow, to: [{cidr: 0.0.0.0/0}]}]\n";
    assert_eq!(read("p.yaml", text, &Context::default()).diagnostics, []);
}

#[test_case("*.com", "wildcard-wide"; "a top-level zone")]
#[test_case("**.amazonaws.com", "wildcard-wide"; "a zone of everybody's")]
#[test_case("*", "wildcard-wide"; "every name")]
#[test_case("api.shop.svc.cluster.local", "fqdn-in-cluster"; "a service")]
#[test_case("**.cluster.local", "fqdn-in-cluster"; "the cluster's zone")]
fn names_that_surprise(pattern: &str, code: &str) {
    let rule = format!("action: Allow, to: [{{fqdn: [\"{pattern}\"]}}]");
    assert_eq!(lints(&[&rule]), [(code, 1)]);
    let deny = format!("action: Deny, to: [{{fqdn: [\"{pattern}\"]}}]");
    assert_eq!(
        lints(&[&deny]),
        [("native-deny-by-name", 1)],
        "a wide Deny only closes"
    );
}

#[test_case("**.example.com"; "a zone of one owner")]
#[test_case("*.corp"; "a private zone")]
#[test_case("notcluster.local"; "another zone")]
#[test_case("com"; "one name")]
fn names_that_are_what_they_look_like(pattern: &str) {
    let rule = format!("action: Allow, to: [{{fqdn: [\"{pattern}\"]}}]");
    assert_eq!(lints(&[&rule]), []);
}

#[test]
fn a_star_beside_letters_is_wider_than_it_looks() {
    let text = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p, namespace: a}\nspec:\n  endpointSelector: {}\n  egress: [{toFQDNs: [{matchPattern: \"*cilium.io\"}]}]\n";
    let diagnostics = read("p.yaml", text, &Context::default()).diagnostics;
    assert_eq!(diagnostics[0].code, "wildcard-wide");
    assert!(diagnostics[0].message.contains("labels like `*cilium.io`"));
}
