//! Headers, as far as a verdict needs them.

use ebpf_abi::Cause;
use ebpf_abi::address::{Address, from_v4};

use crate::seams::{Fault, Maps, Packet};
use crate::target::Target;

/// Protocol numbers (IANA) that have ports, types or a meaning of their own here.
pub mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const DESTINATION_OPTIONS: u8 = 60;
    pub const SCTP: u8 = 132;
    pub const UDP_LITE: u8 = 136;
}

/// Extension headers that are walked before a packet is called malformed. RFC 8200 knows six kinds.
const MAX_EXTENSIONS: u32 = 8;
/// Options that are walked. A header has room for 20 that say anything (two bytes each); one stuffed with more
/// one-byte fillers than that is called malformed, for the verifier walks a loop of 40 three times as long.
const MAX_OPTIONS: u32 = 20;
/// RFC 791, options that make a packet visit somebody else first.
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub target: Target,
    pub source: Address,
    /// 0 where the protocol has none.
    pub source_port: u16,
    pub fragment: Fragment,
    /// Where the upper-layer header starts.
    pub upper: u32,
}

/// Which part of a packet this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    Whole,
    /// The part with the ports; the number names its packet.
    First(u32),
    /// A part without ports: `target.port` is 0 and means nothing.
    Later(u32),
}

/// Reads the headers of almost every packet: no options, no extension headers, no fragment, ports, all in one piece.
/// `None` says nothing about the packet; [`parse`] does.
#[inline(always)]
pub fn glance<P: Packet>(packet: &P) -> Option<Header> {
    match packet.version() {
        4 => plain_v4(packet.peek::<6>()?),
        6 => plain_v6(packet.peek::<11>()?),
        _ => None,
    }
}

/// Reads a packet from its IP header on, or says why it must not leave.
///
/// # Errors
///
/// The packet must not leave, whatever the rules say: the cause is [`Cause::Malformed`] or [`Cause::SourceRoute`].
#[inline(always)]
pub fn parse<M: Maps, P: Packet>(maps: &M, packet: &P) -> Result<Header, Cause> {
    let mut header = Header::EMPTY;
    match read(maps, packet, &mut header) {
        None => Ok(header),
        Some(cause) => Err(cause),
    }
}

/// [`parse`] into a place that exists already: the kernel's stack has no room for copies. What is there after a cause
/// means nothing.
#[inline(always)]
pub(crate) fn read<M: Maps, P: Packet>(maps: &M, packet: &P, into: &mut Header) -> Option<Cause> {
    match packet.version() {
        4 => read_v4(maps, packet, into),
        6 => read_v6(maps, packet, into),
        _ => Some(Cause::Malformed),
    }
}

impl Header {
    /// A packet nothing is known of: a part without ports, so that nothing of it is remembered.
    pub(crate) const EMPTY: Self = Self {
        target: Target {
            address: [0; 16],
            port: 0,
            protocol: 0,
        },
        source: [0; 16],
        source_port: 0,
        fragment: Fragment::Later(0),
        upper: 0,
    };
}

/// An IPv4 header of 20 bytes, no fragment, and ports behind it.
#[inline(always)]
fn plain_v4([first, second, third, source, address, ports]: [u32; 6]) -> Option<Header> {
    let [vihl, ..] = first.to_ne_bytes();
    let [_, _, frag_hi, frag_lo] = second.to_ne_bytes();
    let [_, number, _, _] = third.to_ne_bytes();
    // But for the "don't fragment" bit, this word is 0 in a whole packet.
    let whole = (frag_hi & 0x3f) | frag_lo == 0;
    if vihl != 0x45 || !whole || !has_ports(number) {
        return None;
    }
    Some(plain(
        from_v4(source.to_ne_bytes()),
        from_v4(address.to_ne_bytes()),
        number,
        ports,
        20,
    ))
}

/// An IPv6 header with ports right behind it.
#[inline(always)]
fn plain_v6([first, second, s0, s1, s2, s3, d0, d1, d2, d3, ports]: [u32; 11]) -> Option<Header> {
    let [version, ..] = first.to_ne_bytes();
    let [_, _, number, _] = second.to_ne_bytes();
    if version >> 4 != 6 || !has_ports(number) {
        return None;
    }
    Some(plain(
        from_words([s0, s1, s2, s3]),
        from_words([d0, d1, d2, d3]),
        number,
        ports,
        40,
    ))
}

#[inline(always)]
fn plain(source: Address, address: Address, number: u8, ports: u32, upper: u32) -> Header {
    let [sh, sl, dh, dl] = ports.to_ne_bytes();
    Header {
        target: Target {
            address,
            port: u16::from_be_bytes([dh, dl]),
            protocol: number,
        },
        source,
        source_port: u16::from_be_bytes([sh, sl]),
        fragment: Fragment::Whole,
        upper,
    }
}

#[inline(always)]
fn from_words([a, b, c, d]: [u32; 4]) -> Address {
    let [a0, a1, a2, a3] = a.to_ne_bytes();
    let [b0, b1, b2, b3] = b.to_ne_bytes();
    let [c0, c1, c2, c3] = c.to_ne_bytes();
    let [d0, d1, d2, d3] = d.to_ne_bytes();
    [
        a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3,
    ]
}

#[inline(always)]
const fn has_ports(number: u8) -> bool {
    matches!(
        number,
        protocol::TCP | protocol::UDP | protocol::UDP_LITE | protocol::SCTP | protocol::DCCP
    )
}

#[inline(always)]
fn read_v4<M: Maps, P: Packet>(maps: &M, packet: &P, into: &mut Header) -> Option<Cause> {
    let Some(header) = packet.load::<20>(0) else {
        return Some(Cause::Malformed);
    };
    let [
        vihl,
        _,
        _,
        _,
        id_hi,
        id_lo,
        frag_hi,
        frag_lo,
        _,
        number,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = header;
    let upper = u32::from(vihl & 0x0f) * 4;
    // A raw socket writes its own header: what the stack thinks it sends and what the header says may differ.
    if vihl >> 4 != 4 || upper < 20 {
        return Some(Cause::Malformed);
    }
    into.target.address = from_v4([d0, d1, d2, d3]);
    into.source = from_v4([s0, s1, s2, s3]);
    let id = u32::from(u16::from_be_bytes([id_hi, id_lo]));
    let frag = u16::from_be_bytes([frag_hi, frag_lo]);
    into.fragment = fragment(frag & 0x1fff, frag & 0x2000 != 0, id);
    if upper > 20 && !maps.fault(Fault::SourceRouteFree) {
        let refused = walk_options(packet, vihl);
        if refused.is_some() {
            return refused;
        }
    }
    read_upper(packet, number, upper, into)
}

/// Denies source routes, and options that cannot be read. Not inlined, and with a length of its own reckoning: else
/// the verifier walks everything that follows once for each number of options.
#[inline(never)]
fn walk_options<P: Packet>(packet: &P, vihl: u8) -> Option<Cause> {
    let end = u32::from(vihl & 0x0f) * 4;
    let mut at = 20;
    for _ in 0..MAX_OPTIONS {
        if at >= end {
            return None;
        }
        let Some([kind]) = packet.load::<1>(at) else {
            return Some(Cause::Malformed);
        };
        match kind {
            0 => return None,
            1 => at += 1,
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => return Some(Cause::SourceRoute),
            _ => {
                let Some([length]) = packet.load::<1>(at + 1) else {
                    return Some(Cause::Malformed);
                };
                if length < 2 {
                    return Some(Cause::Malformed);
                }
                at += u32::from(length);
            }
        }
    }
    if at >= end {
        None
    } else {
        Some(Cause::Malformed)
    }
}

#[inline(always)]
fn read_v6<M: Maps, P: Packet>(maps: &M, packet: &P, into: &mut Header) -> Option<Cause> {
    let Some([first]) = packet.load::<1>(0) else {
        return Some(Cause::Malformed);
    };
    let Some([mut number]) = packet.load::<1>(6) else {
        return Some(Cause::Malformed);
    };
    let Some(source) = packet.load::<16>(8) else {
        return Some(Cause::Malformed);
    };
    into.source = source;
    let Some(address) = packet.load::<16>(24) else {
        return Some(Cause::Malformed);
    };
    into.target.address = address;
    if first >> 4 != 6 {
        return Some(Cause::Malformed);
    }
    into.fragment = Fragment::Whole;
    let mut at = 40u32;
    for _ in 0..MAX_EXTENSIONS {
        match number {
            protocol::ROUTING if !maps.fault(Fault::SourceRouteFree) => {
                return Some(Cause::SourceRoute);
            }
            protocol::HOP_BY_HOP
            | protocol::DESTINATION_OPTIONS
            | protocol::ROUTING
            | protocol::AUTHENTICATION => {
                let Some([next, length]) = packet.load::<2>(at) else {
                    return Some(Cause::Malformed);
                };
                at += extension_length(number, length);
                number = next;
            }
            protocol::FRAGMENT => {
                let Some([next, _, hi, lo, a, b, c, d]) = packet.load::<8>(at) else {
                    return Some(Cause::Malformed);
                };
                let word = u16::from_be_bytes([hi, lo]);
                number = next;
                at += 8;
                into.fragment =
                    fragment(word >> 3, word & 1 != 0, u32::from_be_bytes([a, b, c, d]));
                if matches!(into.fragment, Fragment::Later(_)) {
                    return read_upper(packet, number, at, into);
                }
            }
            _ => return read_upper(packet, number, at, into),
        }
    }
    Some(Cause::Malformed)
}

/// Bytes of an extension header, from its length field: in eights without the first (RFC 8200), the authentication
/// header in fours without the first two (RFC 4302).
#[inline(always)]
fn extension_length(number: u8, field: u8) -> u32 {
    if number == protocol::AUTHENTICATION {
        (u32::from(field) + 2) * 4
    } else {
        (u32::from(field) + 1) * 8
    }
}

#[inline(always)]
const fn fragment(offset: u16, more: bool, id: u32) -> Fragment {
    if offset != 0 {
        Fragment::Later(id)
    } else if more {
        Fragment::First(id)
    } else {
        Fragment::Whole
    }
}

/// Adds the protocol and, where there are any, the ports.
#[inline(always)]
fn read_upper<P: Packet>(packet: &P, number: u8, upper: u32, into: &mut Header) -> Option<Cause> {
    into.target.protocol = number;
    into.target.port = 0;
    into.source_port = 0;
    into.upper = upper;
    if matches!(into.fragment, Fragment::Later(_)) {
        return None;
    }
    if has_ports(number) {
        let Some([sh, sl, dh, dl]) = packet.load::<4>(upper) else {
            return Some(Cause::Malformed);
        };
        into.source_port = u16::from_be_bytes([sh, sl]);
        into.target.port = u16::from_be_bytes([dh, dl]);
    } else if number == protocol::ICMP || number == protocol::ICMPV6 {
        let Some([kind, code]) = packet.load::<2>(upper) else {
            return Some(Cause::Malformed);
        };
        into.target.port = u16::from_be_bytes([kind, code]);
    }
    None
}
