use std::net::SocketAddr;

use super::*;
use crate::sockets::Sockets;

/// A socket on every address of one family, and clients that hear only the address they speak to.
async fn socket_and_clients(
    servers: &[&str],
    is_v6: bool,
) -> (UdpSocket, Vec<(SocketAddr, UdpSocket)>) {
    let sockets = Sockets::open(0).expect("a port");
    let port = sockets.port;
    let server = if is_v6 {
        sockets.v6.expect("IPv6").udp
    } else {
        sockets.udp4
    };
    let mut clients = Vec::new();
    for ip in servers {
        let server = SocketAddr::new(ip.parse().expect("an address"), port);
        let any = if is_v6 { "[::1]:0" } else { "127.0.0.1:0" };
        let client = UdpSocket::bind(any).await.expect("a port");
        client.connect(server).await.expect("connected");
        clients.push((server, client));
    }
    (UdpSocket::from_std(server).expect("in a runtime"), clients)
}

/// Receives until `count` datagrams have come; each as the address it was sent to, its sender, and its octets.
async fn receive(socket: &UdpSocket, count: usize) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
    let mut inbox = Inbox::new(BATCH);
    let port = socket.local_addr().expect("bound").port();
    let mut all = Vec::new();
    while all.len() < count {
        socket.readable().await.expect("readable");
        let received = inbox.receive(socket, port, |message, local, peer| {
            all.push((local, peer, message.to_vec()));
        });
        if let Err(error) = received {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
    }
    all
}

#[tokio::test]
async fn every_reply_of_a_batch_comes_from_the_address_its_query_went_to() {
    for (servers, is_v6) in [
        (&["127.83.0.1", "127.83.0.2", "127.83.9.1"][..], false),
        (&["::1", "::1"][..], true),
    ] {
        let (socket, clients) = socket_and_clients(servers, is_v6).await;
        // More than one batch, one address after the other and in runs.
        const EACH: u8 = 30;
        for round in 0..EACH {
            for (_, client) in &clients {
                for _ in 0..=(round % 2) {
                    client.send(&[round]).await.expect("sent");
                }
            }
        }
        let sent = usize::from(EACH + EACH / 2) * clients.len();
        let mut outbox = Outbox::default();
        for (local, peer, octets) in receive(&socket, sent).await {
            let (server, _) = clients
                .iter()
                .find(|(_, client)| client.local_addr().expect("bound") == peer)
                .expect("one of the clients");
            assert_eq!(local, *server);
            *outbox.blank() = octets;
            outbox.keep(local.ip(), peer);
        }
        socket.writable().await.expect("writable");
        assert_eq!(outbox.send(&socket), 0);
        for (_, client) in &clients {
            for _ in 0..EACH + EACH / 2 {
                let mut octets = [0; 2];
                assert_eq!(client.recv(&mut octets).await.expect("a reply"), 1);
            }
        }
        assert_eq!(outbox.send(&socket), 0, "nothing is sent twice");
    }
}

#[tokio::test]
async fn one_reply_that_cannot_be_sent_does_not_keep_the_others() {
    let (socket, clients) = socket_and_clients(&["127.83.0.1"], false).await;
    let (server, client) = &clients[0];
    let peer = client.local_addr().expect("bound");
    let nobody = SocketAddr::new(peer.ip(), 0);
    let mut outbox = Outbox::default();
    for (octet, peer) in [(1, peer), (2, nobody), (3, peer)] {
        *outbox.blank() = vec![octet];
        outbox.keep(server.ip(), peer);
    }
    socket.writable().await.expect("writable");
    assert_eq!(outbox.send(&socket), 1);
    for expected in [1, 3] {
        let mut octets = [0; 2];
        client.recv(&mut octets).await.expect("a reply");
        assert_eq!(octets[0], expected);
    }
}

#[tokio::test]
async fn what_is_too_long_is_nobodys_and_what_is_blank_is_not_sent() {
    let (socket, clients) = socket_and_clients(&["127.83.0.1"], false).await;
    let (_, client) = &clients[0];
    client.send(&[7; 5000]).await.expect("sent");
    client.send(&[8; 3]).await.expect("sent");
    let received = receive(&socket, 1).await;
    assert_eq!(received[0].2, [8; 3]);
    let mut outbox = Outbox::default();
    outbox.blank().push(1);
    socket.writable().await.expect("writable");
    assert_eq!(outbox.send(&socket), 0);
    assert!(client.try_recv(&mut [0; 2]).is_err());
}
