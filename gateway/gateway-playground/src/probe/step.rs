//! One step after another.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::net::{self, NetError, PATIENCE};
use super::{Client, Sight};

/// How long `until` and `file` go on.
const UNTIL: Duration = Duration::from_secs(20);
/// And how often they look.
const PAUSE: Duration = Duration::from_millis(50);

impl Client {
    /// Takes one step.
    pub(super) fn take(&mut self, step: &str) -> Sight {
        let begun = Instant::now();
        let mut sight = Sight::default();
        let words: Vec<&str> = step.split_whitespace().collect();
        match self.act(&words, &mut sight) {
            Ok(()) => sight.ok = true,
            Err(error) => sight.error = Some(error.to_string()),
        }
        step.clone_into(&mut sight.step);
        sight.micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        sight
    }

    fn act(&mut self, words: &[&str], sight: &mut Sight) -> Result<(), NetError> {
        match words {
            ["lookup", name] => {
                sight.addresses = net::lookup(name)?;
                Ok(())
            }
            ["ask", name, kind, how @ ..] => net::ask(name, kind, how, sight),
            ["http", target] => {
                let (host, path) = target.split_once('/').unwrap_or((target, ""));
                let mut stream = connect(host, sight)?;
                sight.text = Some(net::get(&mut stream, host, &format!("/{path}"))?);
                Ok(())
            }
            ["tcp", host, text] => {
                let mut stream = connect(host, sight)?;
                sight.text = Some(net::echo(&mut stream, text)?);
                Ok(())
            }
            ["udp", host, text] => each(host, sight, |to| net::datagram(to, text, false)),
            ["udp-connected", host, text] => each(host, sight, |to| net::datagram(to, text, true)),
            ["open", id, host] => {
                let stream = connect(host, sight)?;
                self.held.insert((*id).to_owned(), stream);
                Ok(())
            }
            ["say", id, text] => {
                let stream = self.held.get_mut(*id).ok_or(NetError::Usage)?;
                sight.peer = stream.peer_addr().ok();
                sight.text = Some(net::echo(stream, text)?);
                Ok(())
            }
            ["until", wanted, inner @ ..] => self.until(wanted, inner, sight),
            ["file", path] => wait(|| Path::new(path).exists()),
            ["connects", host, count] => {
                let count: u32 = count.parse().map_err(|_number| NetError::Usage)?;
                let to = *net::addresses(host)?.first().ok_or(NetError::Usage)?;
                for _ in 0..count {
                    // The echo shows that the server has taken the connection: without it a backlog
                    // fills up, and what is measured is how long a client waits to try again.
                    net::echo(&mut TcpStream::connect_timeout(&to, PATIENCE)?, "x")?;
                }
                Ok(())
            }
            ["pull", host, bytes] => {
                let mut stream = connect(host, sight)?;
                let count = net::pull(&mut stream, host, bytes)?;
                sight.text = Some(count.to_string());
                Ok(())
            }
            _ => Err(NetError::Usage),
        }
    }

    /// Repeats a step until it comes out as wanted (`ok`, `failed`, or failed by this error); then
    /// that is the good end, whatever the step itself was.
    fn until(&mut self, wanted: &str, inner: &[&str], sight: &mut Sight) -> Result<(), NetError> {
        let step = inner.join(" ");
        let mut last = None;
        let came = wait(|| {
            let seen = self.take(&step);
            let came = match wanted {
                "ok" => seen.ok,
                "failed" => !seen.ok,
                error => seen.error.as_deref() == Some(error),
            };
            last = Some(seen);
            came
        });
        if let Some(seen) = last {
            // What the last try failed by is worth knowing, also where failing was wanted.
            sight.text = seen.text.or(seen.error);
            (sight.peer, sight.addresses) = (seen.peer, seen.addresses);
            (sight.records, sight.extended) = (seen.records, seen.extended);
        }
        came
    }
}

fn connect(host: &str, sight: &mut Sight) -> Result<TcpStream, NetError> {
    let mut stream = None;
    each(host, sight, |to| {
        stream = Some(TcpStream::connect_timeout(&to, PATIENCE)?);
        Ok(String::new())
    })?;
    sight.text = None;
    stream.ok_or(NetError::Usage)
}

/// Tries each address of `host` until one answers; the last error is the one that is told.
fn each(
    host: &str,
    sight: &mut Sight,
    mut attempt: impl FnMut(SocketAddr) -> Result<String, NetError>,
) -> Result<(), NetError> {
    let addresses = net::addresses(host)?;
    sight.addresses = addresses.iter().map(SocketAddr::ip).collect();
    let mut last = NetError::Usage;
    for to in addresses {
        sight.peer = Some(to);
        match attempt(to) {
            Ok(text) => {
                sight.text = Some(text);
                return Ok(());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client that waits for something outside of it can only look again"
)]
fn wait(mut there: impl FnMut() -> bool) -> Result<(), NetError> {
    let begun = Instant::now();
    while !there() {
        if begun.elapsed() > UNTIL {
            return Err(NetError::Timeout);
        }
        io::stdout().flush()?;
        thread::sleep(PAUSE);
    }
    Ok(())
}
