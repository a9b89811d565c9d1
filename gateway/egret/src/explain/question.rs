//! The destination, as the command line names it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use dns_names::{Name, NameError};
use policy_cases::ToSpec;
use policy_model::{NamespacedName, Protocol};

/// Where a flow goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) to: To,
    pub(super) protocol: Protocol,
    /// ICMP: `type << 8 | code`; protocols without ports: 0.
    pub(super) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum To {
    Host(Name),
    Ip(IpAddr),
    Pod(NamespacedName),
    Service(NamespacedName),
    Node(Arc<str>),
}

/// Why `--to` and `--port` name no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DestinationError {
    #[error(
        "--to `{text}` is neither an address nor the name of a host (letters, digits, dashes and dots; not a pattern, not a part of an address)"
    )]
    NotAHost { text: String },
    #[error("--to `{text}` is neither an address nor a name")]
    To {
        text: String,
        #[source]
        source: NameError,
    },
    #[error("--to `{text}`: expected pod/NAMESPACE/NAME, service/NAMESPACE/NAME or node/NAME")]
    Object { text: String },
    #[error(
        "--port `{text}`: expected N, N/TCP, N/UDP, N/SCTP, TYPE/ICMP, TYPE:CODE/ICMP or a protocol's number behind the /"
    )]
    Port { text: String },
}

impl Destination {
    /// Reads `--to HOST|IP|OBJECT` and `--port N[/PROTO]`.
    pub(super) fn parse(to: &str, port: &str) -> Result<Self, DestinationError> {
        let bare = to
            .strip_prefix('[')
            .and_then(|to| to.strip_suffix(']'))
            .unwrap_or(to);
        let to = match bare.parse::<IpAddr>() {
            Ok(ip) => To::Ip(ip.to_canonical()),
            // No name holds a slash.
            Err(_) if to.contains('/') => To::object(to)?,
            Err(_) => To::Host(host(to)?),
        };
        let (protocol, port) = parse_port(port).ok_or_else(|| DestinationError::Port {
            text: port.to_owned(),
        })?;
        // ICMP is what the family of the address calls it.
        let protocol = match (&to, protocol) {
            (To::Ip(IpAddr::V6(_)), Protocol::ICMP) => Protocol::ICMPV6,
            (_, protocol) => protocol,
        };
        Ok(Self { to, protocol, port })
    }
}

impl To {
    fn object(text: &str) -> Result<Self, DestinationError> {
        let named = |namespace: &str, name: &str| (Arc::from(namespace), Arc::from(name));
        let parts: Vec<&str> = text.split('/').collect();
        let whole = parts.iter().all(|part| !part.is_empty());
        match parts.as_slice() {
            ["pod", namespace, name] if whole => Ok(Self::Pod(named(namespace, name))),
            ["service", namespace, name] if whole => Ok(Self::Service(named(namespace, name))),
            ["node", name] if whole => Ok(Self::Node(Arc::from(*name))),
            _ => Err(DestinationError::Object {
                text: text.to_owned(),
            }),
        }
    }

    /// The same as a test file says it.
    pub(super) fn spec(&self) -> ToSpec {
        match self {
            Self::Host(name) => ToSpec::Host {
                name: name.clone(),
                ip: None,
            },
            Self::Ip(ip) => ToSpec::Ip(*ip),
            Self::Pod((namespace, name)) => ToSpec::Pod {
                namespace: Arc::clone(namespace),
                name: Arc::clone(name),
            },
            Self::Service((namespace, name)) => ToSpec::Service {
                namespace: Arc::clone(namespace),
                name: Arc::clone(name),
            },
            Self::Node(name) => ToSpec::Node(Arc::clone(name)),
        }
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name.without_dot()),
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Pod((namespace, name)) => write!(f, "pod/{namespace}/{name}"),
            Self::Service((namespace, name)) => write!(f, "service/{namespace}/{name}"),
            Self::Node(name) => write!(f, "node/{name}"),
        }
    }
}

/// What a program can look up; what is left of an address with a zone is not a name either.
fn host(text: &str) -> Result<Name, DestinationError> {
    let name = Name::parse(text).map_err(|source| DestinationError::To {
        text: text.to_owned(),
        source,
    })?;
    if !name.is_host() {
        return Err(DestinationError::NotAHost {
            text: text.to_owned(),
        });
    }
    Ok(name)
}

fn parse_port(text: &str) -> Option<(Protocol, u16)> {
    let (number, protocol) = match text.split_once('/') {
        Some((number, protocol)) => (number, Protocol::parse(protocol)?),
        None => (text, Protocol::TCP),
    };
    if matches!(protocol, Protocol::ICMP | Protocol::ICMPV6) {
        let (kind, code) = number.split_once(':').unwrap_or((number, "0"));
        return Some((
            protocol,
            u16::from_be_bytes([kind.parse().ok()?, code.parse().ok()?]),
        ));
    }
    let port: u16 = number.parse().ok()?;
    match (protocol.has_ports(), port) {
        (true, 0) => None,
        (true, port) => Some((protocol, port)),
        (false, _) => Some((protocol, 0)),
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to)?;
        let [kind, code] = self.port.to_be_bytes();
        match self.protocol {
            Protocol::ICMP | Protocol::ICMPV6 => {
                write!(f, " {} type {kind} code {code}", self.protocol)
            }
            protocol if protocol.has_ports() => write!(f, " {}/{protocol}", self.port),
            protocol => write!(f, " protocol {protocol}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("api.example.com", "443", "api.example.com 443/TCP"; "a name")]
    #[test_case("192.0.2.1", "53/udp", "192.0.2.1 53/UDP"; "small letters")]
    #[test_case("[2001:db8::1]", "443", "2001:db8::1 443/TCP"; "brackets")]
    #[test_case("::ffff:192.0.2.1", "443", "192.0.2.1 443/TCP"; "a mapped address")]
    #[test_case("192.0.2.1", "8/ICMP", "192.0.2.1 ICMP type 8 code 0"; "icmp")]
    #[test_case("2001:db8::1", "128:1/ICMP", "2001:db8::1 ICMPv6 type 128 code 1"; "icmp over ipv6")]
    #[test_case("192.0.2.1", "0/47", "192.0.2.1 protocol 47"; "a protocol without ports")]
    #[test_case("pod/prod/web-0", "80", "pod/prod/web-0 80/TCP"; "a pod")]
    #[test_case("service/prod/web", "80", "service/prod/web 80/TCP"; "a service")]
    #[test_case("node/n1", "10250", "node/n1 10250/TCP"; "a node")]
    fn destinations(to: &str, port: &str, expected: &str) {
        assert_eq!(
            Destination::parse(to, port).map(|destination| destination.to_string()),
            Ok(expected.to_owned())
        );
    }

    #[test_case("a..b", "443"; "no name")]
    #[test_case("*.example.com", "443"; "a pattern")]
    #[test_case("1.2.3", "443"; "a part of an address")]
    #[test_case("1.2.3.4.5", "443"; "more than an address")]
    #[test_case("fe80::1%eth0", "443"; "an address with a zone")]
    #[test_case("[::1", "443"; "half of a bracket")]
    #[test_case("prod/web-0", "443"; "an object of no kind")]
    #[test_case("pod/web-0", "443"; "a pod of no namespace")]
    #[test_case("node/", "443"; "a node of no name")]
    #[test_case("https://a.example/x", "443"; "a url")]
    #[test_case("a.example", "0"; "port zero")]
    #[test_case("a.example", "65536"; "port too large")]
    #[test_case("a.example", "443/FOO"; "no protocol")]
    #[test_case("a.example", "300/ICMP"; "no icmp type")]
    #[test_case("a.example", ""; "nothing")]
    fn no_destinations(to: &str, port: &str) {
        assert!(Destination::parse(to, port).is_err());
    }
}
