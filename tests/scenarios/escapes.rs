//! Ways out of a held command, each tried for real.
//!
//! An attempt is a Python program that tries to get something to where nobody may go. It is run
//! under `egret run`, where nothing may arrive, and again without it, where something must: an
//! attempt that gets nowhere by itself proves nothing.

mod attempts;
mod handed_in;

use std::process::Command;

use nix::sys::signal::Signal;
use test_case::test_case;
use testkit::names::{FORBIDDEN, FORBIDDEN6};
use testkit::{Compiler, Lab, compile};

use self::attempts::{HOST_SOCKETS, PRELUDE, host_sockets, loopback_service};
use crate::in_lab;

/// Names that the held command may reach, on every port: what is tried starts from something allowed.
const ALLOWED: &[&str] = &["v4.example.com", "v6.example.com"];

#[test_case(attempts::PLAIN; "nothing special")]
#[test_case(attempts::DAEMON; "a daemon that left its session")]
#[test_case(attempts::PACKET_SOCKET; "a packet socket")]
#[test_case(attempts::COOKED_PACKET_SOCKET; "a cooked packet socket")]
#[test_case(attempts::RAW_HEADER; "a raw socket with a header of its own")]
#[test_case(attempts::RAW_FRAGMENTS; "hand made fragments")]
#[test_case(attempts::RAW_ICMP; "a raw icmp socket")]
#[test_case(attempts::PING_SOCKET; "a ping socket")]
#[test_case(attempts::UDP_LITE; "udp lite")]
#[test_case(attempts::MPTCP; "multipath tcp")]
#[test_case(attempts::FAST_OPEN; "tcp fast open")]
#[test_case(attempts::DISSOLVED; "a dissolved association")]
#[test_case(attempts::RECONNECT; "a socket that was connected to an allowed address")]
#[test_case(attempts::SENDMSG; "sendmsg on a connected socket with another address")]
#[test_case(attempts::BATCH; "a batch of datagrams")]
#[test_case(attempts::LOOSE_ROUTE; "a loose source route")]
#[test_case(attempts::STRICT_ROUTE; "a strict source route")]
#[test_case(attempts::ROUTING_HEADER; "an ipv6 routing header")]
#[test_case(attempts::BOUND_TO_DEVICE; "a socket bound to the device")]
#[test_case(attempts::FOREIGN_SOURCE; "a source address of somebody else")]
#[test_case(attempts::NESTED_NAMESPACE; "namespaces of its own")]
#[test_case(attempts::TUNNEL; "a tunnel")]
#[test_case(attempts::LEAVES_CGROUP; "leaving the cgroup")]
fn nothing_gets_out_by(attempt: &str) {
    in_lab(|lab| {
        let script = format!("{PRELUDE}{attempt}");
        lab.internet
            .client()
            .run(|| std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"))
            .unwrap()
            .unwrap();
        let outcome = lab
            .held(&Lab::allowing(ALLOWED))
            .run(["python3", "-c", &script]);
        let held = arrived(lab);
        let mut free = Command::new("python3");
        free.args(["-c", &script]);
        let free = lab.internet.output(free).unwrap();
        assert!(
            arrived(lab) > held,
            "the attempt gets nowhere even without Egret: {free:?}"
        );
        assert_eq!(held, 0, "{outcome:#?}");
    });
}

#[test_case(attempts::VSOCK, "EPERM"; "af_vsock")]
#[test_case(attempts::XDP, "EPERM"; "af_xdp")]
#[test_case(attempts::BPF_OBJECT, "EPERM"; "a pinned bpf object")]
#[test_case(attempts::BPF_FILE_SYSTEMS, "none"; "a bpf file system")]
#[test_case(attempts::MOUNT, "EPERM"; "a mount")]
#[test_case(attempts::SETNS, "EPERM"; "the namespace of another process")]
#[test_case(attempts::TUN, "no device"; "a tun device")]
#[test_case(attempts::SCTP, "refused"; "sctp and dccp")]
#[test_case(attempts::STOLEN_DESCRIPTORS, "0 sockets"; "descriptors of other processes")]
#[test_case(attempts::CAPABILITIES, "none"; "a capability over network kernel or processes")]
#[test_case(attempts::NEW_PRIVILEGES, "none"; "a set user id program")]
fn the_kernel_refuses(attempt: &str, said: &str) {
    in_lab(|lab| {
        let script = format!("{PRELUDE}{attempt}");
        let outcome = lab
            .held(&Lab::allowing(ALLOWED))
            .run(["python3", "-c", &script]);
        assert_eq!(outcome.stdout.trim(), said, "{outcome:#?}");
    });
}

/// What root may do to a network, the held command may not, root or not.
#[test_case(attempts::ROUTE; "a route")]
#[test_case(attempts::NEIGHBOUR; "a neighbour")]
#[test_case(attempts::TRAFFIC_CONTROL; "traffic control")]
#[test_case(attempts::PACKET_FILTER; "a packet filter")]
fn the_network_cannot_be_changed(attempt: &str) {
    in_lab(|lab| {
        let script = format!("{PRELUDE}{}{attempt}", attempts::NETLINK);
        let outcome = lab
            .held(&Lab::allowing(ALLOWED))
            .run(["python3", "-c", &script]);
        assert_eq!(outcome.stdout, "EPERM\n", "{outcome:#?}");
        let mut free = Command::new("python3");
        free.args(["-c", &script]);
        let free = lab.internet.output(free).unwrap();
        let said = String::from_utf8_lossy(&free.stdout).into_owned();
        assert!(
            !said.is_empty() && said != "EPERM\n",
            "refused to everybody: {free:?}"
        );
    });
}

/// The programs stay attached for as long as anything of the command lives, whoever is killed first.
#[test]
fn killing_egret_opens_nothing() {
    in_lab(|lab| {
        let script = format!("{PRELUDE}{}", attempts::UNTIL_KILLED);
        for _ in 0..3 {
            let mut running = lab
                .held(&Lab::allowing(ALLOWED))
                .start(["python3", "-c", &script, "for ever"]);
            assert_eq!(running.line(), "ready");
            running.signal(Signal::SIGKILL);
            assert_eq!(running.finish().signal, Some(9));
        }
        assert_eq!(arrived(lab), 0);
        let mut free = Command::new("python3");
        free.args(["-c", &script]);
        let free = lab.internet.output(free).unwrap();
        assert!(arrived(lab) > 0, "{free:?}");
    });
}

#[test]
fn io_uring_gets_nothing_out() {
    in_lab(|lab| {
        let Some(client) = compile(
            Compiler::System,
            lab.folder(),
            "ring",
            include_str!("escapes/io_uring.c"),
        ) else {
            return;
        };
        let outcome = lab.held(&Lab::allowing(ALLOWED)).run([client.as_os_str()]);
        let held = arrived(lab);
        let free = lab.internet.output(Command::new(&client)).unwrap();
        assert!(arrived(lab) > held, "{free:?}");
        assert_eq!(held, 0, "{outcome:#?}");
    });
}

#[test]
fn questions_do_not_leave_by_another_port_or_device() {
    in_lab(|lab| {
        let script = format!("{PRELUDE}{}", attempts::QUESTIONS);
        let outcome = lab
            .held(&Lab::allowing(ALLOWED))
            .run(["python3", "-c", &script]);
        let leaked = |lab: &Lab| {
            let packets = lab.internet.packets().unwrap();
            packets
                .iter()
                .filter(|p| String::from_utf8_lossy(&p.head).contains("secret"))
                .count()
        };
        let held = leaked(lab);
        let mut free = Command::new("python3");
        free.args(["-c", &script]);
        let free = lab.internet.output(free).unwrap();
        assert!(leaked(lab) > held, "{free:?}");
        assert_eq!(held, 0, "{outcome:#?}");
    });
}

#[test]
fn services_of_the_host_on_loopback_and_abstract_sockets_are_out_of_reach() {
    in_lab(|lab| {
        let _proxy = loopback_service(lab);
        let script = format!("{PRELUDE}{}", attempts::HOST_SERVICES);
        let outcome = lab
            .held(&Lab::allowing(ALLOWED))
            .run(["python3", "-c", &script]);
        assert_eq!(
            outcome.stdout, "loopback EPERM\nloopback6 EPERM\nown address EPERM\nabstract EPERM\n",
            "{outcome:#?}"
        );
        let mut free = Command::new("python3");
        free.args(["-c", &script]);
        let free = lab.internet.output(free).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&free.stdout),
            "loopback reached\nloopback6 reached\nown address reached\nabstract reached\n",
            "{free:?}"
        );
    });
}

#[test]
fn sockets_of_daemons_that_resolve_or_act_for_others_are_out_of_sight() {
    in_lab(|lab| {
        let _daemons = host_sockets(lab);
        let script = format!("{PRELUDE}{}", attempts::UNIX_SOCKETS);
        let attempt = || {
            let mut words = vec!["python3", "-c", &script];
            words.extend(HOST_SOCKETS);
            words
        };
        let outcome = lab.held(&Lab::allowing(ALLOWED)).run(attempt());
        assert_eq!(outcome.stdout, "", "{outcome:#?}");
        let mut free = Command::new("python3");
        free.args(&attempt()[1..]);
        let free = lab.internet.output(free).unwrap();
        let reached = String::from_utf8_lossy(&free.stdout).into_owned();
        for socket in HOST_SOCKETS {
            assert!(reached.contains(socket), "{socket}: {free:?}");
        }
    });
}

/// How many packets have come for where nobody may go.
fn arrived(lab: &Lab) -> usize {
    let packets = lab.internet.packets().unwrap();
    packets
        .iter()
        .filter(|p| p.destination == FORBIDDEN || p.destination == FORBIDDEN6)
        .count()
}
