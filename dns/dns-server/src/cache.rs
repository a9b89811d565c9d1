use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use dns_names::QuestionKey;
use moka::Expiry;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::config::Limits;
use crate::judge::Answered;

/// Answers by question, for as long as their TTLs or SOA say (RFC 1035 §7.4, RFC 2308).
///
/// Bounded by octets; what is used least goes first. The hit path takes no lock of ours: moka's read path is a
/// concurrent hash table and a bounded record of the access.
pub(crate) struct AnswerCache<M: Send + Sync + 'static> {
    entries: Cache<QuestionKey, Arc<Entry<M>>>,
    longest: Duration,
}

/// One answer and when it was read.
pub(crate) struct Entry<M> {
    pub(crate) answered: Answered<M>,
    read_at: Instant,
    lasts: Duration,
}

impl<M> Entry<M> {
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.read_at)
    }
}

impl<M: Default + Send + Sync + 'static> AnswerCache<M> {
    pub(crate) fn new(limits: &Limits) -> Self {
        let entries = Cache::builder()
            .max_capacity(limits.cache_octets)
            .weigher(|key: &QuestionKey, entry: &Arc<Entry<M>>| {
                let octets = entry.answered.answer.weight()
                    + key.name.as_str().len()
                    + size_of::<QuestionKey>();
                u32::try_from(octets).unwrap_or(u32::MAX)
            })
            .expire_after(ByTtl)
            .build();
        Self {
            entries,
            longest: limits.cache_ttl,
        }
    }

    pub(crate) fn get(&self, key: &QuestionKey, now: Instant) -> Option<Arc<Entry<M>>> {
        self.entries
            .get(key)
            .filter(|entry| entry.age(now) < entry.lasts)
    }

    /// Wraps an answer just read, and keeps it if it may be kept.
    pub(crate) fn insert(
        &self,
        key: QuestionKey,
        answer: dns_names::Answer,
        now: Instant,
    ) -> Arc<Entry<M>> {
        let lasts = Duration::from_secs(answer.cache_ttl().unwrap_or(0).into()).min(self.longest);
        let entry = Arc::new(Entry {
            answered: Answered {
                answer,
                memo: M::default(),
            },
            read_at: now,
            lasts,
        });
        if !lasts.is_zero() {
            self.entries.insert(key, Arc::clone(&entry));
        }
        entry
    }
}

struct ByTtl;

impl<M> Expiry<QuestionKey, Arc<Entry<M>>> for ByTtl {
    fn expire_after_create(
        &self,
        _: &QuestionKey,
        entry: &Arc<Entry<M>>,
        _: StdInstant,
    ) -> Option<Duration> {
        Some(entry.lasts)
    }

    fn expire_after_update(
        &self,
        _: &QuestionKey,
        entry: &Arc<Entry<M>>,
        _: StdInstant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.lasts)
    }
}

#[cfg(test)]
mod tests {
    use dns_names::{Answer, Name, Query, RecordType};

    use super::*;

    /// An answer with one address of the given TTL.
    fn answer(query: &Query, ttl: u32) -> Answer {
        let mut wire = query.to_upstream(dns_names::UpstreamEdns::Without);
        wire[2] |= 0x80;
        wire[7] = 1;
        wire.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
        wire.extend_from_slice(&ttl.to_be_bytes());
        wire.extend_from_slice(&[0, 4, 192, 0, 2, 1]);
        Answer::read(&wire, query).expect("an answer")
    }

    fn ask(name: &str) -> Query {
        Query::new(1, Name::parse(name).expect("a name"), RecordType::A)
    }

    #[test]
    fn an_answer_is_kept_for_its_ttl_and_no_longer_than_the_limit() {
        let cache: AnswerCache<()> = AnswerCache::new(&Limits {
            cache_ttl: Duration::from_secs(100),
            ..Limits::default()
        });
        let now = Instant::now();
        let (short, long, none) = (ask("short"), ask("long"), ask("none"));
        cache.insert(short.key(), answer(&short, 60), now);
        cache.insert(long.key(), answer(&long, 5000), now);
        cache.insert(none.key(), answer(&none, 0), now);
        let live = |seconds| {
            let now = now + Duration::from_secs(seconds);
            [&short, &long, &none].map(|query| {
                cache
                    .get(&query.key(), now)
                    .map(|entry| entry.age(now).as_secs())
            })
        };
        assert_eq!(live(0), [Some(0), Some(0), None]);
        assert_eq!(live(59), [Some(59), Some(59), None]);
        assert_eq!(live(60), [None, Some(60), None]);
        assert_eq!(live(100), [None, None, None]);
    }

    #[test]
    fn the_cache_stays_within_its_octets() {
        let cache: AnswerCache<()> = AnswerCache::new(&Limits {
            cache_octets: 10_000,
            ..Limits::default()
        });
        for number in 0..1000 {
            let query = ask(&format!("n{number}"));
            cache.insert(query.key(), answer(&query, 60), Instant::now());
        }
        cache.entries.run_pending_tasks();
        assert!(cache.entries.entry_count() > 0 && cache.entries.weighted_size() <= 10_000);
    }
}
