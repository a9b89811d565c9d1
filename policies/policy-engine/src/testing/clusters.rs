//! Random clusters, and peers that mean their objects, over the addresses of [`worlds`](super::worlds).
use std::net::IpAddr;
use std::sync::Arc;

use dns_names::{Grammar, Name, NamePattern};
use policy_model::*;

use super::Random;
use super::worlds::{Case, address, name, net};

const NAMESPACES: &[&str] = &["prod", "test"];
const APPS: &[&str] = &["web", "db", "api"];
const PORT_NAMES: &[&str] = &["http", "metrics"];
const POD_ADDRESSES: &[&str] = &["10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.1.9", "fd12::5"];
const SERVICE_ADDRESSES: &[&str] = &["10.0.0.53", "198.51.100.7"];
const NODE_ADDRESSES: &[&str] = &["203.0.113.130", "192.0.2.77"];
const PORTS: &[u16] = &[53, 80, 443, 8005];

impl Case {
    /// A case whose workload is a pod of a cluster that its policies speak of.
    pub fn random_in_cluster(random: &mut Random) -> Self {
        let mut case = Self::random(random);
        let mut cluster = cluster(random);
        case.workload = pod(random, &cluster);
        // On one machine nothing is known but what policies bring.
        if random.chance(10) {
            cluster = Cluster {
                network_sets: cluster.network_sets,
                host_endpoints: cluster.host_endpoints,
                ..Cluster::default()
            };
        }
        case.world.cluster = ClusterMap::new(cluster);
        if random.chance(30) {
            case.settings.cluster_domain = Some(name("corp."));
        }
        for policy in &mut case.policies {
            if policy.tier == TierRef::union() && random.chance(40) {
                policy.id.kind = "NetworkPolicy".into();
            }
            if random.chance(20) {
                policy.subject = Subject::Endpoints(expression(random, 2));
            }
            for rule in &mut policy.rules {
                speak_of_cluster(random, rule);
            }
        }
        case
    }

    /// A name of the cluster's own zone, mostly of something that is there.
    pub fn cluster_name(&self, random: &mut Random) -> Name {
        let cluster = self.world.cluster.objects();
        let services = cluster.services.keys();
        let mut names: Vec<String> = services
            .map(|(namespace, service)| format!("{service}.{namespace}.svc.corp."))
            .collect();
        for ((namespace, _), pod) in &cluster.pods {
            names.extend(pod.addresses.iter().map(|ip| {
                let dashed = ip.to_string().replace(['.', ':'], "-");
                format!("{dashed}.{namespace}.pod.corp.")
            }));
        }
        names.push("nobody.prod.svc.corp.".to_owned());
        name(&random.pick(&names))
    }

    /// An address that its policies have something to say of.
    pub fn address(&self, random: &mut Random) -> IpAddr {
        let known: Vec<IpAddr> = self.world.cluster.addresses().map(|(ip, _)| ip).collect();
        if known.is_empty() || random.chance(40) {
            address(random)
        } else {
            random.pick(&known)
        }
    }
}

fn speak_of_cluster(random: &mut Random, rule: &mut Rule) {
    if rule.closed.is_some() {
        return;
    }
    if random.chance(50)
        && let Peers::Of(peers) = &mut rule.peers
    {
        peers.push(peer(random));
    }
    if random.chance(10)
        && let Ports::Only(ports) = &rule.ports
    {
        rule.ports = Ports::AllBut(ports.clone());
    }
    // Ports that are taken are taken from addresses; classes and names have none by name.
    let by_address = match &rule.peers {
        Peers::Any => true,
        Peers::Of(peers) => !peers.iter().any(|peer| {
            matches!(
                peer,
                Peer::Entity(_) | Peer::Fqdn(_) | Peer::Metadata(_) | Peer::Service(_)
            )
        }),
    };
    if by_address && random.chance(25) && rule.questions.is_none() {
        let except = random.many(1, |random| {
            PortMatch::port(Protocol::TCP, random.pick(PORTS))
        });
        rule.ports = match &rule.ports {
            Ports::Any => Ports::AllBut(except.clone()),
            Ports::Only(ports) => Ports::Only(
                ports
                    .iter()
                    .copied()
                    .filter(|port| *port != PortMatch::all(Protocol::TCP))
                    .filter(|port| port.first == port.last && !except.contains(port))
                    .collect(),
            ),
            Ports::AllBut(ports) => Ports::AllBut(ports.iter().chain(&except).copied().collect()),
        };
        rule.named_ports = NamedPorts {
            any_of: random.many(2, named_port),
            none_of: random.many(1, named_port),
            except,
        };
    }
}

fn named_port(random: &mut Random) -> NamedPort {
    NamedPort {
        protocol: random.pick(&[None, Some(Protocol::TCP), Some(Protocol::UDP)]),
        name: random.pick(PORT_NAMES).into(),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn app_labels(random: &mut Random) -> Labels {
    let mut labels = Labels::from([("app".into(), random.pick(APPS).into())]);
    if random.chance(30) {
        labels.insert("tier".into(), "back".into());
    }
    labels
}

fn cluster(random: &mut Random) -> Cluster {
    let mut cluster = Cluster::default();
    for name in NAMESPACES {
        let labels = Labels::from([
            (NAMESPACE_NAME_LABEL.into(), Arc::from(*name)),
            ("env".into(), Arc::from(*name)),
        ]);
        cluster.namespaces.insert(Arc::from(*name), labels);
    }
    for (name, address) in ["n1", "n2"].into_iter().zip(NODE_ADDRESSES) {
        let node = Node {
            labels: Labels::from([("zone".into(), random.pick(&["a", "b"]).into())]),
            addresses: vec![ip(address)],
            pod_cidrs: if random.chance(70) && name == "n1" {
                vec![net("10.0.0.0/24")]
            } else {
                Vec::new()
            },
        };
        cluster.nodes.insert(name.into(), node);
    }
    for (number, address) in POD_ADDRESSES.iter().enumerate() {
        if random.chance(15) {
            continue;
        }
        let host_network = random.chance(10);
        let own = if host_network {
            NODE_ADDRESSES[0]
        } else {
            address
        };
        let pod = Pod {
            labels: app_labels(random),
            service_account: random.pick(&["default", "runner"]).into(),
            node: Some(random.pick(&["n1", "n2"]).into()),
            addresses: vec![ip(own)],
            host_network,
            ports: random.many(2, |random| ContainerPort {
                name: random.pick(PORT_NAMES).into(),
                protocol: random.pick(&[Protocol::TCP, Protocol::UDP]),
                port: random.pick(PORTS),
            }),
        };
        let namespace = random.pick(NAMESPACES);
        let name = (Arc::from(namespace), format!("p{number}").into());
        cluster.pods.insert(name, pod.into());
    }
    for (name, address) in ["svc", "kubernetes"].into_iter().zip(SERVICE_ADDRESSES) {
        let mut service = service(random, address);
        // Now and then an address is that of two, which have ports of their own or the same.
        if random.chance(20) {
            service.addresses.push(ip(SERVICE_ADDRESSES[0]));
            service.ports.remove(random.below(service.ports.len()));
        }
        cluster.services.insert(
            (random.pick(&["prod", "default"]).into(), name.into()),
            service,
        );
    }
    if random.chance(50) {
        let set = NetworkSet {
            labels: app_labels(random),
            nets: random.many(2, |random| {
                net(random.pick(&[
                    "203.0.113.0/25",
                    "198.51.0.0/16",
                    "0.0.0.0/0",
                    "10.0.0.5/32",
                ]))
            }),
            domains: random.many(1, |_| {
                NamePattern::parse(Grammar::Native, "*.example").unwrap()
            }),
        };
        let namespace = random.pick(&[None, Some("prod".into())]);
        cluster.network_sets.insert((namespace, "set".into()), set);
    }
    if random.chance(30) {
        let host = HostEndpoint {
            labels: app_labels(random),
            node: "n2".into(),
            addresses: vec![ip(NODE_ADDRESSES[1])],
            ports: Vec::new(),
        };
        cluster.host_endpoints.insert("hep".into(), host);
    }
    cluster
}

fn service(random: &mut Random, address: &str) -> Service {
    let ports = [
        (Protocol::UDP, 53),
        (Protocol::TCP, 80),
        (Protocol::TCP, 53),
    ];
    Service {
        labels: app_labels(random),
        addresses: vec![ip(address)],
        ports: ports
            .into_iter()
            .map(|(protocol, port)| ServicePort {
                name: None,
                protocol,
                port,
                node_port: random.chance(30).then(|| random.pick(PORTS)),
                backends: random.many(2, |random| Backend {
                    address: ip(random.pick(POD_ADDRESSES)),
                    port: random.pick(PORTS),
                }),
                idle: random.many(1, |random| Backend {
                    address: ip(random.pick(POD_ADDRESSES)),
                    port: random.pick(PORTS),
                }),
            })
            .collect(),
        selectorless: false,
        selected: random.many(1, |random| ip(random.pick(POD_ADDRESSES))),
    }
}

/// A pod of the cluster, or one that nobody listed.
fn pod(random: &mut Random, cluster: &Cluster) -> Workload {
    let namespace: Arc<str> = random.pick(NAMESPACES).into();
    Workload {
        pod: PodIdentity {
            namespace_labels: Some(cluster.namespace_labels(&namespace)),
            namespace: Some(namespace),
            labels: Some(app_labels(random)),
            service_account: Some("default".into()),
            service_account_labels: Some(Labels::new()),
            node: Some("n1".into()),
            node_labels: Some(Labels::new()),
            host_network: random.chance(10),
            addresses: random.many(2, |random| ip(random.pick(POD_ADDRESSES))),
        },
        ..Workload::default()
    }
}

fn peer(random: &mut Random) -> Peer {
    match random.below(10) {
        0..3 => Peer::Pods(PodPeer {
            namespace: random.chance(50).then(|| random.pick(NAMESPACES).into()),
            namespaces: random
                .chance(30)
                .then(|| selector(random, "env", NAMESPACES)),
            pods: if random.chance(70) {
                selector(random, "app", APPS)
            } else {
                LabelSelector::default()
            },
            service_accounts: random.many(1, |_| "runner".into()),
        }),
        3 => Peer::Nodes(NodePeer {
            labels: selector(random, "zone", &["a", "b"]),
            remote: random.chance(30),
        }),
        4 | 5 => Peer::Service(ServicePeer {
            namespace: random.chance(50).then(|| "prod".into()),
            service: if random.chance(50) {
                ServiceRef::Name("svc".into())
            } else {
                ServiceRef::Labels(selector(random, "app", APPS))
            },
            with_ports: random.chance(50),
        }),
        6 => Peer::Entity(random.pick(&[
            Entity::Cluster,
            Entity::RemoteNode,
            Entity::KubeApiserver,
            Entity::WorldIpv4,
            Entity::WorldIpv6,
        ])),
        _ => Peer::Endpoints(endpoints(random)),
    }
}

fn endpoints(random: &mut Random) -> EndpointPeer {
    let nets = ["0.0.0.0/0", "10.0.0.0/24", "203.0.113.0/24", "fd00::/8"];
    EndpointPeer {
        selector: random.chance(60).then(|| expression(random, 2)),
        not_selector: random.chance(25).then(|| expression(random, 1)),
        scope: random.pick(&[EndpointScope::All, EndpointScope::WithoutSets]),
        nets: random.many(2, |random| net(random.pick(&nets))),
        not_nets: random.many(1, |random| net(random.pick(&nets[1..]))),
    }
}

fn selector(random: &mut Random, key: &str, values: &[&str]) -> LabelSelector {
    LabelSelector {
        match_labels: Labels::from([(key.into(), random.pick(values).into())]),
        match_expressions: Vec::new(),
    }
}

fn expression(random: &mut Random, depth: usize) -> Expression {
    let app = || Arc::from("app");
    match random.below(if depth == 0 { 6 } else { 9 }) {
        0 => Expression::All,
        1 | 2 => Expression::Equal(app(), random.pick(APPS).into()),
        3 => Expression::NotEqual(app(), random.pick(APPS).into()),
        4 => Expression::Equal("projectcalico.org/namespace".into(), "prod".into()),
        5 => Expression::Has(random.pick(&["tier", "pcns.env"]).into()),
        6 => Expression::Not(Box::new(expression(random, depth - 1))),
        7 => Expression::And(vec![
            expression(random, depth - 1),
            expression(random, depth - 1),
        ]),
        _ => Expression::Or(vec![
            expression(random, depth - 1),
            expression(random, depth - 1),
        ]),
    }
}
