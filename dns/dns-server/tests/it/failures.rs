//! Upstreams that fail, lie or are not there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dns_names::Transport;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name;
use test_case::test_case;

use crate::World;
use crate::client::{extended_error, query, show, with_edns};
use crate::upstream::{Asked, Upstream, answer, failure, reply};

const ATTEMPT: Duration = Duration::from_millis(100);
const TOTAL: Duration = Duration::from_millis(400);

fn impatient(upstream: Upstream, others: &[SocketAddr]) -> World {
    World::with(upstream, |config| {
        config.upstreams.extend_from_slice(others);
        config.limits.attempt = ATTEMPT;
        config.limits.upstream = TOTAL;
    })
}

fn wrong_id(asked: &Asked) -> Vec<u8> {
    let mut message = answer(asked, &["a. 60 A 192.0.2.66"]);
    message[0] ^= 0xff;
    message
}

fn wrong_question(asked: &Asked) -> Vec<u8> {
    reply(asked, |message| {
        message.queries[0].set_name(Name::from_ascii("b.").expect("a name"));
        message.answers = vec![crate::upstream::record("b. 60 A 192.0.2.66")];
    })
}

fn garbage(asked: &Asked) -> Vec<u8> {
    let mut message = answer(asked, &["a. 60 A 192.0.2.66"]);
    message.truncate(25);
    message
}

fn silence(_: &Asked) -> Vec<u8> {
    Vec::new()
}

#[test_case(wrong_id; "wrong id")]
#[test_case(wrong_question; "wrong question")]
#[test_case(garbage; "garbage")]
#[test_case(silence; "silence")]
#[test_case(|asked| reply(asked, |m| m.metadata.truncation = true); "truncated on every transport")]
#[test_case(|asked| answer(asked, &["a. 60 CNAME b.", "b. 60 CNAME a."]); "a loop")]
#[tokio::test]
async fn a_bad_upstream_is_servfail_in_bounded_time(lie: fn(&Asked) -> Vec<u8>) {
    let upstream = Upstream::scripted(move |asked| async move {
        let message = lie(&asked);
        if message.is_empty() {
            vec![]
        } else {
            vec![message]
        }
    })
    .await;
    let world = impatient(upstream, &[]);
    let before = Instant::now();
    assert_eq!(
        show(&world.client().await.ask("a.").await),
        "Server Failure"
    );
    assert!(
        before.elapsed() < TOTAL + Duration::from_secs(5),
        "{:?}",
        before.elapsed()
    );
    assert!(world.judge.released().is_empty());
    assert!(world.counts().upstream_errors > 0);
    world.stop().await;
}

#[test_case(wrong_id; "wrong id")]
#[test_case(wrong_question; "wrong question")]
#[tokio::test]
async fn a_forged_answer_before_the_right_one_is_passed_by(lie: fn(&Asked) -> Vec<u8>) {
    let upstream = Upstream::scripted(move |asked| async move {
        vec![lie(&asked), answer(&asked, &["a. 60 A 192.0.2.1"])]
    })
    .await;
    let world = impatient(upstream, &[]);
    assert_eq!(
        show(&world.client().await.ask("a.").await),
        "No Error a./192.0.2.1"
    );
    world.stop().await;
}

#[tokio::test]
async fn damage_over_udp_is_mended_over_tcp() {
    let upstream = Upstream::scripted(|asked| async move {
        vec![if asked.transport == Transport::Udp {
            garbage(&asked)
        } else {
            answer(&asked, &["a. 60 A 192.0.2.1"])
        }]
    })
    .await;
    let world = World::new(upstream);
    assert_eq!(
        show(&world.client().await.ask("a.").await),
        "No Error a./192.0.2.1"
    );
    world.stop().await;
}

#[test_case(silence; "silence")]
#[test_case(garbage; "garbage")]
#[test_case(|asked| failure(asked, ResponseCode::ServFail); "failure")]
#[test_case(|asked| failure(asked, ResponseCode::Refused); "refusal")]
#[tokio::test]
async fn the_next_server_is_asked(lie: fn(&Asked) -> Vec<u8>) {
    let bad = Upstream::scripted(move |asked| async move {
        let message = lie(&asked);
        if message.is_empty() {
            vec![]
        } else {
            vec![message]
        }
    })
    .await;
    let good = Upstream::with_records(&["a. 60 A 192.0.2.1"]).await;
    let world = impatient(bad, &[good.address]);
    assert_eq!(
        show(&world.client().await.ask("a.").await),
        "No Error a./192.0.2.1"
    );
    assert_eq!(good.asked().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_costs_no_wait_and_is_asked_last_next_time() {
    // Bound for a moment, so that nobody listens there.
    let nobody = std::net::UdpSocket::bind("127.0.0.3:0")
        .expect("a port")
        .local_addr()
        .expect("bound");
    let good = Upstream::scripted(|asked| async move {
        let owner = asked.message.queries[0].name().to_ascii();
        vec![answer(&asked, &[&format!("{owner} 60 A 192.0.2.1")])]
    })
    .await;
    let address = good.address;
    let world = World::with(good, |config| config.upstreams = vec![nobody, address]);
    let client = world.client().await;
    assert_eq!(show(&client.ask("a.").await), "No Error a./192.0.2.1");
    let first = world.counts();
    assert_eq!(
        (
            first.upstream_queries,
            first.upstream_errors,
            first.upstream_timeouts
        ),
        (2, 1, 0)
    );
    assert_eq!(show(&client.ask("b.").await), "No Error b./192.0.2.1");
    assert_eq!(world.counts().upstream_queries, 3);
    world.stop().await;
}

#[tokio::test]
async fn what_every_server_says_is_passed_on_and_kept_for_a_moment() {
    let upstream =
        Upstream::scripted(|asked| async move { vec![failure(&asked, ResponseCode::Refused)] })
            .await;
    let world = impatient(upstream, &[]);
    let client = world.client().await;
    assert_eq!(show(&client.ask("a.").await), "Query Refused");
    let once = world.upstream.asked().len();
    assert_eq!(show(&client.ask("a.").await), "Query Refused");
    assert_eq!(
        (world.upstream.asked().len(), world.counts().cached),
        (once, 1)
    );
    world.stop().await;
}

#[tokio::test]
async fn a_question_nobody_answered_is_not_asked_again_at_once() {
    let upstream = Upstream::scripted(|_| async { vec![] }).await;
    let world = impatient(upstream, &[]);
    let client = world.client().await;
    assert_eq!(show(&client.ask("a.").await), "Server Failure");
    let once = world.counts().upstream_queries;
    let again = client
        .exchange(&query("a.", |message| with_edns(message, 1232, false)))
        .await;
    assert_eq!(show(&again), "Server Failure");
    assert_eq!(extended_error(&again).map(|(code, _)| code), Some(13));
    let counts = world.counts();
    assert_eq!((counts.upstream_queries, counts.failures_cached), (once, 1));
    world.stop().await;
}

/// A server that answers while `speaks` is set.
async fn switched(speaks: &Arc<AtomicBool>) -> Upstream {
    let speaks = Arc::clone(speaks);
    Upstream::scripted(move |asked| {
        let speaks = speaks.load(Ordering::Relaxed);
        async move {
            let owner = asked.message.queries[0].name().to_ascii();
            let line = format!("{owner} 60 A 192.0.2.1");
            speaks
                .then(|| answer(&asked, &[&line]))
                .into_iter()
                .collect()
        }
    })
    .await
}

#[tokio::test]
async fn a_silent_server_is_waited_for_less_and_believed_as_soon_as_it_speaks() {
    let speaks = Arc::new(AtomicBool::new(false));
    let upstream = switched(&speaks).await;
    let attempt = Duration::from_secs(1);
    let world = World::with(upstream, |config| config.limits.attempt = attempt);
    let client = world.client().await;
    let mut costs = Vec::new();
    for name in ["a.", "b."] {
        let before = Instant::now();
        assert_eq!(show(&client.ask(name).await), "Server Failure");
        costs.push(before.elapsed());
    }
    // Two rounds of a second, then two of a fifth.
    assert!(costs[0] >= 2 * attempt && costs[1] < attempt, "{costs:?}");
    speaks.store(true, Ordering::Relaxed);
    assert_eq!(show(&client.ask("c.").await), "No Error c./192.0.2.1");
    world.stop().await;
}

#[tokio::test]
async fn of_failed_servers_the_one_heard_of_last_is_asked_first() {
    let speaks = Arc::new(AtomicBool::new(true));
    let never = Upstream::scripted(|_| async { vec![] }).await;
    let once = switched(&speaks).await;
    let world = impatient(never, &[once.address]);
    let client = world.client().await;
    assert_eq!(show(&client.ask("a.").await), "No Error a./192.0.2.1");
    speaks.store(false, Ordering::Relaxed);
    assert_eq!(show(&client.ask("b.").await), "Server Failure");
    let asked_never = world.upstream.asked().len();
    speaks.store(true, Ordering::Relaxed);
    assert_eq!(show(&client.ask("c.").await), "No Error c./192.0.2.1");
    assert_eq!(world.upstream.asked().len(), asked_never);
    world.stop().await;
}

#[tokio::test]
async fn without_upstreams_everything_fails() {
    let world = World::with(Upstream::with_records(&[]).await, |config| {
        config.upstreams.clear()
    });
    assert_eq!(
        show(&world.client().await.ask("a.").await),
        "Server Failure"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_closed_tcp_connection_is_made_again() {
    let upstream = Upstream::scripted(|asked| async move {
        if asked.transport == Transport::Udp {
            return vec![reply(&asked, |message| message.metadata.truncation = true)];
        }
        let owner = asked.message.queries[0].name().to_ascii();
        vec![
            answer(&asked, &[&format!("{owner} 60 A 192.0.2.1")]),
            Vec::new(),
        ]
    })
    .await;
    let world = World::new(upstream);
    let client = world.client().await;
    for name in ["a.", "b.", "c."] {
        assert_eq!(
            show(&client.ask(name).await),
            format!("No Error {name}/192.0.2.1")
        );
    }
    world.stop().await;
}
