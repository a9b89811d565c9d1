//! Which addresses stand for a name, and for how long.
//!
//! The type to know: [`Leases`] (what was answered and is still live).
//!
//! What this crate deliberately does not do: it does not read messages (that is dns-names), judge names or know policies
//! (callers say what a name may do, and which addresses a name of the outside may not stand for), or read a clock: every time is a [`Duration`](core::time::Duration) since boot.
#![forbid(unsafe_code)]

mod leases;

pub use leases::{
    Eviction, Lease, Leases, Limit, Limits, Names, Observed, Standing, Time, Timing, Wanted,
};
