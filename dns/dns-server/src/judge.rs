use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dns_names::{Answer, ExtendedError, Query, Rcode, Transport};

/// Who asks, and whom they think they ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// The judge's own number for the workload.
    pub workload: u64,
    /// The server the workload addressed, before the query was redirected here.
    pub server: SocketAddr,
    /// The port the query came from, for logs: it says nothing about who asks.
    pub port: u16,
    pub transport: Transport,
}

/// A question is not answered from the DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub rcode: Rcode,
    /// Told to clients that speak EDNS.
    pub error: Option<ExtendedError>,
}

/// What becomes of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuestionAction {
    /// Find out: from the cache, else from an upstream.
    Forward,
    /// Answer so; nothing leaves the machine.
    Refuse(Refusal),
}

/// What becomes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    Whole,
    /// Without these addresses; `error` says why.
    Without {
        addresses: Vec<IpAddr>,
        error: Option<ExtendedError>,
    },
    Refuse(Refusal),
    /// What had to happen before the answer goes out did not happen: SERVFAIL.
    Fail,
}

/// An answer as it stands in the cache, shared by everybody who asks.
#[derive(Debug)]
pub struct Answered<M> {
    pub answer: Answer,
    /// The judge's own notes about this answer, empty at first: what it needs to know that nothing is left to do.
    pub memo: M,
}

/// Decides about questions and answers. The server knows no policy and no kernel; it asks.
///
/// All but [`Judge::release`] are called on the hot path: no lock, no wait, no allocation worth naming.
pub trait Judge: Send + Sync + 'static {
    /// See [`Answered::memo`].
    type Memo: Default + Send + Sync + 'static;

    /// Who sent a query from `peer` to our address `local`; nothing where `local` is no slot of anybody, and the query
    /// is dropped without an answer.
    fn client(&self, local: SocketAddr, peer: SocketAddr, transport: Transport) -> Option<Client>;

    /// Whether `client` may ask. Called once per query, before anything else is done with it.
    fn question(&self, client: &Client, query: &Query) -> QuestionAction;

    /// The ruling on an answer for which nothing has to be done first: everything it says is already in force for this
    /// client until at least `age` less than its TTLs from now. Nothing when that is not known, or not so.
    fn release_now(
        &self,
        client: &Client,
        query: &Query,
        answered: &Answered<Self::Memo>,
        age: Duration,
    ) -> Option<Release>;

    /// Does what has to be done (writes leases to the kernel) and only then says that the answer may go.
    ///
    /// `age` is how long ago the upstream gave the answer. The server waits for a bounded time and answers SERVFAIL
    /// after that; the future is then dropped.
    fn release(
        &self,
        client: &Client,
        query: &Query,
        answered: &Answered<Self::Memo>,
        age: Duration,
    ) -> impl Future<Output = Release> + Send;
}

/// A judge shared with whoever feeds it.
impl<J: Judge> Judge for Arc<J> {
    type Memo = J::Memo;

    fn client(&self, local: SocketAddr, peer: SocketAddr, transport: Transport) -> Option<Client> {
        (**self).client(local, peer, transport)
    }

    fn question(&self, client: &Client, query: &Query) -> QuestionAction {
        (**self).question(client, query)
    }

    fn release_now(
        &self,
        client: &Client,
        query: &Query,
        answered: &Answered<Self::Memo>,
        age: Duration,
    ) -> Option<Release> {
        (**self).release_now(client, query, answered, age)
    }

    fn release(
        &self,
        client: &Client,
        query: &Query,
        answered: &Answered<Self::Memo>,
        age: Duration,
    ) -> impl Future<Output = Release> + Send {
        (**self).release(client, query, answered, age)
    }
}
