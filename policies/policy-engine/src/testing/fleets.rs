//! Clusters of a given size, with the policies people write for them: most in a namespace, a few for all of it.
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use policy_model::*;

use super::worlds::net;

/// How large a cluster is.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub namespaces: usize,
    /// In each namespace.
    pub pods: usize,
    /// In each namespace.
    pub policies: usize,
}

impl Scale {
    /// 5,000 pods and 10,000 policies.
    pub const LARGE: Self = Self {
        namespaces: 500,
        pods: 10,
        policies: 20,
    };
}

/// A policy for every workload that allows all of `peers`, in one rule.
pub fn allowing(number: usize, peers: Vec<Peer>) -> Policy {
    let origin = Origin::new("made.yaml", 1, 1, "spec");
    let mut rule = Rule::new(0, Action::Allow, origin.clone());
    rule.peers = Peers::Of(peers);
    Policy {
        id: ObjectRef::new("EgressPolicy", Some("made"), format!("policy-{number}")),
        origin,
        tier: TierRef::union(),
        order: Order(0.0),
        tie: "".into(),
        subject: Subject::All,
        isolates: true,
        standing: Standing::Enforced,
        deny_style: None,
        dns: DnsFilter::Filter,
        rules: vec![rule],
    }
}

/// A world of that size, its policies by object, and its workloads by name.
pub fn fleet(
    scale: Scale,
) -> (
    World,
    Vec<(ObjectRef, Vec<Policy>)>,
    Vec<(Arc<str>, Workload)>,
) {
    let mut cluster = Cluster::default();
    let mut workloads = Vec::new();
    let mut policies = Vec::new();
    let address = |number: usize| {
        let offset = u32::try_from(number).unwrap();
        IpAddr::V4(Ipv4Addr::from_bits(
            Ipv4Addr::new(10, 128, 0, 0).to_bits() + offset,
        ))
    };
    for node in 0..10 {
        let node_address = IpAddr::V4(Ipv4Addr::new(192, 168, 0, u8::try_from(node).unwrap() + 1));
        let value = Node {
            labels: Labels::new(),
            addresses: vec![node_address],
            pod_cidrs: vec![net(&format!("10.128.{}.0/22", node * 4))],
        };
        cluster.nodes.insert(format!("node-{node}").into(), value);
    }
    for namespace in 0..scale.namespaces {
        let name: Arc<str> = format!("team-{namespace}").into();
        let labels = Labels::from([
            (NAMESPACE_NAME_LABEL.into(), Arc::clone(&name)),
            ("stage".into(), ["prod", "test"][namespace % 2].into()),
        ]);
        cluster.namespaces.insert(Arc::clone(&name), labels);
        for pod in 0..scale.pods {
            let number = namespace * scale.pods + pod;
            let labels = Labels::from([
                ("app".into(), format!("app-{}", pod % 5).into()),
                ("pod".into(), format!("{pod}").into()),
            ]);
            let value = Pod {
                labels,
                service_account: "default".into(),
                node: Some(format!("node-{}", number % 10).into()),
                addresses: vec![address(number)],
                host_network: false,
                ports: Vec::new(),
            };
            let pod: Arc<str> = format!("pod-{pod}").into();
            cluster.pods.insert((Arc::clone(&name), pod), value.into());
        }
        for number in 0..scale.policies {
            let policy = policy(&name, namespace, number);
            policies.push((policy.id.clone(), vec![policy]));
        }
    }
    for name in cluster.pods.keys() {
        workloads.push((
            format!("{}/{}", name.0, name.1).into(),
            workload(&cluster, name),
        ));
    }
    let world = World {
        resolvers: vec![Resolver {
            address: IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10)),
            port: 53,
        }],
        cluster: ClusterMap::new(cluster),
        ..World::default()
    };
    (world, policies, workloads)
}

/// A pod of a cluster as policies see it.
pub fn workload(cluster: &Cluster, name: &NamespacedName) -> Workload {
    let pod = &cluster.pods[name];
    Workload {
        pod: PodIdentity {
            namespace: Some(Arc::clone(&name.0)),
            namespace_labels: Some(cluster.namespace_labels(&name.0)),
            labels: Some(pod.labels.clone()),
            service_account: Some(Arc::clone(&pod.service_account)),
            service_account_labels: Some(Labels::new()),
            node: pod.node.clone(),
            node_labels: Some(Labels::new()),
            host_network: pod.host_network,
            addresses: pod.addresses.clone(),
        },
        ..Workload::default()
    }
}

/// One policy in twenty is about another namespace's pods, the others about CIDRs and pods of their own.
fn policy(namespace: &Arc<str>, of: usize, number: usize) -> Policy {
    let origin = Origin::new("fleet.yaml", 1, 1, "spec");
    let app = |number: usize| LabelSelector {
        match_labels: Labels::from([("app".into(), format!("app-{}", number % 5).into())]),
        match_expressions: Vec::new(),
    };
    let (high, low) = (
        u8::try_from(of % 200).unwrap(),
        u8::try_from(number).unwrap(),
    );
    let block = Block::new(net(&format!("203.{high}.{low}.0/24")), Scope::Any);
    let pods = PodPeer {
        namespace: (number > 0).then(|| Arc::clone(namespace)),
        namespaces: (number == 0).then(|| LabelSelector {
            match_labels: Labels::from([(
                NAMESPACE_NAME_LABEL.into(),
                format!("team-{}", (of + 1) % 500).into(),
            )]),
            match_expressions: Vec::new(),
        }),
        pods: app(number + 1),
        service_accounts: Vec::new(),
    };
    let port = 8_000 + u16::from(low);
    let rule = |index, peer| {
        let mut rule = Rule::new(index, Action::Allow, origin.clone());
        rule.peers = Peers::Of(vec![peer]);
        rule.ports = Ports::Only(vec![PortMatch::port(Protocol::TCP, port)]);
        rule
    };
    Policy {
        id: ObjectRef::new("NetworkPolicy", Some(namespace), format!("policy-{number}")),
        origin: origin.clone(),
        tier: TierRef::union(),
        order: Order(0.0),
        tie: "".into(),
        subject: Subject::Kubernetes(KubernetesSubject {
            namespace: Some(Arc::clone(namespace)),
            pods: Some(app(number)),
            ..KubernetesSubject::default()
        }),
        isolates: true,
        standing: Standing::Enforced,
        deny_style: None,
        dns: DnsFilter::Untouched,
        rules: vec![rule(0, Peer::Block(block)), rule(1, Peer::Pods(pods))],
    }
}
