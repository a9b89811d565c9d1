use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dns_names::{ExtendedError, Query, QueryError, QuestionKey, Rcode, Transport, Truncation};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use hickory_server::net::runtime::{Time, TokioTime};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use tokio::time::Instant;

use crate::cache::{AnswerCache, Entry};
use crate::config::Config;
use crate::counters::Counters;
use crate::front::{self, OwnReply, SlotReply};
use crate::judge::{Client, Judge, QuestionAction, Refusal, Release};
use crate::places::{NoPlace, Place, Places};
use crate::special;
use crate::upstream::{UpstreamError, Upstreams};

/// What becomes of a query: the one path from a message to its reply, for every listener.
pub(crate) struct Interceptor<J: Judge> {
    judge: J,
    upstreams: Upstreams,
    cache: AnswerCache<J::Memo>,
    flights: Mutex<HashMap<QuestionKey, Flight<J::Memo>>>,
    pending: Arc<Places>,
    release_within: Duration,
    counters: Arc<Counters>,
}

/// An exchange with the upstreams, shared by everybody who asked the same meanwhile.
type Flight<M> = Shared<BoxFuture<'static, Result<Arc<Entry<M>>, Arc<UpstreamError>>>>;

/// What the first look at a message came to.
pub(crate) enum Step<J: Judge> {
    /// The reply is written.
    Reply,
    /// Nothing is to be answered.
    Drop,
    /// The reply needs a wait: [`Pending::answer`].
    Wait(Box<Pending<J>>),
}

/// A question whose answer, or whose answer's release, has to be waited for.
pub(crate) struct Pending<J: Judge> {
    request: Request,
    handler: Handler<J>,
}

/// Answers one request, for hickory-server's traits: what is known of it besides its octets.
struct Handler<J: Judge> {
    interceptor: Arc<Interceptor<J>>,
    client: Client,
    query: Query,
    known: Option<Arc<Entry<J::Memo>>>,
    /// Held until the reply is written; bounds how many are pending.
    _place: Place,
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
            pending: Places::new(limits.pending),
            release_within: limits.release,
            counters,
        })
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The hot path: everything that can be answered without a wait is answered here, into `out`.
    ///
    /// Takes no lock; a cached reply is a copy of the cached octets with id, case, flags and TTLs set. Only what the
    /// cache does not answer is read by hickory-server.
    pub(crate) fn begin(
        self: &Arc<Self>,
        message: &[u8],
        local: SocketAddr,
        peer: SocketAddr,
        transport: Transport,
        out: &mut Vec<u8>,
    ) -> Step<J> {
        out.clear();
        let Some(client) = self.client(local, peer, transport) else {
            return Step::Drop;
        };
        self.counters.queries.count();
        if transport == Transport::Tcp {
            self.counters.queries_tcp.count();
        }
        let query = match Query::read(message) {
            Ok(query) => query,
            Err(error) => return self.malformed(error, message, out),
        };
        let (refusal, known) = match self.look_up(&client, &query, out) {
            Found::Written => return Step::Reply,
            Found::Refusal(refusal) => (Some(refusal), None),
            Found::Answer(entry) => (None, Some(entry)),
            Found::Nothing => (None, None),
        };
        let Some(request) = front::read(message, &query, peer, transport) else {
            return self.malformed(QueryError::Malformed, message, out);
        };
        let refusal = match refusal {
            Some(refusal) => refusal,
            None => match self.pending.take(client.workload) {
                Ok(place) => {
                    let handler = Handler {
                        interceptor: Arc::clone(self),
                        client,
                        query,
                        known,
                        _place: place,
                    };
                    return Step::Wait(Box::new(Pending { request, handler }));
                }
                Err(NoPlace::Full) => {
                    self.counters.overloaded.count();
                    failure(ExtendedError::OTHER, "too many questions at once")
                }
                Err(NoPlace::Share) => {
                    self.counters.over_share.count();
                    failure(
                        ExtendedError::OTHER,
                        "too many questions of this workload at once",
                    )
                }
            },
        };
        match OwnReply::new(&request, &query, &refusal).encode() {
            Ok(octets) => {
                out.extend_from_slice(&octets);
                Step::Reply
            }
            Err(error) => {
                tracing::debug!(%query, %error, "a refusal does not fit a message");
                Step::Drop
            }
        }
    }

    /// Who sent something from `peer` to `local`; somebody else's slot is counted.
    pub(crate) fn client(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
        transport: Transport,
    ) -> Option<Client> {
        let client = self.judge.client(local, peer, transport);
        if client.is_none() {
            self.counters.strangers.count();
        }
        client
    }

    /// What is to be said without asking anybody; an answer that may go at once is written into `out`.
    fn look_up(&self, client: &Client, query: &Query, out: &mut Vec<u8>) -> Found<J::Memo> {
        if let Some(refusal) = special::answer(query) {
            self.counters.special.count();
            return Found::Refusal(refusal);
        }
        match self.judge.question(client, query) {
            QuestionAction::Forward => {}
            QuestionAction::Refuse(refusal) => {
                self.counters.refused.count();
                return Found::Refusal(refusal);
            }
        }
        let now = Instant::now();
        let key = query.key();
        let Some(entry) = self.cache.get(&key, now) else {
            if !self.cache.has_failed(&key, now) {
                return Found::Nothing;
            }
            self.counters.failures_cached.count();
            let text = "no upstream gave a usable answer a moment ago";
            return Found::Refusal(failure(ExtendedError::CACHED_ERROR, text));
        };
        self.counters.cached.count();
        let age = entry.age(now);
        let ruling = self.judge.release_now(client, query, &entry.answered, age);
        match ruling {
            Some(release) => match self.write(client, query, &entry, release, now, out) {
                Ok(()) => Found::Written,
                Err(refusal) => Found::Refusal(refusal),
            },
            None => Found::Answer(entry),
        }
    }

    fn malformed(&self, error: QueryError, message: &[u8], out: &mut Vec<u8>) -> Step<J> {
        self.counters.malformed.count();
        match error.reply(message) {
            Some(reply) => {
                out.extend_from_slice(&reply);
                Step::Reply
            }
            None => Step::Drop,
        }
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
        let answer = self.upstreams.ask(&query).await.map_err(|error| {
            self.cache.fail(key.clone(), Instant::now());
            Arc::new(error)
        })?;
        self.counters
            .strays_removed
            .add(answer.resolution().strays.len());
        self.counters.hints_removed.add(answer.hints_removed());
        Ok(self.cache.insert(key, answer, Instant::now()))
    }

    /// Writes the answer as the judge released it, or says what to say in its place.
    fn write(
        &self,
        client: &Client,
        query: &Query,
        entry: &Entry<J::Memo>,
        release: Release,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let age = u32::try_from(entry.age(now).as_secs()).unwrap_or(u32::MAX);
        let answer = &entry.answered.answer;
        let written = match release {
            Release::Whole => Some(answer.write_reply(query, age, client.transport, None, out)),
            Release::Without { addresses, error } => entry.without(&addresses).ok().map(|answer| {
                self.counters.addresses_stripped.add(addresses.len());
                answer.write_reply(query, age, client.transport, error.as_ref(), out)
            }),
            Release::Refuse(refusal) => {
                self.counters.refused.count();
                return Err(refusal);
            }
            Release::Fail => None,
        };
        match written {
            Some(Truncation::Whole) => Ok(()),
            Some(Truncation::Cut) => {
                self.counters.truncated.count();
                Ok(())
            }
            None => {
                self.counters.release_failed.count();
                Err(failure(
                    ExtendedError::NOT_READY,
                    "the answer could not be put in force",
                ))
            }
        }
    }
}

/// What is known of a question without asking anybody.
enum Found<M> {
    /// The reply is written.
    Written,
    Refusal(Refusal),
    /// An answer that may not go yet.
    Answer(Arc<Entry<M>>),
    Nothing,
}

impl<J: Judge> Pending<J> {
    /// Waits for the answer where it is not known yet, then for its release, and sends the reply.
    pub(crate) async fn answer(self, reply: SlotReply) {
        self.handler
            .handle_request::<_, TokioTime>(&self.request, reply)
            .await;
    }
}

#[async_trait]
impl<J: Judge> RequestHandler for Handler<J> {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let sent = match self.released().await {
            Ok(octets) => front::send(octets, request, &mut response).await,
            Err(refusal) => {
                OwnReply::new(request, &self.query, &refusal)
                    .send(&mut response)
                    .await
            }
        };
        sent.unwrap_or_else(|error| {
            self.interceptor.counters.send_errors.count();
            tracing::debug!(query = %self.query, %error, "replying failed");
            front::failed(request)
        })
    }
}

impl<J: Judge> Handler<J> {
    /// The reply once it may go, or what to say in its place.
    async fn released(&self) -> Result<Vec<u8>, Refusal> {
        let Self {
            interceptor,
            client,
            query,
            ..
        } = self;
        let entry = match &self.known {
            Some(entry) => Arc::clone(entry),
            None => interceptor.fly(query).await.map_err(|error| {
                tracing::debug!(%query, error = %error, "no answer");
                failure(
                    ExtendedError::NO_REACHABLE_AUTHORITY,
                    "no upstream gave a usable answer",
                )
            })?,
        };
        let mut out = Vec::new();
        let now = Instant::now();
        let age = entry.age(now);
        let judge = &interceptor.judge;
        // Somebody who asked the same may have been let go meanwhile.
        if let Some(release) = judge.release_now(client, query, &entry.answered, age) {
            interceptor.write(client, query, &entry, release, now, &mut out)?;
            return Ok(out);
        }
        let ruling = judge.release(client, query, &entry.answered, age);
        let Ok(release) = tokio::time::timeout(interceptor.release_within, ruling).await else {
            interceptor.counters.release_timeouts.count();
            return Err(failure(
                ExtendedError::NOT_READY,
                "the answer could not be put in force in time",
            ));
        };
        interceptor.write(client, query, &entry, release, Instant::now(), &mut out)?;
        Ok(out)
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

fn failure(code: u16, text: &str) -> Refusal {
    Refusal {
        rcode: Rcode::SERVFAIL,
        error: Some(ExtendedError::new(code, text)),
    }
}
