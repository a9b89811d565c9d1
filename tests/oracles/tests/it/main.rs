//! Our reading of policies, held against other people's.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong and fails"
)]
#![expect(
    clippy::print_stdout,
    reason = "a random run tells its seed and what it saw"
)]

mod cases;
mod difference;
mod differential;
mod engine;
mod foreign;
mod ours;
mod random;
mod reading;
mod regexp;
mod shrink;
mod yaml;
