//! The client's side: small steps with real sockets, and what came of each, for a program to read.
//!
//! `egret __probe STEP…` runs them in order; every step is one argument of words:
//!
//! | step | does |
//! |---|---|
//! | `lookup NAME` | asks the C library (getaddrinfo) |
//! | `ask NAME TYPE [@SERVER] [tcp]` | asks a server itself; the first of `/etc/resolv.conf` by default |
//! | `http HOST:PORT/PATH` | GET over a new connection |
//! | `tcp HOST:PORT TEXT` | a new connection to an echo server |
//! | `udp HOST:PORT TEXT` | a datagram from an unconnected socket to an echo server, and its echo |
//! | `udp-connected HOST:PORT TEXT` | the same from a connected socket |
//! | `open ID HOST:PORT`, `say ID TEXT` | a connection that is kept, and an echo over it later |
//! | `until ok STEP`, `until failed STEP` | the step again and again until it comes out so, at most 20 s |
//! | `until EPERM STEP` | the same until it fails by that error: what was cut on its way may fail by another first |
//! | `file PATH` | waits, at most 20 s, until the file exists: how a test holds a probe |
//! | `connects HOST:PORT COUNT` | so many connections to an echo server, one after another, one byte each, timed |
//! | `pull HOST:PORT BYTES` | one GET of so many bytes, timed |
//!
//! For each, one JSON object ([`Sight`]) is written to standard output at once. The exit status is 0
//! when the last step came out well.

mod net;
mod step;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// What a client saw of one step.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sight {
    /// The step, as it was given.
    pub step: String,
    /// Whether it came out well: connected and answered, or a name with addresses.
    pub ok: bool,
    /// Why not: the name of an errno, a response code, `timeout`, or words of the C library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The addresses a name had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Who was reached; where nobody was, who was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    /// What was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The records of a DNS answer, as lines of a zone file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<String>,
    /// The extended errors of a DNS answer (RFC 8914), as `CODE TEXT`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended: Vec<String>,
    /// How long it took, in microseconds.
    #[serde(default)]
    pub micros: u64,
}

/// What is kept from step to step.
#[derive(Debug, Default)]
struct Client {
    held: BTreeMap<String, TcpStream>,
}

/// Runs the steps and writes what each saw.
#[must_use]
pub fn run(steps: impl IntoIterator<Item = String>) -> ExitCode {
    let mut client = Client::default();
    let mut well = true;
    for step in steps {
        let sight = client.take(&step);
        well = sight.ok;
        if print(&sight).is_err() {
            return ExitCode::from(2);
        }
    }
    ExitCode::from(u8::from(!well))
}

/// Takes the steps here and now, in this thread's namespaces, without writing anything.
#[must_use]
pub fn take_all(steps: &[String]) -> Vec<Sight> {
    let mut client = Client::default();
    steps.iter().map(|step| client.take(step)).collect()
}

/// Reads back what a probe wrote; lines that are no sights are left out.
#[must_use]
pub fn sights(output: &[u8]) -> Vec<Sight> {
    String::from_utf8_lossy(output)
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn print(sight: &Sight) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, sight)?;
    out.write_all(b"\n")?;
    out.flush()
}
