use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What an address is that a name of the outside may not stand for it (DNS rebinding).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarded {
    /// 127.0.0.0/8, ::1, and 0.0.0.0/8 and ::, which Linux connects to the machine itself.
    Loopback,
    /// One of this machine's own addresses.
    Host,
    /// A cloud's metadata or credential service.
    Metadata,
    /// 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// RFC 1918, RFC 6598 (carrier NAT), RFC 4193, and fec0::/10 of old (RFC 3879), which some still route.
    Private,
    /// Multicast and broadcast.
    Multicast,
    /// A pod, node or Service.
    Cluster,
}

impl Guarded {
    /// The word for it, `lower-case-with-dashes`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Host => "host",
            Self::Metadata => "metadata",
            Self::LinkLocal => "link-local",
            Self::Private => "private",
            Self::Multicast => "multicast",
            Self::Cluster => "cluster",
        }
    }

    pub(crate) fn of_v4(ip: Ipv4Addr) -> Option<Self> {
        let [a, b, ..] = ip.octets();
        match (a, b) {
            (0 | 127, _) => Some(Self::Loopback),
            (169, 254) => Some(Self::LinkLocal),
            (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) => Some(Self::Private),
            (224..=239, _) => Some(Self::Multicast),
            _ if ip.is_broadcast() => Some(Self::Multicast),
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
