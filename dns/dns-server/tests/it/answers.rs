//! What is asked, what comes back.

use dns_names::Transport;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;

use crate::World;
use crate::client::{extended_error, query, show, with_edns};
use crate::upstream::{Upstream, answer, record, reply};

#[tokio::test]
async fn an_answer_passes_and_is_released_first() {
    let world = World::new(
        Upstream::with_records(&[
            "www.example. 60 CNAME cdn.example.",
            "cdn.example. 30 A 192.0.2.1",
        ])
        .await,
    );
    let reply = world.client().await.ask("wWw.Example.").await;
    assert_eq!(
        show(&reply),
        "No Error www.example./cdn.example. cdn.example./192.0.2.1"
    );
    assert_eq!(
        (reply.metadata.id, reply.queries[0].name().to_ascii()),
        (4242, "wWw.Example.".to_owned())
    );
    assert_eq!(world.judge.released(), ["www.example.: 192.0.2.1"]);
    let client = world.judge.clients.lock().expect("unpoisoned")[0];
    assert_eq!(
        (client.workload, client.transport, client.server.to_string()),
        (7, Transport::Udp, "192.0.2.53:53".to_owned())
    );
    world.stop().await;
}

#[tokio::test]
async fn both_transports_and_both_families_are_served() {
    let world = World::new(Upstream::with_records(&["www.example. 60 A 192.0.2.1"]).await);
    let over_v4 = world.client().await;
    let over_v6 = crate::Client::new(
        (
            "::1".parse::<std::net::IpAddr>().expect("an address"),
            world.port,
        )
            .into(),
    )
    .await;
    for client in [over_v4, over_v6] {
        assert_eq!(
            show(&client.ask("www.example.").await),
            "No Error www.example./192.0.2.1"
        );
        assert_eq!(
            show(&client.ask_tcp("www.example.").await),
            "No Error www.example./192.0.2.1"
        );
    }
    let counts = world.counts();
    assert_eq!(
        (
            counts.queries,
            counts.queries_tcp,
            counts.cached,
            counts.connections
        ),
        (4, 2, 3, 2)
    );
    world.stop().await;
}

#[tokio::test]
async fn a_refused_question_never_leaves() {
    let world = World::new(Upstream::with_records(&[]).await);
    world.judge.deny("secret.evil.example");
    let reply = world
        .client()
        .await
        .exchange(&query("secret.evil.example.", |m| {
            with_edns(m, 1232, false)
        }))
        .await;
    assert_eq!(show(&reply), "Non-Existent Domain");
    assert_eq!(
        extended_error(&reply),
        Some((15, "no policy allows it".to_owned()))
    );
    let counts = world.counts();
    assert_eq!(
        (
            world.upstream.asked().len(),
            counts.refused,
            counts.upstream_queries
        ),
        (0, 1, 0)
    );
    world.stop().await;
}

#[tokio::test]
async fn standing_answers_come_from_here() {
    let world = World::new(Upstream::with_records(&[]).await);
    let client = world.client().await;
    assert_eq!(
        show(&client.ask("use-application-dns.net.").await),
        "Non-Existent Domain"
    );
    assert_eq!(show(&client.ask("_dns.resolver.arpa.").await), "No Error");
    let transfer = query("example.", |m| {
        m.queries[0].set_query_type(RecordType::AXFR);
    });
    assert_eq!(show(&client.exchange(&transfer).await), "Query Refused");
    assert_eq!(
        (world.upstream.asked().len(), world.counts().special),
        (0, 3)
    );
    world.stop().await;
}

#[tokio::test]
async fn messages_that_are_no_queries_get_what_they_deserve() {
    let world = World::new(Upstream::with_records(&["a. 60 A 192.0.2.1"]).await);
    let client = world.client().await;
    let mut update = query("a.", |_| {});
    update[2] |= 0x28;
    assert_eq!(client.exchange_octets(&update).await[3] & 15, 4);
    let mut damaged = query("a.", |_| {});
    damaged.truncate(14);
    assert_eq!(client.exchange_octets(&damaged).await[3] & 15, 1);
    // A response is not answered: two servers would answer each other for ever.
    let mut response = query("a.", |_| {});
    response[2] |= 0x80;
    client.send(&response).await;
    assert_eq!(show(&client.ask("a.").await), "No Error a./192.0.2.1");
    assert_eq!((world.counts().malformed, world.counts().queries), (3, 4));
    world.stop().await;
}

#[tokio::test]
async fn an_answer_is_cached_whatever_the_case_and_bits_that_differ() {
    let world = World::new(Upstream::with_records(&["www.example. 60 A 192.0.2.1"]).await);
    let client = world.client().await;
    for name in ["www.example.", "WWW.example.", "www.EXAMPLE."] {
        let reply = client.ask(name).await;
        assert_eq!(show(&reply), "No Error www.example./192.0.2.1");
        assert_eq!(reply.queries[0].name().to_ascii(), name);
    }
    assert!(
        client
            .exchange(&query("www.example.", |m| with_edns(m, 1232, false)))
            .await
            .edns
            .is_some()
    );
    assert_eq!(
        (world.upstream.asked().len(), world.counts().cached),
        (1, 3)
    );
    // DO and CD are questions of their own.
    client
        .exchange(&query("www.example.", |m| with_edns(m, 1232, true)))
        .await;
    client
        .exchange(&query("www.example.", |m| {
            m.metadata.checking_disabled = true
        }))
        .await;
    let asked = world.upstream.asked();
    let bits = |n: usize| {
        let asked = &asked[n].message;
        (
            asked
                .edns
                .as_ref()
                .is_some_and(|edns| edns.flags().dnssec_ok),
            asked.metadata.checking_disabled,
            asked.metadata.authentic_data,
        )
    };
    assert_eq!(
        (asked.len(), bits(1), bits(2)),
        (3, (true, false, true), (false, true, true))
    );
    world.stop().await;
}

#[tokio::test]
async fn names_that_do_not_exist_are_cached_by_their_soa() {
    let upstream = Upstream::scripted(|asked| async move {
        vec![reply(&asked, |message| {
            message.metadata.response_code = ResponseCode::NXDomain;
            if asked.message.queries[0].name().to_ascii() == "with-soa." {
                message.authorities = vec![record(". 900 SOA 300")];
            }
        })]
    })
    .await;
    let world = World::new(upstream);
    let client = world.client().await;
    for name in ["with-soa.", "with-soa.", "without.", "without."] {
        assert_eq!(show(&client.ask(name).await), "Non-Existent Domain");
    }
    assert_eq!(
        (world.upstream.asked().len(), world.counts().cached),
        (3, 1)
    );
    world.stop().await;
}

#[tokio::test]
async fn what_nobody_here_knows_passes_octet_for_octet() {
    let upstream = Upstream::scripted(|asked| async move {
        vec![reply(&asked, |message| {
            message.edns = None;
            message.metadata.authentic_data = true;
            message.answers = vec![
                record("a. 60 A 192.0.2.1"),
                record("a. 60 TYPE46 a-signature"),
                record("a. 60 TYPE65280 opaque"),
            ];
            message.authorities = vec![record("b. 60 TYPE47 a-proof")];
        })]
    })
    .await;
    let world = World::new(upstream);
    let message = query("a.", |m| m.metadata.authentic_data = true);
    let received = world.client().await.exchange_octets(&message).await;
    let asked = &world.upstream.asked()[0];
    let sent = reply(asked, |message| {
        message.edns = None;
        message.metadata.id = 4242;
        message.metadata.authentic_data = true;
        message.metadata.recursion_desired = true;
        message.answers = vec![
            record("a. 60 A 192.0.2.1"),
            record("a. 60 TYPE46 a-signature"),
            record("a. 60 TYPE65280 opaque"),
        ];
        message.authorities = vec![record("b. 60 TYPE47 a-proof")];
    });
    assert_eq!(received, sent);
    world.stop().await;
}

#[tokio::test]
async fn addresses_of_names_nobody_asked_for_do_not_pass() {
    let world = World::new(
        Upstream::with_records(&[
            "evil.example. 60 A 192.0.2.66",
            "www.example. 60 A 192.0.2.1",
        ])
        .await,
    );
    assert_eq!(
        show(&world.client().await.ask("www.example.").await),
        "No Error www.example./192.0.2.1"
    );
    assert_eq!(world.judge.released(), ["www.example.: 192.0.2.1"]);
    assert_eq!(world.counts().strays_removed, 1);
    world.stop().await;
}

#[tokio::test]
async fn a_large_answer_is_truncated_over_udp_and_whole_over_tcp() {
    let upstream = Upstream::scripted(|asked| async move {
        if asked.transport == Transport::Udp {
            return vec![reply(&asked, |message| message.metadata.truncation = true)];
        }
        let lines: Vec<String> = (0..200).map(|n| format!("a. 60 A 192.0.2.{n}")).collect();
        vec![answer(
            &asked,
            &lines.iter().map(String::as_str).collect::<Vec<_>>(),
        )]
    })
    .await;
    let world = World::new(upstream);
    let client = world.client().await;
    assert_eq!(show(&client.ask("a.").await), "No Error (truncated)");
    assert_eq!(
        show(
            &client
                .exchange(&query("a.", |m| with_edns(m, 1232, false)))
                .await
        ),
        "No Error (truncated)"
    );
    assert_eq!(
        client
            .exchange(&query("a.", |m| with_edns(m, 4096, false)))
            .await
            .answers
            .len(),
        200
    );
    assert_eq!(client.ask_tcp("a.").await.answers.len(), 200);
    let counts = world.counts();
    assert_eq!(
        (
            world.upstream.asked().len(),
            counts.truncated,
            counts.upstream_truncated
        ),
        (2, 2, 1)
    );
    world.stop().await;
}

#[tokio::test]
async fn a_server_without_edns_is_asked_without() {
    let upstream = Upstream::scripted(|asked| async move {
        if asked.message.edns.is_some() {
            return vec![reply(&asked, |message| {
                message.edns = None;
                message.metadata.response_code = ResponseCode::FormErr;
            })];
        }
        vec![answer(&asked, &["a. 60 A 192.0.2.1"])]
    })
    .await;
    let world = World::new(upstream);
    assert_eq!(
        show(&world.client().await.ask("a.").await),
        "No Error a./192.0.2.1"
    );
    world.stop().await;
}
