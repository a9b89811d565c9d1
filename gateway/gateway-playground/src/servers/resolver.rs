//! A resolver that answers from the zone, or as it was told to misbehave.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::{Question, Transport};
use crate::behaviour::Behaviour;
use crate::dns::{Asked, NOERROR, NXDOMAIN, Reply};
use crate::log::Log;
use crate::zone::{Found, Record, Zone, ZoneError, type_name};

/// Answers with more questions under way than this wait: a scripted server need not be fast.
const CONCURRENT: usize = 1024;

/// What all resolvers share: one zone, and who lies about what.
#[derive(Debug, Default)]
pub(crate) struct Book {
    state: Mutex<State>,
    pub(crate) questions: Log<Question>,
}

#[derive(Debug, Default)]
struct State {
    zone: Zone,
    names: BTreeMap<String, Script>,
    servers: BTreeMap<IpAddr, Script>,
    /// Questions are not written down while a benchmark runs.
    quiet: bool,
}

/// A behaviour with its zones read, and how often each (name, type) has been asked.
#[derive(Debug, Default)]
struct Script {
    behaviour: Behaviour,
    zones: Vec<Zone>,
    asked: BTreeMap<(String, u16), usize>,
}

/// What to do with one question.
enum Plan {
    Answer(Vec<u8>),
    AnswerLater(Vec<u8>, std::time::Duration),
    Nothing,
}

impl Book {
    pub(crate) fn extend(&self, text: &str) -> Result<(), ZoneError> {
        let zone = Zone::parse(text)?;
        self.lock().zone.replace(zone);
        Ok(())
    }

    pub(crate) fn behave(&self, name: &str, behaviour: Behaviour) -> Result<(), ZoneError> {
        let script = Script::new(behaviour)?;
        self.lock()
            .names
            .insert(name.trim_end_matches('.').to_ascii_lowercase(), script);
        Ok(())
    }

    pub(crate) fn behave_at(&self, server: IpAddr, behaviour: Behaviour) -> Result<(), ZoneError> {
        let script = Script::new(behaviour)?;
        self.lock().servers.insert(server, script);
        Ok(())
    }

    pub(crate) fn be_quiet(&self) {
        self.lock().quiet = true;
    }

    fn plan(&self, message: &[u8], server: IpAddr, client: SocketAddr, by: Transport) -> Plan {
        let Some(asked) = Asked::read(message) else {
            return Plan::Nothing;
        };
        let name = asked.name.to_ascii_lowercase();
        let mut state = self.lock();
        if !state.quiet {
            self.questions.push(Question {
                server,
                client,
                transport: by,
                name: name.clone(),
                written: asked.name.clone(),
                kind: type_name(asked.kind),
                dnssec_ok: asked.edns.is_some_and(|(_, flags)| flags & 0x8000 != 0),
                checking_disabled: asked.flags & 0x0010 != 0,
            });
        }
        let State {
            zone,
            names,
            servers,
            quiet: _,
        } = &mut *state;
        let script = names.get_mut(&name).or_else(|| servers.get_mut(&server));
        plan(zone, script, &asked, &name, by).unwrap_or(Plan::Nothing)
    }

    /// The state is whole between calls, so that a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Script {
    fn new(behaviour: Behaviour) -> Result<Self, ZoneError> {
        let zones = match &behaviour {
            Behaviour::InTurn(zones) => zones.iter().map(|text| Zone::parse(text)).collect(),
            Behaviour::Smuggle(zone) => Zone::parse(zone).map(|zone| vec![zone]),
            Behaviour::Honest
            | Behaviour::Delay(_)
            | Behaviour::Silent
            | Behaviour::TruncateUdp
            | Behaviour::WrongId
            | Behaviour::WrongQuestion
            | Behaviour::WrongOwner
            | Behaviour::Garbage
            | Behaviour::Rcode(_) => Ok(Vec::new()),
        }?;
        Ok(Self {
            behaviour,
            zones,
            asked: BTreeMap::new(),
        })
    }

    /// The zone of this turn.
    fn turn(&mut self, name: &str, kind: u16) -> Option<&Zone> {
        let asked = self.asked.entry((name.to_owned(), kind)).or_default();
        let turn = (*asked).min(self.zones.len().saturating_sub(1));
        *asked += 1;
        self.zones.get(turn)
    }
}

/// `None` when the answer does not fit the format.
fn plan(
    zone: &Zone,
    script: Option<&mut Script>,
    asked: &Asked,
    name: &str,
    by: Transport,
) -> Option<Plan> {
    let mut reply = honest(zone, asked, name);
    let mut delay = None;
    if let Some(script) = script {
        match script.behaviour.clone() {
            Behaviour::Honest => {}
            Behaviour::Delay(wait) => delay = Some(wait),
            Behaviour::Silent => return Some(Plan::Nothing),
            Behaviour::TruncateUdp => reply.truncated = by == Transport::Udp,
            Behaviour::WrongId => reply.id = reply.id.wrapping_add(1),
            Behaviour::WrongQuestion => reply.question = "another.example".to_owned(),
            Behaviour::WrongOwner => {
                for record in &mut reply.answers {
                    "another.example".clone_into(&mut record.owner);
                }
            }
            Behaviour::Garbage => {
                reply.answers.clear();
                reply.garbage = vec![0xc0, 0xff, 0xee];
            }
            Behaviour::Rcode(rcode) => {
                reply.rcode = rcode;
                reply.answers.clear();
            }
            Behaviour::InTurn(_) => reply = honest(script.turn(name, asked.kind)?, asked, name),
            Behaviour::Smuggle(_) => {
                reply
                    .answers
                    .extend(script.zones.iter().flat_map(Zone::all));
            }
        }
    }
    if reply.truncated {
        reply.answers.clear();
    }
    let mut bytes = reply.write(asked)?;
    if by == Transport::Udp && bytes.len() > asked.udp_size() {
        reply.truncated = true;
        reply.answers.clear();
        bytes = reply.write(asked)?;
    }
    Some(match delay {
        Some(wait) => Plan::AnswerLater(bytes, wait),
        None => Plan::Answer(bytes),
    })
}

fn honest(zone: &Zone, asked: &Asked, name: &str) -> Reply {
    let (rcode, mut answers) = match zone.find(name, asked.kind) {
        Found::Records(records) => (NOERROR, records),
        Found::NoSuchName => (NXDOMAIN, Vec::new()),
    };
    // The owner is written as it was asked (draft-vixie-dnsext-dns0x20).
    for record in &mut answers {
        restore_case(record, name, &asked.name);
    }
    Reply {
        id: asked.id,
        question: asked.name.clone(),
        rcode,
        truncated: false,
        answers,
        garbage: Vec::new(),
    }
}

fn restore_case(record: &mut Record, name: &str, written: &str) {
    if record.owner == name {
        written.clone_into(&mut record.owner);
    }
}

/// Answers datagrams until the runtime ends.
pub(crate) async fn serve_udp(book: Arc<Book>, socket: UdpSocket) -> io::Result<()> {
    let socket = Arc::new(socket);
    let server = socket.local_addr()?.ip();
    let mut late = JoinSet::new();
    let mut buffer = vec![0; 4096];
    loop {
        // An ICMP error for an earlier answer is reported here, and is nobody's end.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        while late.try_join_next().is_some() || late.len() > CONCURRENT {
            if late.len() > CONCURRENT {
                late.join_next().await;
            }
        }
        match book.plan(&buffer[..length], server, client, Transport::Udp) {
            Plan::Nothing => {}
            // A client that is gone gets no answer.
            Plan::Answer(bytes) => drop(socket.send_to(&bytes, client).await),
            Plan::AnswerLater(bytes, wait) => {
                let socket = Arc::clone(&socket);
                late.spawn(async move {
                    tokio::time::sleep(wait).await;
                    drop(socket.send_to(&bytes, client).await);
                });
            }
        }
    }
}

/// Answers connections until the runtime ends.
pub(crate) async fn serve_tcp(book: Arc<Book>, listener: TcpListener) -> io::Result<()> {
    let server = listener.local_addr()?.ip();
    let mut connections = JoinSet::new();
    loop {
        let (stream, client) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        connections.spawn(serve_connection(Arc::clone(&book), stream, server, client));
    }
}

/// Two bytes of length before each message (RFC 1035 §4.2.2), in order.
async fn serve_connection(
    book: Arc<Book>,
    mut stream: TcpStream,
    server: IpAddr,
    client: SocketAddr,
) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await?;
        let bytes = match book.plan(&message, server, client, Transport::Tcp) {
            Plan::Nothing => continue,
            Plan::Answer(bytes) => bytes,
            Plan::AnswerLater(bytes, wait) => {
                tokio::time::sleep(wait).await;
                bytes
            }
        };
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        stream
            .write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat())
            .await?;
    }
}
