//! Which addresses stand for a name, and for how long.
//!
//! The types to know: [`Leases`] (what was answered and is still live) and [`RebindingGuard`] (which addresses a name of
//! the outside world may not stand for).
//!
//! What this crate deliberately does not do: it does not read messages (that is dns-names), judge names or know policies
//! (callers say what a name may do), or read a clock: every time is a [`Duration`](core::time::Duration) since boot.
#![forbid(unsafe_code)]

mod guard;
mod leases;

pub use guard::{Guarded, METADATA, MayHoldPrivate, RebindingGuard, Ruling};
pub use leases::{
    Eviction, Lease, Leases, Limit, Limits, Names, Observed, Standing, Time, Timing, Wanted,
};
