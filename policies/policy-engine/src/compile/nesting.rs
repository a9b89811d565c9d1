//! Every prefix that the rules, the guards and the world name, with the blocks that hold in it.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use policy_model::{Block, DestinationClass, Scope, World, metadata_prefixes};

use super::clauses::ClausePeer;
use crate::faults::{Fault, is_on};
use crate::guard::DOH_ADDRESSES;
use crate::limits::{LimitError, MAX_OVERLAPS, MAX_PREFIXES};
use crate::ruleset::Ruleset;

/// A named prefix: what is said of it holds for its addresses that no longer named prefix covers.
pub(super) struct Nested {
    pub(super) net: IpNet,
    /// The position of the longest named prefix that covers it.
    pub(super) cover: Option<usize>,
    /// The block clauses that hold in it, ascending.
    pub(super) blocks: Vec<u32>,
}

/// All named prefixes, sorted by family, address and length: each comes right before those inside it.
pub(super) fn nest(ruleset: &Ruleset) -> Result<Vec<Nested>, LimitError> {
    let changes = Changes::of(ruleset);
    let nets = named_prefixes(ruleset, &changes);
    if nets.len() > MAX_PREFIXES {
        return Err(LimitError::Prefixes { got: nets.len() });
    }
    let mut nested: Vec<Nested> = Vec::with_capacity(nets.len());
    let mut open: Vec<usize> = Vec::new();
    let mut overlaps = 0;
    for net in nets {
        while open
            .last()
            .is_some_and(|at| !nested[*at].net.contains(&net))
        {
            open.pop();
        }
        let cover = open.last().copied();
        let mut blocks = cover.map_or_else(Vec::new, |at| nested[at].blocks.clone());
        if is_on(Fault::PrefixForgetsCover) {
            blocks.clear();
        }
        changes.apply(net, &mut blocks);
        overlaps += blocks.len();
        if overlaps > MAX_OVERLAPS {
            return Err(LimitError::Overlaps);
        }
        open.push(nested.len());
        nested.push(Nested { net, cover, blocks });
    }
    Ok(nested)
}

/// Where a block clause begins and where an exception ends it.
struct Changes {
    begin: BTreeMap<IpNet, Vec<u32>>,
    end: BTreeMap<IpNet, Vec<u32>>,
}

impl Changes {
    fn of(ruleset: &Ruleset) -> Self {
        let (mut begin, mut end) = (BTreeMap::new(), BTreeMap::new());
        for (number, clause) in (0_u32..).zip(&ruleset.clauses) {
            let block = match &clause.peer {
                ClausePeer::Block(block) => block,
                ClausePeer::Nets(nets, _) => {
                    for net in nets {
                        begin.entry(*net).or_insert_with(Vec::new).push(number);
                    }
                    continue;
                }
                ClausePeer::Everywhere
                | ClausePeer::Outside
                | ClausePeer::Class(_)
                | ClausePeer::Names { .. } => continue,
            };
            // An exception that covers the whole block leaves nothing of it.
            if block
                .except
                .iter()
                .any(|except| except.contains(&block.net))
            {
                continue;
            }
            begin.entry(block.net).or_insert_with(Vec::new).push(number);
            for except in &block.except {
                end.entry(*except).or_insert_with(Vec::new).push(number);
            }
        }
        Self { begin, end }
    }

    fn apply(&self, net: IpNet, blocks: &mut Vec<u32>) {
        if let Some(begin) = self.begin.get(&net) {
            blocks.extend(begin);
            blocks.sort_unstable();
            blocks.dedup();
        }
        if let Some(end) = self.end.get(&net) {
            blocks.retain(|block| !end.contains(block));
        }
    }
}

fn named_prefixes(ruleset: &Ruleset, changes: &Changes) -> BTreeSet<IpNet> {
    let mut nets: BTreeSet<IpNet> = changes
        .begin
        .keys()
        .chain(changes.end.keys())
        .copied()
        .collect();
    let v4 = |a, b, c, d, len| {
        IpNet::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), len).expect("a valid length")
    };
    nets.insert(v4(0, 0, 0, 0, 0));
    nets.insert(v4(0, 0, 0, 0, 32));
    nets.insert(v4(127, 0, 0, 0, 8));
    let v6 = |ip, len| IpNet::new(IpAddr::V6(ip), len).expect("a valid length");
    nets.insert(v6(Ipv6Addr::UNSPECIFIED, 0));
    nets.insert(v6(Ipv6Addr::UNSPECIFIED, 128));
    nets.insert(v6(Ipv6Addr::LOCALHOST, 128));
    let world = &ruleset.world;
    let resolvers = world.resolvers.iter().copied();
    let servers = resolvers.flat_map(|resolver| world.servers_of(resolver));
    let of_world = world.host_addresses.iter().copied();
    let of_world = of_world.chain(servers.map(|server| server.address));
    nets.extend(of_world.map(|ip| IpNet::from(ip.to_canonical())));
    if ruleset.tells_classes_apart {
        nets.extend(prefixes_of_classes(world));
    }
    if ruleset.settings.guards {
        nets.extend(metadata_prefixes());
        if ruleset.filters_in_any_ruling() {
            nets.extend(DOH_ADDRESSES.map(IpNet::from));
        }
    }
    nets
}

/// Whether a peer holds for some classes and not for others.
pub(super) const fn tells_classes_apart(peer: &ClausePeer) -> bool {
    match peer {
        ClausePeer::Outside | ClausePeer::Class(_) | ClausePeer::Names { .. } => true,
        ClausePeer::Block(Block { scope, .. }) | ClausePeer::Nets(_, scope) => {
            matches!(scope, Scope::Outside)
        }
        ClausePeer::Everywhere => false,
    }
}

/// The ranges of pods, and every address of the cluster that is something else than its surroundings.
fn prefixes_of_classes(world: &World) -> impl Iterator<Item = IpNet> {
    let ranges = world.cluster.pod_cidrs();
    let apart = world.cluster.addresses().filter(|(ip, class)| {
        *class != DestinationClass::Pod || !ranges.iter().any(|range| range.contains(ip))
    });
    ranges
        .iter()
        .copied()
        .chain(apart.map(|(ip, _)| IpNet::from(ip)))
}
