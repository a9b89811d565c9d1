//! `dig`, and slots reached as the kernel's redirect reaches them.

use std::process::{Command, Output};

use test_case::test_case;

use crate::World;
use crate::upstream::Upstream;

/// Whether a tool is missing; an error where everything has to be there.
fn is_missing(tool: &str) -> bool {
    let missing = Command::new(tool).arg("-v").output().is_err();
    assert!(
        !missing || std::env::var_os("CI").is_none(),
        "{tool} is needed where CI is set"
    );
    missing
}

async fn dig(arguments: Vec<String>) -> Output {
    tokio::task::spawn_blocking(move || {
        Command::new("dig")
            .args(arguments)
            .output()
            .expect("dig ran")
    })
    .await
    .expect("no panic")
}

#[test_case("@127.83.0.1", "+notcp"; "v4 udp")]
#[test_case("@127.83.255.255", "+tcp"; "v4 tcp at the last slot")]
#[test_case("@::1", "+notcp"; "v6 udp")]
#[test_case("@::1", "+tcp"; "v6 tcp")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dig_gets_its_answer(server: &str, transport: &str) {
    if is_missing("dig") {
        return;
    }
    let world = World::new(
        Upstream::with_records(&[
            "www.example. 60 CNAME cdn.example.",
            "cdn.example. 30 A 192.0.2.1",
        ])
        .await,
    );
    let port = world.port.to_string();
    let arguments = [
        server,
        "-p",
        &port,
        transport,
        "+short",
        "+tries=1",
        "+time=5",
        "wWw.eXample",
        "A",
    ];
    let output = dig(arguments.map(str::to_owned).to_vec()).await;
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).to_lowercase(),
        "cdn.example.\n192.0.2.1\n",
        "{output:?}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dig_is_told_why() {
    if is_missing("dig") {
        return;
    }
    let world = World::new(Upstream::with_records(&[]).await);
    world.judge.deny("tracker.example");
    let port = world.port.to_string();
    let output = dig(["@127.83.0.1", "-p", &port, "tracker.example"]
        .map(str::to_owned)
        .to_vec())
    .await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("NXDOMAIN") && text.contains("EDE: 15 (Blocked): (no policy allows it)"),
        "{text}"
    );
    world.stop().await;
}

/// In a network namespace of its own, where slots are local by a route only: the reply's source needs IPV6_FREEBIND.
#[test]
fn a_v6_slot_answers_from_its_own_address() {
    if !nix::unistd::geteuid().is_root() {
        assert!(
            std::env::var_os("CI").is_none(),
            "root is needed where CI is set"
        );
        return;
    }
    // The namespace goes with the thread.
    let inside = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace");
        for arguments in [
            "link set lo up",
            "-6 route add local fd83:6567:7265::/64 dev lo",
        ] {
            assert!(
                Command::new("ip")
                    .args(arguments.split(' '))
                    .status()
                    .expect("ip ran")
                    .success(),
                "{arguments}"
            );
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let world = World::new(Upstream::with_records(&["a. 60 A 192.0.2.1"]).await);
            let slot = "fd83:6567:7265::7"
                .parse::<std::net::IpAddr>()
                .expect("an address");
            let client = crate::Client::new((slot, world.port).into()).await;
            assert_eq!(
                crate::client::show(&client.ask("a.").await),
                "No Error a./192.0.2.1"
            );
            assert_eq!(
                crate::client::show(&client.ask_tcp("a.").await),
                "No Error a./192.0.2.1"
            );
            world.stop().await;
        });
    });
    inside.join().expect("no panic");
}
