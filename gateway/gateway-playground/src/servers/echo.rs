//! Servers that send back what they get.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::{Echoed, Transport};
use crate::log::Log;

/// Serves datagrams until the runtime ends.
pub(crate) async fn serve_udp(socket: UdpSocket, echoed: Log<Echoed>) -> io::Result<()> {
    let server = socket.local_addr()?;
    let mut buffer = vec![0; 65_536];
    loop {
        // An ICMP error for an earlier echo is reported here, and is nobody's end.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        echoed.push(Echoed {
            server,
            client,
            transport: Transport::Udp,
            text: String::from_utf8_lossy(&buffer[..length]).into_owned(),
        });
        // A client that is gone gets no echo.
        drop(socket.send_to(&buffer[..length], client).await);
    }
}

/// Serves connections until the runtime ends.
pub(crate) async fn serve_tcp(listener: TcpListener, echoed: Log<Echoed>) -> io::Result<()> {
    let server = listener.local_addr()?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, client) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        connections.spawn(serve_connection(stream, server, client, echoed.clone()));
    }
}

async fn serve_connection(
    mut stream: TcpStream,
    server: SocketAddr,
    client: SocketAddr,
    echoed: Log<Echoed>,
) -> io::Result<()> {
    let mut buffer = vec![0; 65_536];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        echoed.push(Echoed {
            server,
            client,
            transport: Transport::Tcp,
            text: String::from_utf8_lossy(&buffer[..length]).into_owned(),
        });
        stream.write_all(&buffer[..length]).await?;
    }
}
