//! The internet of the tests.

use std::fs::Permissions;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use gateway_playground::{Internet, Options};
use tempfile::TempDir;

use crate::held::Held;

/// Names and addresses of the cast.
pub mod names {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    /// What `/etc/resolv.conf` names first.
    pub const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));
    /// And second.
    pub const RESOLVER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53));
    /// A resolver that nobody configured.
    pub const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 53));
    /// `api.example.com`: web on 80, echo on 7.
    pub const API: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));
    /// The same in IPv6.
    pub const API6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10));
    /// `edge.example.net`, where `www.example.com` points.
    pub const EDGE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11));
    /// Where nobody may go: web on 80, echo on 7.
    pub const FORBIDDEN: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 66));
    /// The same in IPv6.
    pub const FORBIDDEN6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x66, 0, 0, 0, 0, 0x66));
    /// A server inside: web on 80.
    pub const INTRANET: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9));
    /// The metadata service of most clouds.
    pub const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
    /// And its IPv6 address.
    pub const METADATA6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254));
}

/// What the resolvers of a new lab know.
const ZONE: &str = "
    api.example.com       300 A     203.0.113.10
    api.example.com       300 AAAA  2001:db8:1::10
    v4.example.com        300 A     203.0.113.10
    v6.example.com        300 AAAA  2001:db8:1::10
    www.example.com       300 CNAME edge.example.net
    edge.example.net      300 A     203.0.113.11
    short.example.com       2 A     203.0.113.12
    forbidden.example.org 300 A     198.51.100.66
    inner.example.com     300 A     10.9.9.9
    *.wild.example.com    300 A     203.0.113.10
";

/// An internet with a cast of servers, a folder for files, and the program under test.
#[derive(Debug)]
pub struct Lab {
    /// The internet.
    pub internet: Internet,
    folder: TempDir,
    program: PathBuf,
}

impl Lab {
    /// Builds the internet of the tests around `program`, the `egret` to test.
    ///
    /// # Panics
    /// When it cannot be built.
    #[must_use]
    pub fn new(program: &str) -> Self {
        Self::with(program, &[names::RESOLVER, names::RESOLVER6])
    }

    /// The same with other nameservers in `/etc/resolv.conf`.
    ///
    /// # Panics
    /// When it cannot be built.
    #[must_use]
    pub fn with(program: &str, nameservers: &[IpAddr]) -> Self {
        let internet = Internet::build(&Options {
            nameservers: nameservers.to_vec(),
            ..Options::default()
        })
        .unwrap_or_else(|error| panic!("no internet: {error:?}"));
        for resolver in [names::RESOLVER, names::RESOLVER6, names::STRANGER] {
            internet.resolver(resolver).unwrap();
        }
        internet.zone(ZONE).unwrap();
        for (ip, label) in [
            (names::API, "api"),
            (names::API6, "api6"),
            (names::EDGE, "edge"),
            (names::FORBIDDEN, "forbidden"),
            (names::FORBIDDEN6, "forbidden6"),
            (names::INTRANET, "intranet"),
            (names::METADATA, "metadata"),
            (names::METADATA6, "metadata6"),
        ] {
            internet.web(SocketAddr::new(ip, 80), label).unwrap();
            internet.echo(SocketAddr::new(ip, 7)).unwrap();
        }
        internet
            .echo(SocketAddr::new([203, 0, 113, 12].into(), 7))
            .unwrap();
        Self {
            internet,
            folder: tempfile::Builder::new()
                .prefix("egret-lab-")
                .permissions(Permissions::from_mode(0o755))
                .tempdir()
                .unwrap(),
            program: program.into(),
        }
    }

    /// An `egret run` under this policy; under none where the text is empty.
    #[must_use]
    pub fn held(&self, policy: &str) -> Held<'_> {
        Held::new(self, policy)
    }

    /// The program under test.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A folder that goes away with the lab, readable by everyone.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A policy of one rule that allows these names, on every port.
    #[must_use]
    pub fn allowing(names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        format!(
            "apiVersion: egret.dev/v1alpha1\n\
             kind: EgressPolicy\n\
             metadata: {{name: test}}\n\
             spec:\n\
             \x20 egress:\n\
             \x20   - name: names\n\
             \x20     action: Allow\n\
             \x20     to: [{{fqdn: [{}]}}]\n",
            names.join(", ")
        )
    }
}
