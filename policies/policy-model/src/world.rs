use std::collections::BTreeSet;
use std::net::IpAddr;

use dns_names::Name;
use ipnet::IpNet;

use crate::cluster_map::ClusterMap;
use crate::guarded::{Guarded, embedded_v4, translations};
use crate::ports::Protocol;
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
    /// The cluster around it; nothing in it on a machine without one.
    pub cluster: ClusterMap,
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
            self.cluster.class_of(ip)
        }
    }

    /// Whether queries to `(ip, port)` pass the filter: a known resolver, or one of the backends where it is a Service.
    pub fn is_resolver(&self, ip: IpAddr, port: u16) -> bool {
        let asked = Resolver {
            address: ip.to_canonical(),
            port,
        };
        self.resolvers
            .iter()
            .any(|resolver| self.servers_of(*resolver).contains(&asked))
    }

    /// A known resolver, and the backends it stands for where it is a Service; canonical addresses, each once.
    pub fn servers_of(&self, resolver: Resolver) -> Vec<Resolver> {
        let own = Resolver {
            address: resolver.address.to_canonical(),
            ..resolver
        };
        let mut servers = vec![own];
        for protocol in [Protocol::UDP, Protocol::TCP] {
            let backends = self.cluster.backends(own.address, protocol, own.port);
            servers.extend(backends.into_iter().flatten().map(|backend| Resolver {
                address: backend.address.to_canonical(),
                port: backend.port,
            }));
        }
        servers[1..].sort_unstable();
        servers.dedup();
        servers
    }

    /// What `ip` is that an outside name may not open it (the rebinding guard), if it is anything of the kind.
    ///
    /// IPv6 forms that hold an IPv4 address are what that address is: mapped, compatible (RFC 4291), NAT64 (RFC 6052,
    /// RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380). Documentation ranges are not guarded: they lead nowhere.
    pub fn guarded(&self, ip: IpAddr) -> Option<Guarded> {
        let ip = ip.to_canonical();
        self.guarded_itself(ip).or_else(|| match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => embedded_v4(v6).and_then(|v4| self.guarded_itself(IpAddr::V4(v4))),
        })
    }

    /// Whether an outside name may not open `ip`: see [`World::guarded`].
    pub fn is_private(&self, ip: IpAddr) -> bool {
        self.guarded(ip).is_some()
    }

    /// Prefixes inside of which, less the longer ones and the addresses of the world itself, [`guarded`](Self::guarded) says
    /// one thing; but for Teredo, and for RFC 8215 behind its first /96, which hold the IPv4 address at their end.
    pub fn guarded_prefixes(&self) -> BTreeSet<IpNet> {
        let own = self.host_addresses.iter().copied();
        let own = own.chain(self.cluster.addresses().map(|(ip, _)| ip));
        let own = own.chain(METADATA_ADDRESSES);
        let mut prefixes: BTreeSet<IpNet> = own.map(|ip| IpNet::from(ip.to_canonical())).collect();
        prefixes.extend(self.cluster.pod_cidrs().iter().copied());
        prefixes.extend(Guarded::prefixes());
        let translated: Vec<IpNet> = prefixes.iter().copied().flat_map(translations).collect();
        prefixes.extend(translated);
        prefixes
    }

    fn guarded_itself(&self, ip: IpAddr) -> Option<Guarded> {
        match self.class_of(ip) {
            _ if METADATA_ADDRESSES.contains(&ip) => Some(Guarded::Metadata),
            DestinationClass::Loopback if ip.is_unspecified() => Some(Guarded::Unspecified),
            DestinationClass::Loopback => Some(Guarded::Loopback),
            DestinationClass::Host => Some(Guarded::Host),
            DestinationClass::Pod | DestinationClass::Node | DestinationClass::Service => {
                Some(Guarded::Cluster)
            }
            DestinationClass::Outside => match ip {
                IpAddr::V4(v4) => Guarded::of_v4(v4),
                IpAddr::V6(v6) => Guarded::of_v6(v6),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("203.0.113.7", None; "documentation")]
    #[test_case("8.8.8.8", None; "public")]
    #[test_case("10.1.2.3", Some(Guarded::Private); "rfc 1918")]
    #[test_case("172.32.0.1", None; "beyond rfc 1918")]
    #[test_case("100.64.0.1", Some(Guarded::Private); "rfc 6598")]
    #[test_case("100.128.0.1", None; "beyond rfc 6598")]
    #[test_case("127.0.0.2", Some(Guarded::Loopback); "loopback")]
    #[test_case("0.0.0.0", Some(Guarded::Unspecified); "unspecified")]
    #[test_case("0.1.2.3", Some(Guarded::Unspecified); "this network")]
    #[test_case("::", Some(Guarded::Unspecified); "v6 unspecified")]
    #[test_case("255.255.255.255", Some(Guarded::Broadcast); "broadcast")]
    #[test_case("64:ff9b::ffff:ffff", Some(Guarded::Broadcast); "translated broadcast")]
    #[test_case("169.254.1.1", Some(Guarded::LinkLocal); "link local")]
    #[test_case("168.63.129.16", Some(Guarded::Metadata); "metadata on a public address")]
    #[test_case("198.51.100.9", Some(Guarded::Host); "this host")]
    #[test_case("::ffff:10.0.0.1", Some(Guarded::Private); "mapped")]
    #[test_case("::ffff:203.0.113.7", None; "mapped public")]
    #[test_case("64:ff9b::a00:1", Some(Guarded::Private); "nat64")]
    #[test_case("64:ff9b::808:808", None; "nat64 public")]
    #[test_case("64:ff9b:1::7f00:1", Some(Guarded::Loopback); "local nat64")]
    #[test_case("2002:a00:1::1", Some(Guarded::Private); "6to4")]
    #[test_case("::7f00:1", Some(Guarded::Loopback); "compatible")]
    #[test_case("fd12::1", Some(Guarded::Private); "unique local")]
    #[test_case("fe80::1", Some(Guarded::LinkLocal); "v6 link local")]
    #[test_case("2001:db8::1", None; "v6 documentation")]
    #[test_case("2600::1", None; "v6 public")]
    #[test_case("239.1.2.3", Some(Guarded::Multicast); "multicast")]
    #[test_case("fec0::1", Some(Guarded::Private); "site local of old")]
    #[test_case("64:ff9b::a9fe:a9fe", Some(Guarded::Metadata); "translated metadata")]
    fn guarded_addresses(ip: &str, expected: Option<Guarded>) {
        let world = World {
            host_addresses: vec!["198.51.100.9".parse().unwrap()],
            ..World::default()
        };
        assert_eq!(world.guarded(ip.parse().unwrap()), expected);
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
