//! Real clients under the real `egret run`, on an internet in network namespaces.
//!
//! This is an integration test of the package `egret`, so that Cargo builds the program under test
//! and says where it is; the sources live here because they are about the whole.
//!
//! A scenario says what the client saw and what the servers and the cable saw. Each needs root; see
//! [`testkit::as_root`].
#![expect(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on says so and fails"
)]

mod addresses;
mod calico;
mod clients;
mod command;
mod escapes;
mod guards;
mod limits;
mod links;
mod names;
mod policies;
mod report;
mod upstreams;

use testkit::{Lab, as_root};

/// The program under test.
const EGRET: &str = env!("CARGO_BIN_EXE_egret");

/// Plays a scenario in a lab of its own.
fn in_lab(scenario: impl FnOnce(&Lab)) {
    as_root(|| scenario(&Lab::new(EGRET)));
}
