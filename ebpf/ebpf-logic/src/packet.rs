//! Headers, as far as a verdict needs them.

use ebpf_abi::Cause;
use ebpf_abi::address::{Address, from_v4};

use crate::rule::Target;
use crate::seams::{Fault, Maps, Packet};

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
/// Option bytes an IPv4 header can hold.
const MAX_OPTIONS: u32 = 40;
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

/// Reads a packet from its IP header on, or says why it must not leave.
#[inline(always)]
pub fn parse<M: Maps, P: Packet>(maps: &M, packet: &P) -> Result<Header, Cause> {
    let [first] = packet.load::<1>(0).ok_or(Cause::Malformed)?;
    // A raw socket writes its own header: what the stack thinks it sends and what the header says may differ.
    if first >> 4 != packet.version() {
        return Err(Cause::Malformed);
    }
    match first >> 4 {
        4 => parse_v4(maps, packet),
        6 => parse_v6(maps, packet),
        _ => Err(Cause::Malformed),
    }
}

#[inline(always)]
fn parse_v4<M: Maps, P: Packet>(maps: &M, packet: &P) -> Result<Header, Cause> {
    let header = packet.load::<20>(0).ok_or(Cause::Malformed)?;
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
    if upper < 20 {
        return Err(Cause::Malformed);
    }
    if upper > 20 && !maps.fault(Fault::SourceRouteFree) {
        walk_options(packet, upper)?;
    }
    let id = u32::from(u16::from_be_bytes([id_hi, id_lo]));
    let frag = u16::from_be_bytes([frag_hi, frag_lo]);
    let fragment = fragment(frag & 0x1fff, frag & 0x2000 != 0, id);
    finish(
        packet,
        from_v4([d0, d1, d2, d3]),
        from_v4([s0, s1, s2, s3]),
        number,
        fragment,
        upper,
    )
}

/// Denies source routes, and options that cannot be read.
#[inline(always)]
fn walk_options<P: Packet>(packet: &P, end: u32) -> Result<(), Cause> {
    let mut at = 20;
    for _ in 0..MAX_OPTIONS {
        if at >= end {
            return Ok(());
        }
        let [kind] = packet.load::<1>(at).ok_or(Cause::Malformed)?;
        match kind {
            0 => return Ok(()),
            1 => at += 1,
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => return Err(Cause::SourceRoute),
            _ => {
                let [length] = packet.load::<1>(at + 1).ok_or(Cause::Malformed)?;
                if length < 2 {
                    return Err(Cause::Malformed);
                }
                at += u32::from(length);
            }
        }
    }
    if at >= end {
        Ok(())
    } else {
        Err(Cause::Malformed)
    }
}

#[inline(always)]
fn parse_v6<M: Maps, P: Packet>(maps: &M, packet: &P) -> Result<Header, Cause> {
    let [mut number] = packet.load::<1>(6).ok_or(Cause::Malformed)?;
    let source = packet.load::<16>(8).ok_or(Cause::Malformed)?;
    let target = packet.load::<16>(24).ok_or(Cause::Malformed)?;
    let mut at = 40u32;
    let mut part = Fragment::Whole;
    for _ in 0..MAX_EXTENSIONS {
        match number {
            protocol::HOP_BY_HOP | protocol::DESTINATION_OPTIONS => {
                let [next, length] = packet.load::<2>(at).ok_or(Cause::Malformed)?;
                number = next;
                at += (u32::from(length) + 1) * 8;
            }
            protocol::AUTHENTICATION => {
                let [next, length] = packet.load::<2>(at).ok_or(Cause::Malformed)?;
                number = next;
                at += (u32::from(length) + 2) * 4;
            }
            protocol::ROUTING if maps.fault(Fault::SourceRouteFree) => {
                let [next, length] = packet.load::<2>(at).ok_or(Cause::Malformed)?;
                number = next;
                at += (u32::from(length) + 1) * 8;
            }
            protocol::ROUTING => return Err(Cause::SourceRoute),
            protocol::FRAGMENT => {
                let [next, _, hi, lo, a, b, c, d] = packet.load::<8>(at).ok_or(Cause::Malformed)?;
                let word = u16::from_be_bytes([hi, lo]);
                number = next;
                at += 8;
                part = fragment(word >> 3, word & 1 != 0, u32::from_be_bytes([a, b, c, d]));
                if let Fragment::Later(_) = part {
                    return finish(packet, target, source, number, part, at);
                }
            }
            _ => return finish(packet, target, source, number, part, at),
        }
    }
    Err(Cause::Malformed)
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

/// Adds the ports.
#[inline(always)]
fn finish<P: Packet>(
    packet: &P,
    address: Address,
    source: Address,
    number: u8,
    fragment: Fragment,
    upper: u32,
) -> Result<Header, Cause> {
    let mut port = 0;
    let mut source_port = 0;
    if !matches!(fragment, Fragment::Later(_)) {
        match number {
            protocol::TCP
            | protocol::UDP
            | protocol::UDP_LITE
            | protocol::SCTP
            | protocol::DCCP => {
                let [sh, sl, dh, dl] = packet.load::<4>(upper).ok_or(Cause::Malformed)?;
                source_port = u16::from_be_bytes([sh, sl]);
                port = u16::from_be_bytes([dh, dl]);
            }
            protocol::ICMP | protocol::ICMPV6 => {
                let [kind, code] = packet.load::<2>(upper).ok_or(Cause::Malformed)?;
                port = u16::from_be_bytes([kind, code]);
            }
            _ => {}
        }
    }
    Ok(Header {
        target: Target {
            address,
            port,
            protocol: number,
        },
        source,
        source_port,
        fragment,
        upper,
    })
}
