//! Random policies, answers and flows over a small universe, so that they meet.
use std::net::IpAddr;
use std::time::Duration;

use dns_names::{Grammar, Name, NamePattern};
use ipnet::IpNet;
use policy_model::*;

use super::Random;
use crate::{Flow, NamedLease};

const ADDRESSES: &[&str] = &[
    "203.0.113.1",
    "203.0.113.2",
    "203.0.113.130",
    "198.51.100.7",
    "10.0.0.5",
    "10.0.0.53",
    "192.0.2.10",
    "127.0.0.1",
    "127.0.0.53",
    "0.0.0.0",
    "169.254.169.254",
    "168.63.129.16",
    "8.8.8.8",
    "1.1.1.1",
    "2001:db8::1",
    "2001:db8:1::2",
    "::1",
    "::",
    "fd00:ec2::254",
    "fd12::5",
    "::ffff:203.0.113.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::a00:5",
];

const NETS: &[&str] = &[
    "0.0.0.0/0",
    "::/0",
    "0.0.0.0/1",
    "203.0.113.0/24",
    "203.0.113.0/25",
    "203.0.113.1/32",
    "203.0.113.2/31",
    "203.0.113.77/24",
    "198.51.0.0/16",
    "10.0.0.0/8",
    "10.0.0.53/32",
    "192.0.2.10/32",
    "127.0.0.0/8",
    "127.0.0.53/32",
    "126.0.0.0/7",
    "169.254.0.0/16",
    "169.254.169.254/32",
    "168.63.129.16/32",
    "8.8.8.8/32",
    "8.0.0.0/7",
    "2001:db8::/32",
    "2001:db8::1/128",
    "2001:db8:1::/48",
    "::1/128",
    "fd00::/8",
    "::ffff:203.0.113.0/120",
    "::ffff:0.0.0.0/96",
    "64:ff9b::/96",
    "64:ff9b::a9fe:a9fe/128",
    "64:ff9b:1::/48",
    "64:ff9b:1::a9fe:a9fe/128",
    "2002:a9fe:a9fe::/48",
    "2002:a9fe:a9fe::1/128",
    "2002::/16",
    "::a9fe:a9fe/128",
    "::ffff:0:a9fe:a9fe/128",
    "::/90",
];

const NAMES: &[&str] = &[
    "a.example.",
    "b.example.",
    "www.a.example.",
    "x.y.a.example.",
    "c.test.",
    "in.corp.",
    "a.example.corp.",
    "metadata.google.internal.",
    "other.invalid.",
];

/// Names with a port each.
const LAYERS: &[&str] = &[
    "l0.test.", "l1.test.", "l2.test.", "l3.test.", "l4.test.", "l5.test.", "l6.test.",
];

const PATTERNS: &[(Grammar, &str)] = &[
    (Grammar::Native, "a.example"),
    (Grammar::Native, "*.example"),
    (Grammar::Native, "**.example"),
    (Grammar::Native, "*"),
    (Grammar::Native, "in.corp"),
    (Grammar::Native, "metadata.google.internal"),
    (Grammar::Cilium, "*.a.example"),
    (Grammar::Cilium, "*"),
    (Grammar::Cilium, "**.a.example"),
    (Grammar::Cilium, "ww*.a.ex*"),
    (Grammar::CiliumName, "c.test"),
    (Grammar::CiliumName, "b.example"),
    (Grammar::ClusterNetworkPolicy, "*.a.example"),
    (Grammar::Istio, "*.example"),
];

const PORTS: &[u16] = &[0, 53, 80, 443, 853, 8000, 8005, 8010, 9999, 65535];

pub fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A world with every kind of thing in it.
#[derive(Debug, Clone)]
pub struct Case {
    pub policies: Vec<Policy>,
    pub workload: Workload,
    pub world: World,
    pub settings: Settings,
    /// The names its answers are for.
    pub names: &'static [&'static str],
}

impl Case {
    pub fn random(random: &mut Random) -> Self {
        let mut case = Self {
            policies: Vec::new(),
            workload: Workload::command(),
            world: world(random),
            settings: settings(random),
            names: NAMES,
        };
        if random.chance(5) {
            case.policies.push(layers(random));
            case.names = LAYERS;
            return case;
        }
        let count = random.below(6);
        for number in 0..count {
            let policy = policy(random, number);
            // Now and then two policies of one object: pieces, or a staged change.
            if random.chance(10) {
                let mut other = self::policy(random, number);
                other.id = policy.id.clone();
                case.policies.push(other);
            }
            case.policies.push(policy);
        }
        case
    }
}

fn world(random: &mut Random) -> World {
    let resolver = |text: &str, port| Resolver {
        address: text.parse().unwrap(),
        port,
    };
    let resolvers = [
        resolver("10.0.0.53", 53),
        resolver("127.0.0.53", 53),
        resolver("169.254.169.254", 53),
        resolver("8.8.8.8", 53),
        resolver("2001:db8::1", 8005),
    ];
    World {
        host_addresses: vec![
            "192.0.2.10".parse().unwrap(),
            "2001:db8:1::2".parse().unwrap(),
        ],
        resolvers: random.many(2, |random| random.pick(&resolvers)),
        search: if random.chance(50) {
            vec![name("corp.")]
        } else {
            Vec::new()
        },
        ..World::default()
    }
}

fn settings(random: &mut Random) -> Settings {
    Settings {
        guards: random.chance(80),
        opened_by: random.pick(&[OpenedBy::Preset, OpenedBy::Admin, OpenedBy::Any]),
        default: random.pick(&[DefaultVerdict::Allow, DefaultVerdict::DenyOnceSelected]),
        deny_style: random.pick(&[DenyStyle::Reject, DenyStyle::Drop]),
        refusal: random.pick(&[RefusalCode::NxDomain, RefusalCode::Refused]),
        private_zones: if random.chance(30) {
            vec![name("corp.")]
        } else {
            Vec::new()
        },
        ..Settings::default()
    }
}

fn policy(random: &mut Random, number: usize) -> Policy {
    let early = TierRef {
        band: Band::Admin,
        order: Order(500.0),
        name: "early".into(),
        end: random.pick(&[TierEnd::Next, TierEnd::Deny]),
    };
    let tiers = [
        TierRef::kube_admin(),
        TierRef::kube_admin(),
        TierRef::deny(),
        TierRef::calico_default(),
        TierRef::union(),
        TierRef::union(),
        TierRef::union(),
        TierRef::kube_baseline(),
        early,
    ];
    let kind = random.pick(&["EgressPolicy", "CiliumNetworkPolicy"]);
    let origin = Origin::new("p.yaml", u32::try_from(number).unwrap() + 1, 1, "spec");
    Policy {
        tie: "".into(),
        id: ObjectRef::new(
            kind,
            random.pick(&[None, Some("prod")]),
            format!("p{number}"),
        ),
        origin: origin.clone(),
        tier: random.pick(&tiers),
        order: Order(random.pick(&[0.0, 10.0, 1000.0])),
        subject: if random.chance(90) {
            Subject::All
        } else {
            Subject::Plain(PlainSubject {
                user: Some("ci".into()),
                ..PlainSubject::default()
            })
        },
        isolates: random.chance(50),
        standing: match random.below(10) {
            0 => Standing::Audit,
            1 => Standing::Staged(StagedChange::Set),
            2 => Standing::Staged(StagedChange::Delete),
            _ => Standing::Enforced,
        },
        deny_style: random.pick(&[None, None, Some(DenyStyle::Drop), Some(DenyStyle::Reject)]),
        dns: random.pick(&[DnsFilter::Untouched, DnsFilter::Learn, DnsFilter::Filter]),
        rules: (0..random.below(5))
            .map(|index| rule(random, u32::try_from(index).unwrap(), &origin))
            .collect(),
    }
}

/// One rule for each of many names, so that an address with all of them needs more steps than there are.
fn layers(random: &mut Random) -> Policy {
    let mut policy = policy(random, 7);
    policy.standing = Standing::Enforced;
    policy.subject = Subject::All;
    policy.isolates = true;
    policy.tier = TierRef::union();
    policy.rules = (0..7_u16)
        .map(|layer| {
            let pattern = NamePattern::exactly(&name(LAYERS[usize::from(layer)]));
            let (by, scope) = (FqdnBy::Chain, Scope::Any);
            let mut rule = Rule::new(layer.into(), Action::Allow, policy.origin.clone());
            rule.peers = Peers::Of(vec![Peer::Fqdn(FqdnPeer { pattern, by, scope })]);
            let port = PORTS[1 + usize::from(layer)];
            rule.ports = Ports::Only(vec![PortMatch::port(Protocol::TCP, port)]);
            rule
        })
        .collect();
    policy
}

pub fn rule(random: &mut Random, index: u32, origin: &Origin) -> Rule {
    let action = match random.below(12) {
        0..7 => Action::Allow,
        7..10 => Action::Deny,
        10 => Action::Pass,
        _ => Action::Log,
    };
    let mut rule = Rule::new(index, action, origin.clone());
    rule.name = random.chance(20).then(|| "named".into());
    if random.chance(92) {
        let mut peers = random.many(2, peer);
        peers.push(peer(random));
        if action == Action::Pass && random.chance(90) {
            peers.retain(|peer| !matches!(peer, Peer::Fqdn(_)));
        }
        rule.peers = Peers::Of(peers);
    }
    if random.chance(60) {
        let mut ports = random.many(2, ports);
        ports.push(self::ports(random));
        rule.ports = Ports::Only(ports);
    }
    if action == Action::Allow && random.chance(10) {
        rule.questions = Some(random.many(2, pattern));
    }
    rule.allow_private = random.chance(20);
    rule.closed = random.chance(3).then_some("closed-for-test");
    if random.chance(2) {
        rule.sni = Some(SniCondition::Match);
    }
    rule
}

fn peer(random: &mut Random) -> Peer {
    let entities = [
        Entity::World,
        Entity::Host,
        Entity::Loopback,
        Entity::Dns,
        Entity::Cluster,
        Entity::KubeApiserver,
        Entity::All,
    ];
    match random.below(40) {
        0..14 => Peer::Block(Block {
            net: net(random.pick(NETS)),
            except: random.many(2, |random| net(random.pick(NETS))),
            scope: random.pick(&[Scope::Any, Scope::Outside]),
        }),
        14..30 => Peer::Fqdn(FqdnPeer {
            pattern: pattern(random),
            by: random.pick(&[FqdnBy::Question, FqdnBy::Chain]),
            scope: random.pick(&[Scope::Any, Scope::Outside]),
        }),
        30..37 => Peer::Entity(random.pick(&entities)),
        37..39 => Peer::Metadata(random.pick(&Preset::ALL)),
        _ => Peer::Nodes(NodePeer::default()),
    }
}

fn pattern(random: &mut Random) -> NamePattern {
    let (grammar, text) = random.pick(PATTERNS);
    NamePattern::parse(grammar, text).unwrap()
}

fn ports(random: &mut Random) -> PortMatch {
    let protocol = random.pick(&[Protocol::TCP, Protocol::TCP, Protocol::UDP, Protocol::SCTP]);
    match random.below(8) {
        0 => PortMatch::all(random.pick(&[Protocol::TCP, Protocol::UDP, Protocol(47)])),
        1 => PortMatch::icmp(Protocol::ICMP, 8, random.pick(&[None, Some(0)])),
        2 | 3 => {
            let (a, b) = (random.pick(PORTS), random.pick(PORTS));
            PortMatch::range(protocol, a.min(b), a.max(b))
        }
        _ => PortMatch::port(protocol, random.pick(PORTS)),
    }
}

pub fn address(random: &mut Random) -> IpAddr {
    random.pick(ADDRESSES).parse().unwrap()
}

pub fn flow(random: &mut Random, ip: IpAddr) -> Flow {
    match random.below(10) {
        0 => Flow::icmp(ip, random.pick(&[0, 8]), random.pick(&[0, 1])),
        1 => Flow::new(ip, Protocol(47), 0),
        2 => Flow::new(ip, Protocol::SCTP, random.pick(PORTS)),
        3 | 4 => Flow::new(ip, Protocol::UDP, random.pick(PORTS)),
        _ => {
            let port = random.pick(PORTS);
            let near = random.pick(&[
                port,
                port,
                port,
                port.saturating_add(1),
                port.saturating_sub(1),
            ]);
            Flow::new(ip, Protocol::TCP, near)
        }
    }
}

/// Leases of one address; expiries of 10 to 70 seconds, so that some fall together.
pub fn leases(random: &mut Random, case: &Case) -> Vec<NamedLease> {
    if case.names == LAYERS {
        // Each name once, each with an expiry of its own.
        let turn = random.below(LAYERS.len());
        let order = (0..LAYERS.len()).map(|at| LAYERS[(at + turn) % LAYERS.len()]);
        return (1..)
            .zip(order)
            .map(|(tens, layer)| lease(layer, &[], tens))
            .collect();
    }
    random.many(3, |random| {
        let chain = random.many(2, |random| random.pick(case.names));
        lease(random.pick(case.names), &chain, 1 + random.number() % 7)
    })
}

fn lease(question: &str, chain: &[&str], tens: u64) -> NamedLease {
    NamedLease {
        question: name(question),
        chain: chain.iter().copied().map(name).collect(),
        expires_at: Duration::from_secs(10 * tens),
    }
}

pub fn question(random: &mut Random) -> Name {
    name(random.pick(NAMES))
}
