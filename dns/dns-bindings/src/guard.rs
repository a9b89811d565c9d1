use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Addresses of cloud metadata and credential services, per design: AWS (IMDS, ECS, EKS, both families), Azure and GCP
/// (IMDS; Azure's wire server), Alibaba, Oracle, Scaleway.
pub const METADATA: [IpAddr; 9] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)),
];

/// Keeps names of the outside world from standing for addresses inside (DNS rebinding).
///
/// Documentation ranges are not guarded: they lead nowhere.
#[derive(Debug, Clone, Default)]
pub struct RebindingGuard {
    cluster: Vec<IpNet>,
}

/// Whether the rules that want a name say that it may stand for private addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MayHoldPrivate {
    Yes,
    No,
}

/// What becomes of one address of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    Keep,
    Strip { why: Guarded },
}

/// What an address is that an outside name may not stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Guarded {
    /// 127.0.0.0/8, ::1, and 0.0.0.0/8 and ::, which Linux connects to the machine itself.
    Loopback,
    /// A metadata or credential service.
    Metadata,
    /// 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// RFC 1918, RFC 6598 (carrier NAT), fc00::/7, and fec0::/10 of old.
    Private,
    /// Pods, Services and nodes, as configured.
    Cluster,
}

impl Guarded {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Metadata => "metadata",
            Self::LinkLocal => "link-local",
            Self::Private => "private",
            Self::Cluster => "cluster",
        }
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl RebindingGuard {
    /// A guard that also closes the `cluster`'s own networks to outside names.
    pub fn new(cluster: Vec<IpNet>) -> Self {
        Self { cluster }
    }

    /// Rules on one address of an answer. The caller knows whether the name is an outside one, and asks only then.
    pub fn rule(&self, ip: IpAddr, may_hold_private: MayHoldPrivate) -> Ruling {
        match (may_hold_private, self.classify(ip)) {
            (MayHoldPrivate::Yes, _) | (_, None) => Ruling::Keep,
            (MayHoldPrivate::No, Some(why)) => Ruling::Strip { why },
        }
    }

    /// What the address is, if it is guarded at all.
    pub fn classify(&self, ip: IpAddr) -> Option<Guarded> {
        let ip = effective(ip);
        if METADATA.contains(&ip) {
            return Some(Guarded::Metadata);
        }
        let special = match ip {
            IpAddr::V4(v4) => classify_v4(v4),
            IpAddr::V6(v6) => classify_v6(v6),
        };
        special.or_else(|| {
            self.cluster
                .iter()
                .any(|net| net.contains(&ip))
                .then_some(Guarded::Cluster)
        })
    }
}

/// The address packets for `ip` would reach: IPv4 behind the forms of IPv6 that carry it.
fn effective(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let last = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d, e, f] {
        // ::ffff:0:0/96 (RFC 4291 §2.5.5.2); and its SIIT form ::ffff:0:0:0/96 (RFC 2765).
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0]
        // 64:ff9b::/96, the well-known NAT64 prefix (RFC 6052), which a translator on the path turns into IPv4.
        | [0x64, 0xff9b, 0, 0, 0, 0] => last(g, h),
        // ::a.b.c.d of old (RFC 4291 §2.5.5.1), but for :: and ::1.
        [0, 0, 0, 0, 0, 0] if g != 0 => last(g, h),
        // 2002::/16, 6to4 (RFC 3056).
        [0x2002, ..] => last(b, c),
        _ => ip,
    }
}

fn classify_v4(ip: Ipv4Addr) -> Option<Guarded> {
    let [a, b, ..] = ip.octets();
    match (a, b) {
        (0 | 127, _) => Some(Guarded::Loopback),
        (169, 254) => Some(Guarded::LinkLocal),
        (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) => Some(Guarded::Private),
        _ => None,
    }
}

fn classify_v6(ip: Ipv6Addr) -> Option<Guarded> {
    if ip.is_loopback() || ip.is_unspecified() {
        return Some(Guarded::Loopback);
    }
    match ip.segments()[0] {
        0xfe80..=0xfebf => Some(Guarded::LinkLocal),
        0xfc00..=0xfdff | 0xfec0..=0xfeff => Some(Guarded::Private),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("127.0.0.1", Some(Guarded::Loopback); "loopback")]
    #[test_case("127.83.0.1", Some(Guarded::Loopback); "our own slots")]
    #[test_case("0.0.0.0", Some(Guarded::Loopback); "unspecified is the machine itself")]
    #[test_case("::1", Some(Guarded::Loopback); "loopback v6")]
    #[test_case("::", Some(Guarded::Loopback); "unspecified v6")]
    #[test_case("169.254.169.254", Some(Guarded::Metadata); "metadata")]
    #[test_case("fd00:ec2::254", Some(Guarded::Metadata); "metadata v6")]
    #[test_case("168.63.129.16", Some(Guarded::Metadata); "metadata on a public address")]
    #[test_case("169.254.20.10", Some(Guarded::LinkLocal); "link local")]
    #[test_case("fe80::1", Some(Guarded::LinkLocal); "link local v6")]
    #[test_case("10.1.2.3", Some(Guarded::Private); "ten")]
    #[test_case("172.16.0.1", Some(Guarded::Private); "first of 172")]
    #[test_case("172.31.255.255", Some(Guarded::Private); "last of 172")]
    #[test_case("172.32.0.1", None; "after 172")]
    #[test_case("192.168.0.1", Some(Guarded::Private); "192.168")]
    #[test_case("100.64.0.1", Some(Guarded::Private); "carrier NAT")]
    #[test_case("100.128.0.1", None; "after carrier NAT")]
    #[test_case("fd12::1", Some(Guarded::Private); "unique local")]
    #[test_case("::ffff:10.0.0.1", Some(Guarded::Private); "mapped private")]
    #[test_case("::ffff:169.254.169.254", Some(Guarded::Metadata); "mapped metadata")]
    #[test_case("::127.0.0.1", Some(Guarded::Loopback); "compatible loopback")]
    #[test_case("64:ff9b::a00:1", Some(Guarded::Private); "translated private")]
    #[test_case("2002:7f00:1::1", Some(Guarded::Loopback); "6to4 loopback")]
    #[test_case("64:ff9b::cb00:7107", None; "translated public")]
    #[test_case("203.0.113.7", None; "documentation")]
    #[test_case("2001:db8::1", None; "documentation v6")]
    #[test_case("198.18.5.5", Some(Guarded::Cluster); "configured")]
    fn classes(ip: &str, expected: Option<Guarded>) {
        let guard = RebindingGuard::new(vec!["198.18.0.0/16".parse().expect("a network")]);
        let ip = ip.parse().expect("an address");
        assert_eq!(guard.classify(ip), expected);
        assert_eq!(guard.rule(ip, MayHoldPrivate::Yes), Ruling::Keep);
        let ruling = expected.map_or(Ruling::Keep, |why| Ruling::Strip { why });
        assert_eq!(guard.rule(ip, MayHoldPrivate::No), ruling);
    }
}
