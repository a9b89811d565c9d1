//! How many rows the tables take. Memory is taken as rows come, so the numbers are where a mistake is likelier than a need.
//!
//! A batch that would cross one is refused as a whole (`plan::PlanError::TableFull`): rules that are replaced stand until
//! the new ones hold, so both count.

/// Held cgroups of one loader.
pub const WORKLOADS: usize = 4096;
/// Addresses that names opened, under every ruleset.
pub const LEARNED: usize = 1_048_576;
/// Prefixes of every ruleset.
pub const PREFIXES: usize = 1_048_576;
/// Rows of every port list.
pub const PORTS: usize = 1_048_576;
/// Known resolvers of every workload: as many as slots have numbers.
pub const SLOTS: usize = 65_536;
