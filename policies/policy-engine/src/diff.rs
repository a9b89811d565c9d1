//! Whose access changes between two sets of policies, and how: for one workload (or all that share its rulesets), over the
//! equivalence classes of everything it may be asked of.
//!
//! Inside of each prefix that either ruleset names, less the longer ones, every address is judged alike, so one stands for
//! all ([`mod@atoms`]); between two ports that either names likewise ([`mod@cells`]); and of the names that the same patterns
//! match one is asked ([`mod@names`], [`mod@questions`]). A flow to a Service's port is judged as its backends ([`mod@services`]).
//! Only verdicts count: who decides may change without any access changing.
//!
//! What is compared of names is what each opens by itself, and what an answer opens that leads from one through another.

mod atoms;
mod cells;
mod grouped;
mod name_regions;
mod names;
mod questions;
mod services;

use std::net::IpAddr;

use dns_names::{Name, NamePattern};
use ipnet::IpNet;
use policy_model::{NamespacedName, PortMatch, Ports, Protocol, Resolver, Time};

use crate::compile::Compiled;
use crate::limits::LimitError;
use crate::lists::{ListId, Lists};
use crate::port_list::subtract;
use crate::reason::Reason;
use crate::ruleset::{Ruleset, Ruling, Verdict};

use atoms::Atoms;
use cells::{Cell, PortCell};
use grouped::Grouped;

/// What changes alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    pub what: What,
    pub rulings: Rulings,
    pub from: Judged,
    pub to: Judged,
}

/// A verdict, and who decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Judged {
    pub verdict: Verdict,
    pub reason: Reason,
}

/// The rulings in which something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rulings {
    /// In both alike; the reasons are those of the enforced one.
    Both,
    /// As enforced. The proposed ruling stays, or changes otherwise.
    Enforced,
    /// Only once every staged and audit policy is in force.
    Proposed,
}

impl Rulings {
    pub const fn has(self, ruling: Ruling) -> bool {
        match (self, ruling) {
            (Self::Both, _)
            | (Self::Enforced, Ruling::Enforced)
            | (Self::Proposed, Ruling::Proposed) => true,
            (Self::Enforced, Ruling::Proposed) | (Self::Proposed, Ruling::Enforced) => false,
        }
    }
}

/// What of a workload's access it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    /// Flows to addresses that no name stands for.
    Flows { to: Vec<Destination>, ports: Ports },
    /// Flows to the addresses that answers gave for names, where that is more than what changes of the addresses themselves.
    Names {
        names: Vec<Names>,
        by: NamedBy,
        /// The addresses on which the names open it: a guard, or a rule before the name's, decides on the others. Where a
        /// name of the cluster's own zone or of a private one leads to them, also those that such a name may stand for.
        on: Vec<Region>,
        ports: Ports,
    },
    /// Whether names may be asked; the flow to the server is a flow.
    Questions {
        names: Vec<Names>,
        /// Known resolvers, each with a protocol; empty: every known one, over UDP and TCP.
        servers: Vec<(Resolver, Protocol)>,
    },
}

/// How an answer comes to a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NamedBy {
    /// The name is the one that was asked. Where rules look at the whole answer, also one it leads through.
    Question,
    /// Only where an answer to another name leads through it (a CNAME).
    Chain,
    /// Only where one answer has these names too.
    With(Vec<Names>),
}

/// Where flows go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// Addresses, on the ports that are no Service's there.
    Net(Region),
    /// A Service by one of its addresses, on ports of its own.
    Service(NamespacedName, IpAddr),
}

/// A prefix without some of its parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region {
    pub net: IpNet,
    /// None of them in another.
    pub except: Vec<IpNet>,
}

impl From<IpAddr> for Region {
    fn from(ip: IpAddr) -> Self {
        Self {
            net: IpNet::from(ip),
            except: Vec::new(),
        }
    }
}

impl Region {
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.net.contains(&ip) && !self.except.iter().any(|except| except.contains(&ip))
    }
}

/// The names that all of some patterns match, and none of some others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Names {
    /// Empty: every name.
    pub all_of: Vec<NamePattern>,
    pub except: Vec<NamePattern>,
    /// One of them.
    pub example: Name,
}

impl Names {
    pub fn contains(&self, name: &Name) -> bool {
        self.all_of.iter().all(|pattern| pattern.matches(name))
            && !self.except.iter().any(|pattern| pattern.matches(name))
    }
}

/// Why two rulesets cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(
        "the name patterns overlap in too many ways to be compared: more than {MAX_NAME_STATES} states"
    )]
    Names,
}

/// LIMIT: states of the patterns of two rulesets while names are read. A list of exact names needs about one for each label,
/// and the limit on patterns is a quarter of a million.
pub const MAX_NAME_STATES: usize = 1 << 20;

/// Compares what two rulesets of one workload allow it; nothing where no access changes. In a stable order.
///
/// What the rebinding guard says of addresses that are translated to IPv4 (Teredo, and RFC 8215 beside its first /96) is told
/// by one of them.
///
/// # Errors
/// Folds, or the classes of names, go over a limit.
pub fn diff(old: &Compiled, new: &Compiled) -> Result<Vec<Change>, DiffError> {
    let mut pair = Pair {
        old: Half::of(old),
        new: Half::of(new),
    };
    let kinds = names::Kinds::of(&pair)?;
    let atoms = Atoms::of(&pair, &kinds);
    let mut changes = Vec::new();
    flows(&mut pair, &atoms, &mut changes)?;
    names::compare(&mut pair, &kinds, &atoms, &mut changes)?;
    questions::compare(&pair, &kinds, &mut changes);
    Ok(changes)
}

/// One side: a ruleset, and its lists, to which folds add.
#[derive(Debug)]
struct Half<'a> {
    ruleset: &'a Ruleset,
    lists: Lists,
}

impl<'a> Half<'a> {
    fn of(compiled: &'a Compiled) -> Self {
        Self {
            ruleset: &compiled.ruleset,
            lists: compiled.lists.clone(),
        }
    }
}

#[derive(Debug)]
struct Pair<'a> {
    old: Half<'a>,
    new: Half<'a>,
}

/// A port list of each side.
type ListPair = (ListId, ListId);

/// The time at which every lease of a comparison is fresh.
const NOW: Time = Time::ZERO;

impl<'a> Pair<'a> {
    const fn halves(&self) -> [&Half<'a>; 2] {
        [&self.old, &self.new]
    }

    fn static_lists(&self, ip: IpAddr) -> ListPair {
        (
            self.old.ruleset.static_list(ip),
            self.new.ruleset.static_list(ip),
        )
    }

    /// Whether an address is the workload's own, which is free on both sides.
    fn is_own(&self, ip: IpAddr) -> bool {
        let own = |half: &Half<'_>| half.ruleset.own_address(ip).is_some();
        own(&self.old) && own(&self.new)
    }

    fn change(&self, what: What, cell: Cell) -> Change {
        let judged = |ruleset: &Ruleset, (verdict, reason)| Judged {
            verdict,
            reason: ruleset.reason(reason).clone(),
        };
        Change {
            what,
            rulings: cell.rulings,
            from: judged(self.old.ruleset, cell.from),
            to: judged(self.new.ruleset, cell.to),
        }
    }
}

/// Addresses without names, and Services.
fn flows(pair: &mut Pair<'_>, atoms: &Atoms, changes: &mut Vec<Change>) -> Result<(), DiffError> {
    let services = services::cells(pair)?;
    let mut found: Grouped<PortCell, usize> = Grouped::default();
    for (at, atom) in atoms.judged(pair) {
        let lists = pair.static_lists(atom.representative);
        let apart = services::ports_at(pair, atom.net);
        for cell in cells::differing(pair, lists, &[]) {
            // What a list says of ports that are judged as a Service's holds for nobody.
            if !is_among(&cell.ports, &apart) {
                found.add(cell, at);
            }
        }
    }
    let mut of_services: Grouped<PortCell, Destination> = Grouped::default();
    for (destination, cell) in services {
        of_services.add(cell.clone(), destination);
        found.add_none(cell);
    }
    for (cell, chosen) in found.into_items() {
        let regions = atoms.regions(&chosen).into_iter().map(Destination::Net);
        let services = of_services.of(&cell).into_iter().flatten().cloned();
        let what = What::Flows {
            to: services.chain(regions).collect(),
            ports: cell.ports,
        };
        changes.push(pair.change(what, cell.cell));
    }
    Ok(())
}

fn is_among(ports: &Ports, among: &[PortMatch]) -> bool {
    match ports {
        Ports::Only(ports) => subtract(ports, among).is_empty(),
        Ports::Any | Ports::AllBut(_) => false,
    }
}
