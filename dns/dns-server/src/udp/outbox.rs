use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Replies to be sent together; their room is used again and again.
///
/// Each goes out from the address its query came to: the client, and the hook that undoes the redirect, know no other.
/// The three lists belong together; the first may be longer than the others by what is not used.
#[derive(Default)]
pub(super) struct Outbox {
    octets: Vec<Vec<u8>>,
    locals: Vec<IpAddr>,
    peers: Vec<Option<SockaddrStorage>>,
}

impl Outbox {
    /// Where to write the next reply; [`Outbox::keep`] keeps it.
    pub(super) fn blank(&mut self) -> &mut Vec<u8> {
        let next = self.locals.len();
        if self.octets.len() == next {
            self.octets.push(Vec::new());
        }
        &mut self.octets[next]
    }

    /// Keeps what was written to the blank, to go from `local` to `peer`.
    pub(super) fn keep(&mut self, local: IpAddr, peer: SocketAddr) {
        self.locals.push(local);
        self.peers.push(Some(peer.into()));
    }

    /// Sends everything kept and says how many could not be sent. A full send buffer loses replies, as the network may;
    /// their clients ask again.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> usize {
        let mut lost = 0;
        let mut at = 0;
        while let Some(local) = self.locals.get(at) {
            // One call has one control message for all.
            let run = self.locals[at..]
                .iter()
                .take_while(|next| *next == local)
                .count();
            let to = at..at + run;
            let sent = send_from(*local, socket, &self.octets[to.clone()], &self.peers[to]);
            match sent {
                Ok(sent) if sent > 0 => at += sent,
                // The first of the run is what failed.
                failed => {
                    tracing::debug!(?failed, "replying failed");
                    lost += 1;
                    at += 1;
                }
            }
        }
        self.locals.clear();
        self.peers.clear();
        lost
    }
}

/// Sends one reply, and says how many (one or none) could not be sent.
pub(super) fn send_one(
    socket: &UdpSocket,
    octets: Vec<u8>,
    local: IpAddr,
    peer: SocketAddr,
) -> usize {
    let mut outbox = Outbox::default();
    *outbox.blank() = octets;
    outbox.keep(local, peer);
    outbox.send(socket)
}

/// How many of the messages were sent.
fn send_from(
    local: IpAddr,
    socket: &UdpSocket,
    messages: &[Vec<u8>],
    peers: &[Option<SockaddrStorage>],
) -> io::Result<usize> {
    let (v4, v6);
    // Room for exactly one control message: the kernel takes any that is left for a broken one.
    let (control, room) = match local {
        IpAddr::V4(local) => {
            v4 = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(local.octets()),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            (
                [ControlMessage::Ipv4PacketInfo(&v4)],
                nix::cmsg_space!(libc::in_pktinfo),
            )
        }
        IpAddr::V6(local) => {
            v6 = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: local.octets(),
                },
                ipi6_ifindex: 0,
            };
            (
                [ControlMessage::Ipv6PacketInfo(&v6)],
                nix::cmsg_space!(libc::in6_pktinfo),
            )
        }
    };
    let slices: Vec<[IoSlice<'_>; 1]> = messages
        .iter()
        .map(|octets| [IoSlice::new(octets)])
        .collect();
    let mut headers = MultiHeaders::preallocate(slices.len(), Some(room));
    socket.try_io(Interest::WRITABLE, || {
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut headers,
            &slices,
            peers,
            control,
            MsgFlags::MSG_DONTWAIT,
        )?;
        Ok(sent.count())
    })
}
