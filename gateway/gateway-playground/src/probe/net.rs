//! What a step does with sockets.

use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use nix::errno::Errno;

use super::Sight;
use crate::dns::{Answered, AnsweredRecord, question};
use crate::zone::{type_name, type_number};

/// How long one connection, datagram or question may take: longer than any answer in a playground,
/// and short enough that an attempt that is dropped in silence does not hold up a tour.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// What went wrong, in one word where there is one.
#[derive(Debug)]
pub(super) enum NetError {
    Io(io::Error),
    Lookup(String),
    Rcode(u8),
    Timeout,
    NotDns,
    Usage,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => match error.raw_os_error() {
                Some(errno) => write!(f, "{:?}", Errno::from_raw(errno)),
                None => write!(f, "{error}"),
            },
            Self::Lookup(words) => f.write_str(words),
            Self::Rcode(rcode) => f.write_str(rcode_name(*rcode)),
            Self::Timeout => f.write_str("timeout"),
            Self::NotDns => f.write_str("the answer cannot be read"),
            Self::Usage => f.write_str("no such step"),
        }
    }
}

impl From<io::Error> for NetError {
    fn from(error: io::Error) -> Self {
        let late = [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock];
        if late.contains(&error.kind()) {
            Self::Timeout
        } else {
            Self::Io(error)
        }
    }
}

/// The addresses of a name, as the C library finds them; each once.
pub(super) fn lookup(name: &str) -> Result<Vec<IpAddr>, NetError> {
    let found = (name, 0).to_socket_addrs().map_err(|error| {
        let words = error.to_string();
        let words = words.rsplit(": ").next().unwrap_or_default();
        NetError::Lookup(words.to_owned())
    })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    Ok(addresses)
}

/// `NAME:PORT`, `IP:PORT` or `[IP]:PORT`.
pub(super) fn addresses(host: &str) -> Result<Vec<SocketAddr>, NetError> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let (name, port) = host.rsplit_once(':').ok_or(NetError::Usage)?;
    let port = port.parse().map_err(|_number| NetError::Usage)?;
    Ok(lookup(name)?
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect())
}

/// Asks a server, over UDP (again over TCP where the answer was truncated) or over TCP at once.
pub(super) fn ask(name: &str, kind: &str, how: &[&str], sight: &mut Sight) -> Result<(), NetError> {
    let kind = type_number(kind).ok_or(NetError::Usage)?;
    let message = question(message_id(), name, kind).ok_or(NetError::Usage)?;
    let mut over_tcp = false;
    let mut server = None;
    for word in how {
        match word.strip_prefix('@') {
            Some(ip) => server = ip.parse::<IpAddr>().ok(),
            None => over_tcp = *word == "tcp",
        }
    }
    let server = SocketAddr::new(server.or_else(nameserver).ok_or(NetError::Usage)?, 53);
    sight.peer = Some(server);
    let mut answer = if over_tcp {
        ask_tcp(server, &message)?
    } else {
        ask_udp(server, &message)?
    };
    if answer.truncated && !over_tcp {
        answer = ask_tcp(server, &message)?;
    }
    sight.extended = answer
        .extended
        .iter()
        .map(|(code, text)| format!("{code} {text}"))
        .collect();
    for record in &answer.records {
        sight.records.push(line(record));
        sight.addresses.extend(address(record));
    }
    sight.text = Some(rcode_name(answer.rcode).to_owned());
    if answer.rcode == 0 {
        Ok(())
    } else {
        Err(NetError::Rcode(answer.rcode))
    }
}

/// GET; the body.
pub(super) fn get(stream: &mut TcpStream, host: &str, path: &str) -> Result<String, NetError> {
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut block = [0; 4096];
    loop {
        let count = stream.read(&mut block)?;
        answer.extend_from_slice(&block[..count]);
        let text = String::from_utf8_lossy(&answer);
        // The playground's pages are one line.
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && (body.ends_with('\n') || count == 0)
        {
            return Ok(body.trim_end().to_owned());
        }
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// GET of many bytes; how many came.
pub(super) fn pull(stream: &mut TcpStream, host: &str, bytes: &str) -> Result<u64, NetError> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let wanted: u64 = bytes.parse().map_err(|_number| NetError::Usage)?;
    let request = format!("GET /bytes/{wanted} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut block = vec![0; 256 * 1024];
    let mut count = 0;
    // The head is a hundred bytes among millions.
    while count < wanted {
        let read = stream.read(&mut block)?;
        if read == 0 {
            break;
        }
        count += read as u64;
    }
    Ok(count)
}

/// Says something to an echo server, and reads as much back.
pub(super) fn echo(stream: &mut TcpStream, text: &str) -> Result<String, NetError> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(text.as_bytes())?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back)?;
    Ok(String::from_utf8_lossy(&back).into_owned())
}

/// A datagram and its echo.
pub(super) fn datagram(to: SocketAddr, text: &str, connected: bool) -> Result<String, NetError> {
    let socket = bind_any(to)?;
    if connected {
        socket.connect(to)?;
        socket.send(text.as_bytes())?;
    } else {
        socket.send_to(text.as_bytes(), to)?;
    }
    let mut back = [0; 2048];
    let (count, from) = socket.recv_from(&mut back)?;
    let back = String::from_utf8_lossy(&back[..count]).into_owned();
    if from == to {
        Ok(back)
    } else {
        Err(NetError::Lookup(format!("an answer from {from}")))
    }
}

fn ask_udp(server: SocketAddr, message: &[u8]) -> Result<Answered, NetError> {
    let socket = bind_any(server)?;
    socket.send_to(message, server)?;
    let mut back = [0; 4096];
    loop {
        let (count, from) = socket.recv_from(&mut back)?;
        // What comes from elsewhere is nobody's answer, as every resolver library has it.
        if from == server {
            return read(message, &back[..count]);
        }
    }
}

fn ask_tcp(server: SocketAddr, message: &[u8]) -> Result<Answered, NetError> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = u16::try_from(message.len()).map_err(|_long| NetError::Usage)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut back = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut back)?;
    read(message, &back)
}

fn read(sent: &[u8], back: &[u8]) -> Result<Answered, NetError> {
    let answered = Answered::read(back).ok_or(NetError::NotDns)?;
    let asked = Answered::read(sent).ok_or(NetError::Usage)?;
    if asked.id == answered.id && asked.question.eq_ignore_ascii_case(&answered.question) {
        Ok(answered)
    } else {
        Err(NetError::NotDns)
    }
}

fn bind_any(to: SocketAddr) -> Result<UdpSocket, NetError> {
    let socket = if to.is_ipv4() {
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?
    } else {
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?
    };
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Any number will do here: who could guess it is the playground's own resolver.
fn message_id() -> u16 {
    let [low, high, ..] = std::process::id().to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// The first server of `/etc/resolv.conf`.
fn nameserver() -> Option<IpAddr> {
    let text = fs::read_to_string("/etc/resolv.conf").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("nameserver ")?.trim().parse().ok())
}

fn address(record: &AnsweredRecord) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(record.data.as_slice())
        && record.kind == 1
    {
        return Some(octets.into());
    }
    let octets = <[u8; 16]>::try_from(record.data.as_slice()).ok()?;
    (record.kind == 28).then(|| octets.into())
}

fn line(record: &AnsweredRecord) -> String {
    let data = match (&record.target, address(record)) {
        (Some(target), _) => target.clone(),
        (None, Some(ip)) => ip.to_string(),
        (None, None) => record.data.iter().map(|b| format!("{b:02x}")).collect(),
    };
    let kind = type_name(record.kind);
    format!("{} {} {kind} {data}", record.owner, record.ttl)
}

fn rcode_name(rcode: u8) -> &'static str {
    match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        _ => "another response code",
    }
}
