//! Random policies, answers and flows, for the tests that hold two engines together.

mod clusters;
mod fleets;
mod random;
mod worlds;

pub use fleets::{Scale, allowing, fleet, workload};
pub use random::{Random, seed};
pub use worlds::{Case, address, flow, leases, name, net, question, rule};
