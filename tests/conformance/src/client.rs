//! A held client: it enters a cgroup, starts the flows it is told to, and says what came of each.
//!
//! `conformance-client CGROUP.PROCS`; requests come line by line on standard input, and the line that ends a batch starts
//! all its flows at once:
//!
//! | line | does |
//! |---|---|
//! | `tcp IP PORT` | connects |
//! | `udp IP PORT` | sends a datagram from an unconnected socket |
//! | `raw PROTOCOL IP PORT` | sends a packet from a raw socket; ICMP has `type << 8 \| code` as its port |
//! | `open IP PORT` | connects and keeps the connection |
//! | `go MILLISECONDS` | starts what came before, and waits for signs at most so long |
//! | `say` | writes to every connection that is kept |
//! | `close` | closes them |
//! | `step …` | a step of `gateway_playground::probe`, and what it saw as JSON |
//!
//! An IPv4-mapped address is used as it is, from a socket of IPv6. For each flow of a batch one line is written:
//!
//! | line | means |
//! |---|---|
//! | `eperm` | the system call failed with EPERM |
//! | `refused` | it arrived, and nobody was there |
//! | `answered` | it arrived, and somebody was there |
//! | `silent` | it was lost, or nothing came back in time |
//! | `error …` | something else |
#![forbid(unsafe_code)]

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gateway_playground::probe;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

/// A flow that was asked for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    how: How,
    ip: IpAddr,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Tcp { keep: bool },
    Udp,
    Raw(u8),
}

/// A flow under way.
struct Begun {
    how: How,
    socket: Option<Socket>,
    /// What a raw packet is known by.
    mark: [u8; 8],
    outcome: Option<String>,
}

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "conformance-client: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    if let Some(processes) = std::env::args_os().nth(1) {
        std::fs::write(processes, "0")?;
    }
    let mut wanted = Vec::new();
    let mut kept = Vec::new();
    let mut number = 0;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["go", patience] => {
                let patience = Duration::from_millis(read(patience)?);
                let lines = start_all(&wanted, &mut number, patience, &mut kept);
                wanted.clear();
                answer(&lines)?;
            }
            ["say"] => {
                let say = |mut socket: &Socket| match socket.write(b"!") {
                    Ok(_) => "said".to_owned(),
                    Err(error) => named(&error),
                };
                answer(&kept.iter().map(say).collect::<Vec<_>>())?;
            }
            ["close"] => kept.clear(),
            ["step", step @ ..] => {
                let sights = probe::take_all(&[step.join(" ")]);
                let lines = sights.iter().map(serde_json::to_string);
                answer(&lines.collect::<Result<Vec<_>, _>>()?)?;
            }
            ["tcp", ip, port] => wanted.push(flow(How::Tcp { keep: false }, ip, port)?),
            ["open", ip, port] => wanted.push(flow(How::Tcp { keep: true }, ip, port)?),
            ["udp", ip, port] => wanted.push(flow(How::Udp, ip, port)?),
            ["raw", protocol, ip, port] => wanted.push(flow(How::Raw(read(protocol)?), ip, port)?),
            _ => return Err(io::Error::other(format!("what is `{line}`?"))),
        }
    }
    Ok(())
}

fn flow(how: How, ip: &str, port: &str) -> io::Result<Wanted> {
    Ok(Wanted {
        how,
        ip: read(ip)?,
        port: read(port)?,
    })
}

fn read<T: std::str::FromStr>(word: &str) -> io::Result<T> {
    word.parse()
        .map_err(|_unread| io::Error::other(format!("what is `{word}`?")))
}

fn answer(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

fn start_all(
    wanted: &[Wanted],
    number: &mut u64,
    patience: Duration,
    kept: &mut Vec<Socket>,
) -> Vec<String> {
    let mut flows: Vec<Begun> = Vec::new();
    for wanted in wanted {
        *number += 1;
        flows.push(Begun::start(wanted, *number));
    }
    let until = Instant::now() + patience;
    while flows.iter().any(|flow| flow.outcome.is_none()) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || !wait(&mut flows, left) {
            break;
        }
    }
    let mut lines = Vec::new();
    for flow in flows {
        let outcome = flow.outcome.unwrap_or_else(|| "silent".to_owned());
        if let (How::Tcp { keep: true }, "answered", Some(socket)) =
            (flow.how, outcome.as_str(), flow.socket)
        {
            kept.push(socket);
        }
        lines.push(outcome);
    }
    lines
}

/// Waits for a sign of anything that is still open; false when none came.
fn wait(flows: &mut [Begun], left: Duration) -> bool {
    let mut open: Vec<&mut Begun> = flows
        .iter_mut()
        .filter(|flow| flow.outcome.is_none())
        .collect();
    let ready: Vec<PollFlags> = {
        let sockets = open.iter().filter_map(|flow| {
            let events = match flow.how {
                How::Tcp { .. } => PollFlags::POLLOUT,
                How::Udp | How::Raw(_) => PollFlags::POLLIN,
            };
            Some(PollFd::new(flow.socket.as_ref()?.as_fd(), events))
        });
        let mut polled: Vec<PollFd<'_>> = sockets.collect();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
        let events = polled.iter().map(|fd| fd.revents());
        events
            .map(|events| events.unwrap_or(PollFlags::empty()))
            .collect()
    };
    for (flow, events) in open.iter_mut().zip(ready) {
        if !events.is_empty() {
            flow.look(events);
        }
    }
    true
}

impl Begun {
    fn start(wanted: &Wanted, number: u64) -> Self {
        // Scattered, so that no two are alike in parts.
        let mark = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let (socket, outcome) = match begin(wanted, mark) {
            Ok(socket) => (Some(socket), None),
            Err(error) => (None, Some(named(&error))),
        };
        Self {
            how: wanted.how,
            socket,
            mark,
            outcome,
        }
    }

    fn look(&mut self, events: PollFlags) {
        let Some(mut socket) = self.socket.as_ref() else {
            return;
        };
        match self.how {
            How::Tcp { .. } => {
                self.outcome = Some(match socket.take_error() {
                    Ok(None) => "answered".to_owned(),
                    Ok(Some(error)) | Err(error) => named(&error),
                });
            }
            How::Udp if events.contains(PollFlags::POLLERR) => {
                // With IP_RECVERR: the port is closed, so the datagram was there.
                self.outcome = Some("refused".to_owned());
            }
            How::Udp => self.outcome = Some("answered".to_owned()),
            How::Raw(_) => {
                // It was sent to this very machine, whose raw sockets get what comes for their protocol.
                let mut packet = [0; 2048];
                while let Ok(length) = socket.read(&mut packet) {
                    let found = packet[..length]
                        .windows(self.mark.len())
                        .any(|bytes| bytes == self.mark);
                    if found {
                        self.outcome = Some("refused".to_owned());
                        return;
                    }
                }
            }
        }
    }
}

fn begin(wanted: &Wanted, mark: [u8; 8]) -> io::Result<Socket> {
    let Wanted { how, ip, port } = *wanted;
    let family = |ip: IpAddr| {
        if ip.is_ipv4() {
            Domain::IPV4
        } else {
            Domain::IPV6
        }
    };
    let to = SocketAddr::new(ip, port);
    match how {
        How::Tcp { .. } => {
            let socket = Socket::new(family(ip), Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            match socket.connect(&to.into()) {
                Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
                Ok(()) | Err(_) => Ok(socket),
            }
        }
        How::Udp => {
            let socket = Socket::new(family(ip), Type::DGRAM, None)?;
            socket.set_nonblocking(true)?;
            if ip.is_ipv6() {
                setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
            }
            // Also where an IPv6 socket sends to a mapped address.
            if ip.to_canonical().is_ipv4() {
                setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
            }
            socket.send_to(&mark, &to.into())?;
            Ok(socket)
        }
        How::Raw(number) => {
            let ip = ip.to_canonical();
            let protocol = Protocol::from(i32::from(number));
            let socket = Socket::new(family(ip), Type::RAW, Some(protocol))?;
            socket.set_nonblocking(true)?;
            let port = port.to_be_bytes();
            let header: &[u8] = match number {
                ICMP => &[port[0], port[1], 0, 0],
                // The kernel writes the checksum.
                ICMPV6 => &[port[0], port[1], 0, 0],
                SCTP => &[0xc0, 0, port[0], port[1], 0, 0, 0, 0, 0, 0, 0, 0],
                _ => &[],
            };
            let packet = [header, &mark].concat();
            socket.send_to(&packet, &raw_address(ip))?;
            Ok(socket)
        }
    }
}

/// Raw sockets have no ports; IPv6 ones refuse any.
fn raw_address(ip: IpAddr) -> SockAddr {
    match ip {
        IpAddr::V4(ip) => SocketAddr::from((ip, 0)).into(),
        IpAddr::V6(ip) => SocketAddr::from((ip, 0)).into(),
    }
}

fn named(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM) => "eperm".to_owned(),
        Some(Errno::ECONNREFUSED) => "refused".to_owned(),
        // Lost on the way out. Only who asks for errors (IP_RECVERR), and raw sockets of IPv6, are told.
        Some(Errno::ENOBUFS) => "silent".to_owned(),
        Some(errno) => format!("error {errno:?}"),
        None => format!("error {error}"),
    }
}
