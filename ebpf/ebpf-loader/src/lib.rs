//! Loads the kernel programs, attaches them to a cgroup, keeps their tables and hands out their events.
//!
//! The only crate that talks to the kernel about BPF. The object is built from `ebpf-programs` and embedded, so that
//! users need no BPF compiler.
//!
//! What this crate does not do: decide what the tables hold (a [`Batch`](ebpf_abi::plan::Batch) says it), wait for
//! anything, know names or policies. No threads and no runtime: [`Events`] has a descriptor to poll.
//!
//! Start with [`Kernel::load`]; [`Datapath`] is the seam whoever owns the tables programs against.
//!
//! **When the process dies.** Links are descriptors: they close with the process, and what they held is free. Whoever
//! runs a command under them sees to it that the command dies first, or pins them ([`Kernel::pin`]).

pub mod bench;
mod cgroup;
mod clock;
mod datapath;
mod events;
mod features;
mod kernel;
mod object;
mod tables;

pub use cgroup::{cgroup_id, cgroup_level, cgroup2_mount};
pub use clock::boot_now;
pub use datapath::{ApplyError, Datapath};
pub use events::Events;
pub use features::{FEATURES, Feature, Helper, Missing, Need, Place, Table, missing_features};
pub use kernel::{AttachError, Kernel, LoadError, Options, PinError};
