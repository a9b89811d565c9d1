//! Design section 2, "a DNS query is judged twice".
use policy_model::*;
use test_case::test_case;

use super::build::*;
use crate::{QuestionRuling, Ruling, Verdict};
use Verdict::{Allow, Deny};

fn dns_rule(peer: Peer, ports: Ports, patterns: &[&str]) -> Rule {
    let questions = Some(patterns.iter().map(|text| cilium(text)).collect());
    Rule {
        questions,
        ..rule(Action::Allow, vec![peer], ports)
    }
}

fn any_53() -> Ports {
    let port = |protocol| PortMatch::port(protocol, 53);
    Ports::Only(vec![port(Protocol::UDP), port(Protocol::TCP)])
}

fn world() -> Peer {
    Peer::Entity(Entity::World)
}

fn learning(rules: Vec<Rule>) -> Policy {
    Policy {
        dns: DnsFilter::Learn,
        ..filtering("l", rules)
    }
}

fn untouched(rules: Vec<Rule>) -> Policy {
    policy("n", TierRef::union(), rules)
}

#[test_case(&[], "any.example", Allow, "not-filtered"; "no policy")]
#[test_case(&[untouched(vec![allow(world())])], "any.example", Allow, "not-filtered"; "no name rule")]
#[test_case(&[filtering("u", vec![allow(fqdn("a.example"))])], "a.example", Allow, "rule"; "a name that is allowed")]
#[test_case(&[filtering("u", vec![allow(fqdn("a.example"))])], "b.example", Deny, "not-named"; "a name nobody allows")]
#[test_case(&[learning(vec![allow(fqdn("a.example"))])], "b.example", Allow, "not-filtered"; "learn and do not filter")]
#[test_case(&[learning(vec![allow(fqdn("a.example"))]), filtering("u", vec![allow(fqdn("b.example"))])], "a.example", Allow, "rule"; "the names of all policies where one filters")]
#[test_case(&[learning(vec![allow(fqdn("a.example"))]), filtering("u", vec![allow(fqdn("b.example"))])], "c.example", Deny, "not-named"; "one that filters is enough")]
#[test_case(&[untouched(vec![dns_rule(world(), any_53(), &["*.example"])])], "a.example", Allow, "rule"; "rules dns allow")]
#[test_case(&[untouched(vec![dns_rule(world(), any_53(), &["*.example"])])], "a.test", Deny, "not-named"; "rules dns limit")]
#[test_case(&[filtering("u", vec![allow(fqdn("a.test"))]), untouched(vec![dns_rule(world(), any_53(), &["*.example"])])], "a.test", Deny, "not-named"; "rules dns stand instead of the names of rules")]
#[test_case(&[untouched(vec![dns_rule(world(), any_53(), &["*"])]), filtering("u", vec![allow(fqdn("a.test"))])], "b.test", Allow, "rule"; "rules dns of every name")]
#[test_case(&[untouched(vec![dns_rule(net("10.0.0.54/32"), any_53(), &["*"])]), filtering("u", vec![allow(fqdn("a.test"))])], "b.test", Deny, "not-named"; "rules dns of another server")]
#[test_case(&[policy("d", TierRef::deny(), vec![deny(fqdn("b.example"))]), filtering("u", vec![allow(fqdn("**.example"))])], "b.example", Deny, "rule"; "a deny by name")]
#[test_case(&[policy("d", TierRef::deny(), vec![deny(fqdn("b.example"))]), learning(vec![allow(fqdn("a.example"))])], "b.example", Deny, "rule"; "a deny by name where nothing is filtered")]
#[test_case(&[policy("d", TierRef::deny(), vec![deny(fqdn("b.example"))]), untouched(vec![dns_rule(world(), any_53(), &["*"])])], "b.example", Deny, "rule"; "a deny by name before rules dns")]
#[test_case(&[Policy { tier: TierRef::kube_admin(), ..filtering("u", vec![allow(fqdn("b.example")), deny(fqdn("**.example"))]) }], "b.example", Allow, "rule"; "an allow before a deny by name")]
#[test_case(&[filtering("u", vec![Rule { closed: Some("x"), ..allow(fqdn("a.example")) }])], "a.example", Deny, "not-named"; "a closed allow names nothing")]
#[test_case(&[filtering("u", vec![allow(fqdn("a.example"))])], "a.example.corp", Deny, "search-expansion"; "a search list form")]
#[test_case(&[filtering("u", vec![allow(fqdn("a.example"))])], "b.example.corp", Deny, "not-named"; "a search list form of another name")]
#[test_case(&[filtering("u", vec![allow(fqdn("*"))])], "metadata.google.internal", Deny, "guard-metadata-name"; "a metadata name")]
#[test_case(&[filtering("u", vec![allow(fqdn("metadata.google.internal")), allow(Peer::Metadata(Preset::Gcp))])], "metadata.google.internal", Allow, "rule"; "a metadata name that is opened")]
#[test_case(&[filtering("u", vec![allow(fqdn("a.example")), allow(Peer::Metadata(Preset::Gcp))])], "metadata.google.internal", Allow, "rule"; "a preset opens its names")]
#[test_case(&[filtering("u", vec![allow(fqdn("*")), allow(Peer::Metadata(Preset::AwsEcs))])], "metadata.google.internal", Deny, "guard-metadata-name"; "another cloud opened")]
fn questions(policies: &[Policy], question: &str, verdict: Verdict, reason: &str) {
    let (ruled, code) = Held::by(policies).ask(question);
    assert_eq!((ruled.verdict(), code), (verdict, reason));
}

#[test]
fn rules_dns_are_per_protocol() {
    let udp = Ports::Only(vec![PortMatch::port(Protocol::UDP, 53)]);
    let tcp = Ports::Only(vec![PortMatch::port(Protocol::TCP, 53)]);
    let held = Held::by(&[untouched(vec![
        dns_rule(world(), udp, &["*.ubuntu.com"]),
        dns_rule(world(), tcp, &["sub.ubuntu.com"]),
    ])]);
    let ask = |protocol, question| {
        held.ask_by(Ruling::Enforced, protocol, question)
            .0
            .verdict()
    };
    assert_eq!(ask(Protocol::UDP, "www.ubuntu.com"), Allow);
    assert_eq!(ask(Protocol::TCP, "www.ubuntu.com"), Deny);
    assert_eq!(ask(Protocol::TCP, "sub.ubuntu.com"), Allow);
}

#[test]
fn a_server_nobody_knows_is_not_filtered_here() {
    let held = Held::by(&[filtering("u", vec![allow(fqdn("a.example"))])]);
    let ruleset = &held.compiled.ruleset;
    let ruled = ruleset.judge_question((ip("203.0.113.5"), 53), Protocol::UDP, &name("b.example"));
    assert!(matches!(ruled, QuestionRuling::NotFiltered { .. }));
}

#[test_case(RefusalCode::NxDomain; "nxdomain")]
#[test_case(RefusalCode::Refused; "refused")]
fn the_refusal_is_a_setting_and_never_so_for_search_lists(code: RefusalCode) {
    let settings = Settings {
        refusal: code,
        ..Settings::default()
    };
    let held = Held::with(&[filtering("u", vec![allow(fqdn("a.example"))])], &settings);
    let code_of = |question| match held.ask(question).0 {
        QuestionRuling::Refuse { code, .. } => Some(code),
        QuestionRuling::NotFiltered { .. } | QuestionRuling::Forward { .. } => None,
    };
    assert_eq!(code_of("b.example"), Some(code));
    assert_eq!(code_of("a.example.corp"), Some(RefusalCode::NxDomain));
}

#[test_case(DnsFilter::Filter, Allow; "filter")]
#[test_case(DnsFilter::Learn, Allow; "learn")]
#[test_case(DnsFilter::Untouched, Deny; "untouched")]
fn name_rules_open_the_resolvers_where_their_dialect_says_so(dns: DnsFilter, expected: Verdict) {
    let rules = vec![on(allow(fqdn("a.example")), 443)];
    let mut held = Held::by(&[Policy {
        dns,
        ..untouched(rules)
    }]);
    assert_eq!(held.tcp("10.0.0.53", 53), expected);
    assert_eq!(held.tcp("10.0.0.53", 54), Deny);
}

#[test]
fn a_rule_about_questions_opens_known_resolvers_only() {
    let mut held = Held::by(&[untouched(vec![dns_rule(world(), any_53(), &["*"])])]);
    assert_eq!(held.tcp("10.0.0.53", 53), Allow);
    assert_eq!(held.tcp("203.0.113.5", 53), Deny);
}

#[test]
fn a_refused_name_teaches_nothing() {
    let policies = [
        policy("d", TierRef::deny(), vec![deny(fqdn("b.example"))]),
        filtering("u", vec![allow(fqdn("**.example"))]),
    ];
    let mut held = Held::by(&policies).learn("b.example", "203.0.113.7", 60);
    assert_eq!(held.tcp("203.0.113.7", 443), Deny);
    let ruleset = &held.compiled.ruleset;
    assert!(!ruleset.name_rules(&name("a.example"), &[]).is_empty());
    let alias = ruleset.name_rules(&name("a.example"), &[name("b.example")]);
    assert!(alias.is_empty(), "nor does a name that is an alias of it");
}

#[test]
fn an_audit_filter_is_only_shown() {
    let audit = Policy {
        standing: Standing::Audit,
        ..filtering("u", vec![allow(fqdn("a.example"))])
    };
    let held = Held::by(&[audit]);
    assert_eq!(held.ask("b.example").1, "not-filtered");
    assert_eq!(
        held.ask_by(Ruling::Proposed, Protocol::UDP, "b.example").1,
        "not-named"
    );
    let ruleset = &held.compiled.ruleset;
    assert!(!ruleset.filtered());
    assert!(
        ruleset.redirects_dns(),
        "its names are learned, so that `would` is right"
    );
}

#[test]
fn look_ups_are_left_alone_without_a_name_rule() {
    let held = Held::by(&[untouched(vec![allow(world())])]);
    assert!(!held.compiled.ruleset.redirects_dns());
    assert!(!held.compiled.ruleset.guards_only());
    assert!(Held::by(&[]).compiled.ruleset.guards_only());
}
