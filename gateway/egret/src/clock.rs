//! The one clock of user space.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time since boot, suspend included: the clock that leases and the kernel's expiry are in.
///
/// # Panics
///
/// Never in practice: `CLOCK_BOOTTIME` exists since Linux 2.6.39, long before any kernel that has
/// the programs' features.
#[must_use]
pub fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .expect("every kernel that runs BPF has CLOCK_BOOTTIME")
        .into()
}
