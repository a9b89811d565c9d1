use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dns_names::{Answer, AnswerError, Query, Rcode, UpstreamEdns};
use tokio::time::{Instant, timeout_at};

use crate::config::Limits;
use crate::counters::Counters;

mod connection;

use connection::{Connection, ConnectionError};

/// How long a server that failed is asked last.
const SUSPENSION: Duration = Duration::from_secs(5);
/// A server that left its last question unanswered is waited for this many times less, until it answers one: a dead
/// one then costs a question 0.3 s, and one that is back has time to say so.
const IMPATIENCE: u32 = 5;

/// The configured servers, and how to get an answer out of them.
///
/// hickory-resolver makes the connections (UDP with a port of its own for each question, pipelined TCP). Its name
/// server pool and its resolver are not used: they turn "no such name" into an error and an answer into records, and
/// so lose the octets, DNSSEC proofs and bits that have to pass unchanged.
pub(crate) struct Upstreams {
    servers: Vec<Server>,
    attempt: Duration,
    total: Duration,
    started: Instant,
    counters: Arc<Counters>,
}

struct Server {
    connection: Connection,
    /// Milliseconds after `started` until which others are asked first.
    suspended_until: AtomicU64,
    /// Milliseconds after `started` of its last answer, whatever it said.
    answered_at: AtomicU64,
    /// It left its last question unanswered.
    silent: AtomicBool,
}

/// Why no upstream gave an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("no upstream is configured")]
    NoServer,
    #[error("no upstream answered in time")]
    Timeout,
    #[error("`{server}` could not be asked")]
    Connection {
        server: SocketAddr,
        #[source]
        source: ConnectionError,
    },
    #[error("`{server}` gave no usable answer")]
    Answer {
        server: SocketAddr,
        #[source]
        source: AnswerError,
    },
}

impl Upstreams {
    pub(crate) fn new(servers: &[SocketAddr], limits: &Limits, counters: Arc<Counters>) -> Self {
        let server = |address: &SocketAddr| Server {
            connection: Connection::new(*address, limits.attempt),
            suspended_until: AtomicU64::new(0),
            answered_at: AtomicU64::new(0),
            silent: AtomicBool::new(false),
        };
        Self {
            servers: servers.iter().map(server).collect(),
            attempt: limits.attempt,
            total: limits.upstream,
            started: Instant::now(),
            counters,
        }
    }

    /// Asks one server after the other until one gives an answer or time is up.
    ///
    /// A server that says it failed (anything but NOERROR and NXDOMAIN) is passed over; if none does better its answer
    /// stands, so that the client sees what the upstream said.
    pub(crate) async fn ask(&self, query: &Query) -> Result<Answer, UpstreamError> {
        let deadline = Instant::now() + self.total;
        let mut outcome = Err(UpstreamError::NoServer);
        let order = self.in_order();
        // Two rounds: a lost datagram is no failed server.
        for &(server, patience) in order.iter().chain(&order) {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            let asked = timeout_at(deadline.min(now + patience), self.ask_server(server, query));
            let result = asked.await.unwrap_or(Err(UpstreamError::Timeout));
            self.note(server, &result);
            match result {
                Ok(answer) if matches!(answer.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) => {
                    server.suspended_until.store(0, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(answer) => {
                    self.counters.upstream_errors.count();
                    // Every server's word was heard once: asking again would not change it.
                    if outcome.is_ok() && self.servers.len() == 1 {
                        break;
                    }
                    outcome = Ok(answer);
                }
                Err(error) => {
                    self.counters.upstream_errors.count();
                    if matches!(error, UpstreamError::Timeout) {
                        self.counters.upstream_timeouts.count();
                    }
                    tracing::debug!(server = %server.connection.address(), error = %error, "upstream failed");
                    self.suspend(server);
                    if outcome.is_err() {
                        outcome = Err(error);
                    }
                }
            }
        }
        outcome
    }

    /// The servers that did not just fail, in the order configured; then those that did, the one heard of last first.
    /// Each with how long to wait for it.
    fn in_order(&self) -> Vec<(&Server, Duration)> {
        let now = self.elapsed();
        let mut servers: Vec<&Server> = self.servers.iter().collect();
        servers.sort_by_key(|server| {
            let is_suspended = server.suspended_until.load(Ordering::Relaxed) > now;
            is_suspended.then(|| Reverse(server.answered_at.load(Ordering::Relaxed)))
        });
        let patience = |server: &Server| {
            if server.silent.load(Ordering::Relaxed) {
                self.attempt / IMPATIENCE
            } else {
                self.attempt
            }
        };
        servers
            .into_iter()
            .map(|server| (server, patience(server)))
            .collect()
    }

    /// Whether the server spoke, whatever it said.
    fn note(&self, server: &Server, result: &Result<Answer, UpstreamError>) {
        let is_silent = match result {
            Ok(_) | Err(UpstreamError::Answer { .. }) => false,
            Err(UpstreamError::Connection { source, .. }) => {
                !matches!(source, ConnectionError::Answer(_))
            }
            Err(UpstreamError::NoServer | UpstreamError::Timeout) => true,
        };
        server.silent.store(is_silent, Ordering::Relaxed);
        if !is_silent {
            server.answered_at.store(self.elapsed(), Ordering::Relaxed);
        }
    }

    fn suspend(&self, server: &Server) {
        let until = self
            .elapsed()
            .saturating_add(u64::try_from(SUSPENSION.as_millis()).unwrap_or(u64::MAX));
        server.suspended_until.store(until, Ordering::Relaxed);
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn ask_server(&self, server: &Server, query: &Query) -> Result<Answer, UpstreamError> {
        let answer = self.exchange(server, query, UpstreamEdns::With).await?;
        // RFC 6891 §7: an old server; without EDNS it may do better, if DNSSEC is not asked for.
        if matches!(answer.rcode(), Rcode::FORMERR | Rcode::NOTIMP) && !query.dnssec_ok() {
            return self.exchange(server, query, UpstreamEdns::Without).await;
        }
        Ok(answer)
    }

    /// One question over UDP, and over TCP if the answer is truncated or damaged.
    async fn exchange(
        &self,
        server: &Server,
        query: &Query,
        edns: UpstreamEdns,
    ) -> Result<Answer, UpstreamError> {
        let address = server.connection.address();
        let asked = query.asked_with(rand::random());
        let message = asked.to_upstream(edns);
        self.counters.upstream_queries.count();
        let received = server.connection.over_udp(&message).await;
        let over_udp = received
            .and_then(|octets| Answer::read(&octets, &asked).map_err(ConnectionError::Answer));
        match over_udp {
            Ok(answer) => return Ok(answer),
            Err(ConnectionError::Answer(AnswerError::Truncated)) => {
                self.counters.upstream_truncated.count()
            }
            Err(error) if error.is_damage() => {}
            Err(source) => {
                return Err(UpstreamError::Connection {
                    server: address,
                    source,
                });
            }
        }
        self.counters.upstream_queries.count();
        let octets = server
            .connection
            .over_tcp(&message, asked.id)
            .await
            .map_err(|source| UpstreamError::Connection {
                server: address,
                source,
            })?;
        Answer::read(&octets, &asked).map_err(|source| UpstreamError::Answer {
            server: address,
            source,
        })
    }
}
