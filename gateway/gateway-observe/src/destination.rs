use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// Where a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Destination {
    pub ip: IpAddr,
    pub protocol: Protocol,
    /// Absent with protocols that have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Icmp>,
}

/// Type and code of an ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Icmp {
    #[serde(rename = "type")]
    pub kind: u8,
    pub code: u8,
}

/// An IP protocol number; written as its name where policies have one for it, else as the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(pub u8);

impl Destination {
    /// Reads what kernel rows call a port: type and code for the ICMPs, nothing where the protocol has no ports.
    pub fn new(ip: IpAddr, protocol: Protocol, port: u16) -> Self {
        let [kind, code] = port.to_be_bytes();
        let (port, icmp) = match protocol {
            Protocol::ICMP | Protocol::ICMPV6 => (None, Some(Icmp { kind, code })),
            Protocol::TCP
            | Protocol::UDP
            | Protocol::UDP_LITE
            | Protocol::DCCP
            | Protocol::SCTP => (Some(port), None),
            Protocol(_) => (None, None),
        };
        Self {
            ip,
            protocol,
            port,
            icmp,
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ip,
            protocol,
            port,
            icmp,
        } = self;
        match (port, icmp) {
            (Some(port), _) => write!(f, "{}/{protocol}", SocketAddr::new(*ip, *port)),
            (None, Some(Icmp { kind, code })) => write!(f, "{ip} {protocol} {kind}/{code}"),
            (None, None) => write!(f, "{ip} protocol {protocol}"),
        }
    }
}

impl Protocol {
    pub const ICMP: Self = Self(1);
    pub const TCP: Self = Self(6);
    pub const UDP: Self = Self(17);
    pub const DCCP: Self = Self(33);
    pub const ICMPV6: Self = Self(58);
    pub const SCTP: Self = Self(132);
    pub const UDP_LITE: Self = Self(136);
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.write_str("ICMP"),
            Self::TCP => f.write_str("TCP"),
            Self::UDP => f.write_str("UDP"),
            Self::ICMPV6 => f.write_str("ICMPv6"),
            Self::SCTP => f.write_str("SCTP"),
            Self(number) => write!(f, "{number}"),
        }
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Protocol {
    fn schema_name() -> Cow<'static, str> {
        "Protocol".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "TCP, UDP, SCTP, ICMP, ICMPv6, or another protocol's number.",
            "type": "string",
        })
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{Destination, Protocol};

    #[test_case("203.0.113.7", 6, 443, "203.0.113.7:443/TCP"; "tcp")]
    #[test_case("2001:db8::7", 17, 53, "[2001:db8::7]:53/UDP"; "udp over v6")]
    #[test_case("203.0.113.7", 1, 0x0800, "203.0.113.7 ICMP 8/0"; "an echo request")]
    #[test_case("2001:db8::7", 58, 0x8000, "2001:db8::7 ICMPv6 128/0"; "an echo request over v6")]
    #[test_case("203.0.113.7", 47, 0, "203.0.113.7 protocol 47"; "a tunnel")]
    fn destinations_are_written(ip: &str, protocol: u8, port: u16, expected: &str) {
        let ip = ip.parse().unwrap();
        let destination = Destination::new(ip, Protocol(protocol), port);
        assert_eq!(destination.to_string(), expected);
    }
}
