use std::io;
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Limits};
use crate::counters::Counters;
use crate::interceptor::Interceptor;
use crate::judge::Judge;
use crate::places::Places;
use crate::sockets::{Sockets, SocketsV6};
use crate::{tcp, udp};

/// An interceptor: one judge, one cache, one set of upstreams, any number of socket sets (one per network namespace).
pub struct Server<J: Judge> {
    interceptor: Arc<Interceptor<J>>,
    open_connections: Arc<Places>,
    limits: Limits,
}

impl<J: Judge> Server<J> {
    pub fn new(config: &Config, judge: J) -> Self {
        Self {
            interceptor: Interceptor::new(config, judge),
            open_connections: Places::new(config.limits.connections),
            limits: config.limits,
        }
    }

    pub fn counters(&self) -> &Arc<Counters> {
        self.interceptor.counters()
    }

    /// Answers what arrives at `sockets` until `shutdown`; every task it started has then ended.
    ///
    /// Questions under way at that moment are dropped: their clients are gone or ask again. May be called more than
    /// once, with other sockets.
    ///
    /// # Errors
    /// A socket cannot be used at all. Errors of single messages and connections are counted, not returned.
    pub async fn serve(&self, sockets: Sockets, shutdown: CancellationToken) -> io::Result<()> {
        let Sockets {
            udp4,
            tcp4,
            v6,
            port: _,
        } = sockets;
        let mut tasks = JoinSet::new();
        self.listen(&mut tasks, udp4, tcp4)?;
        if let Some(SocketsV6 { udp, tcp }) = v6 {
            self.listen(&mut tasks, udp, tcp)?;
        }
        let result = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            // No listener ends by itself but with an error.
            Some(ended) = tasks.join_next() => ended.unwrap_or_else(|panicked| Err(io::Error::other(panicked))),
        };
        tasks.shutdown().await;
        result
    }

    fn listen(
        &self,
        tasks: &mut JoinSet<io::Result<()>>,
        udp: std::net::UdpSocket,
        tcp: std::net::TcpListener,
    ) -> io::Result<()> {
        let udp = Arc::new(UdpSocket::from_std(udp)?);
        for _ in 0..self.limits.udp_readers.max(1) {
            tasks.spawn(udp::serve(Arc::clone(&udp), Arc::clone(&self.interceptor)));
        }
        let tcp = TcpListener::from_std(tcp)?;
        tasks.spawn(tcp::serve(
            tcp,
            Arc::clone(&self.interceptor),
            Arc::clone(&self.open_connections),
            self.limits,
        ));
        Ok(())
    }
}
