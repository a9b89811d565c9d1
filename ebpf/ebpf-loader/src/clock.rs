//! The clock leases are measured with.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_BOOTTIME`: counts suspend, is never set back, and is what the programs compare expiries with.
pub fn boot_now() -> u64 {
    // The call fails only for clocks the kernel does not have; this one came with Linux 2.6.39.
    let Ok(now) = clock_gettime(ClockId::CLOCK_BOOTTIME) else {
        return u64::MAX;
    };
    let secs = u64::try_from(now.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec()).unwrap_or(0);
    secs.saturating_mul(1_000_000_000).saturating_add(nanos)
}
