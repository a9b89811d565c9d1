//! From policies to decisions: [`compile()`] turns the policies of one workload into a [`Ruleset`], which answers flows
//! ([`Ruleset::decide`], with its story in [`Ruleset::explain`]) and DNS questions ([`Ruleset::judge_question`]), and folds
//! the names an address stands for into what the kernel holds ([`Ruleset::fold`]).
//!
//! [`mod@reference`] decides the same flows by walking policies and leases naively; it shares no fold, prefix, port or name
//! index with the rest, and the tests hold the two together at random.
//!
//! What this crate deliberately does not do: no I/O, no clock, no YAML, no kernel types. Who learns a name and for how
//! long is dns-bindings' business; here a lease is what it says.
//!
//! # What a flow is judged by
//!
//! Bands, tiers, policies, rules, in that order; the first Allow, Deny or Pass ends a tier. Before them stands the guard
//! tier, where [`Settings::guards`](policy_model::Settings::guards) is on:
//!
//! - **Metadata** ([`policy_model::metadata_prefixes`]) is closed on every port but 53, which is
//!   the DNS server of some clouds and an ordinary flow. It is opened, for the ports they say, by the Allow rules that
//!   [`OpenedBy`](policy_model::OpenedBy) admits; what they allow is then decided by the walk as always.
//! - **DNS around the filter**, where names are filtered: port 53 of servers that are not known resolvers, port 853, and
//!   port 443 of known DoH resolvers ([`DOH_ADDRESSES`]), each over TCP and UDP. No Allow matches such a flow but by a
//!   peer that names the address (a CIDR longer than /0, host, loopback) or a name pattern that is not match-all.
//! - **Rebinding**: on a private address ([`World::is_private`](policy_model::World::is_private)) an FQDN rule counts only
//!   with `allow_private`, or for names of a private zone.
#![forbid(unsafe_code)]

pub mod codes;
mod compile;
mod decide;
mod diff;
mod explain;
mod faults;
mod fleet;
mod fold;
mod guard;
mod limits;
mod lists;
mod names;
mod numbering;
mod pattern_index;
mod port_list;
mod question;
mod reason;
pub mod reference;
mod ruleset;
mod starts;
#[cfg(any(test, feature = "testing"))]
#[expect(
    clippy::unwrap_used,
    reason = "a test's own tables are right, or it fails"
)]
pub mod testing;
mod walk;

#[cfg(test)]
mod tests;

pub use compile::{CompileError, Compiled, compile};
pub use decide::{Age, Decision, Flow};
pub use diff::{
    Change, Destination, DiffError, Judged, MAX_NAME_STATES, NamedBy, Names, Region, Rulings, What,
    diff,
};
pub use explain::{Explanation, LeaseTrace, Miss, NamedLease, RuleTrace, TierOutcome, TierTrace};
#[cfg(any(test, feature = "faults"))]
pub use faults::{Fault, with_fault};
pub use fleet::{Compilation, Fleet};
pub use fold::{LeaseRules, MAX_STEPS, Step};
pub use guard::{DOH_ADDRESSES, Guard};
pub use limits::{
    LimitError, MAX_LISTS, MAX_OVERLAPS, MAX_PATTERNS, MAX_POLICIES, MAX_PORT_ROWS, MAX_PREFIXES,
    MAX_RULES,
};
pub use lists::{ListId, Lists};
pub use names::NameRules;
pub use port_list::{PortList, PortRow, PortVerdict};
pub use question::QuestionRuling;
pub use reason::{Reason, ReasonId, RuleReason, ServiceTrouble};
pub use ruleset::{Ruleset, Ruling, Verdict};
