use std::fmt;

/// An IP protocol number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    pub const ICMP: Self = Self(1);
    pub const TCP: Self = Self(6);
    pub const UDP: Self = Self(17);
    pub const ICMPV6: Self = Self(58);
    pub const SCTP: Self = Self(132);

    /// Reads `TCP`, `udp`, `ICMPv6` or a number.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "TCP" => Some(Self::TCP),
            "UDP" => Some(Self::UDP),
            "SCTP" => Some(Self::SCTP),
            "ICMP" => Some(Self::ICMP),
            "ICMPV6" => Some(Self::ICMPV6),
            number => number.parse().ok().map(Self),
        }
    }

    /// Whether its flows have ports (ICMP's type and code stand in for one, see [`PortMatch`]).
    pub const fn has_ports(self) -> bool {
        matches!(self.0, 6 | 17 | 33 | 132 | 136)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TCP => f.pad("TCP"),
            Self::UDP => f.pad("UDP"),
            Self::SCTP => f.pad("SCTP"),
            Self::ICMP => f.pad("ICMP"),
            Self::ICMPV6 => f.pad("ICMPv6"),
            Self(number) => write!(f, "{number}"),
        }
    }
}

/// Which protocols and ports a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ports {
    /// Every protocol, those without ports too.
    Any,
    /// Any of these; an empty list matches nothing.
    Only(Vec<PortMatch>),
    /// Every protocol and port but these (Calico's `notProtocol`, and `notPorts` without a protocol).
    AllBut(Vec<PortMatch>),
}

/// Ports that mean another number on each destination: the named ports of its containers. They change what a rule's
/// [`Ports`] say of a destination that is a pod (or host endpoint) of the cluster:
/// the rule covers `(ports ∪ any_of) \ (none_of ∪ except)`. An address that has no named ports is covered by
/// `ports \ except`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct NamedPorts {
    pub any_of: Vec<NamedPort>,
    /// Calico's named `notPorts`.
    pub none_of: Vec<NamedPort>,
    /// Calico's numeric `notPorts`, which take from `any_of` too. [`Ports`] already lack them.
    pub except: Vec<PortMatch>,
}

/// A container port by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedPort {
    /// Nothing: whatever protocol the port of that name has.
    pub protocol: Option<Protocol>,
    pub name: std::sync::Arc<str>,
}

impl NamedPorts {
    pub fn is_empty(&self) -> bool {
        self.any_of.is_empty() && self.none_of.is_empty() && self.except.is_empty()
    }
}

/// A range of ports of one protocol, both ends included.
///
/// ICMP's "port" is `type << 8 | code`; a protocol without ports is matched as a whole (0 to 65535), its flows have port 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortMatch {
    pub protocol: Protocol,
    pub first: u16,
    /// Not below `first`; a range the wrong way round matches nothing.
    pub last: u16,
}

impl PortMatch {
    pub const fn port(protocol: Protocol, port: u16) -> Self {
        Self::range(protocol, port, port)
    }

    pub const fn range(protocol: Protocol, first: u16, last: u16) -> Self {
        Self {
            protocol,
            first,
            last,
        }
    }

    /// The protocol as a whole.
    pub const fn all(protocol: Protocol) -> Self {
        Self::range(protocol, 0, u16::MAX)
    }

    /// One ICMP type (`protocol` is ICMP or ICMPv6), with one code or any.
    pub const fn icmp(protocol: Protocol, kind: u8, code: Option<u8>) -> Self {
        match code {
            Some(code) => Self::port(protocol, u16::from_be_bytes([kind, code])),
            None => Self::range(
                protocol,
                u16::from_be_bytes([kind, 0]),
                u16::from_be_bytes([kind, u8::MAX]),
            ),
        }
    }
}

impl fmt::Display for PortMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (0, u16::MAX) => write!(f, "{}", self.protocol),
            (first, last) if first == last => write!(f, "{first}/{}", self.protocol),
            (first, last) => write!(f, "{first}-{last}/{}", self.protocol),
        }
    }
}
