use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Patience with something that should come; far above what is ever needed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stub resolver of the test's own, on a connected UDP socket: it hears only the address it asked.
pub(crate) struct Client {
    server: SocketAddr,
    socket: UdpSocket,
}

impl Client {
    pub(crate) async fn new(server: SocketAddr) -> Self {
        let local: SocketAddr = if server.is_ipv4() {
            ([127, 0, 0, 1], 0).into()
        } else {
            "[::1]:0".parse().expect("an address")
        };
        let socket = UdpSocket::bind(local).await.expect("a port");
        socket.connect(server).await.expect("connected");
        Self { server, socket }
    }

    /// Asks for the A records of `name` over UDP.
    pub(crate) async fn ask(&self, name: &str) -> Message {
        self.exchange(&query(name, |_| {})).await
    }

    pub(crate) async fn exchange(&self, message: &[u8]) -> Message {
        Message::from_vec(&self.exchange_octets(message).await).expect("a message")
    }

    pub(crate) async fn exchange_octets(&self, message: &[u8]) -> Vec<u8> {
        self.send(message).await;
        self.receive().await
    }

    pub(crate) async fn send(&self, message: &[u8]) {
        self.socket.send(message).await.expect("sent");
    }

    pub(crate) async fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65_535];
        let length = timeout(PATIENCE, self.socket.recv(&mut buffer))
            .await
            .expect("a reply in time")
            .expect("received");
        buffer.truncate(length);
        buffer
    }

    /// Whether something has arrived already; does not wait.
    pub(crate) fn has_reply(&self) -> bool {
        self.socket.try_recv(&mut [0; 16]).is_ok()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server).await.expect("connected")
    }

    pub(crate) async fn ask_tcp(&self, name: &str) -> Message {
        let mut stream = self.connect().await;
        write_frame(&mut stream, &query(name, |_| {})).await;
        read_frame(&mut stream).await.expect("a reply")
    }
}

/// A query for the A records of `name`, as `change` makes it; its id is 4242.
pub(crate) fn query(name: &str, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new(4242, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(
        Name::from_ascii(name).expect("a name"),
        RecordType::A,
    ));
    change(&mut message);
    message.to_vec().expect("encodes")
}

pub(crate) fn with_edns(message: &mut Message, size: u16, dnssec_ok: bool) {
    let mut edns = Edns::new();
    edns.set_max_payload(size).set_dnssec_ok(dnssec_ok);
    message.set_edns(edns);
}

pub(crate) async fn write_frame(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).expect("fits a frame");
    stream
        .write_all(&[&length.to_be_bytes()[..], message].concat())
        .await
        .expect("written");
}

/// The next message of a TCP connection; nothing when the server closed it.
pub(crate) async fn read_frame(stream: &mut TcpStream) -> Option<Message> {
    let read = async {
        let length = stream.read_u16().await.ok()?;
        let mut octets = vec![0; length.into()];
        stream.read_exact(&mut octets).await.ok()?;
        Message::from_vec(&octets).ok()
    };
    timeout(PATIENCE, read).await.expect("something in time")
}

/// `RCODE owner/data…`: what a reply says, on one line. In lower case: names compressed to the question share its case.
pub(crate) fn show(message: &Message) -> String {
    let mut words = vec![message.metadata.response_code.to_str().to_owned()];
    if message.metadata.truncation {
        words.push("(truncated)".to_owned());
    }
    for record in &message.answers {
        let data = if let RData::A(a) = &record.data {
            a.to_string()
        } else if let RData::CNAME(target) = &record.data {
            target.0.to_lowercase().to_ascii()
        } else {
            record.record_type().to_string()
        };
        words.push(format!("{}/{data}", record.name.to_lowercase().to_ascii()));
    }
    words.join(" ")
}

/// The extended error of a reply, code and text.
pub(crate) fn extended_error(message: &Message) -> Option<(u16, String)> {
    use hickory_resolver::proto::rr::rdata::opt::EdnsOption;
    let EdnsOption::Unknown(15, octets) = message.edns.as_ref()?.option(15.into())? else {
        return None;
    };
    let (code, text) = octets.split_first_chunk()?;
    Some((
        u16::from_be_bytes(*code),
        String::from_utf8(text.to_vec()).ok()?,
    ))
}
