//! Prefixes whose addresses are judged alike, less the longer ones inside of them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::names::Kinds;
use super::{Pair, Region};

/// Every prefix that either ruleset names and that longer ones do not cover whole, in order: each comes before those inside
/// of it.
#[derive(Debug)]
pub(super) struct Atoms(Vec<Atom>);

#[derive(Debug)]
pub(super) struct Atom {
    pub(super) net: IpNet,
    /// An address of it that is in no longer one.
    pub(super) representative: IpAddr,
    /// The position of the longest one around it.
    around: Option<usize>,
}

impl Atoms {
    pub(super) fn of(pair: &Pair<'_>, kinds: &Kinds) -> Self {
        let mut nets: BTreeSet<IpNet> = pair
            .halves()
            .iter()
            .flat_map(|half| half.ruleset.nodes.iter().map(|node| node.net))
            .collect();
        let own = pair
            .old
            .ruleset
            .own
            .iter()
            .flat_map(|(pod, _)| &pod.addresses);
        nets.extend(own.map(|ip| IpNet::from(ip.to_canonical())));
        // Only names ask whether an address is private.
        for half in pair.halves() {
            if kinds.open_anything() && half.ruleset.settings.guards {
                nets.extend(half.ruleset.world.guarded_prefixes());
            }
        }
        Self::of_nets(nets)
    }

    fn of_nets(nets: BTreeSet<IpNet>) -> Self {
        let nets: Vec<IpNet> = nets.into_iter().collect();
        let mut atoms: Vec<Atom> = Vec::with_capacity(nets.len());
        let mut open: Vec<usize> = Vec::new();
        for (at, net) in nets.iter().enumerate() {
            let Some(representative) = uncovered(*net, &nets[at + 1..]) else {
                continue;
            };
            while open.last().is_some_and(|at| !atoms[*at].net.contains(net)) {
                open.pop();
            }
            let around = open.last().copied();
            open.push(atoms.len());
            atoms.push(Atom {
                net: *net,
                representative,
                around,
            });
        }
        Self(atoms)
    }

    pub(super) fn all(&self) -> &[Atom] {
        &self.0
    }

    /// Those that anybody is asked of, with their positions.
    pub(super) fn judged(&self, pair: &Pair<'_>) -> impl Iterator<Item = (usize, &Atom)> {
        let all = self.0.iter().enumerate();
        all.filter(|(_, atom)| !pair.is_own(atom.representative))
    }

    /// Some of them as prefixes, each less what is not among them.
    pub(super) fn regions(&self, chosen: &BTreeSet<usize>) -> Vec<Region> {
        let is_inside = |at: usize| self.0[at].around.is_some_and(|at| chosen.contains(&at));
        let outermost = chosen.iter().filter(|at| !is_inside(**at));
        outermost
            .map(|at| {
                let net = self.0[*at].net;
                let mut except: Vec<IpNet> = Vec::new();
                let inner = self.0.iter().enumerate().skip(at + 1);
                for (at, atom) in inner.take_while(|(_, atom)| net.contains(&atom.net)) {
                    let is_out = except.last().is_some_and(|last| last.contains(&atom.net));
                    if !chosen.contains(&at) && !is_out {
                        except.push(atom.net);
                    }
                }
                Region { net, except }
            })
            .collect()
    }
}

/// The first address of `net` in none of the prefixes inside of it, which follow it in order.
fn uncovered(net: IpNet, after: &[IpNet]) -> Option<IpAddr> {
    let mut candidate = net.network();
    for inner in after.iter().take_while(|inner| net.contains(*inner)) {
        if candidate < inner.network() {
            break;
        }
        if inner.contains(&candidate) {
            candidate = next(inner.broadcast())?;
        }
    }
    net.contains(&candidate).then_some(candidate)
}

fn next(ip: IpAddr) -> Option<IpAddr> {
    Some(match ip {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from(u32::from(ip).checked_add(1)?)),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip).checked_add(1)?)),
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn nets(texts: &[&str]) -> BTreeSet<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test_case("10.0.0.0/8", &["10.0.0.0/9"], Some("10.128.0.0"); "the first half")]
    #[test_case("10.0.0.0/8", &["10.0.0.0/9", "10.0.0.0/16", "10.128.0.0/9"], None; "both halves")]
    #[test_case("10.0.0.0/8", &["10.1.0.0/16"], Some("10.0.0.0"); "something in the middle")]
    #[test_case("255.0.0.0/8", &["255.0.0.0/9", "255.128.0.0/9"], None; "to the last address")]
    #[test_case("10.0.0.1/32", &["11.0.0.0/8"], Some("10.0.0.1"); "one address")]
    fn uncovered_addresses(net: &str, inner: &[&str], expected: Option<&str>) {
        let inner: Vec<IpNet> = nets(inner).into_iter().collect();
        assert_eq!(
            uncovered(net.parse().unwrap(), &inner),
            expected.map(|ip| ip.parse().unwrap())
        );
    }

    #[test_case(&["0.0.0.0/0"], &["0.0.0.0/0 less 10.0.0.0/8"]; "less what is inside")]
    #[test_case(&["0.0.0.0/0", "10.1.0.0/16"], &["0.0.0.0/0 less 10.0.0.0/8", "10.1.0.0/16 less 10.1.1.0/24"]; "and what is inside of that")]
    #[test_case(&["10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24"], &["10.0.0.0/8 less "]; "the inner ones are in the outer")]
    #[test_case(&["10.1.1.0/24"], &["10.1.1.0/24 less "]; "alone")]
    fn regions(chosen: &[&str], expected: &[&str]) {
        let atoms = Atoms::of_nets(nets(&[
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.1.0/24",
        ]));
        let chosen = nets(chosen);
        let chosen: BTreeSet<usize> = (0..atoms.all().len())
            .filter(|at| chosen.contains(&atoms.all()[*at].net))
            .collect();
        let told: Vec<String> = atoms
            .regions(&chosen)
            .iter()
            .map(|region| {
                let except: Vec<String> = region.except.iter().map(ToString::to_string).collect();
                format!("{} less {}", region.net, except.join(","))
            })
            .collect();
        assert_eq!(told, expected);
    }
}
