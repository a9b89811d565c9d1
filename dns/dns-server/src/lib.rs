//! The DNS interceptor: takes the queries of held workloads, asks a [`Judge`] about question and answer, and asks
//! configured upstreams in the workload's place.
//!
//! The types to know: [`Server`] (what runs), [`Sockets`] (what it listens on), [`Judge`] (what it asks; the gateway
//! implements it) and [`Config`] (upstreams and limits). Follow one query in `interceptor.rs`: `begin` is the hot path,
//! `Handler` everything that waits; hickory-server's part in it is `front.rs`.
//!
//! What it deliberately does not do: it knows no policy, no lease and no kernel, and it reads and writes answers only
//! through dns-names. An answer leaves only after the judge has said so, and a failure of any kind is SERVFAIL, never an
//! answer let through.

mod config;
mod judge;

mod server;
mod sockets;

mod tcp;
mod udp;

mod cache;
mod front;
mod interceptor;
mod places;
mod special;
mod upstream;

mod counters;
mod resolvers;

pub use config::{Config, Limits};
pub use counters::{Counters, Counts};
pub use judge::{Answered, Client, Judge, QuestionAction, Refusal, Release};
pub use resolvers::{
    DiscoverError, ResolvConf, SystemResolvers, UpstreamSyntaxError, parse_upstream,
};
pub use server::Server;
pub use sockets::{OpenError, Sockets, SocketsV6};
