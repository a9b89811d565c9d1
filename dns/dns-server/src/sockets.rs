use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

/// Attempts to find a port that is free on every socket.
const ATTEMPTS: usize = 64;
/// Queries that may wait in the kernel while readers are busy, in octets.
const RECEIVE_BUFFER: usize = 1 << 20;
/// TCP connections that may wait to be taken.
const BACKLOG: i32 = 256;

/// The four sockets of an interceptor, all on one port, in the network namespace of the thread that opened them.
///
/// Bound to every address, since a slot is an address; what does not come to a slot is dropped later. None sets
/// SO_REUSEADDR or SO_REUSEPORT: nobody else can then bind a slot address on this port and take its queries.
#[derive(Debug)]
pub struct Sockets {
    pub udp4: UdpSocket,
    pub tcp4: TcpListener,
    /// Nothing where the kernel has no IPv6, and then nobody can ask over it.
    pub v6: Option<SocketsV6>,
    pub port: u16,
}

#[derive(Debug)]
pub struct SocketsV6 {
    pub udp: UdpSocket,
    pub tcp: TcpListener,
}

/// Why the sockets could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("failed to open {what} port {port}")]
    Socket {
        what: &'static str,
        port: u16,
        #[source]
        source: io::Error,
    },
    #[error("no port is free on UDP and TCP of both families ({ATTEMPTS} tried)")]
    NoPort,
}

impl Sockets {
    /// Opens the four sockets on `port`; 0 chooses a port that is free on all of them.
    ///
    /// # Errors
    /// The port is taken, or a socket option that slots need is missing.
    pub fn open(port: u16) -> Result<Self, OpenError> {
        if port != 0 {
            return Self::on(port);
        }
        for _ in 0..ATTEMPTS {
            match Self::on(0) {
                Err(OpenError::Socket { source, .. })
                    if source.kind() == io::ErrorKind::AddrInUse => {}
                result => return result,
            }
        }
        Err(OpenError::NoPort)
    }

    fn on(port: u16) -> Result<Self, OpenError> {
        let fail = |what, port| move |source| OpenError::Socket { what, port, source };
        let udp4 = udp_v4(port).map_err(fail("UDP", port))?;
        let port = udp4.local_addr().map_err(fail("UDP", port))?.port();
        let tcp4 = tcp((Ipv4Addr::UNSPECIFIED, port).into()).map_err(fail("TCP", port))?;
        let v6 = match udp_v6(port) {
            Err(error) if is_without_v6(&error) => None,
            udp => Some(SocketsV6 {
                udp: udp.map_err(fail("UDP (IPv6)", port))?,
                tcp: tcp((Ipv6Addr::UNSPECIFIED, port).into()).map_err(fail("TCP (IPv6)", port))?,
            }),
        };
        Ok(Self {
            udp4,
            tcp4,
            v6,
            port,
        })
    }
}

fn udp_v4(port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    bind_udp(socket, (Ipv4Addr::UNSPECIFIED, port).into())
}

fn udp_v6(port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(true)?;
    // Slots are local by a route, not by an address: without this, sending from one fails (EINVAL).
    socket.set_freebind_v6(true)?;
    setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    bind_udp(socket, (Ipv6Addr::UNSPECIFIED, port).into())
}

fn bind_udp(socket: Socket, address: SocketAddr) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    // As far as `net.core.rmem_max` lets us; less is no error.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// No IPv6 in the kernel, or switched off in this namespace.
fn is_without_v6(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_port_is_one_on_all_sockets() {
        let sockets = Sockets::open(0).expect("a port");
        let v6 = sockets.v6.as_ref().expect("IPv6");
        let ports = [
            sockets.udp4.local_addr().expect("bound").port(),
            sockets.tcp4.local_addr().expect("bound").port(),
            v6.udp.local_addr().expect("bound").port(),
            v6.tcp.local_addr().expect("bound").port(),
        ];
        assert_eq!(ports, [sockets.port; 4]);
    }

    #[test]
    fn a_port_in_use_is_an_error_and_cannot_be_shared() {
        let sockets = Sockets::open(0).expect("a port");
        let error = Sockets::open(sockets.port).expect_err("taken");
        assert_eq!(
            error.to_string(),
            format!("failed to open UDP port {}", sockets.port)
        );
        // Not even one slot address of it, whatever options the thief sets.
        let thief = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        thief.set_reuse_address(true).expect("settable");
        thief.set_reuse_port(true).expect("settable");
        let slot: SocketAddr = ([127, 83, 0, 1], sockets.port).into();
        assert_eq!(
            thief.bind(&slot.into()).expect_err("taken").kind(),
            io::ErrorKind::AddrInUse
        );
    }
}
