use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use dns_names::Transport;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage,
    recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::front::SlotReply;
use crate::interceptor::{Interceptor, Step};
use crate::judge::Judge;

/// LIMIT: longest query read over UDP; a question takes at most 300 octets with EDNS, options can make it longer.
const MAX_QUERY: usize = 4096;
/// Datagrams answered in a row before other tasks get a turn.
const BATCH: usize = 64;
/// Pause after a failed receive.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Reads queries off `socket` and answers them, for ever. Several of these may share one socket.
pub(crate) async fn serve<J: Judge>(
    socket: Arc<UdpSocket>,
    interceptor: Arc<Interceptor<J>>,
) -> io::Result<()> {
    let port = socket.local_addr()?.port();
    let mut waiting = JoinSet::new();
    let mut buffer = vec![0; MAX_QUERY];
    let mut control = nix::cmsg_space!(libc::in6_pktinfo);
    let mut out = Vec::with_capacity(MAX_QUERY);
    loop {
        socket.readable().await?;
        for _ in 0..BATCH {
            let received = socket.try_io(Interest::READABLE, || {
                receive(&socket, port, &mut buffer, &mut control)
            });
            let datagram = match received {
                Ok(Some(datagram)) => datagram,
                // Cut off, or without the address it was sent to: nobody's query.
                Ok(None) => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An error of the network, not of the socket, which goes on; a lasting one must not make the loop spin.
                Err(error) => {
                    tracing::debug!(%error, "receiving failed");
                    tokio::time::sleep(ERROR_PAUSE).await;
                    break;
                }
            };
            let Datagram {
                length,
                local,
                peer,
            } = datagram;
            let Some(message) = buffer.get(..length) else {
                continue;
            };
            match interceptor.begin(message, local, peer, Transport::Udp, &mut out) {
                Step::Drop => {}
                Step::Reply => reply(&socket, &interceptor, &out, local, peer),
                Step::Wait(pending) => {
                    while waiting.try_join_next().is_some() {}
                    let (socket, interceptor) = (Arc::clone(&socket), Arc::clone(&interceptor));
                    let send = move |octets: Vec<u8>| {
                        reply(&socket, &interceptor, &octets, local, peer);
                    };
                    waiting.spawn((*pending).answer(SlotReply::new(send)));
                }
            }
        }
        tokio::task::yield_now().await;
    }
}

struct Datagram {
    length: usize,
    local: SocketAddr,
    peer: SocketAddr,
}

/// The next datagram and the address it was sent to.
fn receive(
    socket: &UdpSocket,
    port: u16,
    buffer: &mut [u8],
    control: &mut [u8],
) -> io::Result<Option<Datagram>> {
    let mut slices = [IoSliceMut::new(buffer)];
    let received = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut slices,
        Some(control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    if received.flags.contains(MsgFlags::MSG_TRUNC) {
        return Ok(None);
    }
    let mut local = None;
    for message in received.cmsgs()? {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the two kinds we asked for, of the many there are"
        )]
        match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                local = Some(IpAddr::V4(Ipv4Addr::from(
                    info.ipi_addr.s_addr.to_ne_bytes(),
                )));
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                local = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
            }
            _ => {}
        }
    }
    let peer = received.address.as_ref().and_then(|address| {
        let v4 = address
            .as_sockaddr_in()
            .map(|a| SocketAddr::V4(SocketAddrV4::from(*a)));
        v4.or_else(|| {
            address
                .as_sockaddr_in6()
                .map(|a| SocketAddr::V6(SocketAddrV6::from(*a)))
        })
    });
    let (Some(local), Some(peer)) = (local, peer) else {
        return Ok(None);
    };
    Ok(Some(Datagram {
        length: received.bytes,
        local: SocketAddr::new(local, port),
        peer,
    }))
}

/// Sends from the address the query came to: the client, and the hook that undoes the redirect, know no other.
/// A full send buffer loses the reply, as the network may; the client asks again.
fn reply<J: Judge>(
    socket: &UdpSocket,
    interceptor: &Interceptor<J>,
    message: &[u8],
    local: SocketAddr,
    peer: SocketAddr,
) {
    if let Err(error) = socket.try_io(Interest::WRITABLE, || {
        send(socket, message, local.ip(), peer)
    }) {
        interceptor.counters().send_errors.count();
        tracing::debug!(%error, "replying failed");
    }
}

fn send(socket: &UdpSocket, message: &[u8], local: IpAddr, peer: SocketAddr) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    let slices = [IoSlice::new(message)];
    let sent = match (local, peer) {
        (IpAddr::V4(local), SocketAddr::V4(peer)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(local.octets()),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmsg(
                fd,
                &slices,
                &control,
                MsgFlags::MSG_DONTWAIT,
                Some(&SockaddrIn::from(peer)),
            )?
        }
        (IpAddr::V6(local), SocketAddr::V6(peer)) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: local.octets(),
                },
                ipi6_ifindex: 0,
            };
            let control = [ControlMessage::Ipv6PacketInfo(&info)];
            sendmsg(
                fd,
                &slices,
                &control,
                MsgFlags::MSG_DONTWAIT,
                Some(&SockaddrIn6::from(peer)),
            )?
        }
        (IpAddr::V4(_), SocketAddr::V6(_)) | (IpAddr::V6(_), SocketAddr::V4(_)) => {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
    };
    if sent == message.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}
