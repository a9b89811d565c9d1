//! Egret, the program: its command line, and the wiring of the crates into running processes.
//!
//! What it deliberately does not do: decide. Policies are read by `policy-dialects`, compiled and
//! judged by `policy-engine`, joined with leases by `gateway-state`; the kernel is filled by
//! `ebpf-loader`, queries are answered by `dns-server`, a command is walled in by `gateway-sandbox`.
//! This crate owns the clock, the tasks and the exit statuses.
//!
//! Start at [`cli::Cli`], then at the module named after a verb.

pub mod check;
pub mod cli;
pub mod clock;
pub mod convert;
pub mod demo;
pub mod diff;
pub mod explain;
pub mod machine;
pub mod policy_files;
pub mod policy_set;
pub mod render;
pub mod run;
pub mod test;
pub mod watch;
