//! Random policies, answers and flows, for the tests that hold two engines together.

mod clusters;
mod random;
mod worlds;

pub use random::{Random, seed};
pub use worlds::{Case, address, flow, leases, name, net, question, rule};
