//! Every prefix the rules, the guards and the world name, each with what holds in it, folded down the nesting.
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use policy_model::DestinationClass;

use super::clauses::ClausePeer;
use crate::faults::{Fault, is_on};
use crate::guard::{DOH_ADDRESSES, GuardFacts, metadata_addresses};
use crate::limits::{LimitError, MAX_PREFIXES};
use crate::lists::{ListId, Lists};
use crate::numbering::number;
use crate::ruleset::{ByRuling, Node, Ruleset, Shape, in_scope};
use crate::walk::port_list;

/// Fills in `shapes`, `nodes` and `statics`.
pub(super) fn build_prefixes(ruleset: &mut Ruleset, lists: &mut Lists) -> Result<(), LimitError> {
    let changes = Changes::of(ruleset);
    let nets = named_prefixes(ruleset, &changes);
    if nets.len() > MAX_PREFIXES {
        return Err(LimitError::Prefixes { got: nets.len() });
    }
    let everywhere = Everywhere::of(ruleset);
    let mut shapes: HashMap<Shape, (u32, ListId)> = HashMap::new();
    let mut stack: Vec<Open> = Vec::new();
    for net in nets {
        while stack.last().is_some_and(|open| !open.net.contains(&net)) {
            stack.pop();
        }
        let cover = stack.last();
        let mut blocks = cover.map_or_else(BTreeSet::new, |open| open.blocks.clone());
        if is_on(Fault::PrefixForgetsCover) {
            blocks.clear();
        }
        changes.apply(net, &mut blocks);
        let class = ruleset.world.class_of(net.network());
        // Only the loopback and unspecified ranges and single addresses have a class of their own, and all are nodes.
        let class = if has_one_class(net, class) {
            class
        } else {
            DestinationClass::Outside
        };
        let shape = Shape {
            clauses: everywhere.with_blocks(ruleset, class, &blocks),
            facts: facts_of(ruleset, net),
        };
        let (shape_number, list) = if let Some(known) = shapes.get(&shape) {
            *known
        } else {
            let new = number(ruleset.shapes.len());
            ruleset.shapes.push(shape.clone());
            let list = lists.intern(port_list(ruleset, new, &ByRuling::default()))?;
            shapes.insert(shape, (new, list));
            (new, list)
        };
        if cover.is_none_or(|open| open.list != list) {
            ruleset.statics.push((net, list));
        }
        let index = ruleset.nodes.len();
        let outside = class == DestinationClass::Outside;
        let cover = cover.map(|open| open.index);
        ruleset.nodes.push(Node {
            net,
            cover,
            shape: shape_number,
            outside,
            list,
        });
        stack.push(Open {
            net,
            index,
            blocks,
            list,
        });
    }
    Ok(())
}

/// A prefix whose inside is being built.
struct Open {
    net: IpNet,
    index: usize,
    blocks: BTreeSet<u32>,
    list: ListId,
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
            let ClausePeer::Block(block) = &clause.peer else {
                continue;
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

    fn apply(&self, net: IpNet, blocks: &mut BTreeSet<u32>) {
        blocks.extend(self.begin.get(&net).into_iter().flatten());
        for clause in self.end.get(&net).into_iter().flatten() {
            blocks.remove(clause);
        }
    }
}

/// Sorted by family, address and length, so that a prefix comes right before those inside it.
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
    let resolvers = world.resolvers.iter().map(|resolver| resolver.address);
    let of_world = world.host_addresses.iter().copied().chain(resolvers);
    nets.extend(of_world.map(|ip| IpNet::from(ip.to_canonical())));
    if ruleset.settings.guards {
        nets.extend(metadata_addresses().chain(DOH_ADDRESSES).map(IpNet::from));
    }
    nets
}

fn has_one_class(net: IpNet, class: DestinationClass) -> bool {
    net.prefix_len() == net.max_prefix_len()
        || (class == DestinationClass::Loopback
            && net.network().is_loopback()
            && net.prefix_len() >= 8)
}

/// The clauses that hold without a prefix, by class.
struct Everywhere(Vec<(DestinationClass, Vec<u32>)>);

impl Everywhere {
    fn of(ruleset: &Ruleset) -> Self {
        let classes = [
            DestinationClass::Outside,
            DestinationClass::Host,
            DestinationClass::Loopback,
        ];
        Self(
            classes
                .map(|class| (class, Self::of_class(ruleset, class)))
                .into(),
        )
    }

    fn of_class(ruleset: &Ruleset, class: DestinationClass) -> Vec<u32> {
        (0_u32..)
            .zip(&ruleset.clauses)
            .filter(|(_, clause)| match &clause.peer {
                ClausePeer::Everywhere => true,
                ClausePeer::Outside => class == DestinationClass::Outside,
                ClausePeer::Class(wanted) => *wanted == class,
                ClausePeer::Block(_) | ClausePeer::Names { .. } => false,
            })
            .map(|(number, _)| number)
            .collect()
    }

    /// All that holds in a prefix of that class with those blocks, ascending.
    fn with_blocks(
        &self,
        ruleset: &Ruleset,
        class: DestinationClass,
        blocks: &BTreeSet<u32>,
    ) -> Vec<u32> {
        let outside = class == DestinationClass::Outside;
        let in_scope = blocks
            .iter()
            .copied()
            .filter(|block| match &ruleset.clause(*block).peer {
                ClausePeer::Block(block) => in_scope(block.scope, outside),
                ClausePeer::Everywhere
                | ClausePeer::Outside
                | ClausePeer::Class(_)
                | ClausePeer::Names { .. } => false,
            });
        let of_class = self.0.iter().filter(|(known, _)| *known == class);
        let mut clauses: Vec<u32> = of_class
            .flat_map(|(_, clauses)| clauses)
            .copied()
            .chain(in_scope)
            .collect();
        clauses.sort_unstable();
        clauses
    }
}

fn facts_of(ruleset: &Ruleset, net: IpNet) -> GuardFacts {
    if !ruleset.settings.guards || net.prefix_len() != net.max_prefix_len() {
        return GuardFacts::default();
    }
    let ip = net.addr();
    let mut resolver_ports: Vec<u16> = ruleset
        .world
        .resolvers
        .iter()
        .filter(|resolver| resolver.address.to_canonical() == ip)
        .map(|resolver| resolver.port)
        .collect();
    resolver_ports.sort_unstable();
    resolver_ports.dedup();
    GuardFacts {
        metadata: metadata_addresses().any(|address| address == ip),
        doh: DOH_ADDRESSES.contains(&ip),
        resolver_ports,
    }
}
