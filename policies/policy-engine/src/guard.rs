use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy_model::{METADATA_NAMES, Preset, Protocol};

use crate::port_list::PortKey;

/// Public resolvers that answer DNS over HTTPS, from their operators' documentation. The guard closes their port 443 to
/// workloads whose names are filtered. No list is complete: what is not on it is closed by the policy being an allow-list.
pub const DOH_ADDRESSES: [IpAddr; 46] = [
    // Cloudflare 1.1.1.1, with its filtering siblings, and the addresses of mozilla.cloudflare-dns.com.
    v4(1, 1, 1, 1),
    v4(1, 0, 0, 1),
    v4(1, 1, 1, 2),
    v4(1, 0, 0, 2),
    v4(1, 1, 1, 3),
    v4(1, 0, 0, 3),
    v4(162, 159, 61, 4),
    v4(172, 64, 41, 4),
    v6([0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111]),
    v6([0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1001]),
    v6([0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1112]),
    v6([0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1002]),
    v6([0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1113]),
    v6([0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1003]),
    // Google Public DNS.
    v4(8, 8, 8, 8),
    v4(8, 8, 4, 4),
    v6([0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888]),
    v6([0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8844]),
    // Quad9, secured, unsecured and with client subnet.
    v4(9, 9, 9, 9),
    v4(149, 112, 112, 112),
    v4(9, 9, 9, 10),
    v4(149, 112, 112, 10),
    v4(9, 9, 9, 11),
    v4(149, 112, 112, 11),
    v6([0x2620, 0xfe, 0, 0, 0, 0, 0, 0xfe]),
    v6([0x2620, 0xfe, 0, 0, 0, 0, 0, 0x9]),
    v6([0x2620, 0xfe, 0, 0, 0, 0, 0, 0x10]),
    v6([0x2620, 0xfe, 0, 0, 0, 0, 0xfe, 0x10]),
    v6([0x2620, 0xfe, 0, 0, 0, 0, 0, 0x11]),
    v6([0x2620, 0xfe, 0, 0, 0, 0, 0xfe, 0x11]),
    // OpenDNS and its family shield.
    v4(208, 67, 222, 222),
    v4(208, 67, 220, 220),
    v4(208, 67, 222, 123),
    v4(208, 67, 220, 123),
    v6([0x2620, 0x119, 0x35, 0, 0, 0, 0, 0x35]),
    v6([0x2620, 0x119, 0x53, 0, 0, 0, 0, 0x53]),
    // AdGuard, with and without filter, and the family one.
    v4(94, 140, 14, 14),
    v4(94, 140, 15, 15),
    v4(94, 140, 14, 140),
    v4(94, 140, 14, 141),
    v4(94, 140, 14, 15),
    v4(94, 140, 15, 16),
    // Mullvad, CleanBrowsing, DNS.SB.
    v4(194, 242, 2, 2),
    v4(185, 228, 168, 9),
    v4(185, 222, 222, 222),
    v4(45, 11, 45, 11),
];

/// DNS over TLS (RFC 7858) and over QUIC (RFC 9250).
const DOT_PORT: u16 = 853;
const DNS_PORT: u16 = 53;
const HTTPS_PORT: u16 = 443;

/// A guard of the house, as the reason of a deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guard {
    /// A metadata address.
    Metadata,
    /// A name that stands for a metadata service.
    MetadataName,
    /// DNS that would go around the filter.
    DnsBypass,
}

impl Guard {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Metadata => "guard-metadata",
            Self::MetadataName => "guard-metadata-name",
            Self::DnsBypass => "guard-dns-bypass",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => {
                "guard: a cloud's metadata service (a `metadata:` preset opens it, or an admin rule with its full address)"
            }
            Self::MetadataName => {
                "guard: a name of a cloud's metadata service (a `metadata:` preset opens it)"
            }
            Self::DnsBypass => {
                "guard: DNS past the known resolvers while names are filtered (a rule that names the address opens it)"
            }
        })
    }
}

/// What the guards must know of an address. Only ports differ below that.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct GuardFacts {
    pub(crate) metadata: bool,
    pub(crate) doh: bool,
    /// Ports a known resolver listens on there.
    pub(crate) resolver_ports: Vec<u16>,
}

impl GuardFacts {
    pub(crate) fn closes_metadata(&self, key: PortKey) -> bool {
        self.metadata && !(key.is_tcp_or_udp() && key.port == DNS_PORT)
    }

    pub(crate) fn bypasses_dns(&self, key: PortKey) -> bool {
        key.is_tcp_or_udp()
            && !self.resolver_ports.contains(&key.port)
            && (key.port == DOT_PORT
                || key.port == DNS_PORT
                || (key.port == HTTPS_PORT && self.doh))
    }

    /// Ports at which the answers above change, each with its successor.
    pub(crate) fn boundaries(&self) -> impl Iterator<Item = u16> + '_ {
        [DNS_PORT, HTTPS_PORT, DOT_PORT]
            .into_iter()
            .chain(self.resolver_ports.iter().copied())
    }
}

/// The presets a guarded name stands for; nothing for every other name.
pub(crate) fn metadata_name(name: &str) -> Option<Vec<Preset>> {
    METADATA_NAMES.contains(&name).then(|| {
        Preset::ALL
            .into_iter()
            .filter(|preset| preset.names().contains(&name))
            .collect()
    })
}

impl PortKey {
    pub(crate) fn is_tcp_or_udp(self) -> bool {
        self.protocol == Some(Protocol::TCP) || self.protocol == Some(Protocol::UDP)
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(segments: [u16; 8]) -> IpAddr {
    let [a, b, c, d, e, f, g, h] = segments;
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
}
