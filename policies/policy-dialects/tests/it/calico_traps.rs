//! What surprises in Calico's policies: each is told, and means what Calico means by it.

use policy_model::{Band, Level, Subject};
use test_case::test_case;

use crate::calico::{expression, global, namespaced, object, reading, with_rule};
use crate::support::codes;

/// A server that is not Enterprise's drops `domains`: an Allow of one name would be an Allow of everything.
#[test]
fn an_emptied_destination_does_not_open_everything() {
    let closed = |annotation: &str, rule: &str| {
        let metadata = format!("{{name: p, namespace: shop{annotation}}}");
        let spec = format!("types: [Egress]\negress: [{rule}]");
        let reading = reading(&object("NetworkPolicy", &metadata, &spec));
        reading.policies[0].rules[0].closed.is_some()
    };
    let applied = |rule: &str| {
        format!(
            ", annotations: {{kubectl.kubernetes.io/last-applied-configuration: '{{\"spec\":{{\"egress\":[{rule}]}}}}'}}"
        )
    };
    let named = applied("{\"action\":\"Allow\",\"destination\":{\"domains\":[\"a.example\"]}}");
    let plain = applied("{\"action\":\"Allow\"}");
    assert!(closed("", "{action: Allow, destination: {}}"));
    assert!(closed("", "{action: Allow, destination: {domains: null}}"));
    assert!(!closed("", "{action: Allow}"));
    assert!(!closed("", "{action: Deny, destination: {}}"));
    assert!(!closed(
        "",
        "{action: Allow, destination: {nets: [192.0.2.0/24]}}"
    ));
    assert!(closed(&named, "{action: Allow, destination: {}}"));
    assert!(closed(&named, "{action: Allow}"));
    assert!(closed(
        &named,
        "{action: Allow, protocol: TCP, destination: {ports: [443]}}"
    ));
    assert!(!closed(
        &named,
        "{action: Allow, destination: {domains: [a.example]}}"
    ));
    assert!(!closed(&plain, "{action: Allow, destination: {}}"));
}

#[test]
fn a_network_set_without_its_domains_is_told() {
    let reading = reading(&object("GlobalNetworkSet", "{name: partners}", "nets: []"));
    assert_eq!(codes(&reading.diagnostics), ["calico-empty-set"]);
}

#[test]
fn a_policy_without_types_and_rules_denies_no_egress() {
    let reading = reading(&namespaced("selector: all()"));
    assert_eq!(codes(&reading.diagnostics), ["calico-ingress-only"]);
    assert!(reading.policies.is_empty());
}

#[test]
fn egress_rules_without_the_type_are_told() {
    let reading = reading(&namespaced("types: [Ingress]\negress: [{action: Deny}]"));
    assert_eq!(codes(&reading.diagnostics), ["calico-egress-without-type"]);
    assert!(reading.policies.is_empty());
}

#[test]
fn the_tier_may_stand_before_the_name() {
    let policy = |name: &str| {
        object(
            "NetworkPolicy",
            &format!("{{name: {name}, namespace: shop}}"),
            "types: [Egress]",
        )
    };
    let both = reading(&format!("{}---\n{}", policy("p"), policy("default.p")));
    assert_eq!(codes(&both.diagnostics), ["duplicate-object"]);
    let other = reading(&policy("security.p"));
    assert_eq!(codes(&other.diagnostics), ["calico-name-tier"]);
    assert_eq!(&*other.policies[0].tier.name, "calico-default");
}

#[test_case("selector: all()", "host endpoints and the pods of kube-system"; "all")]
#[test_case("namespaceSelector: kubernetes.io/metadata.name not in {'kube-system'}", "host endpoints"; "not in a namespace")]
#[test_case("namespaceSelector: all()", "the pods of kube-system"; "any namespace")]
fn a_global_policy_selects_more_than_one_thinks(spec: &str, whom: &str) {
    let reading = reading(&global(&format!("{spec}\ntypes: [Egress]")));
    assert_eq!(codes(&reading.diagnostics), ["calico-selects-everything"]);
    assert_eq!(
        reading.diagnostics[0].message,
        format!("the policy selects {whom} too")
    );
}

#[test]
fn a_selector_that_asks_for_the_namespace_is_quiet() {
    let reading = reading(&global(
        "namespaceSelector: has(projectcalico.org/name) && projectcalico.org/name not in {'kube-system'}\ntypes: [Egress]",
    ));
    assert_eq!(codes(&reading.diagnostics), Vec::<&str>::new());
}

#[test]
fn nothing_is_defaulted_in_calicos_own_store() {
    let stored = namespaced("selector: all()\ningress: [{action: Allow}]")
        .replace("projectcalico.org/v3", "crd.projectcalico.org/v1");
    let reading = reading(&stored);
    assert_eq!(
        codes(&reading.diagnostics),
        ["calico-not-defaulted", "calico-ingress"]
    );
    assert_eq!(reading.policies.len(), 1, "it denies egress too");
}

#[test]
fn an_untracked_policy_is_for_host_endpoints_before_every_tier() {
    let reading = reading(&global(
        "selector: role == 'node'\ndoNotTrack: true\napplyOnForward: true\negress: [{action: Allow}]",
    ));
    assert_eq!(codes(&reading.diagnostics), ["calico-do-not-track"]);
    let policy = &reading.policies[0];
    assert_eq!(
        (policy.tier.band, &*policy.tier.name),
        (Band::Admin, "calico-untracked")
    );
    assert_eq!(
        policy.subject,
        Subject::Endpoints(expression(
            "role == 'node' && !has(projectcalico.org/namespace)"
        ))
    );
}

#[test]
fn a_policy_before_address_translation_has_no_egress() {
    let reading = reading(&global(
        "selector: role == 'node'\npreDNAT: true\napplyOnForward: true\ningress: [{action: Allow}]",
    ));
    assert_eq!(codes(&reading.diagnostics), ["calico-ingress"]);
    assert!(reading.policies.is_empty());
}

#[test]
fn not_selector_pins_the_namespace() {
    let told = with_rule("{action: Allow, destination: {notSelector: \"role == 'db'\"}}");
    assert_eq!(codes(&told.diagnostics), ["calico-not-selector-namespace"]);
    let everywhere = with_rule(
        "{action: Allow, destination: {notSelector: \"role == 'db'\", namespaceSelector: all()}}",
    );
    assert_eq!(codes(&everywhere.diagnostics), Vec::<&str>::new());
}

#[test_case("nets: []", "nets"; "blocks")]
#[test_case("selector: \"\"", "selector"; "a selector")]
#[test_case("namespaceSelector: \"\"", "namespaceSelector"; "a selector of namespaces")]
#[test_case("serviceAccounts: {}", "serviceAccounts"; "accounts")]
#[test_case("serviceAccounts: {names: []}", "serviceAccounts"; "names of accounts")]
#[test_case("serviceAccounts: {names: [], selector: \"\"}", "serviceAccounts"; "a selector of accounts")]
#[test_case("nets: [192.0.2.0/24], ports: []", "ports"; "ports")]
fn what_is_written_and_empty_means_everything(destination: &str, at: &str) {
    let rule = |action: &str, more: &str| {
        let reading = with_rule(&format!(
            "{{action: {action}, protocol: TCP, destination: {{{destination}{more}}}}}"
        ));
        let found = reading.diagnostics.into_iter();
        found
            .map(|diagnostic| (diagnostic.code, diagnostic.origin.path.to_string()))
            .collect::<Vec<_>>()
    };
    let path = format!("spec.egress[0].destination.{at}");
    assert_eq!(rule("Allow", ""), [("calico-empty-list", path)]);
    assert_eq!(rule("Deny", ""), []);
    if at == "ports" {
        assert_eq!(rule("Allow", ", notPorts: [80]"), []);
    } else if at != "selector" {
        assert_eq!(rule("Allow", ", selector: has(a)"), []);
    }
}

#[test]
fn names_of_a_set_do_not_deny() {
    let set = object(
        "NetworkSet",
        "{name: bad, namespace: shop, labels: {feed: bad}}",
        "allowedEgressDomains: [bad.example]",
    );
    let policy = |action: &str| {
        namespaced(&format!(
            "egress: [{{action: {action}, destination: {{selector: feed == 'bad'}}}}]"
        ))
    };
    let told = reading(&format!("{}---\n{set}", policy("Deny")));
    assert_eq!(codes(&told.diagnostics), ["calico-domain-deny"]);
    let quiet = reading(&format!("{}---\n{set}", policy("Allow")));
    assert_eq!(codes(&quiet.diagnostics), Vec::<&str>::new());
}

#[test]
fn a_host_endpoint_without_profiles_denies() {
    let reading = reading(&object(
        "HostEndpoint",
        "{name: n1}",
        "node: n1\ninterfaceName: \"*\"",
    ));
    let mut found = codes(&reading.diagnostics);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "calico-host-endpoint-addresses",
            "calico-host-endpoint-denies"
        ]
    );
    assert!(reading.policies[1].rules.is_empty());
}

#[test]
fn a_deletion_of_what_is_not_there_is_told() {
    let reading = reading(&object(
        "StagedNetworkPolicy",
        "{name: gone, namespace: shop}",
        "stagedAction: Delete",
    ));
    assert_eq!(codes(&reading.diagnostics), ["calico-staged-missing"]);
}

#[test]
fn every_object_of_a_broken_set_is_told_at_once() {
    let broken = object("Tier", "{name: a.b}", "order: 1");
    let reading = reading(&format!(
        "{broken}---\n{}",
        namespaced("tier: a.b\negress: [{action: Allow, protocol: tcp}]")
    ));
    assert_eq!(
        codes(&reading.diagnostics),
        ["calico-tier", "calico-tier-missing", "invalid-value"]
    );
    assert!(
        reading
            .diagnostics
            .iter()
            .all(|d| d.level == Level::Refused)
    );
}

#[test]
fn a_key_without_a_value_is_told_of() {
    let reading = reading(
        "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: p}\nspec: {selector: all(), types: [Egress], egress: [{action: Allow, protocol: , destination: }]}",
    );
    let told: Vec<(&str, &str)> = reading
        .diagnostics
        .iter()
        .map(|told| (told.code, &*told.origin.path))
        .collect();
    assert!(told.contains(&("key-without-value", "spec.egress[0].protocol")));
    assert!(told.contains(&("key-without-value", "spec.egress[0].destination")));
    assert_eq!(reading.policies.len(), 1);
}
