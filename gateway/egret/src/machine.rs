//! What policy must know of the machine it runs on.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

use dns_names::Name;
use dns_server::ResolvConf;
use nix::ifaddrs::getifaddrs;
use policy_model::{Resolver, World};

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What programs on this machine go by when they look up names. No file is an empty one: resolv.conf(5) then means the
/// machine itself.
///
/// # Errors
///
/// Where the file is there and cannot be read.
pub fn resolv_conf() -> io::Result<ResolvConf> {
    match std::fs::read_to_string(RESOLV_CONF) {
        Ok(text) => Ok(ResolvConf::parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ResolvConf::default()),
        Err(error) => Err(error),
    }
}

/// The machine `egret run` would find itself on: its addresses and its resolvers, and the sets that policies brought. Without
/// a resolver the stand-ins of test files serve, because explaining needs no network.
#[must_use]
pub fn world(stand_in: World) -> World {
    let host_addresses: Vec<IpAddr> = host_addresses().unwrap_or_default();
    let conf = resolv_conf().unwrap_or_default();
    if conf.nameservers.is_empty() {
        return World {
            host_addresses,
            ..stand_in
        };
    }
    World {
        host_addresses,
        resolvers: resolvers(&conf.servers()),
        search: search(&conf),
        cluster: stand_in.cluster,
    }
}

/// Servers as policy knows them: each once, in an order of their own.
pub fn resolvers<'a>(servers: impl IntoIterator<Item = &'a SocketAddr>) -> Vec<Resolver> {
    let resolvers: BTreeSet<Resolver> = servers
        .into_iter()
        .map(|server| Resolver {
            address: server.ip().to_canonical(),
            port: server.port(),
        })
        .collect();
    resolvers.into_iter().collect()
}

/// The zones that programs append to short names. What is no name is appended to nothing.
pub fn search(conf: &ResolvConf) -> Vec<Name> {
    conf.search
        .iter()
        .filter_map(|zone| Name::parse(zone).ok())
        .collect()
}

/// Every address of this network namespace's interfaces, loopback's left out.
///
/// # Errors
///
/// Where netlink does not answer.
pub fn host_addresses() -> nix::Result<Vec<IpAddr>> {
    let addresses: BTreeSet<IpAddr> = getifaddrs()?
        .filter_map(|interface| interface.address)
        .filter_map(|address| {
            address
                .as_sockaddr_in()
                .map(|v4| IpAddr::V4(v4.ip()))
                .or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .filter(|ip| !ip.is_loopback())
        .collect();
    Ok(addresses.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_not_the_hosts_own_address() {
        let addresses = host_addresses().expect("netlink answers");
        assert!(
            addresses.iter().all(|ip| !ip.is_loopback()),
            "{addresses:?}"
        );
    }
}
