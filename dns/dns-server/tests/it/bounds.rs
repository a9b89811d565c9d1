//! Too much, too slow, not for us.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::World;
use crate::client::{Client, query, read_frame, show, write_frame};
use crate::upstream::{Upstream, answer};

/// An upstream that answers each question when the test lets it.
async fn held() -> (Upstream, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = Upstream::scripted({
        let gate = Arc::clone(&gate);
        move |asked| {
            let gate = Arc::clone(&gate);
            async move {
                let owner = asked.message.queries[0].name().to_ascii();
                if owner.starts_with("slow") {
                    gate.acquire().await.expect("open").forget();
                }
                vec![answer(&asked, &[&format!("{owner} 60 A 192.0.2.1")])]
            }
        }
    })
    .await;
    (upstream, gate)
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn many_askers_of_one_question_share_one_exchange() {
    let (upstream, gate) = held().await;
    let world = World::new(upstream);
    let mut clients = Vec::new();
    for _ in 0..20 {
        let client = world.client().await;
        client.send(&query("slow.example.", |_| {})).await;
        clients.push(client);
    }
    until(|| world.counts().shared == 19).await;
    gate.add_permits(100);
    for client in clients {
        client.receive().await;
    }
    assert_eq!(world.counts().upstream_queries, 1);
    world.stop().await;
}

#[tokio::test]
async fn over_the_limit_is_servfail_and_cached_answers_still_flow() {
    let (upstream, gate) = held().await;
    let world = World::with(upstream, |config| config.limits.pending = 2);
    let client = world.client().await;
    client.ask("known.example.").await;
    for workload in [0, 1] {
        let name = format!("slow{workload}.example.");
        let client = world.client_of(workload).await;
        client.send(&query(&name, |_| {})).await;
    }
    until(|| world.counts().upstream_queries == 3).await;
    assert_eq!(show(&client.ask("other.example.").await), "Server Failure");
    assert_eq!(
        show(&client.ask("known.example.").await),
        "No Error known.example./192.0.2.1"
    );
    assert_eq!(
        (world.counts().overloaded, world.counts().over_share),
        (1, 0)
    );
    gate.add_permits(100);
    until(|| world.judge.released().len() == 3).await;
    world.stop().await;
}

#[tokio::test]
async fn one_workload_leaves_half_to_the_others() {
    let (upstream, gate) = held().await;
    let world = World::with(upstream, |config| config.limits.pending = 4);
    let (greedy, other) = (world.client_of(1).await, world.client_of(2).await);
    for name in ["slow1.example.", "slow2.example."] {
        world.client_of(1).await.send(&query(name, |_| {})).await;
    }
    until(|| world.counts().upstream_queries == 2).await;
    assert_eq!(show(&greedy.ask("fast.example.").await), "Server Failure");
    assert_eq!(
        show(&other.ask("fast.example.").await),
        "No Error fast.example./192.0.2.1"
    );
    assert_eq!(
        (world.counts().overloaded, world.counts().over_share),
        (0, 1)
    );
    gate.add_permits(100);
    until(|| world.judge.released().len() == 3).await;
    world.stop().await;
}

#[tokio::test]
async fn what_is_not_sent_to_a_slot_is_dropped() {
    let world = World::new(Upstream::with_records(&["a. 60 A 192.0.2.1"]).await);
    let stranger = Client::new(([127, 0, 0, 1], world.port).into()).await;
    stranger.send(&query("a.", |_| {})).await;
    until(|| world.counts().strangers == 1).await;
    assert_eq!(
        show(&world.client().await.ask("a.").await),
        "No Error a./192.0.2.1"
    );
    assert!(!stranger.has_reply());
    let mut stream = stranger.connect().await;
    write_frame(&mut stream, &query("a.", |_| {})).await;
    assert!(read_frame(&mut stream).await.is_none());
    assert_eq!((world.counts().strangers, world.counts().queries), (2, 1));
    world.stop().await;
}

#[tokio::test]
async fn pipelined_questions_are_answered_as_they_come_ready() {
    let (upstream, gate) = held().await;
    let world = World::new(upstream);
    let mut stream = world.client().await.connect().await;
    let (first, second) = (
        query("slow.example.", |_| {}),
        query("fast.example.", |m| m.metadata.id = 1),
    );
    let frame = |message: &[u8]| {
        [
            &u16::try_from(message.len()).expect("short").to_be_bytes()[..],
            message,
        ]
        .concat()
    };
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[frame(&first), frame(&second)].concat())
        .await
        .expect("written");
    assert_eq!(
        read_frame(&mut stream).await.expect("a reply").metadata.id,
        1
    );
    gate.add_permits(100);
    assert_eq!(
        read_frame(&mut stream).await.expect("a reply").metadata.id,
        4242
    );
    world.stop().await;
}

#[tokio::test]
async fn a_closed_half_still_gets_its_answers() {
    let (upstream, gate) = held().await;
    let world = World::new(upstream);
    let mut stream = world.client().await.connect().await;
    write_frame(&mut stream, &query("slow.example.", |_| {})).await;
    tokio::io::AsyncWriteExt::shutdown(&mut stream)
        .await
        .expect("half closed");
    until(|| world.counts().upstream_queries == 1).await;
    gate.add_permits(100);
    assert_eq!(
        read_frame(&mut stream).await.expect("a reply").metadata.id,
        4242
    );
    assert!(read_frame(&mut stream).await.is_none());
    world.stop().await;
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let upstream = Upstream::with_records(&["a. 60 A 192.0.2.1"]).await;
    let world = World::with(upstream, |config| {
        config.limits.idle = Duration::from_millis(50)
    });
    let mut stream = world.client().await.connect().await;
    write_frame(&mut stream, &query("a.", |_| {})).await;
    assert!(read_frame(&mut stream).await.is_some());
    assert!(read_frame(&mut stream).await.is_none());
    world.stop().await;
}

#[tokio::test]
async fn an_oversized_frame_ends_the_connection() {
    let world = World::new(Upstream::with_records(&[]).await);
    let mut stream = world.client().await.connect().await;
    write_frame(&mut stream, &[0; 5000]).await;
    assert!(read_frame(&mut stream).await.is_none());
    world.stop().await;
}

#[tokio::test]
async fn connections_are_bounded_for_all_and_for_each() {
    let upstream = Upstream::with_records(&["a. 60 A 192.0.2.1"]).await;
    let world = World::with(upstream, |config| config.limits.connections = 4);
    let mut open = Vec::new();
    // Workload 0 has its half, then all are taken.
    for (workload, is_taken) in [
        (0, true),
        (0, true),
        (0, false),
        (1, true),
        (2, true),
        (3, false),
    ] {
        let mut stream = world.client_of(workload).await.connect().await;
        if is_taken {
            write_frame(&mut stream, &query("a.", |_| {})).await;
        }
        assert_eq!(read_frame(&mut stream).await.is_some(), is_taken);
        open.push(stream);
    }
    let counts = world.counts();
    assert_eq!(
        (counts.connections_refused, counts.connections_over_share),
        (1, 1)
    );
    drop(open);
    world.stop().await;
}
