//! What policy must know of the machine it runs on.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

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
