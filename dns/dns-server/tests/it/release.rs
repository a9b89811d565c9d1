//! Nothing leaves before the judge has said so.

use std::time::Duration;

use dns_names::{ExtendedError, Rcode};
use dns_server::{Refusal, Release};

use crate::World;
use crate::client::{extended_error, query, show, with_edns};
use crate::upstream::Upstream;

/// The upstream has answered and the judge is at work.
async fn until_asked(world: &World, times: usize) {
    while world.upstream.asked().len() < times || world.judge.writes.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn while_the_map_write_is_stuck_no_reply_is_on_the_wire() {
    let world = World::new(Upstream::with_records(&["www.example. 60 A 192.0.2.1"]).await);
    world.judge.writes.send_replace(false);
    let client = world.client().await;
    client.send(&query("www.example.", |_| {})).await;
    until_asked(&world, 1).await;
    // Anything sent after this from the same socket would arrive after a reply that had leaked.
    world.judge.deny("marker.example");
    let marker = world.client().await;
    assert_eq!(
        show(&marker.ask("marker.example.").await),
        "Non-Existent Domain"
    );
    assert!(!client.has_reply());
    assert!(world.judge.released().is_empty());

    world.judge.writes.send_replace(true);
    let reply = client.receive().await;
    assert_eq!(reply[3] & 15, 0);
    assert_eq!(world.judge.released(), ["www.example.: 192.0.2.1"]);
    world.stop().await;
}

#[tokio::test]
async fn a_cached_answer_waits_too_while_it_is_not_in_force() {
    let world = World::new(Upstream::with_records(&["www.example. 60 A 192.0.2.1"]).await);
    world.judge.writes.send_replace(false);
    let (first, second) = (world.client().await, world.client().await);
    first.send(&query("www.example.", |_| {})).await;
    until_asked(&world, 1).await;
    second.send(&query("www.example.", |_| {})).await;
    while world.judge.writes.receiver_count() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(!first.has_reply() && !second.has_reply());
    world.judge.writes.send_replace(true);
    first.receive().await;
    second.receive().await;
    assert_eq!(
        (world.upstream.asked().len(), world.counts().cached),
        (1, 1)
    );
    world.stop().await;
}

#[tokio::test]
async fn a_write_that_never_ends_is_servfail() {
    let upstream = Upstream::with_records(&["www.example. 60 A 192.0.2.1"]).await;
    let world = World::with(upstream, |config| {
        config.limits.release = Duration::from_millis(50)
    });
    world.judge.writes.send_replace(false);
    let reply = world
        .client()
        .await
        .exchange(&query("www.example.", |m| with_edns(m, 1232, false)))
        .await;
    assert_eq!(show(&reply), "Server Failure");
    assert_eq!(
        extended_error(&reply),
        Some((
            14,
            "the answer could not be put in force in time".to_owned()
        ))
    );
    assert_eq!(world.counts().release_timeouts, 1);
    // The answer was cached, and is not let go from there either.
    assert_eq!(
        show(&world.client().await.ask("www.example.").await),
        "Server Failure"
    );
    world.stop().await;
}

#[tokio::test]
async fn the_judge_may_fail_strip_or_refuse() {
    let world = World::new(Upstream::with_records(&[]).await);
    world.stop().await;
    let upstream = Upstream::scripted(|asked| async move {
        let owner = asked.message.queries[0].name().to_ascii();
        let lines = [
            format!("{owner} 60 A 192.0.2.1"),
            format!("{owner} 60 A 10.0.0.1"),
        ];
        vec![crate::upstream::answer(
            &asked,
            &lines.each_ref().map(String::as_str),
        )]
    })
    .await;
    let world = World::new(upstream);
    let why = ExtendedError::new(ExtendedError::FILTERED, "10.0.0.1 is private");
    world.judge.rule("fail.example", Release::Fail);
    world.judge.rule(
        "strip.example",
        Release::Without {
            addresses: vec!["10.0.0.1".parse().expect("an address")],
            error: Some(why.clone()),
        },
    );
    world.judge.rule(
        "refuse.example",
        Release::Refuse(Refusal {
            rcode: Rcode::REFUSED,
            error: None,
        }),
    );
    let client = world.client().await;
    for _cached in [false, true] {
        assert_eq!(show(&client.ask("fail.example.").await), "Server Failure");
        assert_eq!(show(&client.ask("refuse.example.").await), "Query Refused");
        let reply = client
            .exchange(&query("strip.example.", |m| with_edns(m, 1232, false)))
            .await;
        assert_eq!(show(&reply), "No Error strip.example./192.0.2.1");
        assert_eq!(
            extended_error(&reply),
            Some((why.code, why.text.to_string()))
        );
    }
    let counts = world.counts();
    assert_eq!(
        (
            counts.release_failed,
            counts.addresses_stripped,
            counts.refused,
            counts.cached
        ),
        (2, 2, 2, 3)
    );
    world.stop().await;
}
