//! What came over the cable, whoever sent it and whatever was listening.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};

use crate::log::Log;

/// LIMIT: packets kept; a capture that lost some can prove nothing, and says so.
const PACKETS: usize = 200_000;
/// Room for a burst while the reader is not running, in bytes.
const QUEUE: usize = 32 * 1024 * 1024;
const ETHERNET: usize = 14;

/// A packet as it arrived in the world.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packet {
    /// Where it says it comes from.
    pub source: IpAddr,
    /// Where it was sent.
    pub destination: IpAddr,
    /// IANA protocol number: 6 TCP, 17 UDP, 1 and 58 ICMP.
    pub protocol: u8,
    /// Source port of TCP and UDP, else 0.
    pub source_port: u16,
    /// Destination port of TCP and UDP, else 0; of ICMP type and code.
    pub destination_port: u16,
    /// Offset of a later fragment, in bytes; 0 for a whole packet or a first fragment.
    pub fragment_offset: u16,
    /// The first bytes behind the ports (UDP: the payload), at most 64.
    pub head: Vec<u8>,
}

/// The capture lost packets: nothing follows from what it does not show.
#[derive(Debug, thiserror::Error)]
#[error("the capture overflowed: more than {PACKETS} packets")]
pub struct Truncated;

/// A running capture: a thread that reads until this is dropped.
#[derive(Debug)]
pub(crate) struct Capture {
    packets: Log<Packet>,
    overflowed: Arc<AtomicBool>,
    stop: Arc<EventFd>,
    reader: Option<JoinHandle<()>>,
}

/// A socket that sees every frame of the calling thread's namespace.
pub(crate) fn open() -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let tap = socket(
        AddressFamily::Packet,
        SockType::Raw,
        flags,
        SockProtocol::EthAll,
    )?;
    setsockopt(&tap, sockopt::RcvBufForce, &QUEUE)?;
    Ok(tap)
}

impl Capture {
    /// Writes down what others send: frames whose source is neither `own` nor the loopback link's
    /// (all zero).
    pub(crate) fn start(tap: OwnedFd, own: [u8; 6]) -> io::Result<Self> {
        let packets = Log::default();
        let overflowed = Arc::new(AtomicBool::new(false));
        let stop = Arc::new(EventFd::new()?);
        let reader = thread::Builder::new().name("playground-capture".to_owned());
        let reader = reader.spawn({
            let (packets, overflowed) = (packets.clone(), Arc::clone(&overflowed));
            let stop = Arc::clone(&stop);
            // A tap that fails is one that overflowed: what follows is missing.
            move || {
                if read_until(&stop, &tap, own, &packets, &overflowed).is_err() {
                    overflowed.store(true, Ordering::Release);
                }
            }
        })?;
        Ok(Self {
            packets,
            overflowed,
            stop,
            reader: Some(reader),
        })
    }

    /// Everything up to the packet whose payload is `marker`, which is on its way.
    pub(crate) fn up_to(
        &self,
        marker: &[u8],
        patience: Duration,
    ) -> Result<Vec<Packet>, Truncated> {
        self.packets
            .wait_for(0, patience, |packet| packet.head == marker)
            .ok_or(Truncated)?;
        if self.overflowed.load(Ordering::Acquire) {
            return Err(Truncated);
        }
        Ok(self.packets.entries())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Where the reader cannot be told, it is left to the end of the process.
        if self.stop.write(1).is_ok()
            && let Some(reader) = self.reader.take()
        {
            drop(reader.join());
        }
    }
}

fn read_until(
    stop: &EventFd,
    tap: &OwnedFd,
    own: [u8; 6],
    packets: &Log<Packet>,
    overflowed: &AtomicBool,
) -> Result<(), Errno> {
    let mut frame = vec![0; 128 * 1024];
    loop {
        let mut waiting = [
            PollFd::new(tap.as_fd(), PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        if waiting[1].any() == Some(true) {
            return Ok(());
        }
        let length = match recv(tap.as_raw_fd(), &mut frame, MsgFlags::empty()) {
            Ok(length) => length.min(frame.len()),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => continue,
            Err(error) => return Err(error),
        };
        let frame = &frame[..length];
        if frame
            .get(6..12)
            .is_none_or(|from| from == own || from == [0; 6])
        {
            continue;
        }
        if let Some(packet) = frame.get(ETHERNET..).and_then(Packet::read) {
            if packets.mark() < PACKETS {
                packets.push(packet);
            } else {
                overflowed.store(true, Ordering::Release);
            }
        }
    }
}

impl Packet {
    /// `None` for what is not IP.
    fn read(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::read4(bytes),
            6 => Self::read6(bytes),
            _ => None,
        }
    }

    fn read4(bytes: &[u8]) -> Option<Self> {
        let header = usize::from(bytes.first()? & 0xf) * 4;
        let address = |at: usize| -> Option<IpAddr> {
            let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(Ipv4Addr::from(octets).into())
        };
        let fragment = u16::from_be_bytes([*bytes.get(6)?, *bytes.get(7)?]) & 0x1fff;
        Some(Self::finish(
            address(12)?,
            address(16)?,
            *bytes.get(9)?,
            fragment * 8,
            bytes.get(header..)?,
        ))
    }

    fn read6(bytes: &[u8]) -> Option<Self> {
        let address = |at: usize| -> Option<IpAddr> {
            let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
            Some(Ipv6Addr::from(octets).into())
        };
        let (mut protocol, mut rest, mut fragment) = (*bytes.get(6)?, bytes.get(40..)?, 0);
        // Hop-by-hop, routing and destination options have a length; a fragment header has not.
        while matches!(protocol, 0 | 43 | 44 | 60) {
            let length = if protocol == 44 {
                fragment = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]) & !7;
                8
            } else {
                usize::from(*rest.get(1)?) * 8 + 8
            };
            protocol = *rest.first()?;
            rest = rest.get(length..)?;
        }
        Some(Self::finish(
            address(8)?,
            address(24)?,
            protocol,
            fragment,
            rest,
        ))
    }

    fn finish(
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        fragment_offset: u16,
        payload: &[u8],
    ) -> Self {
        let half = |at: usize| match payload.get(at..at + 2) {
            Some([high, low]) if fragment_offset == 0 => u16::from_be_bytes([*high, *low]),
            Some(_) | None => 0,
        };
        let (source_port, destination_port, start) = match protocol {
            6 | 132 => (half(0), half(2), 4),
            17 => (half(0), half(2), 8),
            1 | 58 => (0, half(0), 4),
            _ => (0, 0, 0),
        };
        let head = payload.get(start..).unwrap_or_default();
        Self {
            source,
            destination,
            protocol,
            source_port,
            destination_port,
            fragment_offset,
            head: head[..head.len().min(64)].to_vec(),
        }
    }
}
