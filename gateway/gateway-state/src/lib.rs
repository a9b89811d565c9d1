//! The state machine that joins rulesets, leases and workloads: policies, answers and time go in, plans for the
//! kernel's tables come out.
//!
//! Every change is a [`Plan`]: what to write, and what becomes true once it is written. The caller applies the plan's
//! batch and hands the plan back with [`GatewayState::applied`], or with [`GatewayState::abandoned`] when the kernel
//! refused it. So nothing is believed to be in the kernel that is not, and an answer is released only after the plan
//! that opens its addresses was applied.
//!
//! What it deliberately does not do: I/O, clocks, threads. Time is an argument. It judges no name itself: the hot path
//! reads a [`View`], an immutable snapshot, and asks the state only when something has to be written.
//!
//! Types to know: [`GatewayState`], [`Plan`], [`View`], [`WorkloadView`].
#![forbid(unsafe_code)]

mod described;
mod mode;
mod plan;
mod rows;
mod state;
mod tables;
mod view;
mod writes;

#[cfg(test)]
mod tests;

pub use described::Described;
pub use mode::{Detail, Mode};
pub use plan::{Plan, Withheld};
pub use state::{GatewayState, PolicyError};
pub use view::{Screened, Slot, View, WorkloadView};
