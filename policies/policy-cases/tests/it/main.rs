//! The verdict suite on the engines of this workspace's pure half, and the format it is written in.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test reads the corpus and says what it ran"
)]

mod cilium_matches;
mod convert;
mod convert_targets;
mod facts;
mod format;
mod judging;
mod verdicts;
