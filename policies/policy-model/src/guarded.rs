use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::preset::METADATA_ADDRESSES;

/// What an address is that a name of the outside may not stand for it (DNS rebinding).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarded {
    /// 127.0.0.0/8, ::1.
    Loopback,
    /// 0.0.0.0/8 and ::, which Linux connects to the machine itself.
    Unspecified,
    /// One of this machine's own addresses.
    Host,
    /// A cloud's metadata or credential service.
    Metadata,
    /// 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// RFC 1918, RFC 6598 (carrier NAT), RFC 4193, and fec0::/10 of old (RFC 3879), which some still route.
    Private,
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// A pod, node or Service.
    Cluster,
}

impl Guarded {
    /// The word for it, `lower-case-with-dashes`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Unspecified => "unspecified",
            Self::Host => "host",
            Self::Metadata => "metadata",
            Self::LinkLocal => "link-local",
            Self::Private => "private",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Cluster => "cluster",
        }
    }

    pub(crate) fn of_v4(ip: Ipv4Addr) -> Option<Self> {
        let [a, b, ..] = ip.octets();
        match (a, b) {
            (0, _) => Some(Self::Unspecified),
            (127, _) => Some(Self::Loopback),
            (169, 254) => Some(Self::LinkLocal),
            (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) => Some(Self::Private),
            (224..=239, _) => Some(Self::Multicast),
            _ if ip.is_broadcast() => Some(Self::Broadcast),
            _ => None,
        }
    }

    pub(crate) fn of_v6(ip: Ipv6Addr) -> Option<Self> {
        match ip.segments()[0] {
            0xfe80..=0xfebf => Some(Self::LinkLocal),
            0xfc00..=0xfdff | 0xfec0..=0xfeff => Some(Self::Private),
            0xff00..=0xffff => Some(Self::Multicast),
            _ => None,
        }
    }
}

/// What [`Guarded::of_v4`] and [`Guarded::of_v6`] tell apart.
const PREFIXES: [(IpAddr, u8); 17] = [
    (v4(0, 0), 0),
    (v4(0, 0), 8),
    (v4(10, 0), 8),
    (v4(100, 64), 10),
    (v4(127, 0), 8),
    (v4(169, 254), 16),
    (v4(172, 16), 12),
    (v4(192, 168), 16),
    (v4(224, 0), 4),
    (IpAddr::V4(Ipv4Addr::BROADCAST), 32),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (v6(0xfe80), 10),
    (v6(0xfc00), 7),
    (v6(0xfec0), 10),
    (v6(0xff00), 8),
    (v6(0), 0),
];

impl Guarded {
    pub(crate) fn prefixes() -> impl Iterator<Item = IpNet> {
        PREFIXES
            .into_iter()
            .filter_map(|(ip, len)| IpNet::new(ip, len).ok())
    }
}

/// The forms of an IPv4 prefix in IPv6 that [`embedded_v4`] reads, where those are prefixes.
pub(crate) fn translations(net: IpNet) -> impl Iterator<Item = IpNet> {
    let v4 = match net {
        IpNet::V4(net) => Some((u128::from(u32::from(net.network())), net.prefix_len())),
        IpNet::V6(_) => None,
    };
    let forms = [
        // What stands before the IPv4 address, and how many bits that is.
        (0x0064_ff9b_u128 << 96, 96),
        (0x0064_ff9b_0001_u128 << 80, 96),
        (0x2002_u128 << 112, 16),
        (0xffff_u128 << 48, 96),
        (0, 96),
    ];
    v4.into_iter().flat_map(move |(bits, len)| {
        forms.into_iter().filter_map(move |(head, before)| {
            let ip = Ipv6Addr::from(head | bits << (96 - before));
            IpNet::new(IpAddr::V6(ip), len + before).ok()
        })
    })
}

/// Every prefix that leads to a metadata service and to nothing else: the addresses, and the forms of the IPv4 ones in
/// IPv6 that are prefixes. What [`embedded_v4`] reads at the end of an address behind a head that is not fixed (Teredo, and
/// RFC 8215 behind its first /96) is none.
pub fn metadata_prefixes() -> impl Iterator<Item = IpNet> {
    METADATA_ADDRESSES
        .into_iter()
        .map(IpNet::from)
        .flat_map(|net| std::iter::once(net).chain(translations(net)))
}

const fn v4(a: u8, b: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, 0, 0))
}

const fn v6(first: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0))
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The IPv4 address an IPv6 address leads to.
pub(crate) fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
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
        (0, 0, 0) if d == 0 && e == 0xffff && f == 0 => Some(join(g, h)),    // SIIT, RFC 2765
        (0, 0, 0) if d == 0 && e == 0 && f == 0 => Some(join(g, h)),         // compatible, RFC 4291
        (_, _, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_metadata_address_leads_to_it() {
        for prefix in metadata_prefixes() {
            let inside = [prefix.network(), prefix.broadcast()];
            for ip in inside {
                let found = match ip {
                    IpAddr::V6(v6) if !METADATA_ADDRESSES.contains(&ip) => {
                        embedded_v4(v6).map(IpAddr::V4)
                    }
                    IpAddr::V4(_) | IpAddr::V6(_) => Some(ip),
                };
                let known = found.is_some_and(|ip| METADATA_ADDRESSES.contains(&ip));
                assert!(known, "{prefix}: {ip} leads to {found:?}");
            }
        }
    }
}
