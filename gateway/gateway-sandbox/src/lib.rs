//! The walls around a held command that are not BPF: its cgroup, namespaces, user, capabilities, system-call
//! filter, and the promise that all of it dies with Egret.
//!
//! Three processes, all of them this executable ([`stage_main`]):
//!
//! ```text
//! egret run                 the supervisor: policies, interceptor, kernel programs
//! ├─ egret (keeper)         own session; holds the BPF links until the cgroup is empty, then cleans up
//! └─ egret (init)           pid 1 of the command's pid namespace; raises the walls, drops everything, reaps
//!    └─ CMD
//! ```
//!
//! What dies when: CMD ends → init ends → the kernel kills what CMD left behind. The supervisor dies → the keeper
//! empties the cgroup *while the kernel programs are still attached* and removes what was made; init is killed by
//! its parent-death signal besides.
//!
//! How a run goes:
//!
//! ```text
//! stage_main(args)                    first thing in main: a hidden stage ends here
//! HeldSignals::take()                 before any thread exists
//! sweep_leftovers()                   what dead runs left
//! Prepared::prepare(spec)             run directory, keeper, cgroup
//!   .add_slot_route(port)             IPv6 slot addresses
//!   .protect(path)                    policies and report, from the command
//!   .cgroup().dir(), .id(), .level()  attach the kernel programs, write the tables
//!   .start(program, args, signals)    links go to the keeper; returns once CMD has been executed
//! Running::wait().await               CMD's end; .kill() to bring it about
//! Running::close()                    everything removed; only now drop the kernel programs
//! ```
//!
//! This crate loads no BPF, reads no policy and starts no interceptor. It decides nothing about destinations.
//!
//! Types to know: [`Spec`] (what is wanted), [`Prepared`] (a cgroup to attach to), [`Running`] (the command),
//! [`HeldSignals`] (taken before any thread starts), [`Notice`] (a wall this machine could not have), [`Reach`] (which files
//! the command can put others in the place of).

#![forbid(unsafe_code)]

mod spec;
pub use spec::{HostSockets, NestedSandboxes, RunAs, Spec};

mod notice;
pub use notice::Notice;

mod prepared;
pub use prepared::{PrepareError, Prepared, ProtectError, SlotRouteError};

mod start_error;
pub use start_error::StartError;

mod running;
pub use running::Running;

mod ended;
pub use ended::{Ended, RunningError};

mod signals;
pub use signals::{HeldSignals, SignalError};

mod cgroup;
pub use cgroup::{Cgroup, CgroupError};

mod leftovers;
pub use leftovers::{CleanupError, Leftover, sweep_leftovers};

mod run_dir;
pub use run_dir::{RunDirError, RunId};

mod reach;
pub use reach::{Reach, Way};

mod slot_route;
pub use slot_route::RouteError;

mod identity;
pub use identity::{Identity, IdentityError};

mod keeper;
mod mountinfo;
mod orders;
mod terminal;
mod walls;
mod watcher;
pub use walls::{capabilities, covers, descriptors, system_calls};

mod stage;
pub use stage::stage_main;
