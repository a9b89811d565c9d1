//! Deliberate mistakes, one at a time and per thread, so that tests can prove that they would be caught.
//!
//! Outside of tests and the feature `faults` nothing can switch one on, and [`is_on`] is a constant.

/// A mistake in the fold or the look-ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    not(any(test, feature = "faults")),
    expect(unreachable_pub, reason = "re-exported for tests only")
)]
pub enum Fault {
    /// The first of several steps is lost.
    FirstStepLost,
    /// Only the lease that expires last is folded.
    LastLeaseOnly,
    /// A step keeps the rules of leases that are over.
    StepsNeverShrink,
    /// Overflow cuts the earliest steps.
    CutsEarliest,
    /// After the last step its list holds on, not the answer of the prefixes.
    LastStepForEver,
    /// A lease is dead at its expiry instead of after it.
    ExpiryExclusive,
    /// A prefix ignores what its cover says.
    PrefixForgetsCover,
    /// The shortest covering prefix answers.
    ShortestPrefix,
    /// The shortest covering port row answers.
    ShortestPortRow,
    /// A port range loses its last port.
    RangeLosesItsLastPort,
    /// Name rules of scope `outside` hold on addresses of the host.
    ScopeForgotten,
    /// A Deny by name hides nothing from the rules behind it.
    DenyByNameForgotten,
    /// A private address counts for every name rule.
    RebindingForgotten,
}

#[cfg(any(test, feature = "faults"))]
impl Fault {
    pub const ALL: [Self; 13] = [
        Self::FirstStepLost,
        Self::LastLeaseOnly,
        Self::StepsNeverShrink,
        Self::CutsEarliest,
        Self::LastStepForEver,
        Self::ExpiryExclusive,
        Self::PrefixForgetsCover,
        Self::ShortestPrefix,
        Self::ShortestPortRow,
        Self::RangeLosesItsLastPort,
        Self::ScopeForgotten,
        Self::DenyByNameForgotten,
        Self::RebindingForgotten,
    ];
}

#[cfg(any(test, feature = "faults"))]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Makes `fault` on this thread during `work`, and none after it, however it ends.
#[cfg(any(test, feature = "faults"))]
pub fn with_fault<T>(fault: Fault, work: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            ACTIVE.set(None);
        }
    }
    ACTIVE.set(Some(fault));
    let _reset = Reset;
    work()
}

#[cfg(any(test, feature = "faults"))]
pub(crate) fn is_on(fault: Fault) -> bool {
    ACTIVE.get() == Some(fault)
}

#[cfg(not(any(test, feature = "faults")))]
pub(crate) const fn is_on(_fault: Fault) -> bool {
    false
}
