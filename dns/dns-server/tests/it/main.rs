//! The server end to end on the loopback: real sockets, a scripted upstream, a fake judge.

mod client;
mod judge;
mod upstream;

mod answers;
mod bounds;
mod failures;
mod real_clients;
mod release;

use std::sync::Arc;

use dns_server::{Config, Counts, Server, Sockets};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::judge::FakeJudge;
use crate::upstream::Upstream;

/// A running server with its upstream; ends with the test.
struct World {
    port: u16,
    judge: Arc<FakeJudge>,
    upstream: Upstream,
    server: Arc<Server<Arc<FakeJudge>>>,
    shutdown: CancellationToken,
    serving: Option<JoinHandle<std::io::Result<()>>>,
}

impl World {
    fn new(upstream: Upstream) -> Self {
        Self::with(upstream, |_| {})
    }

    fn with(upstream: Upstream, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(vec![upstream.address]);
        change(&mut config);
        let judge = Arc::new(FakeJudge::default());
        let server = Arc::new(Server::new(&config, Arc::clone(&judge)));
        let sockets = Sockets::open(0).expect("a free port");
        let port = sockets.port;
        let shutdown = CancellationToken::new();
        let serving = tokio::task::spawn({
            let (server, shutdown) = (Arc::clone(&server), shutdown.clone());
            async move { server.serve(sockets, shutdown).await }
        });
        Self {
            port,
            judge,
            upstream,
            server,
            shutdown,
            serving: Some(serving),
        }
    }

    /// A client of the first slot.
    async fn client(&self) -> Client {
        self.client_of(0).await
    }

    /// A client of one of several workloads.
    async fn client_of(&self, workload: u8) -> Client {
        Client::new(([127, 83, workload, 1], self.port).into()).await
    }

    fn counts(&self) -> Counts {
        self.server.counters().read()
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        let serving = self.serving.take().expect("stopped once");
        serving
            .await
            .expect("no panic")
            .expect("no listener failed");
    }
}
