//! What answers open: one name of each class, asked, led through, and together with one that is refused.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use dns_names::{Name, NameClass, NamePattern};
use policy_model::{Guarded, METADATA_NAMES, Settings};

use super::atoms::Atoms;
use super::cells::{PortCell, differing};
use super::grouped::Grouped;
use super::name_regions::Patterns;
use super::{Change, DiffError, Half, ListPair, MAX_NAME_STATES, NOW, NamedBy, Pair, What};
use crate::compile::clauses::NameTarget;
use crate::fold::LeaseRules;
use crate::limits::LimitError;
use crate::names::Zone;

/// The classes of names, and those kinds of them that the rules of both sides treat alike.
#[derive(Debug)]
pub(super) struct Kinds {
    pub(super) patterns: Patterns,
    kinds: Vec<Kind>,
    /// Of each zone, the kind of a name of which nothing is said: what an answer may be to that leads through another name.
    plain: Vec<(Zone, usize)>,
}

/// Classes of names that match the same rules.
#[derive(Debug)]
struct Kind {
    example: Name,
    classes: Vec<usize>,
    /// Whether a rule looks at it where an answer leads through it.
    on_chain: bool,
    /// Whether a Deny by name matches it.
    refused: bool,
    opens: bool,
}

/// All that rules have to say of a name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Signature([(Vec<NameTarget>, Vec<NameTarget>); 2], Zone);

impl Kinds {
    pub(super) fn of(pair: &Pair<'_>) -> Result<Self, DiffError> {
        let mut patterns: BTreeSet<NamePattern> = zones(&pair.new.ruleset.settings);
        patterns.extend(
            METADATA_NAMES
                .iter()
                .filter_map(|name| Name::parse(name).ok())
                .map(|name| NamePattern::exactly(&name)),
        );
        for half in pair.halves() {
            patterns.extend(half.ruleset.names.patterns().cloned());
            patterns.extend(half.ruleset.questions.patterns().cloned());
        }
        let patterns: Vec<NamePattern> = patterns.into_iter().collect();
        let classes = NamePattern::classes(&patterns, MAX_NAME_STATES).ok_or(DiffError::Names)?;
        let mut positions: HashMap<Signature, usize> = HashMap::new();
        let mut kinds: Vec<Kind> = Vec::new();
        let mut plain: HashMap<Zone, usize> = HashMap::new();
        for (at, NameClass { example, .. }) in classes.iter().enumerate() {
            let of_half = |half: &Half<'_>| {
                let names = &half.ruleset.names;
                (names.targets(example, &[]), names.on_chain(example))
            };
            let signature = Signature(
                pair.halves().map(of_half),
                pair.new.ruleset.name_rules(example, &[]).zone,
            );
            let Signature(sides, zone) = &signature;
            let zone = *zone;
            let all = || sides.iter().flat_map(|(asked, _)| asked);
            let kind = Kind {
                example: example.clone(),
                classes: Vec::new(),
                on_chain: sides.iter().any(|(_, chain)| !chain.is_empty()),
                refused: all().any(|target| matches!(target, NameTarget::Refuse(_))),
                opens: all().any(|target| matches!(target, NameTarget::Clause(_))),
            };
            let position = *positions.entry(signature).or_insert_with(|| {
                kinds.push(kind);
                kinds.len() - 1
            });
            kinds[position].classes.push(at);
            // Whatever matches a name of which nothing is said matches every name of the zone, so it has the fewest.
            let fewest = plain.entry(zone).or_insert(at);
            if classes[at].patterns.len() < classes[*fewest].patterns.len() {
                *fewest = at;
            }
        }
        let kind_of = |class: usize| kinds.iter().position(|kind| kind.classes.contains(&class));
        let mut plain: Vec<(Zone, usize)> = plain
            .into_iter()
            .filter_map(|(zone, class)| Some((zone, kind_of(class)?)))
            .collect();
        plain.sort_unstable();
        Ok(Self {
            patterns: Patterns::new(patterns, classes),
            kinds,
            plain,
        })
    }

    /// Whether any name opens an address.
    pub(super) fn open_anything(&self) -> bool {
        self.kinds.iter().any(|kind| kind.opens)
    }
}

fn zones(settings: &Settings) -> BTreeSet<NamePattern> {
    let zones = settings.private_zones.iter();
    let zones = zones.chain(&settings.cluster_domain);
    zones
        .flat_map(|zone| {
            let below = format!("**.{}", zone.without_dot());
            let below = NamePattern::parse(dns_names::Grammar::Native, &below).ok();
            below.into_iter().chain([NamePattern::exactly(zone)])
        })
        .collect()
}

/// How an answer comes to a kind of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Question,
    /// From a name of that zone.
    Chain(Zone),
    With(usize),
}

/// Adds what changes of the addresses that names stand for, and not of the addresses themselves.
pub(super) fn compare(
    pair: &mut Pair<'_>,
    kinds: &Kinds,
    atoms: &Atoms,
    changes: &mut Vec<Change>,
) -> Result<(), DiffError> {
    if !kinds.open_anything() {
        return Ok(());
    }
    let mut found: Grouped<(Role, usize, PortCell), usize> = Grouped::default();
    for (representative, alike) in addresses(pair, atoms) {
        for (role, kind, cell) in at_address(pair, kinds, representative)? {
            for atom in &alike {
                found.add((role, kind, cell.clone()), *atom);
            }
        }
    }
    let mut merged: Grouped<(Role, PortCell, BTreeSet<usize>), usize> = Grouped::default();
    let found = found.into_items();
    let asked: HashSet<(usize, PortCell)> = found
        .iter()
        .filter(|((role, ..), _)| *role == Role::Question)
        .map(|((_, kind, cell), _)| (*kind, cell.clone()))
        .collect();
    for ((role, kind, cell), atoms) in found {
        // That a private zone's names lead to it goes without saying.
        let from_zone = matches!(role, Role::Chain(Zone::Cluster | Zone::Private));
        if from_zone && asked.contains(&(kind, cell.clone())) {
            continue;
        }
        let key = (role, cell, atoms);
        for class in &kinds.kinds[kind].classes {
            merged.add(key.clone(), *class);
        }
    }
    for ((role, cell, chosen), classes) in merged.into_items() {
        let what = What::Names {
            names: kinds.patterns.regions(&classes),
            by: match role {
                Role::Question => NamedBy::Question,
                Role::Chain(_) => NamedBy::Chain,
                Role::With(kind) => {
                    let classes = kinds.kinds[kind].classes.iter().copied().collect();
                    NamedBy::With(kinds.patterns.regions(&classes))
                }
            },
            on: atoms.regions(&chosen),
            ports: cell.ports,
        };
        changes.push(pair.change(what, cell.cell));
    }
    Ok(())
}

/// Atoms on which every name opens the same, with an address that stands for them.
fn addresses(pair: &Pair<'_>, atoms: &Atoms) -> Vec<(IpAddr, BTreeSet<usize>)> {
    type Key = [(u32, bool, Option<Guarded>); 2];
    let mut alike: Grouped<Key, usize> = Grouped::default();
    for (at, atom) in atoms.judged(pair) {
        let ip = atom.representative;
        let key = pair.halves().map(|half| {
            let node = half.ruleset.node(ip);
            (node.shape, node.outside, half.ruleset.world.guarded(ip))
        });
        alike.add(key, at);
    }
    let items = alike.into_items().into_iter();
    items
        .filter_map(|(_, atoms_alike)| {
            let first = atoms_alike.first()?;
            Some((atoms.all()[*first].representative, atoms_alike))
        })
        .collect()
}

type Found = Vec<(Role, usize, PortCell)>;

fn at_address(pair: &mut Pair<'_>, kinds: &Kinds, ip: IpAddr) -> Result<Found, LimitError> {
    let mut found = Vec::new();
    let own = pair.static_lists(ip);
    let all = &kinds.kinds;
    let mut asked: Vec<ListPair> = Vec::with_capacity(all.len());
    for (at, kind) in all.iter().enumerate() {
        let lists = opened(pair, ip, &kind.example, &[])?;
        asked.push(lists);
        if lists != own {
            for cell in differing(pair, lists, &[own]) {
                found.push((Role::Question, at, cell));
            }
        }
    }
    // By kind: where it is led through, from a plain name of each zone.
    let mut led: Vec<Vec<ListPair>> = vec![Vec::new(); all.len()];
    for (at, kind) in all.iter().enumerate().filter(|(_, kind)| kind.on_chain) {
        for (zone, plain) in &kinds.plain {
            let lists = opened(pair, ip, &all[*plain].example, &[&kind.example])?;
            led[at].push(lists);
            let told = [own, asked[at], asked[*plain]];
            if !told.contains(&lists) {
                for cell in differing(pair, lists, &told) {
                    found.push((Role::Chain(*zone), at, cell));
                }
            }
        }
    }
    let refused = all.iter().enumerate().filter(|(_, kind)| kind.refused);
    for (with, refused) in refused {
        for (at, kind) in all.iter().enumerate() {
            if at == with || !kind.opens {
                continue;
            }
            let mut told = vec![own, asked[at], asked[with]];
            told.extend(led[at].iter().chain(&led[with]));
            let both = [&kind.example, &refused.example];
            let mut together = vec![
                opened(pair, ip, both[0], &[both[1]])?,
                opened(pair, ip, both[1], &[both[0]])?,
            ];
            for (_, plain) in &kinds.plain {
                together.push(opened(pair, ip, &all[*plain].example, &both)?);
                told.push(asked[*plain]);
            }
            for lists in together {
                if !told.contains(&lists) {
                    for cell in differing(pair, lists, &told) {
                        found.push((Role::With(with), at, cell));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// What holds on an address while an answer stands for it.
fn opened(
    pair: &mut Pair<'_>,
    ip: IpAddr,
    question: &Name,
    chain: &[&Name],
) -> Result<ListPair, LimitError> {
    let chain: Vec<Name> = chain.iter().copied().cloned().collect();
    let of = |half: &mut Half<'_>| {
        let rules = half.ruleset.name_rules(question, &chain);
        if rules.is_empty() {
            return Ok(half.ruleset.static_list(ip));
        }
        let lease = LeaseRules {
            rules,
            expires_at: NOW,
        };
        let steps = half.ruleset.fold(&mut half.lists, ip, &[lease])?;
        let first = steps.first().map(|step| step.list);
        Ok(first.unwrap_or_else(|| half.ruleset.static_list(ip)))
    };
    Ok((of(&mut pair.old)?, of(&mut pair.new)?))
}
