//! Waiting for conditions.

use std::thread;
use std::time::{Duration, Instant};

/// How long a condition may take to become true: `EGRET_TEST_PATIENCE` seconds, 20 by default. It
/// bounds a failure; no test that passes waits for it.
#[must_use]
pub fn patience() -> Duration {
    let seconds = std::env::var("EGRET_TEST_PATIENCE").ok();
    Duration::from_secs(seconds.and_then(|s| s.parse().ok()).unwrap_or(20))
}

/// Looks again and again until there is something, and gives it.
///
/// # Panics
/// When [`patience`] ends first.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    before(patience(), look).unwrap_or_else(|| panic!("never came: {what}"))
}

/// Looks again and again until there is something; `None` when the time is over.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that looks again: other processes wake nobody here"
)]
pub(crate) fn before<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if begun.elapsed() > limit {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
