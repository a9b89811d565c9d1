use std::process::Command;

use super::*;
use crate::{Transport, probe};

const RESOLVER: &str = "192.0.2.53";
const RESOLVER6: &str = "2001:db8::53";

/// Privileged tests fail in CI when they cannot run, and say so elsewhere.
#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
pub(crate) fn as_root<T>(test: impl FnOnce() -> T) -> Option<T> {
    if nix::unistd::geteuid().is_root() {
        return Some(test());
    }
    assert!(std::env::var_os("CI").is_none(), "this test needs root");
    eprintln!("NOT RUN: needs root");
    None
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn internet() -> Internet {
    let internet = Internet::build(&Options {
        nameservers: vec![ip(RESOLVER)],
        ..Options::default()
    })
    .expect("an internet");
    internet.resolver(ip(RESOLVER)).unwrap();
    internet.resolver(ip(RESOLVER6)).unwrap();
    internet
        .zone(
            "api.example.com 60 A 203.0.113.10
             api.example.com 60 AAAA 2001:db8:1::10
             www.example.com 60 CNAME api.example.com
             echo.example    60 A 203.0.113.7",
        )
        .unwrap();
    internet
        .web("203.0.113.10:80".parse().unwrap(), "api4")
        .unwrap();
    internet
        .web("[2001:db8:1::10]:80".parse().unwrap(), "api6")
        .unwrap();
    internet.echo("203.0.113.7:7".parse().unwrap()).unwrap();
    internet
        .web("169.254.169.254:80".parse().unwrap(), "metadata")
        .unwrap();
    internet
        .web("[fd00:ec2::254]:80".parse().unwrap(), "metadata6")
        .unwrap();
    internet
}

/// The probe on the client's own thread: namespaces belong to threads, so that is as good as a
/// process, but for resolv.conf, which glibc reads anew.
fn see(internet: &Internet, steps: &[&str]) -> Vec<probe::Sight> {
    let steps: Vec<String> = steps.iter().map(|s| (*s).to_owned()).collect();
    internet
        .client
        .run(move || probe::take_all(&steps))
        .expect("the client is there")
}

#[test]
fn names_and_servers_are_reached_in_both_families() {
    as_root(|| {
        let internet = internet();
        let seen = see(
            &internet,
            &[
                "ask www.example.com A",
                "ask api.example.com AAAA @2001:db8::53 tcp",
                "http 203.0.113.10:80/x",
                "http [2001:db8:1::10]:80/y",
                "udp 203.0.113.7:7 datagram",
                "udp-connected 203.0.113.7:7 connected",
                "tcp 203.0.113.7:7 stream",
                "http 169.254.169.254:80/latest/meta-data",
                "http [fd00:ec2::254]:80/latest/meta-data",
                "tcp 203.0.113.7:8 nobody",
                "ask nowhere.example A",
            ],
        );
        let told: Vec<_> = seen
            .iter()
            .map(|s| s.text.as_deref().or(s.error.as_deref()).unwrap_or_default())
            .collect();
        assert_eq!(
            told,
            [
                "NOERROR",
                "NOERROR",
                "api4 203.0.113.10/x",
                "api6 [2001:db8:1::10]/y",
                "datagram",
                "connected",
                "stream",
                "metadata 169.254.169.254/latest/meta-data",
                "metadata6 [fd00:ec2::254]/latest/meta-data",
                "ECONNREFUSED",
                "NXDOMAIN",
            ]
        );
        assert_eq!(
            seen[0].records,
            [
                "www.example.com 60 CNAME api.example.com",
                "api.example.com 60 A 203.0.113.10"
            ]
        );
        assert_eq!(internet.questions().mark(), 3);
        assert_eq!(internet.questions().entries()[1].transport, Transport::Tcp);
        assert_eq!(internet.requests().mark(), 4);
        let refused = internet.packets_to(ip("203.0.113.7")).unwrap();
        assert!(
            refused
                .iter()
                .any(|p| p.destination_port == 8 && p.protocol == 6)
        );
        assert!(internet.packets_to(ip("203.0.113.99")).unwrap().is_empty());
    });
}

#[test]
fn resolvers_misbehave_as_told() {
    as_root(|| {
        let internet = internet();
        let zone = |ip: &str| format!("turns.example 1 A {ip}");
        for (name, behaviour) in [
            ("late.example", Behaviour::Delay(Duration::from_millis(50))),
            ("cut.example", Behaviour::TruncateUdp),
            ("id.example", Behaviour::WrongId),
            ("question.example", Behaviour::WrongQuestion),
            ("owner.example", Behaviour::WrongOwner),
            ("garbage.example", Behaviour::Garbage),
            ("refused.example", Behaviour::Rcode(5)),
            (
                "turns.example",
                Behaviour::InTurn(vec![zone("192.0.2.1"), zone("192.0.2.2")]),
            ),
            (
                "smuggle.example",
                Behaviour::Smuggle("api.example.com 60 A 192.0.2.66".to_owned()),
            ),
        ] {
            internet.zone(&format!("{name} 60 A 203.0.113.1")).unwrap();
            internet.behave(name, behaviour).unwrap();
        }
        let seen = see(
            &internet,
            &[
                "ask late.example A",
                "ask cut.example A",
                "ask id.example A",
                "ask question.example A",
                "ask owner.example A",
                "ask garbage.example A",
                "ask refused.example A",
                "ask turns.example A",
                "ask turns.example A",
                "ask turns.example A",
                "ask smuggle.example A",
            ],
        );
        let told: Vec<String> = seen
            .iter()
            .map(|s| s.error.clone().unwrap_or_else(|| s.records.join(", ")))
            .collect();
        assert_eq!(
            told,
            [
                "late.example 60 A 203.0.113.1",
                "cut.example 60 A 203.0.113.1",
                "the answer cannot be read",
                "the answer cannot be read",
                "another.example 60 A 203.0.113.1",
                "the answer cannot be read",
                "REFUSED",
                "turns.example 1 A 192.0.2.1",
                "turns.example 1 A 192.0.2.2",
                "turns.example 1 A 192.0.2.2",
                "smuggle.example 60 A 203.0.113.1, api.example.com 60 A 192.0.2.66",
            ]
        );
        let cut = internet.questions().entries();
        let cut: Vec<_> = cut.iter().filter(|q| q.name == "cut.example").collect();
        assert_eq!(cut.len(), 2, "once over UDP and once over TCP");
    });
}

#[test]
fn a_command_finds_the_playgrounds_names() {
    as_root(|| {
        let internet = internet();
        let mut command = Command::new("getent");
        command.args(["ahostsv4", "www.example.com"]);
        let output = internet.output(command).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.starts_with("203.0.113.10 "), "{text}");
    });
}

#[test]
fn nothing_outside_the_cable_can_be_reached() {
    as_root(|| {
        let internet = internet();
        let seen = see(&internet, &["udp 203.0.113.200:53 x"]);
        assert!(!seen[0].ok);
        assert_eq!(internet.packets_to(ip("203.0.113.200")).unwrap().len(), 1);
    });
}

#[test]
fn internets_do_not_meet() {
    as_root(|| {
        let (one, two) = (internet(), internet());
        see(&one, &["http 203.0.113.10:80/one"]);
        drop(one);
        see(&two, &["http 203.0.113.10:80/two"]);
        let paths: Vec<_> = two
            .requests()
            .entries()
            .into_iter()
            .map(|r| r.path)
            .collect();
        assert_eq!(paths, ["/two"]);
    });
}
