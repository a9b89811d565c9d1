use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dns_names::{ExtendedError, Query, QuestionKey, Rcode, Transport, Truncation};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::cache::{AnswerCache, Entry};
use crate::config::Config;
use crate::counters::Counters;
use crate::judge::{Client, Judge, QuestionAction, Refusal, Release};
use crate::special;
use crate::upstream::{UpstreamError, Upstreams};

/// What becomes of a query: the one path from a message to its reply, for every listener.
pub(crate) struct Interceptor<J: Judge> {
    judge: J,
    upstreams: Upstreams,
    cache: AnswerCache<J::Memo>,
    flights: Mutex<HashMap<QuestionKey, Flight<J::Memo>>>,
    pending: Arc<Semaphore>,
    release_within: Duration,
    counters: Arc<Counters>,
}

/// An exchange with the upstreams, shared by everybody who asked the same meanwhile.
type Flight<M> = Shared<BoxFuture<'static, Result<Arc<Entry<M>>, Arc<UpstreamError>>>>;

/// What the first look at a message came to.
pub(crate) enum Step<M> {
    /// The reply is written.
    Reply,
    /// Nothing is to be answered.
    Drop,
    /// The reply needs a wait: [`Interceptor::finish`].
    Wait(Box<Pending<M>>),
}

/// A question whose answer, or whose answer's release, has to be waited for.
pub(crate) struct Pending<M> {
    client: Client,
    query: Query,
    known: Option<Arc<Entry<M>>>,
    /// Held until the reply is written; bounds how many are pending.
    _permit: OwnedSemaphorePermit,
}

impl<J: Judge> Interceptor<J> {
    pub(crate) fn new(config: &Config, judge: J) -> Arc<Self> {
        let counters = Arc::new(Counters::default());
        let Config { upstreams, limits } = config;
        Arc::new(Self {
            judge,
            upstreams: Upstreams::new(upstreams, limits, Arc::clone(&counters)),
            cache: AnswerCache::new(limits),
            flights: Mutex::new(HashMap::new()),
            pending: Arc::new(Semaphore::new(limits.pending)),
            release_within: limits.release,
            counters,
        })
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The hot path: everything that can be answered without a wait is answered here, into `out`.
    ///
    /// Takes no lock; a cached reply is a copy of the cached octets with id, case, flags and TTLs set.
    pub(crate) fn begin(
        &self,
        message: &[u8],
        local: SocketAddr,
        peer: SocketAddr,
        transport: Transport,
        out: &mut Vec<u8>,
    ) -> Step<J::Memo> {
        out.clear();
        let Some(client) = self.judge.client(local, peer, transport) else {
            self.counters.strangers.count();
            return Step::Drop;
        };
        self.counters.queries.count();
        if transport == Transport::Tcp {
            self.counters.queries_tcp.count();
        }
        let query = match Query::read(message) {
            Ok(query) => query,
            Err(error) => {
                self.counters.malformed.count();
                let Some(reply) = error.reply(message) else {
                    return Step::Drop;
                };
                out.extend_from_slice(&reply);
                return Step::Reply;
            }
        };
        if let Some(refusal) = special::answer(&query) {
            self.counters.special.count();
            return refuse(&query, &refusal, out);
        }
        match self.judge.question(&client, &query) {
            QuestionAction::Forward => {}
            QuestionAction::Refuse(refusal) => {
                self.counters.refused.count();
                return refuse(&query, &refusal, out);
            }
        }
        let now = Instant::now();
        let known = self.cache.get(&query.key(), now);
        if let Some(entry) = &known {
            self.counters.cached.count();
            let age = entry.age(now);
            if let Some(release) = self
                .judge
                .release_now(&client, &query, &entry.answered, age)
            {
                self.write(&client, &query, entry, release, now, out);
                return Step::Reply;
            }
        }
        let Ok(permit) = Arc::clone(&self.pending).try_acquire_owned() else {
            self.counters.overloaded.count();
            out.extend_from_slice(&query.reply(
                Rcode::SERVFAIL,
                Some(&because(ExtendedError::OTHER, "too many questions at once")),
            ));
            return Step::Reply;
        };
        Step::Wait(Box::new(Pending {
            client,
            query,
            known,
            _permit: permit,
        }))
    }

    /// Waits for the answer where it is not known yet, then for its release, and writes the reply into `out`.
    pub(crate) async fn finish(self: &Arc<Self>, pending: Pending<J::Memo>, out: &mut Vec<u8>) {
        out.clear();
        let Pending {
            client,
            query,
            known,
            _permit,
        } = pending;
        let entry = match known {
            Some(entry) => entry,
            None => match self.fly(&query).await {
                Ok(entry) => entry,
                Err(error) => {
                    tracing::debug!(%query, error = %error, "no answer");
                    let error = because(
                        ExtendedError::NO_REACHABLE_AUTHORITY,
                        "no upstream gave a usable answer",
                    );
                    out.extend_from_slice(&query.reply(Rcode::SERVFAIL, Some(&error)));
                    return;
                }
            },
        };
        let now = Instant::now();
        let age = entry.age(now);
        // Somebody who asked the same may have been let go meanwhile.
        if let Some(release) = self
            .judge
            .release_now(&client, &query, &entry.answered, age)
        {
            self.write(&client, &query, &entry, release, now, out);
            return;
        }
        let ruling = self.judge.release(&client, &query, &entry.answered, age);
        let Ok(release) = tokio::time::timeout(self.release_within, ruling).await else {
            self.counters.release_timeouts.count();
            let error = because(
                ExtendedError::NOT_READY,
                "the answer could not be put in force in time",
            );
            out.extend_from_slice(&query.reply(Rcode::SERVFAIL, Some(&error)));
            return;
        };
        self.write(&client, &query, &entry, release, Instant::now(), out);
    }

    /// The answer to a question that is not in the cache; one exchange for all who ask it at the same time.
    async fn fly(
        self: &Arc<Self>,
        query: &Query,
    ) -> Result<Arc<Entry<J::Memo>>, Arc<UpstreamError>> {
        let key = query.key();
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            match flights.get(&key) {
                Some(flight) => {
                    self.counters.shared.count();
                    flight.clone()
                }
                None => {
                    let flight = Arc::clone(self)
                        .exchange(query.clone(), key.clone())
                        .boxed()
                        .shared();
                    flights.insert(key.clone(), flight.clone());
                    flight
                }
            }
        };
        // Whoever waits drives the exchange. The last to leave, answered or given up, clears the table.
        let _landing = Landing {
            interceptor: self,
            key: &key,
            flight: &flight,
        };
        flight.clone().await
    }

    async fn exchange(
        self: Arc<Self>,
        query: Query,
        key: QuestionKey,
    ) -> Result<Arc<Entry<J::Memo>>, Arc<UpstreamError>> {
        let answer = self.upstreams.ask(&query).await.map_err(Arc::new)?;
        self.counters
            .strays_removed
            .add(answer.resolution().strays.len());
        self.counters.hints_removed.add(answer.hints_removed());
        Ok(self.cache.insert(key, answer, Instant::now()))
    }

    fn write(
        &self,
        client: &Client,
        query: &Query,
        entry: &Entry<J::Memo>,
        release: Release,
        now: Instant,
        out: &mut Vec<u8>,
    ) {
        let age = u32::try_from(entry.age(now).as_secs()).unwrap_or(u32::MAX);
        let answer = &entry.answered.answer;
        let written = match release {
            Release::Whole => Some(answer.write_reply(query, age, client.transport, None, out)),
            Release::Without { addresses, error } => {
                answer.without(&addresses).ok().map(|answer| {
                    self.counters.addresses_stripped.add(addresses.len());
                    answer.write_reply(query, age, client.transport, error.as_ref(), out)
                })
            }
            Release::Refuse(refusal) => {
                self.counters.refused.count();
                out.extend_from_slice(&query.reply(refusal.rcode, refusal.error.as_ref()));
                return;
            }
            Release::Fail => None,
        };
        match written {
            Some(Truncation::Whole) => {}
            Some(Truncation::Cut) => self.counters.truncated.count(),
            None => {
                self.counters.release_failed.count();
                let error = because(
                    ExtendedError::NOT_READY,
                    "the answer could not be put in force",
                );
                out.clear();
                out.extend_from_slice(&query.reply(Rcode::SERVFAIL, Some(&error)));
            }
        }
    }
}

/// Takes a flight out of the table when one of its askers leaves and it is over, or nobody waits for it any more.
struct Landing<'a, J: Judge> {
    interceptor: &'a Interceptor<J>,
    key: &'a QuestionKey,
    flight: &'a Flight<J::Memo>,
}

impl<J: Judge> Drop for Landing<'_, J> {
    fn drop(&mut self) {
        let mut flights = self
            .interceptor
            .flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Ours and the table's: with two left nobody else waits.
        let is_last = self.flight.strong_count().is_none_or(|count| count <= 2);
        let is_over = self.flight.peek().is_some();
        let is_same = flights
            .get(self.key)
            .is_some_and(|flight| flight.ptr_eq(self.flight));
        if is_same && (is_over || is_last) {
            flights.remove(self.key);
        }
    }
}

fn refuse<M>(query: &Query, refusal: &Refusal, out: &mut Vec<u8>) -> Step<M> {
    out.extend_from_slice(&query.reply(refusal.rcode, refusal.error.as_ref()));
    Step::Reply
}

fn because(code: u16, text: &str) -> ExtendedError {
    ExtendedError::new(code, text)
}
