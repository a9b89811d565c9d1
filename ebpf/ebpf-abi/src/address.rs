//! Addresses as the tables hold them: 16 bytes, IPv4 mapped into IPv6.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// 16 bytes in network order, IPv4 as `::ffff:a.b.c.d`.
pub type Address = [u8; 16];

/// The first twelve bytes of every IPv4 address in a table.
pub const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// Prefix bits that [`MAPPED`] adds in front of an IPv4 prefix.
pub const MAPPED_BITS: u32 = 96;

/// The table form of an IPv4 address.
#[inline(always)]
pub const fn from_v4(octets: [u8; 4]) -> Address {
    let [a, b, c, d] = octets;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// The IPv4 address, when this is one.
#[inline(always)]
pub const fn to_v4(address: &Address) -> Option<[u8; 4]> {
    match *address {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Some([a, b, c, d]),
        _ => None,
    }
}

/// The table form; a mapped IPv6 address and its IPv4 address are the same.
pub const fn from_ip(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(v4) => from_v4(v4.octets()),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The address as people write it: IPv4 where it is mapped.
pub const fn to_ip(address: &Address) -> IpAddr {
    match to_v4(address) {
        Some(octets) => IpAddr::V4(Ipv4Addr::from_octets(octets)),
        None => IpAddr::V6(Ipv6Addr::from_octets(*address)),
    }
}

/// 127.0.0.0/8 and ::1.
#[inline(always)]
pub const fn is_loopback(address: &Address) -> bool {
    matches!(
        address,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, _, _, _]
            | [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    )
}
