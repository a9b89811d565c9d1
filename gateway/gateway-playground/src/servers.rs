//! The servers of the world, and what they write down about whoever reaches them.

pub(crate) mod echo;
pub(crate) mod resolver;
pub(crate) mod web;

use std::net::{IpAddr, SocketAddr};

/// How something was carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A connection.
    Tcp,
}

/// A question that reached a resolver.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// The resolver it reached.
    pub server: IpAddr,
    /// Who sent it.
    pub client: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// The name in lower case, without the final dot.
    pub name: String,
    /// The name as it was written.
    pub written: String,
    /// The record type: `A`, `HTTPS`, `TYPE65280`.
    pub kind: String,
    /// The DO bit of the client's EDNS (RFC 3225).
    pub dnssec_ok: bool,
    /// The CD bit (RFC 4035 §3.2.2).
    pub checking_disabled: bool,
}

/// A request that reached a web server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// The web server it reached.
    pub server: SocketAddr,
    /// Who sent it.
    pub client: SocketAddr,
    /// The `Host` header.
    pub host: String,
    /// The path.
    pub path: String,
}

/// Bytes that reached an echo server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Echoed {
    /// The echo server they reached.
    pub server: SocketAddr,
    /// Who sent them.
    pub client: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// What was sent, and sent back.
    pub text: String,
}
