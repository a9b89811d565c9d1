use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The port of DNS.
const DOMAIN: u16 = 53;
/// LIMIT: glibc reads three `nameserver` lines (MAXNS) and no more; so do the programs held here.
const MAX_NAMESERVERS: usize = 3;

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where systemd-resolved lists the servers behind its stub (systemd-resolved.service(8)).
const RESOLVED_CONF: &str = "/run/systemd/resolve/resolv.conf";

/// The machine's resolvers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemResolvers {
    /// Whom programs on this machine ask, by `/etc/resolv.conf`.
    pub addressed: Vec<SocketAddr>,
    /// Whom to ask in their place: the same, or the real servers where they are only systemd-resolved's stub. The stub
    /// itself is passed by because it answers some names from sources of its own (hosts file, mDNS).
    pub upstreams: Vec<SocketAddr>,
}

/// What a resolv.conf(5) says about servers and search lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResolvConf {
    pub nameservers: Vec<IpAddr>,
    /// Domains, as written; the last `search` or `domain` line counts.
    pub search: Vec<String>,
    /// `nameserver` values that are no address (or carry an interface, `fe80::1%eth0`), or are one too many.
    pub unused: Vec<String>,
}

/// Why the machine's resolvers could not be found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    #[error("failed to read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` names no server that can be asked")]
    NoServer { path: PathBuf },
}

impl ResolvConf {
    /// Reads the text of a resolv.conf(5). Lines it does not know are none of its business.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let Some(word) = words.next() else { continue };
                    match word.parse() {
                        Ok(ip) if conf.nameservers.len() < MAX_NAMESERVERS => {
                            conf.nameservers.push(ip)
                        }
                        Ok(_) | Err(_) => conf.unused.push(word.to_owned()),
                    }
                }
                Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
                Some(_) | None => {}
            }
        }
        conf
    }

    /// The servers with the port of DNS; the machine itself where none is named (resolv.conf(5)).
    pub fn servers(&self) -> Vec<SocketAddr> {
        if self.nameservers.is_empty() && self.unused.is_empty() {
            return vec![SocketAddr::from((Ipv4Addr::LOCALHOST, DOMAIN))];
        }
        self.nameservers
            .iter()
            .map(|ip| SocketAddr::new(*ip, DOMAIN))
            .collect()
    }
}

impl SystemResolvers {
    /// Finds them on this machine.
    ///
    /// # Errors
    /// A file that has to be read cannot be, or names no usable server.
    pub fn discover() -> Result<Self, DiscoverError> {
        Self::discover_with(|path| std::fs::read_to_string(path))
    }

    /// As [`SystemResolvers::discover`], with files from elsewhere.
    ///
    /// # Errors
    /// As [`SystemResolvers::discover`].
    pub fn discover_with(
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> Result<Self, DiscoverError> {
        let conf = |path: &str| match read(Path::new(path)) {
            Ok(text) => Ok(ResolvConf::parse(&text)),
            Err(source) => Err(DiscoverError::Read {
                path: path.into(),
                source,
            }),
        };
        let some = |servers: Vec<SocketAddr>, path: &str| {
            if servers.is_empty() {
                Err(DiscoverError::NoServer { path: path.into() })
            } else {
                Ok(servers)
            }
        };
        let addressed = some(conf(RESOLV_CONF)?.servers(), RESOLV_CONF)?;
        let real: Vec<SocketAddr> = addressed
            .iter()
            .filter(|server| !is_stub(server.ip()))
            .copied()
            .collect();
        let upstreams = if real.is_empty() {
            // No default here: a list without servers means that resolved knows none.
            let listed = conf(RESOLVED_CONF)?.nameservers;
            let listed = listed.iter().map(|ip| SocketAddr::new(*ip, DOMAIN));
            some(listed.collect(), RESOLVED_CONF)?
        } else {
            real
        };
        Ok(Self {
            addressed,
            upstreams,
        })
    }
}

/// systemd-resolved's stub listeners: with and without its own sources.
fn is_stub(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if matches!(v4.octets(), [127, 0, 0, 53 | 54]))
}

/// Whether an address can be one server's: no address at all, a group or everybody is not.
fn is_server(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// A text is not an upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an upstream: write a server's address with or without a port, as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53"
)]
pub struct UpstreamSyntaxError {
    text: String,
}

/// Reads `--upstream`: an address, `v4:port` or `[v6]:port`; port 53 where none is given.
///
/// # Errors
/// Anything else, names included: resolving the resolver's name would need a resolver.
pub fn parse_upstream(text: &str) -> Result<SocketAddr, UpstreamSyntaxError> {
    let bracketed = || {
        text.strip_prefix('[')?
            .strip_suffix(']')?
            .parse::<Ipv6Addr>()
            .ok()
            .map(IpAddr::V6)
    };
    let address = text
        .parse()
        .ok()
        .or_else(bracketed)
        .map(|ip| SocketAddr::new(ip, DOMAIN));
    address
        .or_else(|| text.parse().ok())
        .filter(|address| address.port() != 0 && is_server(address.ip()))
        .ok_or_else(|| UpstreamSyntaxError {
            text: text.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("192.0.2.1" => Ok("192.0.2.1:53".to_owned()); "v4")]
    #[test_case("192.0.2.1:5353" => Ok("192.0.2.1:5353".to_owned()); "v4 and port")]
    #[test_case("2001:db8::1" => Ok("[2001:db8::1]:53".to_owned()); "v6")]
    #[test_case("[2001:db8::1]" => Ok("[2001:db8::1]:53".to_owned()); "v6 in brackets")]
    #[test_case("[2001:db8::1]:5353" => Ok("[2001:db8::1]:5353".to_owned()); "v6 and port")]
    #[test_case("dns.example.com" => Err(UpstreamSyntaxError { text: "dns.example.com".to_owned() }); "a name")]
    #[test_case("192.0.2.1:0" => Err(UpstreamSyntaxError { text: "192.0.2.1:0".to_owned() }); "port zero")]
    #[test_case("0.0.0.0" => Err(UpstreamSyntaxError { text: "0.0.0.0".to_owned() }); "unspecified")]
    #[test_case("[::]:53" => Err(UpstreamSyntaxError { text: "[::]:53".to_owned() }); "v6 unspecified")]
    #[test_case("224.0.0.251:5353" => Err(UpstreamSyntaxError { text: "224.0.0.251:5353".to_owned() }); "a group")]
    #[test_case("255.255.255.255" => Err(UpstreamSyntaxError { text: "255.255.255.255".to_owned() }); "everybody")]
    #[test_case("" => Err(UpstreamSyntaxError { text: String::new() }); "nothing")]
    fn upstream_syntax(text: &str) -> Result<String, UpstreamSyntaxError> {
        parse_upstream(text).map(|address| address.to_string())
    }

    #[test]
    fn resolv_conf_is_read_as_glibc_does() {
        let conf = ResolvConf::parse(
            "# comment\nsearch a.example\n nameserver 192.0.2.1 # why\nnameserver fe80::1%eth0\nnameserver\n\
             nameserver 2001:db8::1\noptions ndots:5\n;nameserver 192.0.2.9\nsearch b.example c.example\n\
             nameserver 192.0.2.3\nnameserver 192.0.2.4\n",
        );
        assert_eq!(
            conf.servers()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.3:53"]
        );
        assert_eq!(conf.search, ["b.example", "c.example"]);
        assert_eq!(conf.unused, ["fe80::1%eth0", "192.0.2.4"]);
    }

    #[test_case("", Ok(("127.0.0.1:53", "127.0.0.1:53")); "an empty file means the machine itself")]
    #[test_case("nameserver 192.0.2.1", Ok(("192.0.2.1:53", "192.0.2.1:53")); "a real server")]
    #[test_case("nameserver 127.0.0.53", Ok(("127.0.0.53:53", "198.51.100.1:53")); "the stub")]
    #[test_case("nameserver 127.0.0.11", Ok(("127.0.0.11:53", "127.0.0.11:53")); "another local server")]
    #[test_case("nameserver 127.0.0.53\nnameserver 192.0.2.1", Ok(("127.0.0.53:53 192.0.2.1:53", "192.0.2.1:53")); "the stub and a real server")]
    #[test_case("nameserver nonsense", Err("`/etc/resolv.conf` names no server that can be asked"); "nothing usable")]
    fn discovery(resolv_conf: &str, expected: Result<(&str, &str), &str>) {
        let read = |path: &Path| match path.to_str() {
            Some(RESOLV_CONF) => Ok(resolv_conf.to_owned()),
            Some(RESOLVED_CONF) => Ok("nameserver 198.51.100.1\n".to_owned()),
            Some(_) | None => Err(io::ErrorKind::NotFound.into()),
        };
        let list = |servers: &[SocketAddr]| {
            servers
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let found = SystemResolvers::discover_with(read)
            .map(|found| (list(&found.addressed), list(&found.upstreams)))
            .map_err(|error| error.to_string());
        assert_eq!(
            found,
            expected
                .map(|(a, u)| (a.to_owned(), u.to_owned()))
                .map_err(str::to_owned)
        );
    }

    #[test_case(None, "failed to read `/run/systemd/resolve/resolv.conf`"; "no list")]
    #[test_case(Some("# No DNS servers known."), "`/run/systemd/resolve/resolv.conf` names no server that can be asked"; "an empty list")]
    fn a_stub_with_nothing_behind_it_is_an_error(list: Option<&str>, message: &str) {
        let read = |path: &Path| match (path.to_str(), list) {
            (Some(RESOLV_CONF), _) => Ok("nameserver 127.0.0.53".to_owned()),
            (_, Some(list)) => Ok(list.to_owned()),
            (_, None) => Err(io::ErrorKind::NotFound.into()),
        };
        let error = SystemResolvers::discover_with(read).expect_err("no server");
        assert_eq!(error.to_string(), message);
    }
}
