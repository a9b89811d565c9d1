//! Links, addresses and routes, spoken to the kernel directly (rtnetlink).
//!
//! Everything here acts on the namespace of the calling thread.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};

/// Why the network could not be laid.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No netlink socket or no runtime for it.
    #[error("failed to open a netlink socket")]
    Socket(#[source] io::Error),
    /// There is no such link.
    #[error("no link is called `{name}`")]
    NoSuchLink {
        /// The link's name.
        name: String,
        /// What the kernel said.
        #[source]
        source: Errno,
    },
    /// The kernel refused a request.
    #[error("failed to {what}")]
    Refused {
        /// What was asked.
        what: String,
        /// The kernel's answer.
        #[source]
        source: rtnetlink::Error,
    },
}

/// Makes a pair of links; the far end appears in the namespace `far`.
pub(crate) fn add_cable(
    near: &str,
    near_mac: [u8; 6],
    far_name: &str,
    far_mac: [u8; 6],
    far: BorrowedFd<'_>,
) -> Result<(), NetworkError> {
    let far = far.as_raw_fd();
    with_handle(async |handle| {
        let pair = LinkVeth::new(near, far_name).address(near_mac.to_vec());
        refused(
            "make a pair of links",
            handle.link().add(pair.build()).execute().await,
        )?;
        let moved = LinkUnspec::new_with_index(index(far_name)?)
            .address(far_mac.to_vec())
            .setns_by_fd(far);
        refused(
            "move a link",
            handle.link().change(moved.build()).execute().await,
        )
    })
}

/// Gives a link addresses and sets it up.
pub(crate) fn set_up(name: &str, addresses: &[(IpAddr, u8)]) -> Result<(), NetworkError> {
    with_handle(async |handle| {
        let index = index(name)?;
        for (ip, length) in addresses {
            add_address(&handle, index, *ip, *length).await?;
        }
        let up = LinkUnspec::new_with_index(index).up();
        refused(
            &format!("set `{name}` up"),
            handle.link().change(up.build()).execute().await,
        )
    })
}

/// Gives the loopback link one more address of its own.
pub(crate) fn own(ip: IpAddr) -> Result<(), NetworkError> {
    with_handle(async |handle| {
        let length = if ip.is_ipv4() { 32 } else { 128 };
        add_address(&handle, index("lo")?, ip, length).await
    })
}

/// Makes every address one of this namespace, but for those a better route leads elsewhere.
pub(crate) fn own_everything() -> Result<(), NetworkError> {
    with_handle(async |handle| {
        let index = index("lo")?;
        let up = LinkUnspec::new_with_index(index).up();
        refused(
            "set `lo` up",
            handle.link().change(up.build()).execute().await,
        )?;
        // In the main table, behind what stands there already.
        let route4 = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
            .output_interface(index)
            .kind(RouteType::Local)
            .scope(RouteScope::Host)
            .build();
        refused(
            "make every IPv4 address local",
            handle.route().add(route4).execute().await,
        )?;
        let route6 = RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(Ipv6Addr::UNSPECIFIED, 0)
            .output_interface(index)
            .kind(RouteType::Local)
            .build();
        refused(
            "make every IPv6 address local",
            handle.route().add(route6).execute().await,
        )
    })
}

/// Sends everything without a better route to these neighbours.
pub(crate) fn route_everything_by(v4: Ipv4Addr, v6: Ipv6Addr) -> Result<(), NetworkError> {
    with_handle(async |handle| {
        let route4 = RouteMessageBuilder::<Ipv4Addr>::new().gateway(v4).build();
        refused(
            "add an IPv4 route",
            handle.route().add(route4).execute().await,
        )?;
        let route6 = RouteMessageBuilder::<Ipv6Addr>::new().gateway(v6).build();
        refused(
            "add an IPv6 route",
            handle.route().add(route6).execute().await,
        )
    })
}

async fn add_address(
    handle: &Handle,
    index: u32,
    ip: IpAddr,
    length: u8,
) -> Result<(), NetworkError> {
    let mut request = handle.address().add(index, ip, length);
    // No detection of duplicates: an address that is tentative for a second answers nobody.
    request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
    refused(&format!("add the address {ip}"), request.execute().await)
}

fn with_handle<F>(work: impl FnOnce(Handle) -> F) -> Result<(), NetworkError>
where
    F: Future<Output = Result<(), NetworkError>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(NetworkError::Socket)?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(NetworkError::Socket)?;
        // The connection ends with the runtime.
        tokio::spawn(connection);
        work(handle).await
    })
}

fn index(name: &str) -> Result<u32, NetworkError> {
    if_nametoindex(name).map_err(|source| NetworkError::NoSuchLink {
        name: name.to_owned(),
        source,
    })
}

fn refused(what: &str, result: Result<(), rtnetlink::Error>) -> Result<(), NetworkError> {
    result.map_err(|source| NetworkError::Refused {
        what: what.to_owned(),
        source,
    })
}
