use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant as StdInstant};

use dns_names::{Answer, QuestionKey, Rcode, RewriteError};
use moka::Expiry;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::config::Limits;
use crate::judge::Answered;

/// LIMIT: questions that found no answer, remembered at once; less than 5 MiB of names.
const MAX_FAILURES: u64 = 8192;

/// Answers by question, for as long as their TTLs or SOA say (RFC 1035 §7.4, RFC 2308), and failures for a moment
/// (RFC 9520): what an upstream said of its own failure as any answer, and that none said anything.
///
/// Bounded by octets; what is used least goes first. The hit path takes no lock of ours: moka's read path is a
/// concurrent hash table and a bounded record of the access.
pub(crate) struct AnswerCache<M: Send + Sync + 'static> {
    entries: Cache<QuestionKey, Arc<Entry<M>>>,
    failures: Cache<QuestionKey, Instant>,
    longest: Duration,
    failure: Duration,
}

/// One answer and when it was read.
pub(crate) struct Entry<M> {
    pub(crate) answered: Answered<M>,
    read_at: Instant,
    lasts: Duration,
    /// LIMIT: one rewritten form, so that an entry takes at most twice what it weighs.
    stripped: OnceLock<Stripped>,
}

/// The answer without some addresses. The same rules take out the same, so the first form made serves nearly all.
struct Stripped {
    addresses: Vec<IpAddr>,
    answer: Answer,
}

impl<M> Entry<M> {
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.read_at)
    }

    /// [`Answer::without`], made once for the addresses first asked for.
    pub(crate) fn without(&self, addresses: &[IpAddr]) -> Result<Cow<'_, Answer>, RewriteError> {
        if let Some(stripped) = self.stripped.get()
            && stripped.addresses == addresses
        {
            return Ok(Cow::Borrowed(&stripped.answer));
        }
        let answer = self.answered.answer.without(addresses)?;
        // Somebody else may have been first, with other addresses.
        let stripped = self.stripped.get_or_init(|| Stripped {
            addresses: addresses.to_vec(),
            answer: answer.clone(),
        });
        Ok(if stripped.addresses == addresses {
            Cow::Borrowed(&stripped.answer)
        } else {
            Cow::Owned(answer)
        })
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
        let failures = Cache::builder()
            .max_capacity(MAX_FAILURES)
            .time_to_live(limits.failure)
            .build();
        Self {
            entries,
            failures,
            longest: limits.cache_ttl,
            failure: limits.failure,
        }
    }

    pub(crate) fn get(&self, key: &QuestionKey, now: Instant) -> Option<Arc<Entry<M>>> {
        self.entries
            .get(key)
            .filter(|entry| entry.age(now) < entry.lasts)
    }

    /// Wraps an answer just read, and keeps it if it may be kept.
    pub(crate) fn insert(&self, key: QuestionKey, answer: Answer, now: Instant) -> Arc<Entry<M>> {
        let lasts = match answer.rcode() {
            Rcode::NOERROR | Rcode::NXDOMAIN => {
                Duration::from_secs(answer.cache_ttl().unwrap_or(0).into()).min(self.longest)
            }
            _failed => self.failure,
        };
        let entry = Arc::new(Entry {
            answered: Answered {
                answer,
                memo: M::default(),
            },
            read_at: now,
            lasts,
            stripped: OnceLock::new(),
        });
        if !lasts.is_zero() {
            self.entries.insert(key, Arc::clone(&entry));
        }
        entry
    }

    /// Remembers that nobody could answer.
    pub(crate) fn fail(&self, key: QuestionKey, now: Instant) {
        self.failures.insert(key, now + self.failure);
    }

    /// Whether nobody could answer a moment ago.
    pub(crate) fn has_failed(&self, key: &QuestionKey, now: Instant) -> bool {
        self.failures.get(key).is_some_and(|until| now < until)
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
    use dns_names::{Name, Query, RecordType};

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
    fn a_failure_is_remembered_for_a_moment() {
        let cache: AnswerCache<()> = AnswerCache::new(&Limits::default());
        let now = Instant::now();
        let (silent, refused, other) = (ask("silent"), ask("refused"), ask("other"));
        cache.fail(silent.key(), now);
        let mut wire = refused.to_upstream(dns_names::UpstreamEdns::Without);
        wire[2] |= 0x80;
        wire[3] |= 5;
        let refusal = Answer::read(&wire, &refused).expect("an answer");
        cache.insert(refused.key(), refusal, now);
        let remembered = |milliseconds| {
            let now = now + Duration::from_millis(milliseconds);
            (
                cache.has_failed(&silent.key(), now),
                cache.get(&refused.key(), now).is_some(),
                cache.has_failed(&other.key(), now),
            )
        };
        assert_eq!(remembered(0), (true, true, false));
        assert_eq!(remembered(1999), (true, true, false));
        assert_eq!(remembered(2000), (false, false, false));
    }

    #[test]
    fn failures_are_bounded() {
        let cache: AnswerCache<()> = AnswerCache::new(&Limits::default());
        for number in 0..2 * MAX_FAILURES {
            cache.fail(ask(&format!("n{number}")).key(), Instant::now());
        }
        cache.failures.run_pending_tasks();
        assert!((1..=MAX_FAILURES).contains(&cache.failures.entry_count()));
    }

    #[test]
    fn one_rewritten_form_is_kept_and_every_other_is_made() {
        let cache: AnswerCache<()> = AnswerCache::new(&Limits::default());
        let query = ask("a");
        let entry = cache.insert(query.key(), answer(&query, 60), Instant::now());
        let [there, elsewhere]: [IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        let is_kept = |addresses: &[IpAddr], left: usize| {
            let answer = entry.without(addresses).expect("rewritten");
            assert_eq!(answer.addresses().len(), left);
            matches!(answer, Cow::Borrowed(_))
        };
        assert!(is_kept(&[there], 0));
        assert!(!is_kept(&[elsewhere], 1));
        assert!(is_kept(&[there], 0));
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
