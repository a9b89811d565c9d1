//! The ports on which two port lists differ, those that differ alike together.

use std::collections::BTreeSet;

use policy_model::{PortMatch, Ports, Protocol};

use super::grouped::Grouped;
use super::{ListPair, Pair, Rulings};
use crate::port_list::{PortList, PortVerdict, normalised, subtract};
use crate::reason::ReasonId;
use crate::ruleset::{Ruling, Verdict};

/// How something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Cell {
    pub(super) rulings: Rulings,
    pub(super) from: (Verdict, ReasonId),
    pub(super) to: (Verdict, ReasonId),
}

/// Ports that change alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PortCell {
    pub(super) cell: Cell,
    pub(super) ports: Ports,
}

/// A verdict of both rulings with its reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ruled {
    pub(super) enforced: (Verdict, ReasonId),
    pub(super) proposed: (Verdict, ReasonId),
}

impl Ruled {
    const fn of(self, ruling: Ruling) -> (Verdict, ReasonId) {
        match ruling {
            Ruling::Enforced => self.enforced,
            Ruling::Proposed => self.proposed,
        }
    }
}

impl From<PortVerdict> for Ruled {
    fn from(verdict: PortVerdict) -> Self {
        Self {
            enforced: (verdict.verdict, verdict.reason),
            proposed: (verdict.would, verdict.would_reason),
        }
    }
}

/// Before and after.
pub(super) type BeforeAfter = (Ruled, Ruled);

/// What changes between the two, apart from what changes in the same way in one of `without`.
pub(super) fn cells((before, after): BeforeAfter, without: &[BeforeAfter]) -> Vec<Cell> {
    let of =
        |ruling: Ruling, (before, after): BeforeAfter| (before.of(ruling).0, after.of(ruling).0);
    let changed = |ruling: Ruling| {
        let change = of(ruling, (before, after));
        let told = without.iter().any(|other| of(ruling, *other) == change);
        (change.0 != change.1 && !told).then_some(change)
    };
    let cell = |rulings, ruling: Ruling| Cell {
        rulings,
        from: before.of(ruling),
        to: after.of(ruling),
    };
    let (enforced, proposed) = (changed(Ruling::Enforced), changed(Ruling::Proposed));
    if enforced == proposed {
        let both = enforced.map(|_| cell(Rulings::Both, Ruling::Enforced));
        return both.into_iter().collect();
    }
    let enforced = enforced.map(|_| cell(Rulings::Enforced, Ruling::Enforced));
    let proposed = proposed.map(|_| cell(Rulings::Proposed, Ruling::Proposed));
    enforced.into_iter().chain(proposed).collect()
}

/// Where two lists differ in a verdict, apart from where the lists of `without` do in the same way.
pub(super) fn differing(pair: &Pair<'_>, lists: ListPair, without: &[ListPair]) -> Vec<PortCell> {
    let get = |(old, new): ListPair| (pair.old.lists.get(old), pair.new.lists.get(new));
    let lists = get(lists);
    let without: Vec<(&PortList, &PortList)> = without.iter().copied().map(get).collect();
    let all = || {
        let pairs = std::iter::once(&lists).chain(&without);
        pairs.flat_map(|(old, new)| [*old, *new])
    };
    let mut found: Grouped<Cell, (Option<Protocol>, u16, u16)> = Grouped::default();
    let mut add = |at: (Option<Protocol>, u16, u16), judged: &dyn Fn(&PortList) -> PortVerdict| {
        let both = |(old, new): (&PortList, &PortList)| {
            (Ruled::from(judged(old)), Ruled::from(judged(new)))
        };
        let told: Vec<BeforeAfter> = without.iter().copied().map(both).collect();
        for cell in cells(both(lists), &told) {
            found.add(cell, at);
        }
    };
    add((None, 0, u16::MAX), &|list| list.rows()[0].verdict);
    let protocols: BTreeSet<Protocol> = all()
        .flat_map(PortList::rows)
        .filter_map(|row| row.protocol)
        .collect();
    for protocol in &protocols {
        let bounds = bounds(all(), *protocol);
        for (at, first) in bounds.iter().enumerate() {
            let last = bounds.get(at + 1).map_or(u16::MAX, |next| next - 1);
            add((Some(*protocol), *first, last), &|list| {
                list.look_up(*protocol, *first)
            });
        }
    }
    let items = found.into_items().into_iter();
    items
        .map(|(cell, ports)| PortCell {
            cell,
            ports: ports_of(&ports, &protocols),
        })
        .collect()
}

/// The first port of each run in which no list changes.
fn bounds<'l>(lists: impl Iterator<Item = &'l PortList>, protocol: Protocol) -> Vec<u16> {
    let mut bounds = BTreeSet::from([0]);
    for row in lists.flat_map(PortList::rows) {
        if row.protocol == Some(protocol) {
            bounds.insert(row.port);
            let behind = u32::from(row.port) + (1 << (16 - u32::from(row.prefix_len)));
            bounds.extend(u16::try_from(behind).ok());
        }
    }
    bounds.into_iter().collect()
}

/// Runs as ports; `protocols` are all that are named, the others are one.
fn ports_of(
    runs: &BTreeSet<(Option<Protocol>, u16, u16)>,
    protocols: &BTreeSet<Protocol>,
) -> Ports {
    let named: Vec<PortMatch> = runs
        .iter()
        .filter_map(|(protocol, first, last)| Some(PortMatch::range((*protocol)?, *first, *last)))
        .collect();
    let others = runs.iter().any(|(protocol, ..)| protocol.is_none());
    if !others {
        return normalised(Ports::Only(named));
    }
    let whole: Vec<PortMatch> = protocols.iter().copied().map(PortMatch::all).collect();
    let but = subtract(&whole, &named);
    if but.is_empty() {
        return Ports::Any;
    }
    normalised(Ports::AllBut(but))
}
