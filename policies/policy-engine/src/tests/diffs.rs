//! What a comparison says, held against the reference: nothing that differs is left out, and what is told differs.
#![expect(clippy::print_stdout, reason = "a random test says its seed")]

use std::net::IpAddr;

use dns_names::Name;
use policy_model::{Action, Policy, PortMatch, Ports, Protocol};

use super::differential::add_deny;
use crate::compile::clauses::has_names;
use crate::reference::{self, RuledQuestion, Setting};
use crate::testing::{self as worlds, Case, Random, seed};
use crate::{
    Age, Change, Compiled, Destination, Flow, Judged, NamedBy, NamedLease, Names, Reason, Region,
    Ruling, Verdict, What, compile, diff,
};

const ROUNDS: usize = 600;
const SAMPLES: usize = 40;

/// Two sets of policies around one workload.
struct Two {
    old: Case,
    new: Case,
}

impl Two {
    fn random(random: &mut Random) -> Self {
        let old = if random.chance(60) {
            Case::random_in_cluster(random)
        } else {
            Case::random(random)
        };
        let mut new = old.clone();
        match random.below(4) {
            0 => new.policies = Self::others(random, &old),
            1 if !new.policies.is_empty() => {
                let at = random.below(new.policies.len());
                new.policies.remove(at);
            }
            _ => {
                let more = Self::others(random, &old);
                new.policies.extend(more.into_iter().take(1));
            }
        }
        for policy in &mut new.policies {
            if random.chance(20) && !policy.rules.is_empty() {
                let at = random.below(policy.rules.len());
                let origin = policy.origin.clone();
                policy.rules[at] = worlds::rule(random, policy.rules[at].index, &origin);
            }
        }
        Self { old, new }
    }

    fn others(random: &mut Random, like: &Case) -> Vec<Policy> {
        let mut other = if like.world.cluster.objects().is_empty() {
            Case::random(random)
        } else {
            Case::random_in_cluster(random)
        };
        for (at, policy) in other.policies.iter_mut().enumerate() {
            policy.id.name = format!("n{at}").into();
        }
        other.policies
    }

    fn changes(&self) -> Vec<Change> {
        let [old, new] = [&self.old, &self.new].map(compiled);
        diff(&old, &new).unwrap()
    }

    fn flow(&self, ruling: Ruling, flow: &Flow, leases: &[NamedLease]) -> [Judged; 2] {
        [&self.old, &self.new].map(|case| {
            let ruled = reference::decide(setting(case), ruling, flow, leases, NOW);
            Judged {
                verdict: ruled.verdict,
                reason: ruled.reason,
            }
        })
    }

    fn question(
        &self,
        ruling: Ruling,
        server: (IpAddr, u16),
        protocol: Protocol,
        name: &Name,
    ) -> [Judged; 2] {
        [&self.old, &self.new].map(|case| {
            let ruled = reference::judge_question(setting(case), ruling, server, protocol, name);
            let (verdict, reason) = match ruled {
                RuledQuestion::NotFiltered => (Verdict::Allow, Reason::NotFiltered),
                RuledQuestion::Forward { reason } => (Verdict::Allow, reason),
                RuledQuestion::Refuse { reason, .. } => (Verdict::Deny, reason),
            };
            Judged { verdict, reason }
        })
    }
}

const NOW: Age = Age::New {
    now: std::time::Duration::ZERO,
};

fn compiled(case: &Case) -> Compiled {
    compile(&case.policies, &case.workload, &case.world, &case.settings).unwrap()
}

fn setting(case: &Case) -> Setting<'_> {
    Setting {
        policies: &case.policies,
        workload: &case.workload,
        world: &case.world,
        settings: &case.settings,
    }
}

fn covers(ports: &Ports, protocol: Protocol, port: u16) -> bool {
    let among = |list: &[PortMatch]| {
        list.iter()
            .any(|one| one.protocol == protocol && (one.first..=one.last).contains(&port))
    };
    match ports {
        Ports::Any => true,
        Ports::Only(list) => among(list),
        Ports::AllBut(list) => !among(list),
    }
}

fn any_region(regions: &[Region], ip: IpAddr) -> bool {
    regions.iter().any(|region| region.contains(ip))
}

fn any_names(names: &[Names], name: &Name) -> bool {
    names.iter().any(|names| names.contains(name))
}

/// Whether a change tells of a flow, in the ruling and as it went.
fn tells(
    change: &Change,
    two: &Two,
    ruling: Ruling,
    verdicts: (Verdict, Verdict),
    flow: &Flow,
    leases: &[NamedLease],
) -> bool {
    let is_service = |ip| {
        let cluster = &two.old.world.cluster;
        cluster.backends(ip, flow.protocol, flow.port).is_some()
    };
    change.rulings.has(ruling)
        && (change.from.verdict, change.to.verdict) == verdicts
        && match &change.what {
            What::Flows { to, ports } => {
                covers(ports, flow.protocol, flow.port)
                    && to.iter().any(|to| match to {
                        Destination::Net(region) => {
                            !is_service(flow.ip) && region.contains(flow.ip)
                        }
                        Destination::Service(_, ip) => is_service(flow.ip) && *ip == flow.ip,
                    })
            }
            What::Names {
                names, on, ports, ..
            } => {
                let settings = &two.old.settings;
                let zones = settings.private_zones.iter();
                let zones: Vec<&Name> = zones.chain(&settings.cluster_domain).collect();
                let named = |lease: &NamedLease| {
                    let from_zone = zones.iter().any(|zone| lease.question.is_under(zone));
                    let may_be_private = from_zone && two.old.world.is_private(flow.ip);
                    let mut all = lease.chain.iter().chain([&lease.question]);
                    (any_region(on, flow.ip) || may_be_private)
                        && all.any(|name| any_names(names, name))
                };
                !is_service(flow.ip)
                    && covers(ports, flow.protocol, flow.port)
                    && leases.iter().any(named)
            }
            What::Questions { .. } => false,
        }
}

#[test]
fn nothing_that_differs_is_left_out() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let (mut flows, mut questions) = (0, 0);
    for _ in 0..ROUNDS {
        let two = Two::random(&mut random);
        let changes = two.changes();
        for _ in 0..SAMPLES {
            let leases = worlds::leases(&mut random, &two.old);
            let ip = two.old.address(&mut random);
            let flow = worlds::flow(&mut random, ip);
            for ruling in Ruling::BOTH {
                let [old, new] = two.flow(ruling, &flow, &leases);
                let verdicts = (old.verdict, new.verdict);
                let told = changes
                    .iter()
                    .any(|change| tells(change, &two, ruling, verdicts, &flow, &leases));
                assert!(
                    old.verdict == new.verdict || told,
                    "seed {seed}: {ruling:?} {flow:?} {leases:#?}\n{old:?}\n{new:?}\n{changes:#?}\n{:#?}\n{:#?}",
                    two.old,
                    two.new.policies
                );
                flows += usize::from(old.verdict != new.verdict);
            }
        }
        for resolver in &two.old.world.resolvers {
            let name = worlds::question(&mut random);
            let server = (resolver.address, resolver.port);
            let protocol = random.pick(&[Protocol::UDP, Protocol::TCP]);
            for ruling in Ruling::BOTH {
                let [old, new] = two.question(ruling, server, protocol, &name);
                let told = changes.iter().any(|change| match &change.what {
                    What::Questions { names, servers } => {
                        change.rulings.has(ruling)
                            && (change.from.verdict, change.to.verdict)
                                == (old.verdict, new.verdict)
                            && any_names(names, &name)
                            && (servers.is_empty()
                                || servers.iter().any(|(one, over)| {
                                    (one.address.to_canonical(), one.port)
                                        == (server.0.to_canonical(), server.1)
                                        && *over == protocol
                                }))
                    }
                    What::Flows { .. } | What::Names { .. } => false,
                });
                assert!(
                    old.verdict == new.verdict || told,
                    "seed {seed}: {ruling:?} {name} {server:?}\n{old:?}\n{new:?}\n{changes:#?}\n{:#?}\n{:#?}",
                    two.old,
                    two.new.policies
                );
                questions += usize::from(old.verdict != new.verdict);
            }
        }
    }
    println!("{flows} flows and {questions} questions that differ");
    assert!(flows > 500 && questions > 50, "{flows} {questions}");
}

/// An address of a region: one that is known, its first, or any.
fn inside(random: &mut Random, two: &Two, region: &Region) -> Option<IpAddr> {
    let any = (0..8).map(|_| {
        let bits = u128::from(random.number()) << 64 | u128::from(random.number());
        match region.net {
            ipnet::IpNet::V4(net) => {
                let low = u32::try_from(bits >> 96).unwrap();
                IpAddr::V4((u32::from(net.network()) | low & u32::from(net.hostmask())).into())
            }
            ipnet::IpNet::V6(net) => {
                IpAddr::V6((u128::from(net.network()) | bits & u128::from(net.hostmask())).into())
            }
        }
    });
    let mut candidates: Vec<IpAddr> = any.collect();
    candidates.push(region.net.network());
    candidates.push(region.net.broadcast());
    for _ in 0..8 {
        candidates.push(two.old.address(random));
    }
    candidates.retain(|ip| region.contains(*ip) && ip.to_canonical() == *ip && is_exact(*ip));
    (!candidates.is_empty()).then(|| random.pick(&candidates))
}

/// Addresses that hold an IPv4 address at their end, behind any octets, are told of by one of them.
fn is_exact(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            !matches!((a, b, c), (0x2001, 0, _) | (0x64, 0xff9b, 1))
        }
    }
}

/// A protocol and port that are covered; nothing where sampling finds none.
fn port(random: &mut Random, ip: IpAddr, ports: &Ports) -> Option<Flow> {
    if let Ports::Only(list) = ports {
        let one = random.pick(list);
        let port = random.pick(&[one.first, one.last]);
        return Some(Flow::new(ip, one.protocol, port));
    }
    let mut flows = (0..50).map(|_| worlds::flow(random, ip));
    flows.find(|flow| covers(ports, flow.protocol, flow.port))
}

fn name(random: &mut Random, two: &Two, names: &[Names]) -> Name {
    let names = random.pick(names);
    let all = two.old.names.iter().copied();
    let known: Vec<&str> = all
        .filter(|text| names.contains(&worlds::name(text)))
        .collect();
    if known.is_empty() || random.chance(50) {
        assert!(names.contains(&names.example), "{names:?}");
        names.example.clone()
    } else {
        worlds::name(random.pick(&known))
    }
}

#[test]
fn what_is_told_differs() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut told = [0; 5];
    for _ in 0..ROUNDS {
        let two = Two::random(&mut random);
        for change in two.changes() {
            let rulings = Ruling::BOTH
                .into_iter()
                .filter(|ruling| change.rulings.has(*ruling));
            let rulings: Vec<Ruling> = rulings.collect();
            for ruling in &rulings {
                let Some(([old, new], kind)) = sample(&mut random, &two, *ruling, &change) else {
                    continue;
                };
                told[kind] += 1;
                // Of a search list's names another reason is told than of the rest, and of what is led through some.
                let by_reason = (*ruling == Ruling::Enforced || rulings.len() == 1)
                    && kind != 4
                    && ![&old, &new]
                        .map(|one| &one.reason)
                        .contains(&&Reason::SearchExpansion);
                let same = if by_reason {
                    (&old, &new) == (&change.from, &change.to)
                } else {
                    (old.verdict, new.verdict) == (change.from.verdict, change.to.verdict)
                };
                assert!(
                    same,
                    "seed {seed}: {ruling:?} {change:#?}\n{old:?}\n{new:?}\n{:#?}\n{:#?}",
                    two.old, two.new.policies
                );
            }
        }
    }
    println!("flows, services, names, questions, chains: {told:?}");
    assert!(told.iter().all(|number| *number > 20), "{told:?}");
}

/// Something that a change tells of, judged by the reference.
fn sample(
    random: &mut Random,
    two: &Two,
    ruling: Ruling,
    change: &Change,
) -> Option<([Judged; 2], usize)> {
    let cluster = &two.old.world.cluster;
    let is_service = |flow: &Flow| {
        cluster
            .backends(flow.ip, flow.protocol, flow.port)
            .is_some()
    };
    match &change.what {
        What::Flows { to, ports } => {
            let (ip, service) = match random.pick(to) {
                Destination::Net(region) => (inside(random, two, &region)?, false),
                Destination::Service(_, ip) => (ip, true),
            };
            let flow = port(random, ip, ports)?;
            if is_service(&flow) != service {
                assert!(!service, "{change:#?}");
                return None;
            }
            Some((two.flow(ruling, &flow, &[]), usize::from(service)))
        }
        What::Names {
            names,
            by,
            on,
            ports,
        } => {
            let region = random.pick(on);
            let ip = inside(random, two, &region)?;
            let flow = port(random, ip, ports)?;
            if is_service(&flow) {
                return None;
            }
            let name = name(random, two, names);
            let lease = |question: &Name, chain: &[&Name]| NamedLease {
                question: question.clone(),
                chain: chain.iter().copied().cloned().collect(),
                expires_at: std::time::Duration::ZERO,
            };
            // Of what is led through it is not told what was asked: one of these is.
            let asked = ["x", "x.corp", "x.x.corp", "corp"].map(worlds::name);
            let leases = match by {
                NamedBy::Question => vec![lease(&name, &[])],
                NamedBy::Chain => asked.iter().map(|asked| lease(asked, &[&name])).collect(),
                NamedBy::With(others) => {
                    let other = self::name(random, two, others);
                    let through = asked.iter().map(|asked| lease(asked, &[&name, &other]));
                    let both = [lease(&name, &[&other]), lease(&other, &[&name])];
                    both.into_iter().chain(through).collect()
                }
            };
            let judged: Vec<[Judged; 2]> = leases
                .into_iter()
                .map(|lease| two.flow(ruling, &flow, &[lease]))
                .collect();
            let found = judged.iter().find(|[old, new]| {
                (old.verdict, new.verdict) == (change.from.verdict, change.to.verdict)
            });
            let kind = if *by == NamedBy::Question { 2 } else { 4 };
            Some((found.or_else(|| judged.first())?.clone(), kind))
        }
        What::Questions { names, servers } => {
            let (server, protocol) = if servers.is_empty() {
                let resolver = random.pick(&two.old.world.resolvers);
                let protocol = random.pick(&[Protocol::UDP, Protocol::TCP]);
                (resolver, protocol)
            } else {
                random.pick(servers)
            };
            let name = name(random, two, names);
            let server = (server.address, server.port);
            Some((two.question(ruling, server, protocol, &name), 3))
        }
    }
}

#[test]
fn the_same_policies_change_nothing() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    for _ in 0..ROUNDS {
        let case = Case::random_in_cluster(&mut random);
        let mut other = case.clone();
        let ids: Vec<_> = case.policies.iter().map(|policy| &policy.id).collect();
        let apart = |(at, id)| !ids[..at].contains(&id);
        // Pieces of one object have one rank, and go in the order of the text.
        if ids.iter().copied().enumerate().all(apart) {
            other.policies.reverse();
        }
        let two = Two {
            old: case,
            new: other,
        };
        assert_eq!(two.changes(), [], "seed {seed}: {:#?}", two.old);
    }
}

#[test]
fn a_deny_never_widens() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut narrowed = 0;
    for _ in 0..ROUNDS {
        let old = Case::random_in_cluster(&mut random);
        let new = add_deny(&mut random, &old);
        let two = Two { old, new };
        for change in two.changes() {
            if change.rulings.has(Ruling::Enforced) {
                narrowed += 1;
                assert_eq!(
                    change.to.verdict,
                    Verdict::Deny,
                    "seed {seed}: {change:#?}\n{:#?}\n{:#?}",
                    two.old,
                    two.new.policies
                );
            }
        }
    }
    assert!(narrowed > 100, "{narrowed}");
}

/// Chains of answers take part: they are what the last resort of the comparison is for.
#[test]
fn the_universe_has_names_that_are_refused() {
    let mut random = Random::new(1);
    let refused = (0..200)
        .map(|_| Case::random(&mut random))
        .flat_map(|case| case.policies)
        .flat_map(|policy| policy.rules)
        .filter(|rule| rule.action == Action::Deny && has_names(rule))
        .count();
    assert!(refused > 20, "{refused}");
}
