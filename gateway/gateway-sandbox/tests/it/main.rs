//! Each wall, and a command that tries to get around it. Needs root; without it the tests pass unseen, unless `CI` is
//! set: then they fail.

#![expect(
    clippy::expect_used,
    reason = "a test says what it counts on and fails"
)]

mod death;
mod descriptors;
mod file_systems;
mod held;
mod nested;
mod processes;
mod signals;
mod status;
mod system_calls;
mod terminal;
mod unix_sockets;
mod users;
