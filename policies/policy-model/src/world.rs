use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dns_names::Name;

use crate::preset::METADATA_ADDRESSES;

/// The machine around a workload, as far as policy needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    /// Every address of the host, loopback left out.
    pub host_addresses: Vec<IpAddr>,
    /// The servers whose queries are redirected and filtered.
    pub resolvers: Vec<Resolver>,
    /// Zones a stub resolver appends to short names (`search` of resolv.conf).
    pub search: Vec<Name>,
}

/// A known resolver: queries to it go over UDP and TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resolver {
    pub address: IpAddr,
    pub port: u16,
}

/// What an address is; every address has one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DestinationClass {
    Outside,
    /// One of the host's own addresses.
    Host,
    /// The host's loopback, or an unspecified address, which Linux takes for it.
    Loopback,
    Pod,
    Node,
    Service,
}

impl World {
    /// The class of `ip`. IPv4-mapped IPv6 is IPv4.
    pub fn class_of(&self, ip: IpAddr) -> DestinationClass {
        let ip = ip.to_canonical();
        if ip.is_loopback() || ip.is_unspecified() {
            DestinationClass::Loopback
        } else if self
            .host_addresses
            .iter()
            .any(|host| host.to_canonical() == ip)
        {
            DestinationClass::Host
        } else {
            DestinationClass::Outside
        }
    }

    /// Whether queries to `(ip, port)` pass the filter.
    pub fn is_resolver(&self, ip: IpAddr, port: u16) -> bool {
        let ip = ip.to_canonical();
        self.resolvers
            .iter()
            .any(|resolver| resolver.port == port && resolver.address.to_canonical() == ip)
    }

    /// Whether an outside name may not open `ip` (design section 5, the rebinding guard): this machine, loopback,
    /// link-local, metadata, private (RFC 1918, RFC 6598, RFC 4193), this network (RFC 1122), multicast and broadcast,
    /// and the IPv6 forms that hold such an IPv4 address (mapped, compatible, NAT64 RFC 6052 and RFC 8215, 6to4, Teredo).
    /// Documentation ranges are not private.
    pub fn is_private(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let own = match ip {
            IpAddr::V4(v4) => is_private_v4(v4),
            IpAddr::V6(v6) => is_private_v6(v6) || embedded_v4(v6).is_some_and(is_private_v4),
        };
        own || self.class_of(ip) != DestinationClass::Outside || METADATA_ADDRESSES.contains(&ip)
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b); // RFC 6598
    a == 0
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || shared
        || METADATA_ADDRESSES.contains(&IpAddr::V4(ip))
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let site_local = ip.segments()[0] & 0xffc0 == 0xfec0; // RFC 3879: deprecated, still routed by some
    ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_unicast_link_local()
        || ip.is_unique_local()
        || ip.is_multicast()
        || site_local
}

/// The IPv4 address an IPv6 address leads to.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let join = |high: u16, low: u16| {
        let ([w, x], [y, z]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(w, x, y, z)
    };
    match (a, b, c) {
        (0x64, 0xff9b, 0) if d == 0 && e == 0 && f == 0 => Some(join(g, h)), // RFC 6052 well-known prefix
        (0x64, 0xff9b, 1) => Some(join(g, h)),                               // RFC 8215, as /96
        (0x2002, _, _) => Some(join(b, c)),                                  // 6to4, RFC 3056
        (0x2001, 0, _) => Some(join(!g, !h)),                                // Teredo, RFC 4380
        (0, 0, 0) if d == 0 && e == 0 && f == 0 => Some(join(g, h)),         // compatible, RFC 4291
        (_, _, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("203.0.113.7", false; "documentation")]
    #[test_case("8.8.8.8", false; "public")]
    #[test_case("10.1.2.3", true; "rfc 1918")]
    #[test_case("172.32.0.1", false; "beyond rfc 1918")]
    #[test_case("100.64.0.1", true; "rfc 6598")]
    #[test_case("100.128.0.1", false; "beyond rfc 6598")]
    #[test_case("127.0.0.2", true; "loopback")]
    #[test_case("0.0.0.0", true; "unspecified")]
    #[test_case("169.254.1.1", true; "link local")]
    #[test_case("168.63.129.16", true; "metadata on a public address")]
    #[test_case("198.51.100.9", true; "this host")]
    #[test_case("::ffff:10.0.0.1", true; "mapped")]
    #[test_case("::ffff:203.0.113.7", false; "mapped public")]
    #[test_case("64:ff9b::a00:1", true; "nat64")]
    #[test_case("64:ff9b::808:808", false; "nat64 public")]
    #[test_case("64:ff9b:1::7f00:1", true; "local nat64")]
    #[test_case("2002:a00:1::1", true; "6to4")]
    #[test_case("::7f00:1", true; "compatible")]
    #[test_case("fd12::1", true; "unique local")]
    #[test_case("fe80::1", true; "v6 link local")]
    #[test_case("2001:db8::1", false; "v6 documentation")]
    #[test_case("2600::1", false; "v6 public")]
    fn private_addresses(ip: &str, expected: bool) {
        let world = World {
            host_addresses: vec!["198.51.100.9".parse().unwrap()],
            ..World::default()
        };
        assert_eq!(world.is_private(ip.parse().unwrap()), expected);
    }

    #[test_case("127.0.0.53", DestinationClass::Loopback; "stub")]
    #[test_case("::", DestinationClass::Loopback; "unspecified")]
    #[test_case("::ffff:192.0.2.1", DestinationClass::Host; "mapped host")]
    #[test_case("192.0.2.2", DestinationClass::Outside; "neighbour")]
    fn classes(ip: &str, expected: DestinationClass) {
        let world = World {
            host_addresses: vec!["192.0.2.1".parse().unwrap()],
            ..World::default()
        };
        assert_eq!(world.class_of(ip.parse().unwrap()), expected);
    }
}
