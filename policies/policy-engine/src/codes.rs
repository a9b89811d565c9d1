//! The codes of what the engine tells policy authors, for documents; what dialects say has a table of its own.

use policy_model::Level;

pub(crate) const PASS_BY_NAME: &str = "pass-by-name";
pub(crate) const PEER_NOT_HERE: &str = "peer-not-here";
pub(crate) const CONDITION_NOT_ENFORCED: &str = "condition-not-enforced";
pub(crate) const NO_RESOLVER: &str = "no-resolver";

/// Every code, its level and its meaning.
pub const ALL: &[(&str, Level, &str)] = &[
    (
        PASS_BY_NAME,
        Level::Closed,
        "a Pass rule names hosts, and an expired look-up would change who decides",
    ),
    (
        PEER_NOT_HERE,
        Level::Closed,
        "a rule speaks of objects of a cluster, and none is known on this machine",
    ),
    (
        CONDITION_NOT_ENFORCED,
        Level::Closed,
        "a rule has conditions on TLS or HTTP, which no proxy checks yet",
    ),
    (
        NO_RESOLVER,
        Level::Lint,
        "a rule opens the known resolvers, and none is known on this machine",
    ),
];
