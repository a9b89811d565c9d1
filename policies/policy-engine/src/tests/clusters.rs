//! What a cluster around the workload changes, and what its absence does.
use std::time::Duration;

use policy_model::*;
use test_case::test_case;

use super::build::*;
use crate::reference::{self, RuledQuestion, Setting};
use crate::{Age, Flow, LeaseRules, Ruling, Verdict, compile};
use Verdict::{Allow, Deny};

/// Pods at 10.244.0.5 and 10.244.0.6; a Service at 10.96.0.1 leads to the one, at 10.96.0.2 to both, at 10.96.0.3 nowhere.
fn cluster() -> World {
    let mut cluster = Cluster::default();
    for (name, address) in [("a", "10.244.0.5"), ("b", "10.244.0.6")] {
        let pod = Pod {
            labels: Labels::from([("app".into(), name.into())]),
            addresses: vec![ip(address)],
            ..Pod::default()
        };
        cluster
            .pods
            .insert(("shop".into(), name.into()), pod.into());
    }
    let services: [(&str, &[&str]); 3] = [
        ("10.96.0.1", &["10.244.0.5"]),
        ("10.96.0.2", &["10.244.0.5", "10.244.0.6"]),
        ("10.96.0.3", &[]),
    ];
    for (address, backends) in services {
        let service = Service {
            addresses: vec![ip(address)],
            ports: vec![ServicePort {
                name: None,
                protocol: Protocol::TCP,
                port: 80,
                node_port: None,
                backends: backends
                    .iter()
                    .map(|backend| Backend {
                        address: ip(backend),
                        port: 8080,
                    })
                    .collect(),
                idle: Vec::new(),
            }],
            ..Service::default()
        };
        cluster
            .services
            .insert(("shop".into(), address.into()), service);
    }
    World {
        cluster: ClusterMap::new(cluster),
        ..machine()
    }
}

fn pods(app: &str) -> Peer {
    Peer::Pods(PodPeer {
        namespace: Some("shop".into()),
        pods: LabelSelector {
            match_labels: Labels::from([("app".into(), app.into())]),
            match_expressions: Vec::new(),
        },
        ..PodPeer::default()
    })
}

#[test_case("10.96.0.1", 80, Allow, "rule"; "all its backends are allowed")]
#[test_case("10.96.0.2", 80, Deny, "service-backends-differ"; "some are")]
#[test_case("10.96.0.3", 80, Deny, "service-no-backend"; "it has none")]
#[test_case("10.96.0.1", 81, Deny, "isolated"; "a port it does not have is an address like any other")]
#[test_case("10.244.0.5", 8080, Allow, "rule"; "the pod itself")]
#[test_case("10.244.0.5", 80, Deny, "isolated"; "the port of the service is not the pod's")]
fn a_service_is_judged_as_its_backends(address: &str, port: u16, verdict: Verdict, why: &str) {
    let port_8080 = Ports::Only(vec![PortMatch::port(Protocol::TCP, 8080)]);
    let policies = [policy(
        "u",
        TierRef::union(),
        vec![rule(Action::Allow, vec![pods("a")], port_8080)],
    )];
    let world = cluster();
    let (workload, settings) = (Workload::command(), Settings::default());
    let mut compiled = compile(&policies, &workload, &world, &settings).unwrap();
    let age = Age::New {
        now: Duration::ZERO,
    };
    let flow = Flow::new(ip(address), Protocol::TCP, port);
    let decision = compiled
        .ruleset
        .decide(&mut compiled.lists, &flow, &[], age)
        .unwrap();
    assert_eq!(
        (
            decision.verdict,
            compiled.ruleset.reason(decision.reason).code()
        ),
        (verdict, why)
    );
}

/// What the rules say: pods `a` on 8080, nodes on any port, and a block that holds every address on 30080 and 90.
#[test_case("10.96.0.1", 80, Allow, "rule"; "only the backends of the flow's family are asked")]
#[test_case("fd00:96::1", 80, Deny, "isolated"; "and in the other they are denied")]
#[test_case("10.96.0.1", 90, Deny, "isolated"; "a port of another Service that shares the address")]
#[test_case("10.96.0.1", 91, Deny, "service-backends-differ"; "a port that both have")]
#[test_case("192.0.2.1", 30_080, Allow, "rule"; "a node's port that leads to what is allowed")]
#[test_case("192.0.2.1", 30_090, Deny, "service-backends-differ"; "a node's port that leads to what is not")]
#[test_case("192.0.2.1", 22, Allow, "rule"; "a port that is the node's own")]
fn no_way_to_a_service_is_wider_than_its_backends(
    address: &str,
    port: u16,
    verdict: Verdict,
    why: &str,
) {
    let mut cluster = cluster().cluster.objects().clone();
    let backend = |address: &str| Backend {
        address: ip(address),
        port: 8080,
    };
    let own = |port, node_port, backends: &[&str]| ServicePort {
        name: None,
        protocol: Protocol::TCP,
        port,
        node_port,
        backends: backends.iter().map(|address| backend(address)).collect(),
        idle: Vec::new(),
    };
    let services = [
        (
            "dual",
            vec!["10.96.0.1", "fd00:96::1"],
            vec![
                own(80, Some(30_080), &["10.244.0.5", "fd00::6"]),
                own(91, None, &["10.244.0.5"]),
            ],
        ),
        (
            "sharer",
            vec!["10.96.0.1"],
            vec![
                own(90, Some(30_090), &["10.244.0.6"]),
                own(91, None, &["10.244.0.6"]),
            ],
        ),
    ];
    for (name, addresses, ports) in services {
        let service = Service {
            addresses: addresses.into_iter().map(ip).collect(),
            ports,
            ..Service::default()
        };
        cluster
            .services
            .insert(("shop".into(), name.into()), service);
    }
    // Its address is that of `dual`, which says more of it.
    cluster
        .services
        .remove(&("shop".into(), "10.96.0.1".into()));
    let node = Node {
        addresses: vec![ip("192.0.2.1")],
        ..Node::default()
    };
    cluster.nodes.insert("n".into(), node);
    let world = World {
        cluster: ClusterMap::new(cluster),
        ..machine()
    };
    let on = |ports: &[u16]| {
        Ports::Only(
            ports
                .iter()
                .map(|port| PortMatch::port(Protocol::TCP, *port))
                .collect(),
        )
    };
    let every = Peer::Block(Block::new("0.0.0.0/0".parse().unwrap(), Scope::Any));
    let policies = [policy(
        "u",
        TierRef::union(),
        vec![
            rule(Action::Allow, vec![pods("a")], on(&[8080])),
            allow(Peer::Nodes(NodePeer::default())),
            rule(Action::Allow, vec![every], on(&[90, 30_080])),
        ],
    )];
    let (workload, settings) = (Workload::command(), Settings::default());
    let mut compiled = compile(&policies, &workload, &world, &settings).unwrap();
    let age = Age::New {
        now: Duration::ZERO,
    };
    let flow = Flow::new(ip(address), Protocol::TCP, port);
    let decision = compiled
        .ruleset
        .decide(&mut compiled.lists, &flow, &[], age)
        .unwrap();
    let reason = compiled.ruleset.reason(decision.reason);
    assert_eq!((decision.verdict, reason.code()), (verdict, why));
    let setting = Setting {
        policies: &policies,
        workload: &workload,
        world: &world,
        settings: &settings,
    };
    let reference = reference::decide(setting, Ruling::Enforced, &flow, &[], age);
    assert_eq!((reference.verdict, reference.reason.code()), (verdict, why));
}

#[test_case(Entity::Cluster; "cluster")]
#[test_case(Entity::RemoteNode; "remote nodes")]
#[test_case(Entity::KubeApiserver; "api server")]
fn a_deny_of_a_cluster_that_nobody_knows_denies_everything(entity: Entity) {
    let mut held = Held::by(&[policy(
        "a",
        TierRef::kube_admin(),
        vec![deny(Peer::Entity(entity)), allow(Peer::Entity(Entity::All))],
    )]);
    assert_eq!(held.tcp("203.0.113.9", 443), Deny);
    let codes: Vec<_> = held
        .compiled
        .diagnostics
        .iter()
        .map(|found| found.code)
        .collect();
    assert_eq!(codes, ["peer-not-here"]);
}

/// Cilium's `cluster` is two of the model's peers.
#[test_case(&[Entity::Cluster, Entity::KubeApiserver], 1; "what one word lowers to")]
#[test_case(&[Entity::Cluster, Entity::KubeApiserver, Entity::KubeApiserver], 2; "both words")]
#[test_case(&[Entity::KubeApiserver, Entity::RemoteNode], 2; "others")]
fn a_peer_that_nobody_knows_is_told_of_once(entities: &[Entity], lines: usize) {
    let mut rule = allow(Peer::Entity(Entity::All));
    rule.peers = Peers::Of(entities.iter().copied().map(Peer::Entity).collect());
    let held = Held::by(&[policy("a", TierRef::union(), vec![rule])]);
    assert_eq!(held.compiled.diagnostics.len(), lines);
}

#[test_case("10.244.0.5", Allow; "an address of the cluster")]
#[test_case("10.0.0.9", Deny; "a private one that is not")]
#[test_case("127.0.0.1", Deny; "loopback")]
#[test_case("203.0.113.9", Allow; "a public one")]
fn a_name_of_the_cluster_holds_addresses_of_the_cluster(address: &str, verdict: Verdict) {
    let policies = [filtering("u", vec![allow(fqdn("**.svc.cluster.local"))])];
    let settings = Settings {
        cluster_domain: Some(name("cluster.local.")),
        ..Settings::default()
    };
    let mut compiled = compile(&policies, &Workload::command(), &cluster(), &settings).unwrap();
    let rules = compiled
        .ruleset
        .name_rules(&name("x.shop.svc.cluster.local."), &[]);
    let expires_at = Duration::from_secs(9);
    let (flow, age) = (
        Flow::new(ip(address), Protocol::TCP, 443),
        Age::New {
            now: Duration::ZERO,
        },
    );
    let lease = LeaseRules { rules, expires_at };
    assert_eq!(
        compiled.ruleset.allows_private(&lease.rules, flow.ip),
        verdict == Allow
    );
    let decision = compiled
        .ruleset
        .decide(&mut compiled.lists, &flow, &[lease], age)
        .unwrap();
    assert_eq!(decision.verdict, verdict);
}

/// The reference looks for a port on which a rule opens the address: those that are left, where the rule says "all but".
#[test]
fn all_but_a_presets_port_opens_the_presets_name() {
    let ports = Ports::AllBut(vec![PortMatch::port(Protocol::TCP, 80)]);
    let metadata = net("169.254.169.254/32");
    let policies = [filtering(
        "u",
        vec![rule(Action::Allow, vec![metadata], ports)],
    )];
    let settings = Settings {
        opened_by: OpenedBy::Any,
        ..Settings::default()
    };
    let (workload, world) = (Workload::command(), machine());
    let setting = Setting {
        policies: &policies,
        workload: &workload,
        world: &world,
        settings: &settings,
    };
    let asked = name("metadata.google.internal.");
    let server = (ip("10.0.0.53"), 53);
    let ruled = reference::judge_question(setting, Ruling::Enforced, server, Protocol::UDP, &asked);
    assert!(matches!(ruled, RuledQuestion::Forward { .. }), "{ruled:?}");
    let held = Held::with(&policies, &settings);
    let (ruling, _) = held.ask("metadata.google.internal");
    assert_eq!(ruling.verdict(), Allow);
}

#[test_case("dns", Allow; "the resolver's own service")]
#[test_case("10.96.0.1", Deny; "another service of the same pod, on another port")]
fn a_rule_about_questions_means_the_ports_of_its_service(service: &str, verdict: Verdict) {
    let mut cluster = cluster().cluster.objects().clone();
    let dns = Service {
        addresses: vec![ip("10.96.0.53")],
        ports: vec![ServicePort {
            name: None,
            protocol: Protocol::UDP,
            port: 53,
            node_port: None,
            backends: vec![Backend {
                address: ip("10.244.0.5"),
                port: 53,
            }],
            idle: Vec::new(),
        }],
        ..Service::default()
    };
    cluster.services.insert(("shop".into(), "dns".into()), dns);
    let world = World {
        resolvers: vec![Resolver {
            address: ip("10.96.0.53"),
            port: 53,
        }],
        cluster: ClusterMap::new(cluster),
        ..machine()
    };
    let peer = Peer::Service(ServicePeer {
        namespace: Some("shop".into()),
        service: ServiceRef::Name(service.into()),
        with_ports: true,
    });
    let asks = Rule {
        questions: Some(vec![cilium("*")]),
        ..allow(peer)
    };
    let policies = [filtering("u", vec![asks])];
    let (workload, settings) = (Workload::command(), Settings::default());
    let compiled = compile(&policies, &workload, &world, &settings).unwrap();
    let ruling =
        compiled
            .ruleset
            .judge_question((ip("10.96.0.53"), 53), Protocol::UDP, &name("a.example."));
    assert_eq!(ruling.verdict(), verdict);
}

#[test_case(false, "10.244.0.5", 22, Allow, "own-address"; "its own address")]
#[test_case(false, "::ffff:10.244.0.5", 22, Allow, "own-address"; "its own address mapped")]
#[test_case(false, "10.244.0.6", 22, Deny, "isolated"; "its neighbour's")]
#[test_case(false, "10.96.0.1", 80, Deny, "isolated"; "a service that leads back to it")]
#[test_case(true, "10.244.0.5", 22, Deny, "isolated"; "in its node's network the address is the node's")]
fn a_pods_own_address_is_free(
    host_network: bool,
    address: &str,
    port: u16,
    verdict: Verdict,
    why: &str,
) {
    let policies = [policy("u", TierRef::union(), Vec::new())];
    let world = cluster();
    let settings = Settings::default();
    let workload = Workload {
        pod: PodIdentity {
            host_network,
            addresses: vec![ip("10.244.0.5")],
            ..PodIdentity::default()
        },
        ..Workload::default()
    };
    let mut compiled = compile(&policies, &workload, &world, &settings).unwrap();
    let age = Age::New {
        now: Duration::ZERO,
    };
    let flow = Flow::new(ip(address), Protocol::TCP, port);
    for ruling in Ruling::BOTH {
        let story = compiled
            .ruleset
            .explain(&mut compiled.lists, &flow, &[], age, ruling)
            .unwrap();
        assert_eq!((story.verdict, story.reason.code()), (verdict, why));
        let setting = Setting {
            policies: &policies,
            workload: &workload,
            world: &world,
            settings: &settings,
        };
        let reference = reference::decide(setting, ruling, &flow, &[], age);
        assert_eq!((reference.verdict, reference.reason.code()), (verdict, why));
    }
}

/// On one machine a set is all that a selector can mean, and only where it selects one.
#[test_case("partner", "198.51.100.7", true, false; "an address of the set is denied")]
#[test_case("partner", "192.0.2.1", false, false; "another is not")]
#[test_case("db", "192.0.2.1", true, true; "what may be a pod is not known so all is denied")]
fn a_deny_by_selector_knows_the_sets(role: &str, address: &str, by_rule: bool, closed: bool) {
    let mut cluster = Cluster::default();
    let set = NetworkSet {
        labels: Labels::from([("role".into(), "partner".into())]),
        nets: vec!["198.51.100.0/24".parse().unwrap()],
        domains: Vec::new(),
    };
    cluster.network_sets.insert((None, "partners".into()), set);
    let world = World {
        cluster: ClusterMap::new(cluster),
        ..machine()
    };
    let peer = Peer::Endpoints(EndpointPeer {
        selector: Some(Expression::Equal("role".into(), role.into())),
        ..EndpointPeer::default()
    });
    let policies = [policy(
        "d",
        TierRef::kube_admin(),
        vec![rule(Action::Deny, vec![peer], Ports::Any)],
    )];
    let (workload, settings) = (Workload::command(), Settings::default());
    let mut compiled = compile(&policies, &workload, &world, &settings).unwrap();
    let age = Age::New {
        now: Duration::ZERO,
    };
    let flow = Flow::new(ip(address), Protocol::TCP, 443);
    let decision = compiled
        .ruleset
        .decide(&mut compiled.lists, &flow, &[], age)
        .unwrap();
    let reason = compiled.ruleset.reason(decision.reason);
    assert_eq!(reason.code() == "rule", by_rule, "{reason:?}");
    let told = compiled.diagnostics.iter();
    let told = told.filter(|diagnostic| diagnostic.level == Level::Closed);
    assert_eq!(told.count() > 0, closed);
}
