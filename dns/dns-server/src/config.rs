use std::net::SocketAddr;
use std::time::Duration;

/// What a server is told once, at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whom to ask, in order of preference. Never anybody else.
    pub upstreams: Vec<SocketAddr>,
    pub limits: Limits,
}

impl Config {
    pub fn new(upstreams: Vec<SocketAddr>) -> Self {
        Self {
            upstreams,
            limits: Limits::default(),
        }
    }
}

/// How much is done and kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Waiting for one upstream before the next is asked. Default 1.5 s: three tries within a stub's patience. One that
    /// left the last question unanswered is waited for a fifth of it.
    pub attempt: Duration,
    /// Waiting for upstreams in all. Default 4.5 s: glibc and musl give up after 5.
    pub upstream: Duration,
    /// Waiting for the judge to prepare an answer's release. Default 2 s.
    pub release: Duration,
    /// How long a question that found no usable answer is not asked again (RFC 9520 §3.2: at least 1 s). Default 2 s.
    pub failure: Duration,
    /// Questions under way at once, cached ones not counted; more are answered SERVFAIL, and so are those of one workload
    /// beyond half of it. Default 4,096.
    pub pending: usize,
    /// Octets of the cache, roughly; what is used least goes first. Default 32 MiB.
    pub cache_octets: u64,
    /// The longest an answer stays in the cache. Default one day (Unbound's `cache-max-ttl`).
    pub cache_ttl: Duration,
    /// TCP connections open at once; more are closed at once, and so are those of one workload beyond half of it.
    /// Default 256.
    pub connections: usize,
    /// Questions of one TCP connection under way at once; reading waits for a reply. Default 32.
    pub pipelined: usize,
    /// Silence or a stuck write on a TCP connection before it is closed (RFC 7766 §6.2.3). Default 10 s.
    pub idle: Duration,
    /// Tasks that read each UDP socket. Default 2.
    pub udp_readers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempt: Duration::from_millis(1500),
            upstream: Duration::from_millis(4500),
            release: Duration::from_secs(2),
            failure: Duration::from_secs(2),
            pending: 4096,
            cache_octets: 32 << 20,
            cache_ttl: Duration::from_secs(24 * 60 * 60),
            connections: 256,
            pipelined: 32,
            idle: Duration::from_secs(10),
            udp_readers: 2,
        }
    }
}
