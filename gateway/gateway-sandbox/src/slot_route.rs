use std::fs;
use std::io;
use std::net::Ipv6Addr;
use std::path::Path;

use netlink_packet_core::{
    DecodeError, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// `RT_TABLE_LOCAL`: where a `local` route has to be for its addresses to be this machine's.
const TABLE_LOCAL: u8 = 255;
/// Slots of one run: `fd83:6567:7265:<port>::/64`. "eger" in the middle; the port keeps runs of one namespace apart.
const PREFIX_LENGTH: u8 = 64;

/// Why the IPv6 slot addresses could not be made local.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    #[error("failed to find the loopback device")]
    Loopback {
        #[source]
        source: nix::Error,
    },
    #[error("failed to talk to the kernel's routing tables")]
    Netlink {
        #[source]
        source: io::Error,
    },
    #[error("the kernel's answer about a route could not be read")]
    Answer {
        #[source]
        source: DecodeError,
    },
    #[error(
        "the route `local {prefix}/{PREFIX_LENGTH} dev lo` was refused; this needs CAP_NET_ADMIN"
    )]
    Refused {
        prefix: Ipv6Addr,
        #[source]
        source: io::Error,
    },
}

/// Whether IPv6 is switched off for the loopback device, by boot parameter or by sysctl.
pub(crate) fn is_ipv6_disabled() -> bool {
    match fs::read_to_string("/proc/sys/net/ipv6/conf/lo/disable_ipv6") {
        Ok(value) => value.trim() != "0",
        Err(_absent) => !Path::new("/proc/net/if_inet6").exists(),
    }
}

/// `ip -6 route add local fd83:6567:7265:<port>::/64 dev lo`
pub(crate) fn add(port: u16) -> Result<(), RouteError> {
    let request = RouteNetlinkMessage::NewRoute(message(port)?);
    match exchange(request, NLM_F_CREATE | NLM_F_EXCL)? {
        None => Ok(()),
        Some(source) => Err(RouteError::Refused {
            prefix: prefix(port),
            source,
        }),
    }
}

/// Removes it. Not there is what was wanted.
pub(crate) fn remove(port: u16) -> Result<(), RouteError> {
    let request = RouteNetlinkMessage::DelRoute(message(port)?);
    match exchange(request, 0)? {
        None => Ok(()),
        Some(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        Some(source) => Err(RouteError::Refused {
            prefix: prefix(port),
            source,
        }),
    }
}

fn prefix(port: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd83, 0x6567, 0x7265, port, 0, 0, 0, 0)
}

fn message(port: u16) -> Result<RouteMessage, RouteError> {
    let loopback =
        nix::net::if_::if_nametoindex("lo").map_err(|source| RouteError::Loopback { source })?;
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: AddressFamily::Inet6,
        destination_prefix_length: PREFIX_LENGTH,
        table: TABLE_LOCAL,
        protocol: RouteProtocol::Boot,
        scope: RouteScope::Universe,
        kind: RouteType::Local,
        ..RouteHeader::default()
    };
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::Inet6(prefix(port))),
        RouteAttribute::Oif(loopback),
    ];
    Ok(message)
}

/// Sends one request and reads its acknowledgement: `None` for done, else what the kernel says against it.
fn exchange(
    request: RouteNetlinkMessage,
    extra_flags: u16,
) -> Result<Option<io::Error>, RouteError> {
    let netlink = |source| RouteError::Netlink { source };
    let mut packet = NetlinkMessage::from(request);
    packet.header.flags = NLM_F_REQUEST | NLM_F_ACK | extra_flags;
    packet.header.sequence_number = 1;
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_ROUTE).map_err(netlink)?;
    socket.bind_auto().map_err(netlink)?;
    socket.connect(&SocketAddr::new(0, 0)).map_err(netlink)?;
    socket.send(&bytes, 0).map_err(netlink)?;
    let (answer, _from) = socket.recv_from_full().map_err(netlink)?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
        .map_err(|source| RouteError::Answer { source })?;
    // With NLM_F_ACK and nothing to dump, whatever is not an error's code is the acknowledgement.
    if let NetlinkPayload::Error(error) = answer.payload
        && error.code.is_some()
    {
        return Ok(Some(error.to_io()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn the_port_is_the_fourth_group() {
        assert_eq!(prefix(0x14b4).to_string(), "fd83:6567:7265:14b4::");
    }
}
