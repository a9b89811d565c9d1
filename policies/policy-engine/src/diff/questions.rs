//! Which names may be asked.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dns_names::Name;
use policy_model::{Protocol, Resolver};

use super::cells::{Cell, Ruled, cells};
use super::grouped::Grouped;
use super::names::Kinds;
use super::{Change, Pair, What};
use crate::ruleset::{Ruleset, Ruling};

/// Adds what changes of questions to the resolvers that either side knows.
pub(super) fn compare(pair: &Pair<'_>, kinds: &Kinds, changes: &mut Vec<Change>) {
    let servers = servers(pair);
    let mut found: Grouped<(Cell, BTreeSet<(Resolver, Protocol)>), usize> = Grouped::default();
    for (at, class) in kinds.patterns.classes().iter().enumerate() {
        let mut of_class: Grouped<Cell, (Resolver, Protocol)> = Grouped::default();
        for server in &servers {
            let before = judged(pair.old.ruleset, *server, &class.example);
            let after = judged(pair.new.ruleset, *server, &class.example);
            for cell in cells((before, after), &[]) {
                of_class.add(cell, *server);
            }
        }
        for key in of_class.into_items() {
            found.add(key, at);
        }
    }
    for ((cell, of), classes) in found.into_items() {
        let what = What::Questions {
            names: kinds.patterns.regions(&classes),
            servers: if of == servers {
                Vec::new()
            } else {
                of.into_iter().collect()
            },
        };
        changes.push(pair.change(what, cell));
    }
}

/// Each known resolver over each protocol, those that a Service leads to too.
fn servers(pair: &Pair<'_>) -> BTreeSet<(Resolver, Protocol)> {
    let known = pair.halves().into_iter().flat_map(|half| {
        let world = &half.ruleset.world;
        let resolvers = world.resolvers.iter();
        resolvers.flat_map(|resolver| world.servers_of(*resolver))
    });
    known
        .flat_map(|server| [Protocol::UDP, Protocol::TCP].map(|protocol| (server, protocol)))
        .collect()
}

fn judged(ruleset: &Ruleset, (server, protocol): (Resolver, Protocol), name: &Name) -> Ruled {
    let of = |ruling| {
        let server: (IpAddr, u16) = (server.address, server.port);
        let ruled = ruleset.judge_question_by(ruling, server, protocol, name);
        (ruled.verdict(), ruled.reason())
    };
    Ruled {
        enforced: of(Ruling::Enforced),
        proposed: of(Ruling::Proposed),
    }
}
