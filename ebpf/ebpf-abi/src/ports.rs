//! `PORTS`: port lists. The longest match of (list, protocol, port) is the verdict.

/// A protocol number no packet has (IANA: reserved). Its row says whether the list opens anything at all, which is
/// what a UDP `connect` asks: resolvers connect to every answer to sort them, and send nothing.
pub const PROBE_PROTOCOL: u8 = 255;

row! {
    /// A key of the kernel's longest-prefix table. ICMP has (type << 8 | code) where others have a port.
    pub struct PortKey: 12 {
        /// Bits that count, from the left, of list, protocol and port: 32, 40, or 40 + port bits.
        pub bits: u32,
        /// Big-endian.
        pub list: [u8; 4],
        pub protocol: u8,
        /// Big-endian.
        pub port: [u8; 2],
        pub reserved: u8,
    }
}

row! {
    /// What a list says of a protocol and port.
    pub struct PortRow: 8 {
        /// A [`Verdict`].
        pub verdict: u8,
        /// A [`Verdict`]: the same with every staged and audit policy in force.
        pub would: u8,
        /// A [`Style`]: how a denial looks.
        pub style: u8,
        pub reserved: u8,
        /// User space's number of the reason.
        pub reason: u32,
    }
}

/// A ruling in a row or event.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Deny = 0,
    Allow = 1,
}

/// How a denial looks to the workload.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// EPERM at the system call.
    Reject = 0,
    /// Silence: the packet is lost.
    Drop = 1,
}

impl Verdict {
    /// Only the one value that says so allows.
    #[inline(always)]
    pub const fn from_byte(byte: u8) -> Self {
        if byte == Self::Allow as u8 {
            Self::Allow
        } else {
            Self::Deny
        }
    }
}

impl Style {
    /// Anything unknown is a rejection, which is seen.
    #[inline(always)]
    pub const fn from_byte(byte: u8) -> Self {
        if byte == Self::Drop as u8 {
            Self::Drop
        } else {
            Self::Reject
        }
    }
}

impl PortKey {
    /// Bits of the row that answers for what the list does not name.
    pub const DEFAULT_BITS: u32 = 32;
    /// Bits of a row for one protocol, any port.
    pub const PROTOCOL_BITS: u32 = 40;
    /// All bits, the length a look-up is made with.
    pub const ALL_BITS: u32 = 56;

    /// The key that finds the row for this protocol and port.
    #[inline(always)]
    pub const fn look_up(list: u32, protocol: u8, port: u16) -> Self {
        Self {
            bits: Self::ALL_BITS,
            list: list.to_be_bytes(),
            protocol,
            port: port.to_be_bytes(),
            reserved: 0,
        }
    }

    /// The list's default row.
    pub const fn default_row(list: u32) -> Self {
        Self {
            bits: Self::DEFAULT_BITS,
            list: list.to_be_bytes(),
            protocol: 0,
            port: [0; 2],
            reserved: 0,
        }
    }

    /// A row for `protocol` and the ports whose first `port_bits` (0 to 16) are those of `port`.
    pub const fn row(list: u32, protocol: u8, port: u16, port_bits: u32) -> Self {
        Self {
            bits: Self::PROTOCOL_BITS + port_bits,
            list: list.to_be_bytes(),
            protocol,
            port: port.to_be_bytes(),
            reserved: 0,
        }
    }
}
