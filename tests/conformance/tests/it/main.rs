//! One verdict suite, many engines; and the differential.
//!
//! Every file of `tests/corpus/verdicts` is run by the reference, the compiled ruleset, the kernel's decision code on
//! the host, the programs in the kernel and the daemon. They agree with the file, or the test fails with a table of
//! who said what. Random policies, answers and packets are run by the reference and by the decision code, on the
//! host and in the kernel.
//!
//! A new way to enforce is done when it is an engine here and passes.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_in_result,
    reason = "a test says what it saw, and what cannot go on fails"
)]

mod corpus;
mod daemon;
mod differential;
mod faults;
mod host;
mod kernel;
mod packets;
mod player;
mod suite;
