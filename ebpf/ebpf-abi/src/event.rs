//! `EVENTS`: what was decided, for people.

use core::net::{IpAddr, SocketAddr};

use crate::address::{Address, to_ip};
use crate::ports::{Style, Verdict};

row! {
    /// One ruling.
    pub struct Event: 96 {
        /// Nanoseconds of `CLOCK_BOOTTIME`.
        pub time: u64,
        /// Cgroup id of the workload; where it is unknown, the id that was looked up.
        pub workload: u64,
        /// Socket cookie; 0 where there is none.
        pub socket: u64,
        pub remote: Address,
        pub ruleset: u32,
        /// The port list that ruled. 0 with causes that have none.
        pub list: u32,
        /// User space's number of the reason. 0 with causes other than [`Cause::Policy`].
        pub reason: u32,
        /// The lease that was used. 0: none.
        pub lease: u32,
        /// Thread group id; 0 where the hook does not know and no earlier call told.
        pub pid: u32,
        pub uid: u32,
        /// Bytes of the packet, 0 at system calls.
        pub length: u32,
        /// Host order. ICMP: type << 8 | code.
        pub remote_port: u16,
        pub local_port: u16,
        pub protocol: u8,
        /// A [`Hook`].
        pub hook: u8,
        /// A [`Verdict`]: what happened.
        pub verdict: u8,
        /// A [`Verdict`]: the enforced ruling under audit, else the ruling with staged policies in force.
        pub would: u8,
        /// A [`Style`].
        pub style: u8,
        /// A [`Cause`].
        pub cause: u8,
        /// Bits of [`event_flags`].
        pub flags: u16,
        /// Command name at system calls, zeroes elsewhere.
        pub comm: [u8; 16],
    }
}

/// Bits of [`Event::flags`].
pub mod event_flags {
    /// The workload is under audit.
    pub const AUDIT: u16 = 1;
    /// An established flow that was judged again because the rules changed.
    pub const ESTABLISHED: u16 = 1 << 1;
    /// The question was sent on to the interceptor.
    pub const REDIRECTED: u16 = 1 << 2;
}

/// Where the ruling fell.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Connect = 1,
    Sendmsg = 2,
    Egress = 3,
}

/// What ruled.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A port list; `reason` says which rule.
    Policy = 1,
    /// A listener of the same workload, on loopback.
    OwnListener = 2,
    /// A reply on an inbound connection.
    Inbound = 3,
    /// The cgroup is not a workload.
    UnknownWorkload = 4,
    /// No prefix or no port list answered: the tables are not whole.
    NoRuling = 5,
    /// A slot address that is not the workload's own.
    ForeignSlot = 6,
    /// A question to a known resolver that did not go through the interceptor (raw socket, hand-made packet).
    Unredirected = 7,
    /// A question from a socket bound to a device, from which the interceptor cannot be reached.
    BoundDevice = 8,
    /// Loose or strict source routing, or an IPv6 routing header: the packet would go elsewhere.
    SourceRoute = 9,
    /// A later fragment whose first one was not allowed.
    Fragment = 10,
    /// A header that cannot be read: too short, wrong version, too many extension headers.
    Malformed = 11,
    /// The workload's own way to its interceptor.
    OwnSlot = 12,
}

impl Hook {
    /// `None` for a number this version does not know.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Connect),
            2 => Some(Self::Sendmsg),
            3 => Some(Self::Egress),
            _ => None,
        }
    }
}

impl Cause {
    /// `None` for a number this version does not know.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Policy,
            2 => Self::OwnListener,
            3 => Self::Inbound,
            4 => Self::UnknownWorkload,
            5 => Self::NoRuling,
            6 => Self::ForeignSlot,
            7 => Self::Unredirected,
            8 => Self::BoundDevice,
            9 => Self::SourceRoute,
            10 => Self::Fragment,
            11 => Self::Malformed,
            12 => Self::OwnSlot,
            _ => return None,
        })
    }
}

impl Event {
    /// Where the flow goes.
    pub const fn remote_ip(&self) -> IpAddr {
        to_ip(&self.remote)
    }

    /// Where the flow goes; the port is type and code for ICMP.
    pub const fn remote_addr(&self) -> SocketAddr {
        SocketAddr::new(to_ip(&self.remote), self.remote_port)
    }

    /// What happened.
    pub const fn verdict(&self) -> Verdict {
        Verdict::from_byte(self.verdict)
    }

    /// What would have happened; see [`Event::would`].
    pub const fn would(&self) -> Verdict {
        Verdict::from_byte(self.would)
    }

    /// How a denial looked.
    pub const fn style(&self) -> Style {
        Style::from_byte(self.style)
    }

    /// Where the ruling fell.
    pub const fn hook(&self) -> Option<Hook> {
        Hook::from_byte(self.hook)
    }

    /// What ruled.
    pub const fn cause(&self) -> Option<Cause> {
        Cause::from_byte(self.cause)
    }

    /// The command's name up to its first zero; empty where the hook does not know it.
    pub fn comm(&self) -> &[u8] {
        let end = self
            .comm
            .iter()
            .position(|&b| b == 0)
            .unwrap_or(self.comm.len());
        self.comm.get(..end).unwrap_or(&[])
    }
}
