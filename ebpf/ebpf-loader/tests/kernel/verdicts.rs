//! Allow and deny, per family and protocol.

use std::time::{Duration, Instant};

use ebpf_abi::{Cause, Hook, Verdict};

use crate::world::{WEB, World, privileged};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn tcp_by_address_and_port() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    world.server.ok("a = socket.create_server(('203.0.113.7', 80)); b = socket.create_server(('203.0.113.7', 25))");
    let connect =
        |port| format!("socket.create_connection(('203.0.113.7', {port}), 2).getpeername()");

    let before = Instant::now();
    assert_eq!(
        world.client.does(&connect(80)),
        "errno EPERM",
        "nothing is learned yet"
    );
    assert!(
        before.elapsed() < Duration::from_millis(500),
        "the call fails at once"
    );
    let told = world.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (told[0].hook(), told[0].cause(), told[0].verdict()),
        (Some(Hook::Connect), Some(Cause::Policy), Verdict::Deny)
    );
    assert_eq!(
        (told[0].reason, told[0].remote_addr()),
        (1, "203.0.113.7:80".parse().unwrap())
    );
    assert_eq!(told[0].comm(), b"python3");
    assert_ne!(told[0].pid, 0);

    world.learn("203.0.113.7", &[(MINUTE, WEB)]);
    assert_eq!(world.client.does(&connect(80)), "ok ('203.0.113.7', 80)");
    assert_eq!(
        world.client.does(&connect(25)),
        "errno EPERM",
        "another port"
    );
    let told = world.told();
    assert_eq!((told.len(), told[0].reason, told[0].lease), (1, 2, 42));
}
