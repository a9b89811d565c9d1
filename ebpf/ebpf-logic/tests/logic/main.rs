//! The decision code over the host's tables: the same source the kernel runs.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod batches;
mod calls;
mod faults;
mod lookup;
mod packets;
mod properties;
mod races;
mod world;
