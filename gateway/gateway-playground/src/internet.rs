//! The internet itself: two places, a cable, and servers on demand.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use tokio::runtime::Runtime;

use crate::behaviour::Behaviour;
use crate::capture::{self, Capture, Packet, Truncated};
use crate::log::Log;
use crate::network::{self, NetworkError};
use crate::servers::resolver::{self, Book};
use crate::servers::{Echoed, Question, Request, echo, web};
use crate::site::{Site, SiteError};
use crate::zone::ZoneError;

/// The client's addresses. 198.18.0.0/15 is for tests of network devices (RFC 2544), so that no
/// guard against private addresses concerns it.
pub const CLIENT4: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 2);
/// The client's IPv6 address.
pub const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 2);
/// The world's end of the cable: the client's default route.
pub const GATEWAY4: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 1);
/// The same for IPv6.
pub const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 1);

const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const WORLD_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The discard port (RFC 863), to which a marker is sent that ends a capture.
const DISCARD: u16 = 9;
/// How long a marker may take to cross the cable on a busy machine.
const CROSSING: Duration = Duration::from_secs(10);

/// What kind of internet to build.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the client's `/etc/resolv.conf` names, in this order.
    pub nameservers: Vec<IpAddr>,
    /// More lines of `/etc/resolv.conf`, such as `search` and `options`.
    pub resolv_conf: String,
    /// Lines of `/etc/hosts` beside localhost.
    pub hosts: String,
    /// Whether to record every packet. A benchmark does without, and without records of questions.
    pub capture: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            resolv_conf: "options timeout:2 attempts:2\n".to_owned(),
            hosts: String::new(),
            capture: true,
        }
    }
}

/// Why the internet could not be built, or a server not be added.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A namespace could not be made or is gone.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// Links, addresses or routes.
    #[error("failed to lay the network of the playground")]
    Network(#[from] NetworkError),
    /// The servers' runtime.
    #[error("failed to start the servers of the playground")]
    Runtime(#[source] io::Error),
    /// The capture's socket.
    #[error("failed to open a capture")]
    Tap(#[source] Errno),
    /// The capture's thread.
    #[error("failed to start a capture")]
    Capture(#[source] io::Error),
    /// A server could not have its address.
    #[error("failed to serve at {address}")]
    Serve {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A client, a world, and everything that was seen between them. Gone when dropped.
#[derive(Debug)]
pub struct Internet {
    // In this order: servers end before the namespaces that their sockets hold.
    runtime: Option<Runtime>,
    client: Site,
    world: Site,
    book: Arc<Book>,
    requests: Log<Request>,
    echoed: Log<Echoed>,
    capture: Option<Capture>,
    owned: Mutex<Vec<IpAddr>>,
    markers: AtomicU64,
}

impl Internet {
    /// Builds a client and a world without servers, in some milliseconds.
    ///
    /// # Errors
    /// Without root, or where the kernel lacks network namespaces or veth.
    pub fn build(options: &Options) -> Result<Self, BuildError> {
        let nameservers: String = options
            .nameservers
            .iter()
            .map(|ip| format!("nameserver {ip}\n"))
            .collect();
        let world = Site::new("playground-world", &[])?;
        let client = Site::new(
            "playground-client",
            &[
                (
                    "/etc/resolv.conf",
                    &format!("{nameservers}{}", options.resolv_conf),
                ),
                (
                    "/etc/hosts",
                    &format!("127.0.0.1 localhost\n::1 localhost\n{}", options.hosts),
                ),
                // The rest of the host's file is of no use here: no other service is reachable.
                (
                    "/etc/nsswitch.conf",
                    "passwd: files\ngroup: files\nhosts: files dns\n",
                ),
            ],
        )?;
        lay_cable(&client, &world)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("playground-servers")
            .enable_all()
            .build()
            .map_err(BuildError::Runtime)?;
        let book = Arc::new(Book::default());
        let capture = if options.capture {
            let tap = world.run(capture::open)?.map_err(BuildError::Tap)?;
            Some(Capture::start(tap, WORLD_MAC).map_err(BuildError::Capture)?)
        } else {
            book.be_quiet();
            None
        };
        Ok(Self {
            runtime: Some(runtime),
            client,
            world,
            book,
            requests: Log::default(),
            echoed: Log::default(),
            capture,
            owned: Mutex::default(),
            markers: AtomicU64::new(0),
        })
    }

    /// Adds records to what the resolvers know, one a line: `NAME TTL TYPE DATA`. A name that had
    /// records before has only these from now on.
    ///
    /// # Errors
    /// A line that is no record; then nothing is added.
    pub fn zone(&self, lines: &str) -> Result<(), ZoneError> {
        self.book.extend(lines)
    }

    /// Makes every resolver treat questions for `name` like this.
    ///
    /// # Errors
    /// When a zone inside the behaviour has a line that is no record.
    pub fn behave(&self, name: &str, behaviour: Behaviour) -> Result<(), ZoneError> {
        self.book.behave(name, behaviour)
    }

    /// Makes one resolver treat all questions like this, but for names with a behaviour.
    ///
    /// # Errors
    /// As [`Internet::behave`].
    pub fn behave_at(&self, resolver: IpAddr, behaviour: Behaviour) -> Result<(), ZoneError> {
        self.book.behave_at(resolver, behaviour)
    }

    /// Starts a resolver at `ip`, UDP and TCP port 53.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn resolver(&self, ip: IpAddr) -> Result<(), BuildError> {
        let address = SocketAddr::new(ip, 53);
        let (socket, listener) = (self.bind_udp(address)?, self.bind_tcp(address)?);
        let _inside = self.runtime()?.enter();
        self.serve(address, tokio::net::UdpSocket::from_std(socket), {
            let book = Arc::clone(&self.book);
            |socket| resolver::serve_udp(book, socket)
        })?;
        self.serve(address, tokio::net::TcpListener::from_std(listener), {
            let book = Arc::clone(&self.book);
            |listener| resolver::serve_tcp(book, listener)
        })
    }

    /// Starts a web server that answers every request with a line beginning with `label`, and
    /// `/bytes/N` with N bytes.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn web(&self, address: SocketAddr, label: &str) -> Result<(), BuildError> {
        let listener = self.bind_tcp(address)?;
        let _inside = self.runtime()?.enter();
        let (label, requests) = (Arc::from(label), self.requests.clone());
        self.serve(
            address,
            tokio::net::TcpListener::from_std(listener),
            |listener| web::serve(listener, label, requests),
        )
    }

    /// Starts an echo server, UDP and TCP.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn echo(&self, address: SocketAddr) -> Result<(), BuildError> {
        let (socket, listener) = (self.bind_udp(address)?, self.bind_tcp(address)?);
        let _inside = self.runtime()?.enter();
        self.serve(address, tokio::net::UdpSocket::from_std(socket), {
            let echoed = self.echoed.clone();
            |socket| echo::serve_udp(socket, echoed)
        })?;
        self.serve(address, tokio::net::TcpListener::from_std(listener), {
            let echoed = self.echoed.clone();
            |listener| echo::serve_tcp(listener, echoed)
        })
    }

    /// Where commands run.
    #[must_use]
    pub fn client(&self) -> &Site {
        &self.client
    }

    /// Where the servers are.
    #[must_use]
    pub fn world(&self) -> &Site {
        &self.world
    }

    /// Starts a command in the client. Whoever starts it also ends it.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn spawn(&self, command: Command) -> io::Result<Child> {
        self.client.spawn(command)
    }

    /// Runs a command in the client to its end.
    ///
    /// # Errors
    /// As [`Command::output`].
    pub fn output(&self, command: Command) -> io::Result<Output> {
        self.client.output(command)
    }

    /// The questions that reached a resolver.
    #[must_use]
    pub fn questions(&self) -> &Log<Question> {
        &self.book.questions
    }

    /// The requests that reached a web server.
    #[must_use]
    pub fn requests(&self) -> &Log<Request> {
        &self.requests
    }

    /// What reached an echo server.
    #[must_use]
    pub fn echoed(&self) -> &Log<Echoed> {
        &self.echoed
    }

    /// Every IP packet that has come over the cable from the client, whoever it was for. Packets
    /// sent before the call are all there: a marker is sent after them and waited for.
    ///
    /// # Errors
    /// When packets were lost, so that nothing follows from what is missing; also when this
    /// internet was built without a capture.
    pub fn packets(&self) -> Result<Vec<Packet>, Truncated> {
        let capture = self.capture.as_ref().ok_or(Truncated)?;
        let number = self.markers.fetch_add(1, Ordering::Relaxed);
        let marker = format!("end of capture {number}").into_bytes();
        let sent = marker.clone();
        self.client
            .run(move || {
                UdpSocket::bind((CLIENT4, 0))
                    .and_then(|socket| socket.send_to(&sent, (GATEWAY4, DISCARD)))
            })
            .map_err(|_gone| Truncated)?
            .map_err(|_unsent| Truncated)?;
        let mut packets = capture.up_to(&marker, CROSSING)?;
        packets.retain(|packet| !(packet.protocol == 17 && packet.destination_port == DISCARD));
        Ok(packets)
    }

    /// Packets that came for `ip`: see [`Internet::packets`].
    ///
    /// # Errors
    /// As [`Internet::packets`].
    pub fn packets_to(&self, ip: IpAddr) -> Result<Vec<Packet>, Truncated> {
        let mut packets = self.packets()?;
        packets.retain(|packet| packet.destination == ip);
        Ok(packets)
    }

    fn runtime(&self) -> Result<&Runtime, BuildError> {
        self.runtime
            .as_ref()
            .ok_or_else(|| BuildError::Runtime(io::Error::other("shutting down")))
    }

    fn serve<S, F>(
        &self,
        address: SocketAddr,
        socket: io::Result<S>,
        server: impl FnOnce(S) -> F,
    ) -> Result<(), BuildError>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let socket = socket.map_err(|source| BuildError::Serve { address, source })?;
        self.runtime()?.spawn(server(socket));
        Ok(())
    }

    fn bind_udp(&self, address: SocketAddr) -> Result<UdpSocket, BuildError> {
        self.bind(
            address,
            move || UdpSocket::bind(address),
            |socket| socket.set_nonblocking(true),
        )
    }

    fn bind_tcp(&self, address: SocketAddr) -> Result<TcpListener, BuildError> {
        self.bind(
            address,
            move || TcpListener::bind(address),
            |listener| listener.set_nonblocking(true),
        )
    }

    fn bind<S: Send + 'static>(
        &self,
        address: SocketAddr,
        bind: impl FnOnce() -> io::Result<S> + Send + 'static,
        prepare: impl FnOnce(&S) -> io::Result<()> + Send + 'static,
    ) -> Result<S, BuildError> {
        self.own(address.ip())?;
        self.world
            .run(move || bind().and_then(|socket| prepare(&socket).map(|()| socket)))?
            .map_err(|source| BuildError::Serve { address, source })
    }

    /// Makes `ip` an address of the world, once. An address that is owned and not served refuses
    /// connections; one that nobody owns is not answered for at all.
    ///
    /// # Errors
    /// When the kernel refuses the address.
    pub fn own(&self, ip: IpAddr) -> Result<(), BuildError> {
        let mut owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        if !owned.contains(&ip) && ip != GATEWAY4 && ip != GATEWAY6 {
            self.world.run(move || network::own(ip))??;
            owned.push(ip);
        }
        Ok(())
    }
}

impl Site {
    /// Makes every address one of this site, but for those a better route leads elsewhere: whoever is sent to is there,
    /// and refuses.
    ///
    /// # Errors
    /// When the kernel refuses the routes, or the site is gone.
    pub fn own_everything(&self) -> Result<(), BuildError> {
        self.run(network::own_everything)??;
        Ok(())
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lay_cable(client: &Site, world: &Site) -> Result<(), BuildError> {
    let far = world
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| BuildError::Site(SiteError::Open(source)))?;
    client
        .run(move || network::add_cable("eth0", CLIENT_MAC, "client0", WORLD_MAC, far.as_fd()))??;
    world.run(|| {
        network::set_up("lo", &[])?;
        network::set_up("client0", &[(GATEWAY4.into(), 30), (GATEWAY6.into(), 64)])
    })??;
    client.run(|| {
        network::set_up("lo", &[])?;
        network::set_up("eth0", &[(CLIENT4.into(), 30), (CLIENT6.into(), 64)])?;
        network::route_everything_by(GATEWAY4, GATEWAY6)
    })??;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
