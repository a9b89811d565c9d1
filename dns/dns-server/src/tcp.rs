use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dns_names::Transport;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::Limits;
use crate::front::SlotReply;
use crate::interceptor::{Interceptor, Pending, Step};
use crate::judge::Judge;
use crate::places::{NoPlace, Places};

/// LIMIT: longest query read over TCP. A longer one is no question; the connection is closed.
const MAX_QUERY: usize = 4096;
/// Pause after an accept that failed for want of descriptors or memory, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes connections off `listener` and answers their queries, for ever. `open` bounds connections over all listeners.
pub(crate) async fn serve<J: Judge>(
    listener: TcpListener,
    interceptor: Arc<Interceptor<J>>,
    open: Arc<Places>,
    limits: Limits,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "accepting failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let Some(client) = stream
            .local_addr()
            .ok()
            .and_then(|local| interceptor.client(local, peer, Transport::Tcp))
        else {
            continue;
        };
        let place = match open.take(client.workload) {
            Ok(place) => place,
            Err(none) => {
                let counters = interceptor.counters();
                match none {
                    NoPlace::Full => counters.connections_refused.count(),
                    NoPlace::Share => counters.connections_over_share.count(),
                }
                continue;
            }
        };
        interceptor.counters().connections.count();
        let interceptor = Arc::clone(&interceptor);
        connections.spawn(async move {
            let _place = place;
            if let Err(error) = converse(stream, peer, &interceptor, &limits).await {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
}

/// Answers the queries of one connection, each as soon as it can (RFC 7766 §6.2.1.1: out of order), until the client
/// closes, falls silent or does not read.
async fn converse<J: Judge>(
    stream: TcpStream,
    peer: SocketAddr,
    interceptor: &Arc<Interceptor<J>>,
    limits: &Limits,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let (read, mut write) = stream.into_split();
    let mut frames = Frames {
        read,
        buffer: Vec::with_capacity(512),
    };
    let mut waiting: FuturesUnordered<BoxFuture<'_, Vec<u8>>> = FuturesUnordered::new();
    let mut out = Vec::new();
    let mut closed = false;
    loop {
        if closed && waiting.is_empty() {
            return Ok(());
        }
        tokio::select! {
            Some(reply) = waiting.next() => {
                if !reply.is_empty() {
                    timeout(limits.idle, write_frame(&mut write, &reply)).await??;
                }
            }
            // Only silence with nothing under way is idle.
            frame = timeout(limits.idle, frames.next()), if !closed && waiting.len() < limits.pipelined => {
                let message = match frame {
                    Ok(frame) => frame?,
                    Err(_silent) if waiting.is_empty() => return Ok(()),
                    Err(_silent) => continue,
                };
                let Some(message) = message else {
                    closed = true;
                    continue;
                };
                match interceptor.begin(&message, local, peer, Transport::Tcp, &mut out) {
                    Step::Drop => return Ok(()),
                    Step::Reply => timeout(limits.idle, write_frame(&mut write, &out)).await??,
                    Step::Wait(pending) => waiting.push(collect(*pending).boxed()),
                }
            }
        }
    }
}

/// The reply to one question of several, for its turn on the connection; empty where none could be made.
async fn collect<J: Judge>(pending: Pending<J>) -> Vec<u8> {
    let reply = Arc::new(OnceLock::new());
    let keep = {
        let reply = Arc::clone(&reply);
        move |octets| drop(reply.set(octets))
    };
    pending.answer(SlotReply::new(keep)).await;
    Arc::into_inner(reply)
        .and_then(OnceLock::into_inner)
        .unwrap_or_default()
}

/// Messages as TCP carries them, each after its length (RFC 1035 §4.2.2).
struct Frames {
    read: OwnedReadHalf,
    /// Octets read and not yet given out.
    buffer: Vec<u8>,
}

impl Frames {
    /// The next message; nothing once the client has closed. Losing the future loses no octet.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if self.read.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some((length, rest)) = self.buffer.split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length > MAX_QUERY {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(message) = rest.get(..length) else {
            return Ok(None);
        };
        let message = message.to_vec();
        self.buffer.drain(..2 + length);
        Ok(Some(message))
    }
}

async fn write_frame(write: &mut (impl AsyncWriteExt + Unpin), message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_too_long| io::ErrorKind::InvalidData)?;
    // One write, one segment: clients exist that read the length and the message with one read each.
    let mut frame = Vec::with_capacity(2 + message.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(message);
    write.write_all(&frame).await
}
