use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// LIMIT: longest query read over UDP; a question takes at most 300 octets with EDNS, options can make it longer.
const MAX_QUERY: usize = 4096;

/// Room for the datagrams of one receive, used again and again.
pub(super) struct Inbox {
    buffer: Vec<u8>,
    /// The most to take at once.
    batch: usize,
    /// How many to make room for: a call's headers cost as much as they are many.
    expected: usize,
}

impl Inbox {
    pub(super) fn new(batch: usize) -> Self {
        Self {
            buffer: vec![0; batch * MAX_QUERY],
            batch,
            expected: 1,
        }
    }

    /// Takes what has arrived, up to a batch, and gives each datagram, the address it was sent to and its sender to
    /// `each`.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has arrived.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        port: u16,
        mut each: impl FnMut(&[u8], SocketAddr, SocketAddr),
    ) -> io::Result<()> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
            .buffer
            .chunks_exact_mut(MAX_QUERY)
            .take(self.expected)
            .map(|room| [IoSliceMut::new(room)])
            .collect();
        // Made anew: the kernel leaves in each what it used of it, and nix's are not to be kept across a wait.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(
            slices.len(),
            Some(nix::cmsg_space!(libc::in6_pktinfo)),
        );
        let received = socket.try_io(Interest::READABLE, || {
            let fd = socket.as_raw_fd();
            let slices = slices.iter_mut();
            Ok(recvmmsg(
                fd,
                &mut headers,
                slices,
                MsgFlags::MSG_DONTWAIT,
                None,
            )?)
        })?;
        let mut count = 0;
        for datagram in received {
            count += 1;
            // Cut off, or without the address it was sent to: nobody's query.
            if datagram.flags.contains(MsgFlags::MSG_TRUNC) {
                continue;
            }
            if let Some(local) = local_address(&datagram)
                && let Some(peer) = peer(&datagram)
            {
                let message = datagram.iovs().next().unwrap_or_default();
                each(message, SocketAddr::new(local, port), peer);
            }
        }
        self.expected = if count == self.expected {
            self.batch.min(2 * count)
        } else {
            count.max(1)
        };
        Ok(())
    }
}

fn local_address(datagram: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<IpAddr> {
    let mut local = None;
    for message in datagram.cmsgs().ok()? {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the two kinds we asked for, of the many there are"
        )]
        match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                let octets = info.ipi_addr.s_addr.to_ne_bytes();
                local = Some(IpAddr::V4(Ipv4Addr::from(octets)));
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                local = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
            }
            _ => {}
        }
    }
    local
}

fn peer(datagram: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<SocketAddr> {
    let address = datagram.address.as_ref()?;
    let v4 = address
        .as_sockaddr_in()
        .map(|a| SocketAddr::V4(SocketAddrV4::from(*a)));
    v4.or_else(|| {
        address
            .as_sockaddr_in6()
            .map(|a| SocketAddr::V6(SocketAddrV6::from(*a)))
    })
}
