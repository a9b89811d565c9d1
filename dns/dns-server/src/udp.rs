use std::io;
use std::sync::Arc;
use std::time::Duration;

use dns_names::Transport;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::front::SlotReply;
use crate::interceptor::{Interceptor, Step};
use crate::judge::Judge;

mod inbox;
mod outbox;

use inbox::Inbox;
use outbox::Outbox;

/// Datagrams taken or sent with one system call.
const BATCH: usize = 32;
/// Batches answered in a row before other tasks get a turn.
const BATCHES: usize = 4;
/// Pause after a failed receive.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Reads queries off `socket` and answers them, for ever. Several of these may share one socket.
pub(crate) async fn serve<J: Judge>(
    socket: Arc<UdpSocket>,
    interceptor: Arc<Interceptor<J>>,
) -> io::Result<()> {
    let local = socket.local_addr()?;
    let mut waiting = JoinSet::new();
    let mut inbox = Inbox::new(BATCH);
    let mut outbox = Outbox::default();
    loop {
        socket.readable().await?;
        for _ in 0..BATCHES {
            let received =
                inbox.receive(
                    &socket,
                    local.port(),
                    |message, local, peer| match interceptor.begin(
                        message,
                        local,
                        peer,
                        Transport::Udp,
                        outbox.blank(),
                    ) {
                        Step::Drop => {}
                        Step::Reply => outbox.keep(local.ip(), peer),
                        Step::Wait(pending) => {
                            while waiting.try_join_next().is_some() {}
                            let (socket, interceptor) =
                                (Arc::clone(&socket), Arc::clone(&interceptor));
                            let send = move |octets| {
                                let lost = outbox::send_one(&socket, octets, local.ip(), peer);
                                interceptor.counters().send_errors.add(lost);
                            };
                            waiting.spawn((*pending).answer(SlotReply::new(send)));
                        }
                    },
                );
            match received {
                Ok(()) => {
                    let lost = outbox.send(&socket);
                    interceptor.counters().send_errors.add(lost);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An error of the network, not of the socket, which goes on; a lasting one must not make the loop spin.
                Err(error) => {
                    tracing::debug!(%error, "receiving failed");
                    tokio::time::sleep(ERROR_PAUSE).await;
                    break;
                }
            }
        }
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests;
