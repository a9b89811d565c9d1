//! What time it is for leases and the kernel's expiry.

use std::time::Duration;

/// Time since boot, suspend included: the clock of the kernel's tables.
#[must_use]
pub fn since_boot() -> Duration {
    Duration::from_nanos(ebpf_loader::boot_now())
}
