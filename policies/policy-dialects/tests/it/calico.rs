//! Calico's policies, from text to the model.

use policy_dialects::{Context, Reading, parse_selector, read};
use policy_model::{
    Action, Band, Expression, Level, NamedPort, Order, Peer, Peers, Policy, Ports, Protocol, Rule,
    StagedChange, Standing, Subject, TierEnd,
};
use test_case::test_case;

use crate::support::codes;

pub(crate) fn object(kind: &str, metadata: &str, spec: &str) -> String {
    let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!("apiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {metadata}\nspec:\n{spec}")
}

pub(crate) fn namespaced(spec: &str) -> String {
    object("NetworkPolicy", "{name: p, namespace: shop}", spec)
}

pub(crate) fn global(spec: &str) -> String {
    object("GlobalNetworkPolicy", "{name: p}", spec)
}

pub(crate) fn reading(text: &str) -> Reading {
    read("policy.yaml", text, &Context::default())
}

/// A namespaced policy with one egress rule.
pub(crate) fn with_rule(rule: &str) -> Reading {
    reading(&namespaced(&format!(
        "selector: all()\ntypes: [Egress]\negress: [{rule}]"
    )))
}

fn clean(text: &str) -> Vec<Policy> {
    let Reading {
        policies,
        diagnostics,
        ..
    } = reading(text);
    assert_eq!(
        codes(&diagnostics),
        Vec::<&str>::new(),
        "{text}\n{diagnostics:?}"
    );
    policies
}

fn rule(rule: &str) -> Rule {
    let Reading {
        mut policies,
        diagnostics,
        ..
    } = with_rule(rule);
    // It stands alone: no rule for DNS is beside it.
    let mut found = codes(&diagnostics);
    found.retain(|code| *code != "dns-not-allowed");
    assert_eq!(found, Vec::<&str>::new(), "{rule}\n{diagnostics:?}");
    policies.remove(0).rules.remove(0)
}

pub(crate) fn expression(text: &str) -> Expression {
    parse_selector(text).expect("a selector").expression()
}

const TIERS: &str = "\
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: early}
spec: {order: 500, defaultAction: Pass}
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: alike}
spec: {order: 1000000}
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: other}
spec: {order: 1000000}
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: late}
spec: {order: 2000000.5, defaultAction: Deny}
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: last}
spec: {}
---
";

#[test_case("early", Band::Admin, 500.0, TierEnd::Next; "before the default tier")]
#[test_case("alike", Band::Admin, 1_000_000.0, TierEnd::Deny; "of its order, before it by name")]
#[test_case("other", Band::Baseline, 1_000_000.0, TierEnd::Deny; "of its order, behind it by name")]
#[test_case("late", Band::Baseline, 2_000_000.5, TierEnd::Deny; "behind it")]
#[test_case("last", Band::Baseline, f64::MAX, TierEnd::Deny; "without an order")]
#[test_case("kube-admin", Band::Admin, 1_000.0, TierEnd::Next; "shared with ClusterNetworkPolicy")]
#[test_case("kube-baseline", Band::Baseline, 10_000_000.0, TierEnd::DenyIfIsolated; "shared with its baseline")]
#[test_case("default", Band::Namespace, 2.0, TierEnd::DenyUnlessIsolatedElsewhere; "the default tier")]
fn tiers(name: &str, band: Band, order: f64, end: TierEnd) {
    let policy = object(
        "NetworkPolicy",
        &format!("{{name: {name}.p, namespace: shop}}"),
        &format!("tier: {name}\ntypes: [Egress]"),
    );
    let policies = clean(&format!("{TIERS}{policy}"));
    let [policy] = policies.as_slice() else {
        panic!("one policy")
    };
    assert_eq!(
        (policy.tier.band, policy.tier.order, policy.tier.end),
        (band, Order(order), end)
    );
    assert!(!policy.isolates);
}

#[test]
fn a_tier_may_stand_in_any_file_of_the_set() {
    let policy = object(
        "GlobalNetworkPolicy",
        "{name: early.p}",
        "tier: early\nselector: has(app)\ntypes: [Egress]",
    );
    let reading = policy_dialects::read_set(
        [("a.yaml", policy.as_str()), ("b.yaml", TIERS)],
        &Context::default(),
    );
    assert_eq!(codes(&reading.diagnostics), Vec::<&str>::new());
    assert_eq!(reading.policies.len(), 1);
}

#[test_case("", Order::LAST; "none is last")]
#[test_case("order: 10\n", Order(10.0); "a whole number")]
#[test_case("order: 0.5\n", Order(0.5); "a fraction")]
#[test_case("order: -3\n", Order(-3.0); "a negative one")]
fn orders(order: &str, expected: Order) {
    let policies = clean(&namespaced(&format!("{order}types: [Egress]")));
    assert_eq!(policies[0].order, expected);
}

#[test]
fn ties_go_by_one_string_of_name_namespace_and_kind() {
    let policy = |metadata: &str| clean(&object("NetworkPolicy", metadata, "types: [Egress]"));
    let tie = |metadata: &str| policy(metadata)[0].tie.clone();
    assert_eq!(&*tie("{name: a, namespace: shop}"), "a/shop/NetworkPolicy");
    let global = clean(&object(
        "GlobalNetworkPolicy",
        "{name: a}",
        "selector: has(app)\ntypes: [Egress]",
    ));
    assert_eq!(&*global[0].tie, "a//GlobalNetworkPolicy");
    assert!(global[0].tie < tie("{name: a, namespace: shop}"));
    assert!(tie("{name: a-b, namespace: shop}") < tie("{name: a, namespace: shop}"));
}

#[test_case("egress: [{action: Allow}]", true; "egress rules alone")]
#[test_case("ingress: [{action: Allow}]\negress: [{action: Allow}]", true; "rules both ways")]
#[test_case("ingress: [{action: Allow}]", false; "ingress rules alone")]
#[test_case("selector: all()", false; "no rules")]
#[test_case("egress: []", false; "an empty list is no rules")]
#[test_case("types: [Egress]", true; "egress by name")]
#[test_case("types: [Ingress, Egress]", true; "both by name")]
#[test_case("types: [Ingress]\negress: [{action: Allow}]", false; "ingress by name")]
fn types_are_defaulted_as_the_api_server_does(spec: &str, egress: bool) {
    assert_eq!(!reading(&namespaced(spec)).policies.is_empty(), egress);
}

#[test_case("", "projectcalico.org/namespace == 'shop'"; "the own namespace")]
#[test_case("selector: app == 'a'\n", "app == 'a' && projectcalico.org/namespace == 'shop'"; "by label")]
#[test_case("serviceAccountSelector: role == 'x'\n", "projectcalico.org/namespace == 'shop' && pcsa.role == 'x'"; "by account")]
#[test_case("selector: ''\nserviceAccountSelector: ''\n", "projectcalico.org/namespace == 'shop'"; "empty selectors are none")]
fn subjects_of_namespaced_policies(spec: &str, expected: &str) {
    let policies = clean(&namespaced(&format!("{spec}types: [Egress]")));
    assert_eq!(
        policies[0].subject,
        Subject::Endpoints(expression(expected))
    );
}

#[test_case("selector: app == 'a'\n", "app == 'a'"; "by label")]
#[test_case("selector: app == 'a' || app == 'b'\nnamespaceSelector: team == 'x'\n", "(app == 'a' || app == 'b') && pcns.team == 'x'"; "by label and namespace")]
#[test_case("selector: has(app)\nnamespaceSelector: all()\n", "has(app) && has(projectcalico.org/namespace)"; "any namespace")]
#[test_case("selector: has(app)\nserviceAccountSelector: all()\n", "has(app) && has(projectcalico.org/serviceaccount)"; "any account")]
fn subjects_of_global_policies(spec: &str, expected: &str) {
    let policies = clean(&global(&format!("{spec}types: [Egress]")));
    assert_eq!(
        policies[0].subject,
        Subject::Endpoints(expression(expected))
    );
}

#[test_case("{action: Allow}", "any"; "nothing is every protocol")]
#[test_case("{action: Allow, protocol: TCP}", "TCP"; "a protocol")]
#[test_case("{action: Allow, protocol: 47}", "47"; "by number")]
#[test_case("{action: Allow, protocol: \"6\"}", "TCP"; "by number in quotes")]
#[test_case("{action: Allow, protocol: UDPLite}", "136"; "udp lite")]
#[test_case("{action: Allow, notProtocol: ICMP}", "all but ICMP"; "all but a protocol")]
#[test_case("{action: Allow, protocol: TCP, notProtocol: TCP}", "none"; "both say nothing")]
#[test_case("{action: Allow, protocol: TCP, notProtocol: UDP}", "TCP"; "another one excluded")]
#[test_case("{action: Allow, protocol: TCP, destination: {ports: [80, \"8000:8010\", \"443\"]}}", "80/TCP 8000-8010/TCP 443/TCP"; "ports")]
#[test_case("{action: Allow, protocol: UDP, destination: {notPorts: [53]}}", "0-52/UDP 54-65535/UDP"; "all but a port")]
#[test_case("{action: Allow, protocol: TCP, destination: {ports: [\"80:90\"], notPorts: [\"85:100\", 80]}}", "81-84/TCP"; "both")]
#[test_case("{action: Allow, protocol: TCP, destination: {notPorts: [\"1:65535\"]}}", "0/TCP"; "port 0 is no port of anybody")]
#[test_case("{action: Allow, protocol: ICMP}", "ICMP"; "icmp")]
#[test_case("{action: Allow, protocol: ICMP, icmp: {type: 8}}", "2048-2303/ICMP"; "an icmp type")]
#[test_case("{action: Allow, protocol: ICMPv6, icmp: {type: 128, code: 0}}", "32768/ICMPv6"; "and code")]
#[test_case("{action: Allow, protocol: ICMP, notICMP: {type: 8}}", "0-2047/ICMP 2304-65535/ICMP"; "all but a type")]
#[test_case("{action: Allow, protocol: ICMP, icmp: {type: 3}, notICMP: {type: 3, code: 4}}", "768-771/ICMP 773-1023/ICMP"; "a type without a code of it")]
#[test_case("{action: Allow, protocol: ICMP, notICMP: {}}", "ICMP"; "no type excludes nothing")]
#[test_case("{action: Allow, notICMP: {type: 8}}", "all but 2048-2303/ICMP 2048-2303/ICMPv6"; "without a protocol")]
fn protocols_and_ports(text: &str, expected: &str) {
    let rule = rule(text);
    assert!(rule.named_ports.is_empty());
    assert_eq!(print_ports(&rule.ports), expected);
}

fn print_ports(ports: &Ports) -> String {
    let listed = |ports: &[policy_model::PortMatch]| {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        ports.join(" ")
    };
    match ports {
        Ports::Any => "any".to_owned(),
        Ports::Only(ports) if ports.is_empty() => "none".to_owned(),
        Ports::Only(ports) => listed(ports),
        Ports::AllBut(ports) => format!("all but {}", listed(ports)),
    }
}

#[test]
fn named_ports() {
    let named = |protocol, name: &str| NamedPort {
        protocol,
        name: name.into(),
    };
    let tcp = rule(
        "{action: Allow, protocol: TCP, destination: {ports: [80, web], notPorts: [8080, admin]}}",
    );
    assert_eq!(print_ports(&tcp.ports), "80/TCP");
    assert_eq!(tcp.named_ports.any_of, [named(Some(Protocol::TCP), "web")]);
    assert_eq!(
        tcp.named_ports.none_of,
        [named(Some(Protocol::TCP), "admin")]
    );
    assert_eq!(
        print_ports(&Ports::Only(tcp.named_ports.except)),
        "8080/TCP"
    );

    let any = rule("{action: Allow, destination: {ports: [web]}}");
    assert_eq!(print_ports(&any.ports), "none");
    assert_eq!(any.named_ports.any_of, [named(None, "web")]);

    let but = rule("{action: Allow, notProtocol: UDP, destination: {ports: [web]}}");
    assert_eq!(print_ports(&Ports::Only(but.named_ports.except)), "UDP");

    let not = rule("{action: Deny, destination: {notPorts: [web]}}");
    assert_eq!(print_ports(&not.ports), "any");
    assert_eq!(not.named_ports.none_of, [named(None, "web")]);
}

#[test_case("{action: Allow}", "any"; "no destination")]
#[test_case("{action: Allow, destination: {nets: [192.0.2.0/24, 198.51.100.0/24]}}", "192.0.2.0/24, 198.51.100.0/24"; "nets")]
#[test_case("{action: Allow, destination: {nets: [10.0.0.0/8], notNets: [10.1.0.0/16, 192.0.2.0/24]}}", "10.0.0.0/8 but 10.1.0.0/16"; "nets without some")]
#[test_case("{action: Allow, destination: {nets: [10.1.0.0/16], notNets: [10.0.0.0/8]}}", ""; "nothing is left")]
#[test_case("{action: Allow, destination: {notNets: [169.254.169.254/32]}}", "0.0.0.0/0 but 169.254.169.254/32, ::/0"; "all but an address")]
#[test_case("{action: Allow, ipVersion: 4, destination: {notNets: [169.254.169.254/32]}}", "0.0.0.0/0 but 169.254.169.254/32"; "in one family")]
#[test_case("{action: Allow, ipVersion: 6}", "::/0"; "a family")]
#[test_case("{action: Allow, destination: {services: {name: api, namespace: x}}}", "service x/api"; "a service")]
#[test_case("{action: Allow, destination: {services: {name: api}}}", "service shop/api"; "a service of the own namespace")]
#[test_case("{action: Allow, destination: {domains: [api.example.com, \"*.example.net\"]}}", "name api.example.com, name *.example.net"; "names")]
fn destinations(text: &str, expected: &str) {
    assert_eq!(print_peers(&rule(text).peers), expected);
}

fn print_peers(peers: &Peers) -> String {
    let Peers::Of(peers) = peers else {
        return "any".to_owned();
    };
    let peers: Vec<String> = peers.iter().map(print_peer).collect();
    peers.join(", ")
}

fn print_peer(peer: &Peer) -> String {
    match peer {
        Peer::Block(block) if block.except.is_empty() => block.net.to_string(),
        Peer::Block(block) => {
            let except: Vec<String> = block.except.iter().map(ToString::to_string).collect();
            format!("{} but {}", block.net, except.join(" "))
        }
        Peer::Fqdn(name) => format!("name {}", name.pattern),
        Peer::Service(service) => {
            assert!(service.with_ports);
            let policy_model::ServiceRef::Name(name) = &service.service else {
                panic!("by name")
            };
            format!(
                "service {}/{name}",
                service.namespace.as_deref().unwrap_or("?")
            )
        }
        other @ (Peer::Entity(_)
        | Peer::Metadata(_)
        | Peer::Pods(_)
        | Peer::Nodes(_)
        | Peer::Endpoints(_)
        | Peer::Set(_)) => panic!("{other:?}"),
    }
}

#[test]
fn selectors_and_blocks_stand_together() {
    let rule = rule(
        "{action: Deny, ipVersion: 4, destination: {selector: \"app == 'a'\", notSelector: \"has(b)\", namespaceSelector: all(), notNets: [10.0.0.0/8]}}",
    );
    let Peers::Of(peers) = rule.peers else {
        panic!("peers")
    };
    let [Peer::Endpoints(peer)] = peers.as_slice() else {
        panic!("{peers:?}")
    };
    assert_eq!(
        peer.selector,
        Some(expression("has(projectcalico.org/namespace) && app == 'a'"))
    );
    assert_eq!(peer.not_selector, Some(expression("has(b)")));
    let nets = |nets: &[ipnet::IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(nets(&peer.nets), ["0.0.0.0/0"]);
    assert_eq!(nets(&peer.not_nets), ["10.0.0.0/8"]);
}

#[test]
fn actions_are_kept_and_rules_are_numbered() {
    let policies = clean(&namespaced(
        "egress: [{action: Log}, {action: Pass, protocol: UDP}, {action: Deny, protocol: TCP}, {action: Allow, metadata: {annotations: {a: b}}}]",
    ));
    let rules: Vec<(u32, Action)> = policies[0]
        .rules
        .iter()
        .map(|r| (r.index, r.action))
        .collect();
    let expected = [Action::Log, Action::Pass, Action::Deny, Action::Allow];
    assert_eq!(rules, (0..).zip(expected).collect::<Vec<_>>());
}

#[test]
fn a_source_narrows_the_subject_and_keeps_the_order() {
    let policies = clean(&namespaced(
        "selector: has(app)
types: [Egress]
egress:
- {action: Deny, source: {selector: \"app == 'a'\"}}
- {action: Log, source: {}}
- {action: Allow, source: {nets: [10.0.0.0/8], notNets: [10.1.0.0/16]}}
- {action: Pass, source: {notSelector: \"app == 'b'\", serviceAccounts: {names: [x]}, namespaceSelector: all()}}
",
    ));
    let own = "has(app) && projectcalico.org/namespace == 'shop'";
    let base = expression(own);
    let [all, first, second, third, fourth] = policies.as_slice() else {
        panic!("{policies:?}")
    };
    assert!(policies.iter().all(|policy| {
        (&policy.id, policy.order, &policy.tie, &policy.tier)
            == (&all.id, all.order, &all.tie, &all.tier)
    }));
    let rules: Vec<Vec<u32>> = policies
        .iter()
        .map(|policy| policy.rules.iter().map(|rule| rule.index).collect())
        .collect();
    assert_eq!(rules, [vec![], vec![0], vec![1], vec![2], vec![3]]);
    assert_eq!(all.subject, Subject::Endpoints(base.clone()));
    assert_eq!(second.subject, all.subject);
    let narrowed = expression("projectcalico.org/namespace == 'shop' && app == 'a'");
    assert_eq!(
        first.subject,
        Subject::Endpoints(Expression::And(vec![base.clone(), narrowed]))
    );
    let Subject::Addressed(subject) = &third.subject else {
        panic!("{third:?}")
    };
    assert_eq!(subject.endpoints, base);
    assert_eq!((subject.nets.len(), subject.not_nets.len()), (1, 1));
    assert_eq!(
        print_peers(&third.rules[0].peers),
        "0.0.0.0/0",
        "a flow has one family"
    );
    let source = expression(
        "(has(projectcalico.org/namespace) && projectcalico.org/serviceaccount in {'x'}) && !app == 'b'",
    );
    assert_eq!(
        fourth.subject,
        Subject::Endpoints(Expression::And(vec![base, source]))
    );
}

#[test_case("", Standing::Staged(StagedChange::Set); "set is the default")]
#[test_case("stagedAction: Set\n", Standing::Staged(StagedChange::Set); "set")]
#[test_case("stagedAction: Delete\n", Standing::Staged(StagedChange::Delete); "delete")]
fn a_staged_policy_has_the_id_of_what_it_stages(action: &str, standing: Standing) {
    let enforced = object(
        "GlobalNetworkPolicy",
        "{name: p}",
        "selector: has(app)\ntypes: [Egress]",
    );
    let rest = if action.contains("Delete") {
        "tier: default"
    } else {
        "selector: has(app)\ntypes: [Egress]"
    };
    for name in ["p", "default.p"] {
        let staged = object(
            "StagedGlobalNetworkPolicy",
            &format!("{{name: {name}}}"),
            &format!("{action}{rest}"),
        );
        let policies = clean(&format!("{enforced}---\n{staged}"));
        let [enforced, staged] = policies.as_slice() else {
            panic!("{policies:?}")
        };
        assert_eq!(staged.standing, standing);
        assert_eq!(enforced.standing, Standing::Enforced);
        assert_eq!(staged.id, enforced.id);
        assert_eq!(&*staged.id.group, "projectcalico.org");
    }
}

#[test]
fn a_staged_policy_without_egress_still_replaces() {
    let staged = object(
        "StagedNetworkPolicy",
        "{name: p, namespace: shop}",
        "types: [Ingress]",
    );
    let policies = clean(&staged);
    let [policy] = policies.as_slice() else {
        panic!("{policies:?}")
    };
    assert_eq!(policy.standing, Standing::Staged(StagedChange::Set));
    assert_eq!(
        policy.subject,
        Subject::Endpoints(Expression::Or(Vec::new()))
    );
}

#[test_case("podSelector: {}\negress: [{}]", true, StagedChange::Set; "a change")]
#[test_case("podSelector: {}\npolicyTypes: [Ingress]", false, StagedChange::Set; "a change that says nothing of egress")]
#[test_case("stagedAction: Delete", false, StagedChange::Delete; "a deletion")]
#[test_case("stagedAction: Delete\npodSelector: {}\negress: []", false, StagedChange::Delete; "a deletion whose fields are empty")]
fn a_network_policy_of_kubernetes_may_be_staged(spec: &str, isolates: bool, change: StagedChange) {
    let staged = object(
        "StagedKubernetesNetworkPolicy",
        "{name: p, namespace: shop}",
        spec,
    );
    let enforced = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {podSelector: {}, egress: [{}]}";
    let reading = reading(&format!("{enforced}\n---\n{staged}"));
    let refused = reading
        .diagnostics
        .iter()
        .any(|diagnostic| diagnostic.level == Level::Refused);
    assert!(!refused, "{:?}", reading.diagnostics);
    let [enforced, staged] = reading.policies.as_slice() else {
        panic!("{:?}", reading.policies)
    };
    assert_eq!(staged.id, enforced.id);
    assert_eq!(staged.tier, enforced.tier);
    assert_eq!(
        (staged.standing, staged.isolates),
        (Standing::Staged(change), isolates)
    );
}

#[test]
fn a_deletion_says_nothing_of_what_it_does_not_select() {
    let staged = object(
        "StagedKubernetesNetworkPolicy",
        "{name: p, namespace: shop}",
        "stagedAction: Delete\negress: []",
    );
    assert_eq!(codes(&reading(&staged).diagnostics), [""; 0]);
}

#[test]
fn what_is_learned_or_ignored_is_no_change() {
    for action in ["Learn", "Ignore"] {
        let staged = object(
            "StagedNetworkPolicy",
            "{name: p, namespace: shop}",
            &format!("stagedAction: {action}\ntypes: [Egress]"),
        );
        let reading = reading(&staged);
        assert!(reading.policies.is_empty());
        assert_eq!(codes(&reading.diagnostics), ["calico-staged-idle"]);
    }
}

#[test]
fn sets_are_facts() {
    let sets = format!(
        "{}---\n{}",
        object(
            "NetworkSet",
            "{name: db, namespace: shop, labels: {role: db}}",
            "nets: [198.51.100.0/28]"
        ),
        object(
            "GlobalNetworkSet",
            "{name: all, labels: {role: web}}",
            "allowedEgressDomains: [db.example.com, \"*.db.example.com\"]"
        )
    );
    let reading = reading(&sets);
    assert_eq!(codes(&reading.diagnostics), Vec::<&str>::new());
    let set = |namespace: Option<&str>, name: &str| {
        reading.cluster.network_sets[&(namespace.map(Into::into), name.into())].clone()
    };
    assert_eq!(set(Some("shop"), "db").nets.len(), 1);
    assert_eq!(&*set(Some("shop"), "db").labels["role"], "db");
    assert_eq!(set(None, "all").domains.len(), 2);
}

#[test]
fn a_host_endpoint_is_a_fact_and_gives_policies() {
    let text = format!(
        "{}---\n{}",
        object(
            "HostEndpoint",
            "{name: n1-eth0, labels: {role: node}}",
            "node: n1\ninterfaceName: eth0\nexpectedIPs: [192.0.2.1, \"::ffff:192.0.2.2\"]\nprofiles: [extra, projectcalico-default-allow]\nports: [{name: api, port: 6443, protocol: TCP}]"
        ),
        object(
            "Profile",
            "{name: extra}",
            "labelsToApply: {role: other, zone: a}"
        )
    );
    let reading = reading(&text);
    assert_eq!(codes(&reading.diagnostics), Vec::<&str>::new());
    let endpoint = &reading.cluster.host_endpoints["n1-eth0"];
    assert_eq!(&*endpoint.labels["role"], "node", "its own label holds");
    assert_eq!(&*endpoint.labels["zone"], "a", "its profile's is inherited");
    assert_eq!(endpoint.addresses[1].to_string(), "192.0.2.2");
    assert_eq!(endpoint.ports[0].port, 6443);
    let [failsafe, profiles] = reading.policies.as_slice() else {
        panic!("{:?}", reading.policies)
    };
    for policy in [failsafe, profiles] {
        assert_eq!(policy.subject, Subject::HostEndpoint("n1-eth0".into()));
    }
    assert_eq!(
        (failsafe.tier.band, failsafe.tier.end),
        (Band::Admin, TierEnd::Next)
    );
    assert_eq!(
        print_ports(&failsafe.rules[0].ports),
        "53/UDP 67/UDP 179/TCP 2379/TCP 2380/TCP 5473/TCP 6443/TCP 6666/TCP 6667/TCP"
    );
    assert_eq!(
        (profiles.tier.band, profiles.tier.end),
        (Band::Baseline, TierEnd::Deny)
    );
    assert_eq!(profiles.rules.len(), 1);
    assert_eq!(profiles.rules[0].action, Action::Allow);
    let tiers = clean(&format!(
        "{TIERS}{}",
        object(
            "NetworkPolicy",
            "{name: last.p, namespace: x}",
            "tier: last\ntypes: [Egress]"
        )
    ));
    assert!(tiers[0].tier < profiles.tier, "behind the last tier");
    let early = clean(&format!(
        "{TIERS}{}",
        object(
            "NetworkPolicy",
            "{name: early.p, namespace: x}",
            "tier: early\ntypes: [Egress]"
        )
    ));
    assert!(failsafe.tier < early[0].tier, "before the first");
}

#[test]
fn rules_of_profiles_hold_for_host_endpoints_and_a_pass_denies() {
    let text = format!(
        "{}---\n{}",
        object(
            "HostEndpoint",
            "{name: n1}",
            "node: n1\nexpectedIPs: [192.0.2.1]\nprofiles: [old, gone]"
        ),
        object(
            "Profile",
            "{name: old}",
            "egress: [{action: Allow, protocol: TCP, source: {}, destination: {}}, {action: Pass}, {action: Allow, source: {selector: has(a)}}]"
        )
    );
    let reading = reading(&text);
    let mut found = codes(&reading.diagnostics);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "calico-profile",
            "calico-profile-missing",
            "calico-profile-source"
        ]
    );
    let actions: Vec<(Action, bool)> = reading.policies[1]
        .rules
        .iter()
        .map(|rule| (rule.action, rule.closed.is_some()))
        .collect();
    assert_eq!(
        actions,
        [
            (Action::Allow, false),
            (Action::Deny, false),
            (Action::Allow, true)
        ]
    );
}

#[test]
fn the_store_and_the_api_are_one_set_of_objects() {
    let written = namespaced("types: [Egress]");
    let stored = written
        .replace("projectcalico.org/v3", "crd.projectcalico.org/v1")
        .replace("{name: p,", "{name: default.p,");
    let reading = reading(&format!("{written}---\n{stored}"));
    assert_eq!(codes(&reading.diagnostics), ["duplicate-object"]);
    assert_eq!(reading.policies.len(), 1);
    assert_eq!(reading.diagnostics[0].level, Level::Refused);
}
