use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What the server did since it started. Counted without order between the numbers.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub(crate) $name: Counter,)*
        }

        /// The numbers of one moment.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            pub fn read(&self) -> Counts {
                Counts { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }

        impl Counts {
            /// Every number with its name, in declaration order.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Messages that arrived at a slot, over either transport.
    queries,
    /// Of these, over TCP.
    queries_tcp,
    /// Messages to an address that is nobody's slot: dropped.
    strangers,
    /// Messages that are no query one could answer.
    malformed,
    /// Questions the judge refused.
    refused,
    /// Questions answered from here by standing rules (`use-application-dns.net`, `resolver.arpa`, classes, transfers).
    special,
    /// Questions answered from the cache.
    cached,
    /// Questions that joined an exchange already under way.
    shared,
    /// Questions answered SERVFAIL because nobody could answer them a moment ago.
    failures_cached,
    /// Questions turned away with SERVFAIL because too many were under way.
    overloaded,
    /// Questions turned away with SERVFAIL because too many of the same workload were under way.
    over_share,
    /// Exchanges with upstreams, retries with other servers or transports included.
    upstream_queries,
    /// Exchanges that brought no usable answer.
    upstream_errors,
    /// Of these, for want of any answer in time.
    upstream_timeouts,
    /// Truncated answers that were asked for again over TCP.
    upstream_truncated,
    /// Addresses removed because the question's aliases do not lead to their owner.
    strays_removed,
    /// Address hints and `ech` removed from HTTPS and SVCB records.
    hints_removed,
    /// Addresses removed on the judge's word.
    addresses_stripped,
    /// Answers the judge would not let go, or could not prepare.
    release_failed,
    /// Answers the judge did not decide about in time.
    release_timeouts,
    /// Replies cut to fit the client.
    truncated,
    /// Replies that could not be sent.
    send_errors,
    /// TCP connections taken.
    connections,
    /// TCP connections turned away because too many were open.
    connections_refused,
    /// TCP connections turned away because too many of the same workload were open.
    connections_over_share,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: usize) {
        self.0
            .fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
