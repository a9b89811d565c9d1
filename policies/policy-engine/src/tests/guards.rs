//! Design section 5.
use policy_model::*;
use test_case::test_case;

use super::build::*;
use crate::{Flow, Verdict};
use Verdict::{Allow, Deny};

const IMDS: &str = "169.254.169.254";

fn everything() -> Vec<Policy> {
    vec![policy(
        "u",
        TierRef::union(),
        vec![allow(Peer::Entity(Entity::All))],
    )]
}

#[test_case("169.254.169.254"; "shared")]
#[test_case("::ffff:169.254.169.254"; "mapped")]
#[test_case("64:ff9b::a9fe:a9fe"; "nat64")]
#[test_case("64:ff9b:1::a9fe:a9fe"; "local nat64")]
#[test_case("2002:a9fe:a9fe::1"; "6to4")]
#[test_case("2002:a83f:8110:7::"; "6to4 of another")]
#[test_case("::a9fe:a9fe"; "compatible")]
#[test_case("::ffff:0:a9fe:a9fe"; "siit")]
#[test_case("fd00:ec2::254"; "aws v6")]
#[test_case("169.254.170.2"; "ecs")]
#[test_case("169.254.170.23"; "eks")]
#[test_case("fd00:ec2::23"; "eks v6")]
#[test_case("100.100.100.200"; "alibaba")]
#[test_case("168.63.129.16"; "azure")]
#[test_case("192.0.0.192"; "oracle")]
#[test_case("169.254.42.42"; "scaleway")]
fn metadata_is_closed_whatever_is_allowed(address: &str) {
    for policies in [Vec::new(), everything()] {
        let mut held = Held::by(&policies);
        assert_eq!(held.why(address, 80), "guard-metadata");
        assert_eq!(held.tcp(address, 80), Deny);
        assert_eq!(held.tcp(address, 8080), Deny);
        assert_eq!(held.tcp(address, 53), Allow, "dns is an ordinary flow");
        let icmp = Flow::icmp(ip(address), 8, 0);
        assert_eq!(held.decide(icmp, 0).verdict, Deny);
    }
}

#[test]
fn the_rest_of_link_local_is_not_metadata() {
    let mut held = Held::by(&everything());
    for address in [
        "169.254.20.10",
        "169.254.169.253",
        "169.254.169.123",
        "169.254.1.1",
    ] {
        assert_eq!(held.tcp(address, 80), Allow, "{address}");
    }
}

#[test_case("2002:a9fe:a9fd::1"; "6to4 of a neighbour")]
#[test_case("2002:a9fe::1"; "6to4 of the network")]
#[test_case("::a9fe:a9fd"; "compatible with a neighbour")]
#[test_case("64:ff9b:1:a9fe:a9fe::"; "another head of rfc 8215")]
fn a_form_of_another_address_is_not_metadata(address: &str) {
    assert_eq!(Held::by(&everything()).tcp(address, 80), Allow);
}

#[test]
fn a_full_address_of_an_admin_opens_one_address_of_6to4_and_no_other() {
    let admin = policy(
        "a",
        TierRef::kube_admin(),
        vec![allow(net("2002:a9fe:a9fe::1/128"))],
    );
    let mut held = Held::by(&[admin, everything().remove(0)]);
    assert_eq!(held.tcp("2002:a9fe:a9fe::1", 80), Allow);
    assert_eq!(held.why("2002:a9fe:a9fe::2", 80), "guard-metadata");
}

#[test]
fn guards_can_be_off() {
    let off = Settings {
        guards: false,
        ..Settings::default()
    };
    let mut held = Held::with(&everything(), &off);
    assert_eq!(held.tcp(IMDS, 80), Allow);
}

#[test]
fn a_preset_opens_its_addresses_on_its_ports() {
    let rules = vec![
        allow(Peer::Metadata(Preset::AwsImds)),
        allow(Peer::Entity(Entity::All)),
    ];
    let mut held = Held::by(&[policy("u", TierRef::union(), rules)]);
    assert_eq!(held.tcp(IMDS, 80), Allow);
    assert_eq!(held.tcp("fd00:ec2::254", 80), Allow);
    assert_eq!(held.why(IMDS, 443), "guard-metadata");
    assert_eq!(held.why("169.254.170.2", 80), "guard-metadata");
}

#[test]
fn an_opened_address_is_still_judged() {
    let opened = policy(
        "u",
        TierRef::union(),
        vec![allow(Peer::Metadata(Preset::AwsImds))],
    );
    let denied = policy("d", TierRef::deny(), vec![deny(net("169.254.0.0/16"))]);
    let mut held = Held::by(&[opened, denied]);
    assert_eq!((held.tcp(IMDS, 80), held.why(IMDS, 80)), (Deny, "rule"));
}

#[test_case(OpenedBy::Preset, TierRef::kube_admin(), "169.254.169.254/32", Deny; "preset only, admin")]
#[test_case(OpenedBy::Admin, TierRef::kube_admin(), "169.254.169.254/32", Allow; "admin, full length")]
#[test_case(OpenedBy::Admin, TierRef::kube_admin(), "169.254.169.254/31", Deny; "admin, wider")]
#[test_case(OpenedBy::Admin, TierRef::union(), "169.254.169.254/32", Deny; "admin asked, namespaced given")]
#[test_case(OpenedBy::Admin, TierRef::kube_baseline(), "169.254.169.254/32", Deny; "admin asked, baseline given")]
#[test_case(OpenedBy::Any, TierRef::union(), "169.254.169.254/32", Allow; "any, namespaced")]
#[test_case(OpenedBy::Any, TierRef::union(), "169.254.0.0/16", Deny; "any, wider")]
fn who_opens(opened_by: OpenedBy, tier: TierRef, prefix: &str, expected: Verdict) {
    let settings = Settings {
        opened_by,
        ..Settings::default()
    };
    let mut held = Held::with(
        &[policy("a", tier, vec![on(allow(net(prefix)), 80)])],
        &settings,
    );
    assert_eq!(held.tcp(IMDS, 80), expected);
    assert_eq!(held.tcp(IMDS, 81), Deny);
}

#[test]
fn only_an_allow_opens() {
    let rules = vec![pass(net("169.254.169.254/32"))];
    let policies = [
        policy("a", TierRef::kube_admin(), rules),
        everything().remove(0),
    ];
    let mut held = Held::by(&policies);
    assert_eq!(held.why(IMDS, 80), "guard-metadata");
}

/// A workload whose names are filtered and that may reach the world.
fn filtered(more: Vec<Rule>) -> Held {
    let mut rules = vec![
        allow(fqdn("api.example")),
        allow(Peer::Entity(Entity::World)),
    ];
    rules.extend(more);
    Held::by(&[filtering("u", rules)])
}

#[test_case("203.0.113.5", 53, Deny; "another server")]
#[test_case("203.0.113.5", 853, Deny; "dns over tls")]
#[test_case("8.8.8.8", 443, Deny; "dns over https")]
#[test_case("8.8.8.8", 80, Allow; "no dns")]
#[test_case("203.0.113.5", 443, Allow; "https of nobody known")]
#[test_case("10.0.0.53", 53, Allow; "the known resolver")]
#[test_case("10.0.0.53", 853, Deny; "the known resolver past the filter")]
fn dns_around_the_filter(address: &str, port: u16, expected: Verdict) {
    let mut held = filtered(Vec::new());
    assert_eq!(held.tcp(address, port), expected);
    if expected == Deny {
        assert_eq!(held.why(address, port), "guard-dns-bypass");
    }
}

#[test_case(net("203.0.113.5/32"), Allow; "a full address")]
#[test_case(net("203.0.0.0/8"), Allow; "a prefix")]
#[test_case(net("0.0.0.0/0"), Deny; "all of ipv4")]
#[test_case(Peer::Entity(Entity::All), Deny; "entity all")]
fn the_dns_guard_yields_to_a_rule_that_names_the_address(peer: Peer, expected: Verdict) {
    assert_eq!(
        filtered(vec![on(allow(peer), 53)]).tcp("203.0.113.5", 53),
        expected
    );
}

#[test]
fn the_dns_guard_yields_to_a_name_but_not_to_every_name() {
    let named = Held::by(&[filtering("u", vec![allow(fqdn("dns.example"))])]);
    assert_eq!(
        named
            .learn("dns.example", "203.0.113.5", 60)
            .tcp("203.0.113.5", 853),
        Allow
    );
    let every = Held::by(&[filtering("u", vec![allow(fqdn("*"))])]);
    let mut every = every.learn("dns.example", "203.0.113.5", 60);
    assert_eq!(every.tcp("203.0.113.5", 853), Deny);
    assert_eq!(every.tcp("203.0.113.5", 443), Allow);
}

#[test]
fn other_port_53_is_an_ordinary_flow_where_names_are_not_filtered() {
    let mut held = Held::by(&everything());
    assert_eq!(held.tcp("203.0.113.5", 53), Allow);
    let learning = Policy {
        dns: DnsFilter::Learn,
        ..everything().remove(0)
    };
    assert_eq!(Held::by(&[learning]).tcp("203.0.113.5", 53), Allow);
}

#[test]
fn the_dns_guard_closes_what_only_the_default_allows() {
    let pods = Settings {
        default: DefaultVerdict::Allow,
        ..Settings::default()
    };
    let open = Policy {
        isolates: false,
        ..filtering("u", vec![allow(fqdn("api.example"))])
    };
    let mut held = Held::with(&[open], &pods);
    assert_eq!(held.why("203.0.113.5", 853), "guard-dns-bypass");
    assert_eq!(held.tcp("203.0.113.5", 443), Allow);
}

#[test_case("203.0.113.7", Allow; "public")]
#[test_case("10.1.2.3", Deny; "private")]
#[test_case("127.0.0.1", Deny; "loopback")]
#[test_case("192.0.2.10", Deny; "this host")]
#[test_case("64:ff9b::a01:203", Deny; "private behind nat64")]
fn a_name_may_not_stand_for_a_private_address(address: &str, expected: Verdict) {
    let held = Held::by(&[filtering("u", vec![allow(fqdn("a.example"))])]);
    let mut held = held.learn("a.example", address, 60);
    assert_eq!(held.tcp(address, 443), expected);
    let rules = held.compiled.ruleset.name_rules(&name("a.example"), &[]);
    assert_eq!(
        held.compiled.ruleset.allows_private(&rules, ip(address)),
        expected == Allow
    );
}

#[test]
fn only_the_rule_that_says_so_counts_on_a_private_address() {
    let private = Rule {
        allow_private: true,
        ..on(allow(fqdn("a.example")), 443)
    };
    let public = on(allow(fqdn("**.example")), 80);
    let held = Held::by(&[filtering("u", vec![private, public])]);
    let mut held = held.learn("a.example", "10.1.2.3", 60);
    assert_eq!(held.tcp("10.1.2.3", 443), Allow);
    assert_eq!(held.tcp("10.1.2.3", 80), Deny);
}

#[test]
fn names_of_a_private_zone_may_be_private() {
    let settings = Settings {
        private_zones: vec![name("corp")],
        ..Settings::default()
    };
    let held = Held::with(&[filtering("u", vec![allow(fqdn("**.corp"))])], &settings);
    assert_eq!(
        held.learn("db.corp", "10.1.2.3", 60).tcp("10.1.2.3", 443),
        Allow
    );
}

#[test]
fn no_name_opens_metadata() {
    let private = Rule {
        allow_private: true,
        ..allow(fqdn("a.example"))
    };
    let held = Held::by(&[filtering("u", vec![private])]);
    let mut held = held.learn("a.example", IMDS, 60);
    assert_eq!(held.why(IMDS, 80), "guard-metadata");
    let rules = held.compiled.ruleset.name_rules(&name("a.example"), &[]);
    assert!(!held.compiled.ruleset.allows_private(&rules, ip(IMDS)));
}

#[test]
fn a_record_that_opens_nothing_is_not_taken_away() {
    let audit = Policy {
        standing: Standing::Audit,
        ..filtering("u", vec![allow(fqdn("a.example"))])
    };
    let held = Held::by(&[audit]);
    let ruleset = &held.compiled.ruleset;
    for question in ["a.example", "b.example"] {
        let rules = ruleset.name_rules(&name(question), &[]);
        assert!(ruleset.allows_private(&rules, ip("10.1.2.3")), "{question}");
    }
}

#[test]
fn an_opened_metadata_address_may_stand_in_an_answer() {
    let rules = vec![
        allow(fqdn("metadata.google.internal")),
        allow(Peer::Metadata(Preset::Gcp)),
    ];
    let held = Held::by(&[filtering("u", rules)]);
    let mut held = held.learn("metadata.google.internal", IMDS, 60);
    let rules = held
        .compiled
        .ruleset
        .name_rules(&name("metadata.google.internal"), &[]);
    assert!(held.compiled.ruleset.allows_private(&rules, ip(IMDS)));
    assert_eq!(held.tcp(IMDS, 80), Allow);
    assert_eq!(held.why(IMDS, 443), "guard-metadata");
}
