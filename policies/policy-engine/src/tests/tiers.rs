//! Design section 2: bands, tiers, isolation, the two rulings, scopes.
use policy_model::*;
use test_case::test_case;

use super::build::*;
use crate::{CompileError, Flow, Reason, Verdict, compile};
use Verdict::{Allow, Deny};

const OUT: &str = "203.0.113.7";

fn world() -> Peer {
    Peer::Entity(Entity::World)
}

fn nobody() -> Vec<Rule> {
    Vec::new()
}

#[test_case(&[], Allow, "no-policy"; "no policy at all is guards only")]
#[test_case(&[policy("a", TierRef::kube_admin(), nobody())], Deny, "default"; "a policy that selects makes the default deny")]
#[test_case(&[policy("u", TierRef::union(), nobody())], Deny, "isolated"; "an isolating policy denies at the end of union")]
#[test_case(&[policy("u", TierRef::union(), vec![allow(net("203.0.113.0/24"))])], Allow, "rule"; "an allow in union")]
#[test_case(&[policy("d", TierRef::deny(), vec![deny(world())]), policy("u", TierRef::union(), vec![allow(world())])], Deny, "rule"; "a namespaced deny before every namespaced allow")]
#[test_case(&[policy("a", TierRef::kube_admin(), vec![allow(world())]), policy("d", TierRef::deny(), vec![deny(world())])], Allow, "rule"; "an admin allow before a namespaced deny")]
#[test_case(&[policy("a", TierRef::kube_admin(), vec![pass(world()), allow(world())]), policy("d", TierRef::deny(), vec![deny(world())])], Deny, "rule"; "a pass leaves the tier for the next")]
#[test_case(&[policy("b", TierRef::kube_baseline(), vec![allow(world())])], Allow, "rule"; "baseline decides where nobody isolates")]
#[test_case(&[policy("b", TierRef::kube_baseline(), vec![allow(world())]), policy("u", TierRef::union(), nobody())], Deny, "isolated"; "isolation stands before baseline")]
#[test_case(&[policy("u", TierRef::union(), vec![pass(world())]), policy("b", TierRef::kube_baseline(), vec![allow(world())])], Allow, "rule"; "a pass lifts its own isolation")]
#[test_case(&[policy("u", TierRef::union(), vec![pass(world())]), policy("v", TierRef::union(), nobody()), policy("b", TierRef::kube_baseline(), vec![allow(world())])], Deny, "isolated"; "a pass does not lift another's isolation")]
#[test_case(&[policy("c", TierRef::calico_default(), nobody()), policy("b", TierRef::kube_baseline(), vec![allow(world())])], Deny, "tier-end"; "calico default denies at its end")]
#[test_case(&[policy("c", TierRef::calico_default(), nobody()), policy("u", TierRef::union(), vec![allow(world())])], Allow, "rule"; "calico default yields where another isolates")]
#[test_case(&[policy("c", TierRef::calico_default(), vec![pass(world())]), policy("u", TierRef::union(), nobody())], Deny, "isolated"; "a calico pass frees nobody another isolates")]
#[test_case(&[policy("u", TierRef::union(), vec![rule(Action::Log, vec![world()], Ports::Any), allow(world())])], Allow, "rule"; "a log goes on")]
#[test_case(&[policy("u", TierRef::union(), vec![Rule { closed: Some("x"), ..allow(world()) }])], Deny, "isolated"; "a closed allow matches nothing")]
#[test_case(&[policy("d", TierRef::deny(), vec![Rule { closed: Some("x"), ..on(deny(net("10.0.0.0/8")), 1) }]), policy("u", TierRef::union(), vec![allow(world())])], Deny, "rule"; "a closed deny denies everything")]
#[test_case(&[policy("a", TierRef::kube_admin(), vec![pass(fqdn("a.example"))]), policy("u", TierRef::union(), vec![allow(world())])], Deny, "rule"; "a pass by name denies everything")]
#[test_case(&[policy("a", TierRef::kube_admin(), vec![deny(Peer::Set("x".into()))]), policy("u", TierRef::union(), vec![allow(world())])], Deny, "rule"; "a deny of an unknown peer denies everything")]
#[test_case(&[policy("u", TierRef::union(), vec![rule(Action::Allow, vec![Peer::Set("x".into()), world()], Ports::Any)])], Allow, "rule"; "an unknown peer of an allow matches nothing and the others do")]
fn the_walk(policies: &[Policy], verdict: Verdict, reason: &str) {
    let mut held = Held::by(policies);
    assert_eq!((held.tcp(OUT, 443), held.why(OUT, 443)), (verdict, reason));
}

#[test]
fn the_cluster_policies_that_isolate_act_at_the_end_of_their_band() {
    let isolating = |id, tier| Policy {
        isolates: true,
        ..policy(id, tier, nobody())
    };
    let baseline = || policy("b", TierRef::kube_baseline(), vec![allow(world())]);
    let mut admin = Held::by(&[isolating("a", TierRef::kube_admin()), baseline()]);
    assert_eq!(admin.why(OUT, 443), "isolated");
    let mut own = Held::by(&[isolating("a", TierRef::kube_baseline()), baseline()]);
    assert_eq!(own.tcp(OUT, 443), Allow);
    let pods = Settings {
        default: DefaultVerdict::Allow,
        ..Settings::default()
    };
    let mut alone = Held::with(&[isolating("a", TierRef::kube_baseline())], &pods);
    assert_eq!(alone.why(OUT, 443), "isolated");
}

#[test]
fn an_isolated_deny_names_the_isolating_policies() {
    let mut held = Held::by(&[
        policy("u", TierRef::union(), nobody()),
        policy("t", TierRef::union(), nobody()),
    ]);
    let Reason::Isolated { by, tier } = held.reason(OUT, 443) else {
        panic!("not isolated");
    };
    assert_eq!(
        by.iter().map(|id| &*id.name).collect::<Vec<_>>(),
        ["t", "u"]
    );
    assert_eq!(tier, TierRef::union());
}

#[test_case("203.0.113.7", Allow, Allow; "outside")]
#[test_case("192.0.2.10", Allow, Deny; "this host")]
#[test_case("127.0.0.1", Allow, Deny; "loopback")]
#[test_case("0.0.0.0", Allow, Deny; "unspecified is loopback")]
#[test_case("::ffff:127.0.0.1", Allow, Deny; "mapped loopback")]
#[test_case("::ffff:203.0.113.7", Allow, Allow; "mapped outside")]
fn scopes(address: &str, any: Verdict, outside_only: Verdict) {
    let mut held = Held::by(&[policy("u", TierRef::union(), vec![allow(net("0.0.0.0/0"))])]);
    assert_eq!(held.tcp(address, 443), any);
    let mut held = Held::by(&[policy(
        "u",
        TierRef::union(),
        vec![allow(outside("0.0.0.0/0"))],
    )]);
    assert_eq!(held.tcp(address, 443), outside_only);
}

#[test_case(Entity::World, &["203.0.113.7", "2001:db8::1"]; "world")]
#[test_case(Entity::Host, &["192.0.2.10"]; "host")]
#[test_case(Entity::Loopback, &["127.0.0.1", "127.8.9.10", "::1"]; "loopback")]
#[test_case(Entity::All, &["203.0.113.7", "2001:db8::1", "192.0.2.10", "127.0.0.1", "127.8.9.10", "::1"]; "all")]
#[test_case(Entity::Cluster, &[]; "there is no cluster")]
fn entities(entity: Entity, reached: &[&str]) {
    let mut held = Held::by(&[policy(
        "u",
        TierRef::union(),
        vec![allow(Peer::Entity(entity))],
    )]);
    for address in [
        "203.0.113.7",
        "2001:db8::1",
        "192.0.2.10",
        "127.0.0.1",
        "127.8.9.10",
        "::1",
    ] {
        let expected = if reached.contains(&address) {
            Allow
        } else {
            Deny
        };
        assert_eq!(held.tcp(address, 80), expected, "{address}");
    }
}

#[test]
fn entity_dns_is_the_resolvers_on_their_port() {
    let mut held = Held::by(&[policy(
        "u",
        TierRef::union(),
        vec![allow(Peer::Entity(Entity::Dns))],
    )]);
    assert_eq!(held.tcp("10.0.0.53", 53), Allow);
    assert_eq!(held.tcp("10.0.0.53", 80), Deny);
    assert_eq!(held.tcp("10.0.0.54", 53), Deny);
}

#[test]
fn exceptions_are_per_block() {
    let block = |text: &str, except: &[&str]| {
        Peer::Block(Block {
            net: text.parse().unwrap(),
            except: except.iter().map(|text| text.parse().unwrap()).collect(),
            scope: Scope::Any,
        })
    };
    let peers = vec![
        block("203.0.113.0/24", &["203.0.113.0/25"]),
        block("203.0.113.64/26", &["203.0.113.64/27"]),
    ];
    let mut held = Held::by(&[policy(
        "u",
        TierRef::union(),
        vec![rule(Action::Allow, peers, Ports::Any)],
    )]);
    for (address, expected) in [
        ("203.0.113.1", Deny),
        ("203.0.113.65", Deny),
        ("203.0.113.100", Allow),
        ("203.0.113.200", Allow),
    ] {
        assert_eq!(held.tcp(address, 443), expected, "{address}");
    }
}

#[test]
fn prefixes_are_folded_down_the_nesting_and_written_where_they_differ() {
    let rules = vec![
        on(allow(net("203.0.113.0/24")), 80),
        on(allow(net("203.0.113.0/25")), 443),
        on(allow(net("203.0.113.0/26")), 443),
    ];
    let mut held = Held::with(
        &[policy("u", TierRef::union(), rules)],
        &Settings {
            guards: false,
            ..Settings::default()
        },
    );
    assert_eq!(
        held.tcp("203.0.113.1", 80),
        Allow,
        "the wider rule holds inside"
    );
    assert_eq!(held.tcp("203.0.113.1", 443), Allow);
    assert_eq!(held.tcp("203.0.113.200", 443), Deny);
    let statics: Vec<String> = held
        .compiled
        .ruleset
        .statics()
        .iter()
        .map(|(net, _)| net.to_string())
        .collect();
    // The /26 says nothing that the /25 does not.
    assert_eq!(
        statics,
        ["0.0.0.0/0", "203.0.113.0/24", "203.0.113.0/25", "::/0"]
    );
}

fn audit(policy: Policy) -> Policy {
    Policy {
        standing: Standing::Audit,
        ..policy
    }
}

fn staged(change: StagedChange, policy: Policy) -> Policy {
    Policy {
        standing: Standing::Staged(change),
        ..policy
    }
}

#[test_case(&[audit(policy("u", TierRef::union(), vec![]))], Allow, Deny; "an audit policy neither isolates nor makes the default deny")]
#[test_case(&[policy("u", TierRef::union(), vec![allow(world())]), audit(policy("d", TierRef::deny(), vec![deny(world())]))], Allow, Deny; "an audit deny")]
#[test_case(&[policy("u", TierRef::union(), vec![]), audit(policy("v", TierRef::union(), vec![allow(world())]))], Deny, Allow; "an audit allow")]
#[test_case(&[policy("u", TierRef::union(), vec![]), staged(StagedChange::Delete, policy("u", TierRef::union(), vec![]))], Deny, Allow; "a staged removal")]
#[test_case(&[policy("u", TierRef::union(), vec![allow(world())]), staged(StagedChange::Set, policy("u", TierRef::union(), vec![]))], Allow, Deny; "a staged replacement")]
#[test_case(&[staged(StagedChange::Set, policy("u", TierRef::union(), vec![]))], Allow, Deny; "a staged addition")]
fn two_rulings(policies: &[Policy], enforced: Verdict, would: Verdict) {
    let mut held = Held::by(policies);
    let decision = held.decide(Flow::new(ip(OUT), Protocol::TCP, 443), 0);
    assert_eq!((decision.verdict, decision.would), (enforced, would));
}

#[test]
fn the_deny_style_is_that_of_the_policy_that_denies() {
    let drop = |policy| Policy {
        deny_style: Some(DenyStyle::Drop),
        ..policy
    };
    let flow = Flow::new(ip(OUT), Protocol::TCP, 443);
    let mut by_rule = Held::by(&[drop(policy("d", TierRef::deny(), vec![deny(world())]))]);
    assert_eq!(by_rule.decide(flow, 0).style, DenyStyle::Drop);
    let mut isolated = Held::by(&[
        policy("u", TierRef::union(), nobody()),
        drop(policy("v", TierRef::union(), nobody())),
    ]);
    assert_eq!(isolated.decide(flow, 0).style, DenyStyle::Drop);
    let mut other = Held::by(&[policy("u", TierRef::union(), nobody())]);
    assert_eq!(other.decide(flow, 0).style, DenyStyle::Reject);
}

#[test]
fn an_unknown_subject_is_an_error_and_never_a_policy_that_selects_nothing() {
    let labels = LabelSelector {
        match_labels: Labels::from([("app".into(), "web".into())]),
        ..LabelSelector::default()
    };
    let subject = Subject::Kubernetes(KubernetesSubject {
        pods: Some(labels),
        ..KubernetesSubject::default()
    });
    let policies = [Policy {
        subject,
        ..policy("u", TierRef::union(), nobody())
    }];
    let error = compile(
        &policies,
        &Workload::command(),
        &machine(),
        &Settings::default(),
    )
    .unwrap_err();
    assert!(matches!(&error, CompileError::UnknownSubject { .. }));
    assert_eq!(
        error.to_string(),
        "policy `EgressPolicy/u` selects by labels, and the workload's are not known"
    );
}
