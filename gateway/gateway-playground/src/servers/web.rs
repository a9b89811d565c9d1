//! A web server that says what it is: just enough HTTP/1.1 (RFC 9112) for real clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Request;
use crate::log::Log;

/// LIMIT: a request's head; what is longer ends the connection.
const HEAD: usize = 16 * 1024;

/// Serves until the runtime ends. Every path is answered with a line that begins with `label`;
/// `/bytes/N` with N bytes.
pub(crate) async fn serve(
    listener: TcpListener,
    label: Arc<str>,
    requests: Log<Request>,
) -> io::Result<()> {
    let server = listener.local_addr()?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, client) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        connections.spawn(serve_connection(
            stream,
            server,
            client,
            Arc::clone(&label),
            requests.clone(),
        ));
    }
}

async fn serve_connection(
    stream: TcpStream,
    server: SocketAddr,
    client: SocketAddr,
    label: Arc<str>,
    requests: Log<Request>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let Some((path, host)) = read_head(&mut stream).await? else {
            return Ok(());
        };
        let amount = path
            .strip_prefix("/bytes/")
            .and_then(|count| count.parse::<u64>().ok());
        let body = format!("{label} {host}{path}\n");
        let length = amount.unwrap_or(body.len() as u64);
        // Written down before the client can know that it was served.
        requests.push(Request {
            server,
            client,
            host,
            path,
        });
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        match amount {
            Some(amount) => write_bytes(&mut stream, amount).await?,
            None => stream.write_all(body.as_bytes()).await?,
        }
        stream.flush().await?;
    }
}

/// The path and the host of the next request; `None` at the end of the connection.
async fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<Option<(String, String)>> {
    let (mut path, mut host, mut read) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        let length = stream.read_line(&mut line).await?;
        read += length;
        if length == 0 || read > HEAD {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Some((path, host)));
        }
        if path.is_empty() {
            line.split(' ').nth(1).unwrap_or("/").clone_into(&mut path);
        } else if let Some((key, value)) = line.split_once(':')
            && key.eq_ignore_ascii_case("host")
        {
            value.trim().clone_into(&mut host);
        }
    }
}

async fn write_bytes(stream: &mut BufReader<TcpStream>, amount: u64) -> io::Result<()> {
    let block = vec![b'.'; 64 * 1024];
    let mut left = amount;
    while left > 0 {
        let next = usize::try_from(left)
            .unwrap_or(block.len())
            .min(block.len());
        stream.write_all(&block[..next]).await?;
        left -= next as u64;
    }
    Ok(())
}
