use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dns_names::Transport;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NULL, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

/// A question that arrived at the scripted server.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) message: Message,
    pub(crate) transport: Transport,
}

/// The messages to send back, in order; none is silence, an empty one closes a TCP connection.
type Script = Arc<dyn Fn(Asked) -> BoxFuture<'static, Vec<Vec<u8>>> + Send + Sync>;

/// A DNS server that does as it is told, on UDP and TCP of one loopback address.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    /// A server that answers by `script`.
    pub(crate) async fn scripted<F>(script: impl Fn(Asked) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<Vec<u8>>> + Send + 'static,
    {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Script = Arc::new(move |asked| script(asked).boxed());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(
            Arc::new(udp),
            Arc::clone(&script),
            Arc::clone(&asked),
        ));
        tasks.spawn(serve_tcp(tcp, script, Arc::clone(&asked)));
        Self {
            address,
            asked,
            _tasks: tasks,
        }
    }

    /// A server that answers every question with the same records.
    pub(crate) async fn with_records(lines: &'static [&'static str]) -> Self {
        Self::scripted(move |asked| async move { vec![answer(&asked, lines)] }).await
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("unpoisoned").clone()
    }
}

/// The reply to a question with the given records, `owner ttl TYPE data` each.
pub(crate) fn answer(asked: &Asked, lines: &[&str]) -> Vec<u8> {
    reply(asked, |message| {
        message.answers = lines.iter().map(|line| record(line)).collect()
    })
}

/// The reply to a question, as `change` makes it.
pub(crate) fn reply(asked: &Asked, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new(
        asked.message.metadata.id,
        MessageType::Response,
        OpCode::Query,
    );
    message.metadata.recursion_available = true;
    message.queries.clone_from(&asked.message.queries);
    if asked.message.edns.is_some() {
        message.set_edns(Edns::new());
    }
    change(&mut message);
    message.to_vec().expect("encodes")
}

pub(crate) fn failure(asked: &Asked, code: ResponseCode) -> Vec<u8> {
    reply(asked, |message| message.metadata.response_code = code)
}

pub(crate) fn record(line: &str) -> Record {
    let [owner, ttl, kind, data] = line
        .split(' ')
        .collect::<Vec<_>>()
        .try_into()
        .expect("four words");
    let name = |text: &str| Name::from_ascii(text).expect("a name");
    let data = match kind {
        "A" => RData::A(A(data.parse().expect("IPv4"))),
        "CNAME" => RData::CNAME(CNAME(name(data))),
        "SOA" => RData::SOA(SOA::new(
            name("ns."),
            name("root."),
            1,
            2,
            3,
            4,
            data.parse().expect("MINIMUM"),
        )),
        _ => RData::Unknown {
            code: RecordType::from(
                kind.trim_start_matches("TYPE")
                    .parse::<u16>()
                    .expect("a type's number"),
            ),
            rdata: NULL::with(data.as_bytes().to_vec()),
        },
    };
    Record::from_rdata(name(owner), ttl.parse().expect("a TTL"), data)
}

/// Both transports on one port.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..64 {
        let udp = UdpSocket::bind("127.0.0.2:0").await.expect("a port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("bound")).await {
            return (udp, tcp);
        }
    }
    unreachable!("no port is free on both transports");
}

fn note(log: &Mutex<Vec<Asked>>, octets: &[u8], transport: Transport) -> Asked {
    let mut log = log.lock().expect("unpoisoned");
    let asked = Asked {
        message: Message::from_vec(octets).expect("a query"),
        transport,
    };
    log.push(asked.clone());
    asked
}

async fn serve_udp(socket: Arc<UdpSocket>, script: Script, log: Arc<Mutex<Vec<Asked>>>) {
    let mut tasks = JoinSet::new();
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let asked = note(&log, &buffer[..length], Transport::Udp);
        let (socket, script) = (Arc::clone(&socket), Arc::clone(&script));
        tasks.spawn(async move {
            for message in script(asked).await {
                socket.send_to(&message, peer).await.expect("sent");
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, script: Script, log: Arc<Mutex<Vec<Asked>>>) {
    let mut tasks = JoinSet::new();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        let (script, log) = (Arc::clone(&script), Arc::clone(&log));
        tasks.spawn(async move {
            while let Ok(length) = stream.read_u16().await {
                let mut octets = vec![0; length.into()];
                if stream.read_exact(&mut octets).await.is_err() {
                    return;
                }
                for message in script(note(&log, &octets, Transport::Tcp)).await {
                    if message.is_empty() {
                        return;
                    }
                    let length = u16::try_from(message.len()).expect("fits a frame");
                    stream
                        .write_all(&[&length.to_be_bytes()[..], &message].concat())
                        .await
                        .expect("sent");
                }
            }
        });
    }
}
