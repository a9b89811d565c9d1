//! The answer for people: who, what, and who decided before and after.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;
use policy_engine::{
    Change, Destination, Judged, NamedBy, Names, Reason, Region, Rulings, Verdict, What,
};
use policy_model::{Level, PortMatch, Ports, Protocol, Resolver, metadata_prefixes};

use super::{Comparison, Group, widens};
use crate::explain::place;
use crate::render::{Look, count, visible};

/// LIMIT: destinations, names or parts that are named in one line; the JSON has them all.
const MOST_NAMED: usize = 4;

pub(super) fn comparison(comparison: &Comparison, look: Look) -> String {
    let mut out = format!("{}\n", summary(comparison, look));
    if !comparison.of_pods {
        out.push_str(
            "compared for the command of `egret run`; with --world for the pods of a cluster\n",
        );
    }
    let objects = Objects::of(comparison);
    for group in &comparison.groups {
        writeln!(out, "\n{}", look.paint("1", &who(group))).expect(STRING);
        for change in &group.changes {
            change_text(&mut out, change, &objects, look);
        }
    }
    let mut notes = String::new();
    for (names, side) in [
        (&comparison.only_old, "--old"),
        (&comparison.only_new, "--new"),
    ] {
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| visible(name)).collect();
            let names = listed(&names, "more");
            writeln!(notes, "not compared, in the world of {side} alone: {names}").expect(STRING);
        }
    }
    for (side, called) in [(&comparison.old, "--old"), (&comparison.new, "--new")] {
        let of = |level| {
            let all = side.scene.diagnostics.iter();
            all.filter(|diagnostic| diagnostic.level == level).count()
        };
        let (refused, closed) = (of(Level::Refused), of(Level::Closed));
        if refused + closed > 0 {
            let text =
                format!("{called}: {refused} refused and {closed} closed: see `egret check`");
            writeln!(notes, "{}", look.paint("33", &text)).expect(STRING);
        }
    }
    if !notes.is_empty() {
        out.push('\n');
        out.push_str(&notes);
    }
    out
}

const STRING: &str = "writing to a string cannot fail";

fn summary(comparison: &Comparison, look: Look) -> String {
    let who = |number| {
        if comparison.of_pods {
            count(number, "pod", "pods")
        } else {
            "the command".to_owned()
        }
    };
    let (wider, narrower) = comparison.directions();
    if wider + narrower == 0 {
        let of = format!(" of {}", who(comparison.compared));
        return format!("{}{of}", look.paint("32", "no access changes"));
    }
    let mut ways = Vec::new();
    if wider > 0 {
        ways.push(look.paint("31", &format!("{wider} widened")));
    }
    if narrower > 0 {
        ways.push(look.paint("33", &format!("{narrower} narrowed")));
    }
    let of = if comparison.of_pods {
        format!("{} of {}", comparison.changed(), who(comparison.compared))
    } else {
        who(1)
    };
    format!(
        "{} for {of}: {}",
        count(wider + narrower, "change", "changes"),
        ways.join(", ")
    )
}

fn who(group: &Group) -> String {
    let first = group.workloads.first().map_or("", |name| name);
    match group.workloads.len() {
        0 | 1 => visible(first),
        number => format!("{} and {} more", visible(first), number - 1),
    }
}

fn change_text(out: &mut String, change: &Change, objects: &Objects, look: Look) {
    let way = if widens(change) {
        look.paint("31", "widened ")
    } else {
        look.paint("33", "narrowed")
    };
    let mark = match change.rulings {
        Rulings::Both => "",
        Rulings::Enforced => "  (in the enforced ruling alone)",
        Rulings::Proposed => "  (proposed: once every staged and audit policy is in force)",
    };
    writeln!(
        out,
        "  {way}  {}{}",
        what(&change.what, objects),
        look.paint("2", mark)
    )
    .expect(STRING);
    writeln!(out, "    was     {}", judged(&change.from, look)).expect(STRING);
    writeln!(out, "    is now  {}", judged(&change.to, look)).expect(STRING);
}

fn judged(judged: &Judged, look: Look) -> String {
    let verdict = match judged.verdict {
        Verdict::Allow => look.paint("32", "allow"),
        Verdict::Deny => look.paint("31", "deny "),
    };
    format!("{verdict}  {}", reason(&judged.reason))
}

fn reason(reason: &Reason) -> String {
    visible(&match reason {
        Reason::Rule(rule) => match rule.closed {
            Some(code) => format!("{}, closed: {code}", place(rule)),
            None => place(rule),
        },
        reason @ (Reason::TierEnd { .. }
        | Reason::Isolated { .. }
        | Reason::Guard(_)
        | Reason::Service(_)
        | Reason::Default
        | Reason::NoPolicy
        | Reason::OwnAddress
        | Reason::NotNamed { .. }
        | Reason::SearchExpansion
        | Reason::NotFiltered) => reason.to_string(),
    })
}

fn what(what: &What, objects: &Objects) -> String {
    match what {
        What::Flows { to, ports } => {
            let to = destinations(to, objects);
            format!("{}  {}", listed(&to, "more"), self::ports(ports))
        }
        What::Names {
            names,
            by,
            on,
            ports,
        } => {
            let through = match by {
                NamedBy::Question => String::new(),
                NamedBy::Chain => " where another name leads to it".to_owned(),
                NamedBy::With(others) => {
                    format!(" in one answer with {}", self::names(others))
                }
            };
            format!(
                "{}{through}{}  {}",
                self::names(names),
                addresses(on, objects),
                self::ports(ports)
            )
        }
        What::Questions { names, servers } => {
            let of = if servers.is_empty() {
                String::new()
            } else {
                let servers: Vec<String> = servers.iter().map(server).collect();
                format!(" of {}", listed(&servers, "more"))
            };
            format!("look-up of {}{of}", self::names(names))
        }
    }
}

fn server((Resolver { address, port }, protocol): &(Resolver, Protocol)) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}/{protocol}"),
        IpAddr::V6(address) => format!("[{address}]:{port}/{protocol}"),
    }
}

/// Services first: what is said of their addresses else is of ports that nobody serves.
fn destinations(to: &[Destination], objects: &Objects) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let mut nets = Vec::new();
    for to in to {
        match to {
            Destination::Service((namespace, name), ip) => {
                told.push(visible(&format!("service {namespace}/{name} ({ip})")));
            }
            Destination::Net(region) => nets.push(region.clone()),
        }
    }
    told.extend(regions(&nets, objects));
    told
}

/// Some addresses, by what they are.
fn regions(regions: &[Region], objects: &Objects) -> Vec<String> {
    let roots = ROOTS.map(|v6| regions.iter().find(|region| is_root(region, v6)));
    let (first, others): (Option<String>, Vec<&Region>) = match roots {
        [Some(v4), Some(v6)] => {
            let except: Vec<IpNet> = v4.except.iter().chain(&v6.except).copied().collect();
            let others = regions.iter().filter(|region| region.net.prefix_len() > 0);
            (Some(objects.but("everywhere", except)), others.collect())
        }
        [_, _] => (None, regions.iter().collect()),
    };
    let (whole, parts): (Vec<&Region>, Vec<&Region>) = others
        .into_iter()
        .partition(|region| region.except.is_empty());
    let whole = objects.nets(whole.iter().map(|region| region.net).collect());
    let parts = parts.into_iter().map(|Region { net, except }| {
        let own = objects.nets(vec![*net]);
        objects.but(&own.join(""), except.clone())
    });
    first.into_iter().chain(parts).chain(whole).collect()
}

/// Whether it is of IPv6.
const ROOTS: [bool; 2] = [false, true];

fn is_root(region: &Region, v6: bool) -> bool {
    region.net.prefix_len() == 0 && region.net.addr().is_ipv6() == v6
}

/// Where names open something; nothing where that is everywhere but for what is said of parts.
fn addresses(on: &[Region], objects: &Objects) -> String {
    let everywhere = |v6: bool| on.iter().any(|region| is_root(region, v6));
    match (everywhere(false), everywhere(true)) {
        (true, true) => String::new(),
        (true, false) => " over IPv4".to_owned(),
        (false, true) => " over IPv6".to_owned(),
        (false, false) => format!(" on {}", listed(&regions(on, objects), "more")),
    }
}

fn names(names: &[Names]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|Names { all_of, except, .. }| {
            let all_of: Vec<&str> = all_of.iter().map(|pattern| pattern.as_str()).collect();
            let own = if all_of.is_empty() {
                "every name".to_owned()
            } else {
                all_of.join(" and ")
            };
            if except.is_empty() {
                return own;
            }
            let except: Vec<String> = except.iter().map(ToString::to_string).collect();
            format!("{own} but {}", listed(&except, "more"))
        })
        .collect();
    visible(&listed(&names, "more"))
}

fn ports(ports: &Ports) -> String {
    let list = |list: &[PortMatch]| {
        let list: Vec<String> = list.iter().map(port).collect();
        listed(&list, "more")
    };
    match ports {
        Ports::Any => "every port".to_owned(),
        Ports::Only(ports) => list(ports),
        Ports::AllBut(ports) => format!("every port but {}", list(ports)),
    }
}

/// As `--port` takes it; of ICMP the type, and the code where it is one.
fn port(range: &PortMatch) -> String {
    let PortMatch {
        protocol,
        first,
        last,
    } = *range;
    let ([kind, code], [last_kind, last_code]) = (first.to_be_bytes(), last.to_be_bytes());
    let is_icmp = matches!(protocol, Protocol::ICMP | Protocol::ICMPV6);
    match (is_icmp, (first, last)) {
        (false, _) | (true, (0, u16::MAX)) => range.to_string(),
        (true, _) if first == last => format!("{kind}:{code}/{protocol}"),
        (true, _) if kind == last_kind && (code, last_code) == (0, u8::MAX) => {
            format!("{kind}/{protocol}")
        }
        (true, _) => format!("{kind}:{code}-{last_kind}:{last_code}/{protocol}"),
    }
}

/// The first of a list, and how many others there are.
fn listed(items: &[String], others: &str) -> String {
    let (named, rest) = items.split_at(items.len().min(MOST_NAMED));
    let named = named.join(", ");
    if rest.is_empty() {
        named
    } else {
        format!("{named} and {} {others}", rest.len())
    }
}

/// What has an address, by the words of a test file.
struct Objects(BTreeMap<IpNet, String>);

impl Objects {
    /// The widest first; addresses of one object together.
    fn nets(&self, mut nets: Vec<IpNet>) -> Vec<String> {
        nets.sort_by_key(|net| (net.addr().is_ipv6(), net.prefix_len(), *net));
        let mut told: Vec<(String, Option<&str>, usize)> = Vec::new();
        for net in nets {
            let single = net.prefix_len() == net.max_prefix_len();
            let object = self.0.get(&net).map(String::as_str);
            let known = told
                .iter_mut()
                .find(|(_, of, _)| object.is_some() && *of == object);
            match known {
                Some((_, _, more)) => *more += 1,
                None if single => told.push((net.addr().to_string(), object, 0)),
                None => told.push((net.to_string(), object, 0)),
            }
        }
        let texts = told
            .into_iter()
            .map(|(text, object, more)| match (object, more) {
                (None, _) => text,
                (Some(object), 0) => format!("{object} ({text})"),
                (Some(object), more) => format!("{object} ({text} and {more} more)"),
            });
        texts.collect()
    }

    fn but(&self, all: &str, except: Vec<IpNet>) -> String {
        if except.is_empty() {
            return all.to_owned();
        }
        format!("{all} but {}", listed(&self.nets(except), "others"))
    }

    fn of(comparison: &Comparison) -> Self {
        let mut objects: BTreeMap<IpNet, String> = metadata_prefixes()
            .map(|net| (net, "metadata".to_owned()))
            .collect();
        // What is so now counts.
        for side in [&comparison.old, &comparison.new] {
            let world = &side.scene.world;
            let resolvers = world.resolvers.iter();
            objects.extend(resolvers.map(|one| (one.address.into(), "resolver".to_owned())));
            let own = world.host_addresses.iter();
            objects.extend(own.map(|ip| (IpNet::from(*ip), "this host".to_owned())));
            let cluster = side.scene.cluster();
            let pods = cluster.pods.iter().filter(|(_, pod)| !pod.host_network);
            for ((namespace, name), pod) in pods {
                let called = visible(&format!("pod {namespace}/{name}"));
                objects.extend(
                    pod.addresses
                        .iter()
                        .map(|ip| (IpNet::from(*ip), called.clone())),
                );
            }
            for ((namespace, name), service) in &cluster.services {
                let called = visible(&format!("service {namespace}/{name}"));
                objects.extend(
                    service
                        .addresses
                        .iter()
                        .map(|ip| (IpNet::from(*ip), called.clone())),
                );
            }
            for (name, node) in &cluster.nodes {
                let called = visible(&format!("node {name}"));
                objects.extend(
                    node.addresses
                        .iter()
                        .map(|ip| (IpNet::from(*ip), called.clone())),
                );
            }
        }
        Self(objects)
    }
}
