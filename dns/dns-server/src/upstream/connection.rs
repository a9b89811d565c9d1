use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dns_names::AnswerError;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{
    RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime,
};
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle, DnsRequestSender, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Message};
use tokio::net::{TcpStream, UdpSocket};

/// Questions under way on one TCP connection to an upstream.
const TCP_PENDING: usize = 1024;

/// The ways to one server.
pub(crate) struct Connection {
    address: SocketAddr,
    timeout: Duration,
    sockets: Sockets,
    tcp: Mutex<Option<DnsExchange<Sockets>>>,
}

/// Why a message did not get an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("the exchange failed")]
    Exchange(#[source] NetError),
    #[error("the question could not be encoded")]
    Question(#[source] hickory_resolver::proto::serialize::binary::DecodeError),
    #[error("the answer cannot be used")]
    Answer(#[source] AnswerError),
}

impl ConnectionError {
    /// Whether an answer came but was damaged, as some middleboxes do to large ones: TCP may bring it whole.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Exchange(error) => matches!(error, NetError::Proto(_)),
            Self::Question(_) => false,
            Self::Answer(error) => *error == AnswerError::Malformed,
        }
    }
}

impl Connection {
    pub(crate) fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self {
            address,
            timeout,
            sockets: Sockets::default(),
            tcp: Mutex::new(None),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends `message` from a socket and port of its own. Datagrams with another id or question are not taken for the
    /// answer; the wait goes on. Lost datagrams are sent again.
    pub(crate) async fn over_udp(&self, message: &[u8]) -> Result<Vec<u8>, ConnectionError> {
        let request = request(message)?;
        let mut stream = UdpClientStream::builder(self.address, self.sockets.clone())
            .with_timeout(Some(self.timeout))
            .with_os_port_selection(true)
            .build();
        let response = stream.send_message(request).first_answer().await;
        response
            .map(DnsResponse::into_buffer)
            .map_err(ConnectionError::Exchange)
    }

    /// Sends `message` over the server's one TCP connection, which is made when needed and again when it was closed.
    /// hickory numbers questions on it by itself; the answer is given back under `id`.
    pub(crate) async fn over_tcp(
        &self,
        message: &[u8],
        id: u16,
    ) -> Result<Vec<u8>, ConnectionError> {
        let request = request(message)?;
        let mut octets = match self.try_tcp(request.clone()).await {
            Err(error) if error.is_connection_closed() => self.try_tcp(request).await,
            result => result,
        }
        .map_err(ConnectionError::Exchange)?;
        if let Some(field) = octets.first_chunk_mut() {
            *field = id.to_be_bytes();
        }
        Ok(octets)
    }

    async fn try_tcp(&self, request: DnsRequest) -> Result<Vec<u8>, NetError> {
        let open = self.open_tcp().clone();
        let exchange = match open {
            Some(exchange) => exchange,
            None => {
                // Several may connect at once; the last one stays.
                let exchange = TcpClientStream::exchange(
                    self.address,
                    None,
                    self.timeout,
                    Some(TCP_PENDING),
                    self.sockets.clone(),
                )
                .await?;
                self.open_tcp().insert(exchange).clone()
            }
        };
        let response = exchange.send(request).first_answer().await;
        if response.is_err() {
            // A timed out question may be the connection's fault too; the next one starts a new one.
            self.open_tcp().take();
        }
        response.map(DnsResponse::into_buffer)
    }

    fn open_tcp(&self) -> MutexGuard<'_, Option<DnsExchange<Sockets>>> {
        self.tcp.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn request(message: &[u8]) -> Result<DnsRequest, ConnectionError> {
    let message = Message::from_vec(message).map_err(ConnectionError::Question)?;
    Ok(DnsRequest::new(message, DnsRequestOptions::default()))
}

/// tokio's sockets as hickory wants them, but UDP ones connected: the kernel then drops other senders' datagrams, and
/// a server that is not there is known at once (ECONNREFUSED) instead of after a wait.
#[derive(Clone, Default)]
pub(crate) struct Sockets(TokioRuntimeProvider);

impl RuntimeProvider for Sockets {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = UdpSocket;
    type Tcp = AsyncIoTokioAsStd<TcpStream>;

    fn create_handle(&self) -> TokioHandle {
        self.0.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        bind: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        self.0.connect_tcp(server, bind, timeout)
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<UdpSocket>>>> {
        Box::pin(async move {
            let socket = UdpSocket::bind(local).await?;
            socket.connect(server).await?;
            Ok(socket)
        })
    }
}
