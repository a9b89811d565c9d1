//! Packets from their IP header on, as a socket of the workload would send them.

use std::net::IpAddr;

use policy_engine::Flow;
use policy_model::Protocol;

/// What is odd about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    None,
    /// A loose source route (IPv4) or a routing header (IPv6).
    SourceRoute,
    /// A part that is not the first.
    LaterFragment,
}

/// The first packet of a flow.
pub(crate) fn first_packet(flow: &Flow, oddity: Oddity) -> Vec<u8> {
    match flow.ip.to_canonical() {
        IpAddr::V4(ip) => v4(ip.octets(), flow, oddity),
        IpAddr::V6(ip) => v6(ip.octets(), flow, oddity),
    }
}

fn v4(target: [u8; 4], flow: &Flow, oddity: Oddity) -> Vec<u8> {
    let options: &[u8] = match oddity {
        Oddity::SourceRoute => &[131, 7, 4, 192, 0, 2, 99, 0],
        Oddity::None | Oddity::LaterFragment => &[],
    };
    let words = 5 + u8::try_from(options.len() / 4).unwrap();
    let fragment: [u8; 2] = match oddity {
        Oddity::LaterFragment => [0, 185],
        Oddity::None | Oddity::SourceRoute => [0, 0],
    };
    let upper = upper(flow);
    let length = u16::try_from(usize::from(words) * 4 + upper.len()).unwrap();
    let mut packet = vec![0x40 | words, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 7]);
    packet.extend(fragment);
    packet.extend([64, flow.protocol.0, 0, 0]);
    packet.extend([198, 18, 77, 2]);
    packet.extend(target);
    packet.extend(options);
    packet.extend(upper);
    packet
}

fn v6(target: [u8; 16], flow: &Flow, oddity: Oddity) -> Vec<u8> {
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    let number = flow.protocol.0;
    let (next, extension): (u8, Vec<u8>) = match oddity {
        Oddity::None => (number, Vec::new()),
        Oddity::SourceRoute => {
            let mut header = vec![number, 2, 0, 1, 0, 0, 0, 0];
            header.extend(target);
            (ROUTING, header)
        }
        Oddity::LaterFragment => (FRAGMENT, vec![number, 0, 5, 0xc8, 0, 0, 0, 7]),
    };
    let upper = upper(flow);
    let length = u16::try_from(extension.len() + upper.len()).unwrap();
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([
        0x20, 0x01, 0x0d, 0xb8, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
    ]);
    packet.extend(target);
    packet.extend(extension);
    packet.extend(upper);
    packet
}

/// The upper layer's header, as much of it as is looked at.
fn upper(flow: &Flow) -> Vec<u8> {
    const SYN: u8 = 2;
    let port = flow.port.to_be_bytes();
    match flow.protocol {
        Protocol::ICMP | Protocol::ICMPV6 => [port.as_slice(), &[0; 6]].concat(),
        Protocol::TCP => {
            let mut header = [[0xc0, 0].as_slice(), &port, &[0; 16]].concat();
            header[12] = 5 << 4;
            header[13] = SYN;
            header
        }
        _ => [[0xc0, 0].as_slice(), &port, &[0; 8]].concat(),
    }
}
