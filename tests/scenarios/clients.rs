//! Programs that people use, each with its own way to look names up.

use gateway_playground::Transport;
use testkit::names::{FORBIDDEN, RESOLVER, RESOLVER6};
use testkit::{Compiler, Lab, compile};

use crate::{EGRET, in_lab};

#[test]
fn curl_fetches_what_is_allowed_and_fails_for_what_is_not() {
    in_lab(|lab| {
        let policy = Lab::allowing(&["api.example.com"]);
        let curl = ["curl", "-sS", "--max-time", "10"];
        let fetched = lab
            .held(&policy)
            .run(curl.iter().chain(&["http://api.example.com/hello"]));
        assert_eq!(fetched.code, Some(0), "{fetched:#?}");
        assert!(
            fetched.stdout.ends_with("api.example.com/hello\n"),
            "{fetched:#?}"
        );
        // curl: 6 is "could not resolve host", 7 is "could not connect".
        let by_name = lab
            .held(&policy)
            .run(curl.iter().chain(&["http://forbidden.example.org/"]));
        assert_eq!(by_name.code, Some(6), "{by_name:#?}");
        let by_address = lab
            .held(&policy)
            .run(curl.iter().chain(&["http://198.51.100.66/"]));
        assert_eq!(by_address.code, Some(7), "{by_address:#?}");
        assert_eq!(lab.internet.packets_to(FORBIDDEN).unwrap(), []);
    });
}

#[test]
fn dig_sees_answers_and_reasons_over_udp_and_tcp() {
    in_lab(|lab| {
        let policy = Lab::allowing(&["api.example.com"]);
        let dig = ["dig", "+tries=1", "+time=5"];
        for transport in ["+notcp", "+tcp"] {
            let allowed =
                lab.held(&policy)
                    .run(dig.iter().chain(&[transport, "api.example.com", "A"]));
            assert!(allowed.stdout.contains("203.0.113.10"), "{allowed:#?}");
            assert!(
                allowed.stdout.contains("SERVER: 192.0.2.53#53"),
                "{allowed:#?}"
            );
            let denied =
                lab.held(&policy)
                    .run(dig.iter().chain(&[transport, "forbidden.example.org", "A"]));
            assert!(denied.stdout.contains("NXDOMAIN"), "{denied:#?}");
            assert!(denied.stdout.contains("EDE: "), "{denied:#?}");
        }
        let asked = lab.internet.questions().entries();
        assert!(
            asked.iter().all(|q| q.name == "api.example.com"),
            "{asked:#?}"
        );
    });
}

#[test]
fn dnssec_bits_and_records_pass_unchanged() {
    in_lab(|lab| {
        lab.internet
            .zone("v4.example.com 300 A 203.0.113.10\nv4.example.com 300 TYPE65280 \\# c0ffee")
            .unwrap();
        let outcome = lab.held(&Lab::allowing(&["v4.example.com"])).run([
            "dig",
            "+tries=1",
            "+dnssec",
            "+cdflag",
            "+noall",
            "+answer",
            "v4.example.com",
            "TYPE65280",
        ]);
        assert!(
            outcome.stdout.to_lowercase().contains("c0ffee"),
            "{outcome:#?}"
        );
        let asked = lab.internet.questions().entries();
        assert!(
            asked.iter().any(|q| q.dnssec_ok && q.checking_disabled),
            "{asked:#?}"
        );
    });
}

#[test]
fn glibc_tools_resolve_both_families() {
    in_lab(|lab| {
        let outcome = lab.held(&Lab::allowing(&["api.example.com"])).run([
            "getent",
            "ahosts",
            "api.example.com",
        ]);
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        for ip in ["203.0.113.10", "2001:db8:1::10"] {
            assert!(outcome.stdout.contains(ip), "{outcome:#?}");
        }
        let denied = lab.held(&Lab::allowing(&["api.example.com"])).run([
            "getent",
            "ahosts",
            "forbidden.example.org",
        ]);
        assert_eq!(denied.code, Some(2), "{denied:#?}");
    });
}

#[test]
fn python_sockets_of_every_shape_are_held() {
    in_lab(|lab| {
        let script = "
import socket, errno
def show(what, f):
    try: print(what, f())
    except OSError as e: print(what, errno.errorcode.get(e.errno, e))
def udp(ip, family, text, connect):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(5)
    if connect: s.connect((ip, 7)); s.send(text); return s.recv(100).decode()
    s.sendto(text, (ip, 7)); return s.recvfrom(100)[0].decode()
ip4 = socket.getaddrinfo('v4.example.com', 7, socket.AF_INET)[0][4][0]
ip6 = socket.getaddrinfo('v6.example.com', 7, socket.AF_INET6)[0][4][0]
show('tcp', lambda: socket.create_connection(('v4.example.com', 7), 5).getpeername()[0])
show('udp4', lambda: udp(ip4, socket.AF_INET, b'unconnected', False))
show('udp4c', lambda: udp(ip4, socket.AF_INET, b'connected', True))
show('udp6', lambda: udp(ip6, socket.AF_INET6, b'unconnected6', False))
show('mapped', lambda: udp('::ffff:' + ip4, socket.AF_INET6, b'mapped', False))
show('mappedc', lambda: udp('::ffff:' + ip4, socket.AF_INET6, b'mappedc', True))
show('deny4', lambda: udp('198.51.100.66', socket.AF_INET, b'x', False))
show('deny6', lambda: udp('2001:db8:66::66', socket.AF_INET6, b'x', False))
show('denymapped', lambda: udp('::ffff:198.51.100.66', socket.AF_INET6, b'x', False))
def twice():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
    s.connect((ip4, 7)); s.send(b'first'); first = s.recv(100).decode()
    s.connect(('198.51.100.66', 7)); s.send(b'x'); return first + s.recv(100).decode()
show('reconnect', twice)
";
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com", "v6.example.com"]))
            .run(["python3", "-c", script]);
        let lines: Vec<&str> = outcome.stdout.lines().collect();
        assert_eq!(
            lines,
            [
                "tcp 203.0.113.10",
                "udp4 unconnected",
                "udp4c connected",
                "udp6 unconnected6",
                "mapped mapped",
                "mappedc mappedc",
                "deny4 EPERM",
                "deny6 EPERM",
                "denymapped EPERM",
                "reconnect EPERM",
            ],
            "{outcome:#?}"
        );
        assert_eq!(lab.internet.packets_to(FORBIDDEN).unwrap(), []);
    });
}

/// musl sends both questions to all servers from one unconnected socket, and takes the first answer
/// that comes from one of them.
#[test]
fn a_static_musl_program_resolves_with_two_servers() {
    const SOURCE: &str = r#"
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        struct addrinfo hints, *found;
        memset(&hints, 0, sizeof hints);
        hints.ai_socktype = SOCK_STREAM;
        int error = getaddrinfo(argv[i], "80", &hints, &found);
        if (error) { printf("%s: %s\n", argv[i], gai_strerror(error)); continue; }
        for (; found; found = found->ai_next) {
            char text[64];
            void *ip = found->ai_family == AF_INET
                ? (void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr
                : (void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr;
            inet_ntop(found->ai_family, ip, text, sizeof text);
            printf("%s: %s\n", argv[i], text);
        }
    }
}
"#;
    in_lab(|lab| {
        let Some(client) = compile(Compiler::Musl, lab.folder(), "resolve", SOURCE) else {
            return;
        };
        let outcome = lab.held(&Lab::allowing(&["api.example.com"])).run([
            client.as_os_str(),
            "api.example.com".as_ref(),
            "forbidden.example.org".as_ref(),
        ]);
        let mut lines: Vec<&str> = outcome.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "api.example.com: 2001:db8:1::10",
                "api.example.com: 203.0.113.10",
                "forbidden.example.org: Name does not resolve",
            ],
            "{outcome:#?}"
        );
        let asked = lab.internet.questions().entries();
        assert!(
            asked.iter().all(|q| q.name == "api.example.com"),
            "{asked:#?}"
        );
    });
}

#[test]
fn two_runs_side_by_side_do_not_share_what_they_opened() {
    in_lab(|lab| {
        let gate = lab.folder().join("gate");
        let wait = format!("file {}", gate.display());
        let mut one = lab.held(&Lab::allowing(&["v4.example.com"])).start_probe(&[
            "tcp v4.example.com:7 one",
            &wait,
            "tcp 203.0.113.10:7 one-still",
            "tcp 203.0.113.11:7 x",
        ]);
        assert_eq!(one.sight().text.as_deref(), Some("one"));
        let two = lab.held(&Lab::allowing(&["www.example.com"])).probe(&[
            "tcp 203.0.113.10:7 x",
            "tcp www.example.com:7 two",
            "lookup v4.example.com",
        ]);
        assert_eq!(
            two.told(),
            ["EPERM", "two", "Name or service not known"],
            "{two:#?}"
        );
        std::fs::write(&gate, "").unwrap();
        let one = one.finish();
        assert_eq!(one.told()[2..], ["one-still", "EPERM"], "{one:#?}");
    });
}

#[test]
fn resolvers_in_one_family_only_are_enough() {
    testkit::as_root(|| {
        for servers in [[RESOLVER], [RESOLVER6]] {
            let lab = Lab::with(EGRET, &servers);
            let outcome = lab
                .held(&Lab::allowing(&["v4.example.com"]))
                .probe(&["tcp v4.example.com:7 x", "ask v4.example.com A tcp"]);
            assert_eq!(outcome.told(), ["x", "203.0.113.10"], "{outcome:#?}");
            let asked = lab.internet.questions().entries();
            assert!(asked.iter().all(|q| q.server == servers[0]), "{asked:#?}");
            assert!(asked.iter().any(|q| q.transport == Transport::Udp));
        }
    });
}
