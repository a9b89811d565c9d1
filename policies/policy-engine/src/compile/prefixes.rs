//! What holds in each prefix that the rules, the guards or the world name, folded down the nesting.
use std::collections::HashMap;

use ipnet::IpNet;
use policy_model::{DestinationClass, World, metadata_prefixes};

use super::clauses::ClausePeer;
use super::nesting::{Nested, nest};
use crate::guard::{DOH_ADDRESSES, GuardFacts};
use crate::limits::LimitError;
use crate::lists::{ListId, Lists};
use crate::numbering::number;
use crate::ruleset::{ByRuling, Node, Ruleset, Shape, in_scope};
use crate::starts::Starts;
use crate::walk::port_list;

/// Fills in `shapes`, `nodes` and `statics`.
pub(super) fn build_prefixes(ruleset: &mut Ruleset, lists: &mut Lists) -> Result<(), LimitError> {
    let everywhere = Everywhere::of(ruleset);
    let mut shapes: HashMap<Shape, (u32, ListId)> = HashMap::new();
    for Nested { net, cover, blocks } in nest(ruleset)? {
        let class = class_of(&ruleset.world, net);
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
        if cover.is_none_or(|cover| ruleset.nodes[cover].list != list) {
            ruleset.statics.push((net, list));
        }
        let outside = class == DestinationClass::Outside;
        ruleset.nodes.push(Node {
            net,
            cover: cover.map(number),
            shape: shape_number,
            outside,
            list,
        });
    }
    ruleset.starts = Starts::of(ruleset.nodes.iter().map(|node| node.net));
    ruleset.nodes.shrink_to_fit();
    ruleset.statics.shrink_to_fit();
    ruleset.shapes.shrink_to_fit();
    ruleset.clauses.shrink_to_fit();
    Ok(())
}

/// The class of the addresses of a named prefix that no longer one covers. Single addresses, the loopback range and the
/// ranges of pods have a class of their own, and all are named.
fn class_of(world: &World, net: IpNet) -> DestinationClass {
    if net.prefix_len() == net.max_prefix_len()
        || (net.network().is_loopback() && net.prefix_len() >= 8)
    {
        return world.class_of(net.network());
    }
    let of_pods = world
        .cluster
        .pod_cidrs()
        .iter()
        .any(|cidr| cidr.contains(&net));
    if of_pods {
        DestinationClass::Pod
    } else {
        DestinationClass::Outside
    }
}

/// The clauses that hold without a prefix, by class.
struct Everywhere(Vec<(DestinationClass, Vec<u32>)>);

impl Everywhere {
    fn of(ruleset: &Ruleset) -> Self {
        let classes = [
            DestinationClass::Outside,
            DestinationClass::Host,
            DestinationClass::Loopback,
            DestinationClass::Pod,
            DestinationClass::Node,
            DestinationClass::Service,
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
                ClausePeer::Block(_) | ClausePeer::Nets(..) | ClausePeer::Names { .. } => false,
            })
            .map(|(number, _)| number)
            .collect()
    }

    /// All that holds in a prefix of that class with those blocks, ascending.
    fn with_blocks(&self, ruleset: &Ruleset, class: DestinationClass, blocks: &[u32]) -> Vec<u32> {
        let outside = class == DestinationClass::Outside;
        let in_scope = blocks
            .iter()
            .copied()
            .filter(|block| match &ruleset.clause(*block).peer {
                ClausePeer::Block(block) => in_scope(block.scope, outside),
                ClausePeer::Nets(_, scope) => in_scope(*scope, outside),
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
    if !ruleset.settings.guards {
        return GuardFacts::default();
    }
    // Not every form of a metadata address is a single address.
    let metadata = metadata_prefixes().any(|prefix| prefix.contains(&net));
    if net.prefix_len() != net.max_prefix_len() {
        return GuardFacts {
            metadata,
            ..GuardFacts::default()
        };
    }
    let ip = net.addr();
    let mut resolver_ports: Vec<u16> = ruleset
        .world
        .resolvers
        .iter()
        .flat_map(|resolver| ruleset.world.servers_of(*resolver))
        .filter(|server| server.address == ip)
        .map(|server| server.port)
        .collect();
    resolver_ports.sort_unstable();
    resolver_ports.dedup();
    GuardFacts {
        metadata,
        doh: ruleset.filters_in_any_ruling() && DOH_ADDRESSES.contains(&ip),
        resolver_ports,
    }
}
