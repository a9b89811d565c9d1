//! What the scenarios stand on: an internet with a cast of servers, and the real `egret run` on it.
//!
//! [`Lab::new`] builds the internet of the tests and [`Lab::held`] a command line on it; what comes
//! out is an [`Outcome`]: exit status, output, report, and what the [probe] saw. Everything waits for
//! conditions, with bounded [`patience`]; nothing sleeps in the hope that something has happened.
//!
//! What it deliberately does not do: assert. A helper that cannot go on panics with everything it
//! knows; what a scenario means stands in the scenario.
//!
//! [probe]: gateway_playground::probe
#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "this crate is part of tests: what cannot go on says so and fails"
)]

mod compile;
mod held;
mod lab;
mod privilege;
mod waiting;

pub use compile::{Compiler, compile};
pub use held::{Held, Outcome, Running};
pub use lab::{Lab, names};
pub use privilege::as_root;
pub use waiting::{eventually, patience};
