//! The programs in this machine's kernel, held against real sockets.
//!
//! Needs root: a cgroup, a network namespace, BPF. Without root the tests pass over themselves, unless `CI` is set.

mod inbound;
mod object;
mod raw;
mod redirect;
mod time;
mod verdicts;
mod world;
