//! Addresses: reached through a name that is allowed, for as long as it lives, and not otherwise.

use testkit::Lab;
use testkit::names::{API, FORBIDDEN, FORBIDDEN6, STRANGER};

use crate::in_lab;

#[test]
fn an_address_without_a_name_is_refused_at_the_system_call() {
    in_lab(|lab| {
        let outcome = lab.held(&Lab::allowing(&["api.example.com"])).probe(&[
            "tcp 198.51.100.66:7 x",
            "udp 198.51.100.66:7 x",
            "udp-connected 198.51.100.66:7 x",
            "tcp [2001:db8:66::66]:7 x",
            "udp [2001:db8:66::66]:7 x",
            "udp-connected [2001:db8:66::66]:7 x",
            "tcp [::ffff:198.51.100.66]:7 x",
            "udp [::ffff:198.51.100.66]:7 x",
        ]);
        assert_eq!(outcome.told(), ["EPERM"; 8], "{outcome:#?}");
        assert_eq!(outcome.code, Some(1));
        assert_eq!(lab.internet.packets_to(FORBIDDEN).unwrap(), []);
        assert_eq!(lab.internet.packets_to(FORBIDDEN6).unwrap(), []);
    });
}

#[test]
fn an_allowed_address_that_nobody_has_looked_up_yet_is_closed() {
    in_lab(|lab| {
        let outcome = lab.held(&Lab::allowing(&["v4.example.com"])).probe(&[
            "tcp 203.0.113.10:7 early",
            "lookup v4.example.com",
            "tcp 203.0.113.10:7 late",
        ]);
        assert_eq!(
            outcome.told(),
            ["EPERM", "203.0.113.10", "late"],
            "{outcome:#?}"
        );
    });
}

#[test]
fn only_the_ports_of_the_rule_are_open() {
    in_lab(|lab| {
        let policy = format!(
            "{}      ports: [{{protocol: TCP, port: 80}}, {{protocol: UDP, port: 5, endPort: 7}}]\n",
            Lab::allowing(&["v4.example.com"])
        );
        let outcome = lab.held(&policy).probe(&[
            "http v4.example.com:80/",
            "udp v4.example.com:7 datagram",
            "tcp v4.example.com:7 x",
            "udp v4.example.com:8 x",
        ]);
        assert_eq!(
            outcome.told(),
            ["api v4.example.com/", "datagram", "EPERM", "EPERM"],
            "{outcome:#?}"
        );
    });
}

#[test]
fn an_expired_address_is_closed_and_an_established_connection_lives_on() {
    in_lab(|lab| {
        let outcome = lab.held(&Lab::allowing(&["short.example.com"])).probe(&[
            "open kept short.example.com:7",
            "say kept before",
            "until failed tcp 203.0.113.12:7 new",
            "udp 203.0.113.12:7 new",
            "say kept after",
            "tcp short.example.com:7 again",
        ]);
        assert_eq!(
            outcome.told(),
            ["203.0.113.12", "before", "EPERM", "EPERM", "after", "again"],
            "{outcome:#?}"
        );
    });
}

#[test]
fn a_second_resolver_that_nobody_configured_is_an_ordinary_denied_flow() {
    in_lab(|lab| {
        let outcome = lab.held(&Lab::allowing(&["api.example.com"])).probe(&[
            &format!("ask api.example.com A @{STRANGER}"),
            &format!("ask api.example.com A @{STRANGER} tcp"),
        ]);
        assert_eq!(outcome.told(), ["EPERM", "EPERM"], "{outcome:#?}");
        assert_eq!(lab.internet.packets_to(STRANGER).unwrap(), []);
    });
}

/// Even by a rule as wide as this one, which names no resolver.
#[test]
fn dns_past_the_filter_is_closed_where_names_are_filtered() {
    in_lab(|lab| {
        let policy = Lab::allowing(&["v4.example.com"])
            + "    - action: Allow\n      to: [{cidr: 0.0.0.0/0}]\n";
        let outcome = lab.held(&policy).probe(&[
            "tcp 198.51.100.66:853 x",
            "udp 198.51.100.66:853 x",
            "tcp 198.51.100.66:53 x",
            "udp 198.51.100.66:53 x",
            "tcp 8.8.8.8:443 x",
            "udp 8.8.8.8:443 x",
        ]);
        assert_eq!(outcome.told(), ["EPERM"; 6], "{outcome:#?}");
        assert_eq!(
            lab.internet
                .packets_to("198.51.100.66".parse().unwrap())
                .unwrap(),
            []
        );
    });
}

#[test]
fn every_configured_resolver_answers_from_its_own_address() {
    in_lab(|lab| {
        // The probe takes no answer that comes from elsewhere.
        let outcome = lab.held(&Lab::allowing(&["v4.example.com"])).probe(&[
            "ask v4.example.com A @192.0.2.53",
            "ask v4.example.com A @2001:db8::53",
            "ask v4.example.com A @::ffff:192.0.2.53",
        ]);
        assert_eq!(outcome.told(), vec![API.to_string(); 3], "{outcome:#?}");
    });
}

#[test]
fn two_names_on_one_address_keep_their_ports_and_their_times_apart() {
    in_lab(|lab| {
        lab.internet
            .zone("one.example.com 2 A 203.0.113.10\ntwo.example.com 300 A 203.0.113.10")
            .unwrap();
        let policy = "
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: test}
spec:
  egress:
    - action: Allow
      to: [{fqdn: [one.example.com]}]
      ports: [{protocol: TCP, port: 80}]
    - action: Allow
      to: [{fqdn: [two.example.com]}]
      ports: [{protocol: TCP, port: 7}]
";
        let outcome = lab.held(policy).probe(&[
            "lookup two.example.com",
            "http 203.0.113.10:80/",
            "tcp 203.0.113.10:7 two",
            "http one.example.com:80/",
            "until failed http 203.0.113.10:80/",
            "tcp 203.0.113.10:7 two",
        ]);
        assert_eq!(
            outcome.told(),
            [
                "203.0.113.10",
                "EPERM",
                "two",
                "api one.example.com/",
                "EPERM",
                "two"
            ],
            "{outcome:#?}"
        );
    });
}

#[test]
fn a_command_reaches_its_own_servers_on_loopback() {
    in_lab(|lab| {
        let script = "import socket
s = socket.create_server(('127.0.0.1', 0)); s6 = socket.create_server(('::1', 0), family=socket.AF_INET6)
for server in (s, s6):
    c = socket.create_connection(server.getsockname()[:2], 5); a, _ = server.accept()
    a.sendall(b'own'); print(c.recv(9).decode())";
        let outcome = lab
            .held(&Lab::allowing(&["api.example.com"]))
            .run(["python3", "-c", script]);
        assert_eq!(outcome.stdout, "own\nown\n", "{outcome:#?}");
    });
}

#[test]
fn a_server_inside_answers_those_who_come_to_it() {
    in_lab(|lab| {
        let server = "import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('198.18.77.2', 8000)); s.listen()
print('listening', flush=True)
c, _ = s.accept(); c.sendall(c.recv(100)); c.close()";
        let mut running = lab
            .held(&Lab::allowing(&["api.example.com"]))
            .start(["python3", "-c", server]);
        assert_eq!(running.line(), "listening");
        let step = vec!["tcp 198.18.77.2:8000 hello".to_owned()];
        let world = lab.internet.world();
        let seen = world
            .run(move || gateway_playground::probe::take_all(&step))
            .unwrap();
        assert_eq!(seen[0].text.as_deref(), Some("hello"), "{seen:?}");
        assert_eq!(running.finish().code, Some(0));
    });
}
