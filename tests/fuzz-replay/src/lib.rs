//! What every input from outside must keep to, whatever is in it: one function for each reader.
//!
//! `tests/fuzz` looks for inputs that break one of them, with a nightly compiler and for as long as one likes; the
//! inputs it keeps lie in `tests/fuzz/corpus/`, and a test of this crate tries every one of them on stable. So the
//! functions are here and not there. They panic on purpose where something does not hold, and in no other case.
#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    reason = "what an input must not break is told by a panic, to whoever looks for one"
)]

use std::net::IpAddr;

use dns_names::{Answer, Grammar, Name, NamePattern, Query, Transport, UpstreamEdns};
use ebpf_logic::host::{HostMaps, HostPacket};
use policy_dialects::{Context, Dialect, Others, Reading};
use policy_model::{Diagnostic, Level, PodIdentity, Policy, Settings, Workload, World};

/// Every function with the name of its corpus and its target.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("calico_selector", calico_selector),
    ("dns_answer", dns_answer),
    ("dns_query", dns_query),
    ("name_pattern", name_pattern),
    ("packet", packet),
    ("policy_compile", policy_compile),
    ("policy_convert", policy_convert),
    ("policy_read", policy_read),
    ("read_calico", read_calico),
    ("read_cilium", read_cilium),
    ("read_cluster_network_policy", read_cluster_network_policy),
    ("read_native", read_native),
    ("read_network_policy", read_network_policy),
];

/// What stands before an input that is the rest of an object: so that what is tried is a body, and not whether a kind is known.
const KINDS: [(&str, &[&str]); 5] = [
    ("networking.k8s.io/v1", &["NetworkPolicy"]),
    (
        "policy.networking.k8s.io/v1alpha2",
        &["ClusterNetworkPolicy"],
    ),
    (
        "cilium.io/v2",
        &[
            "CiliumNetworkPolicy",
            "CiliumClusterwideNetworkPolicy",
            "CiliumCIDRGroup",
        ],
    ),
    (
        "projectcalico.org/v3",
        &[
            "NetworkPolicy",
            "GlobalNetworkPolicy",
            "StagedNetworkPolicy",
            "GlobalNetworkSet",
            "Tier",
            "HostEndpoint",
            "Profile",
        ],
    ),
    (
        "egret.dev/v1alpha1",
        &["EgressPolicy", "ClusterEgressPolicy", "EgressSet"],
    ),
];

/// A selector of Calico's: its canonical form is a selector too, the same one, and canonical.
pub fn calico_selector(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    match policy_dialects::parse_selector(text) {
        Ok(selector) => {
            let canonical = selector.to_string();
            // What it adds, parentheses and blanks, may be over the limits.
            if canonical.chars().count() <= 1024 && canonical.matches('(').count() <= 64 {
                let again = policy_dialects::parse_selector(&canonical);
                assert_eq!(again.as_ref(), Ok(&selector), "{canonical}");
                assert_eq!(again.map(|again| again.to_string()), Ok(canonical));
            }
        }
        Err(error) => assert!(error.offset <= text.chars().count()),
    }
}

/// A workload's message: what goes upstream in its place is the same question and nothing else.
pub fn dns_query(message: &[u8]) {
    let query = match Query::read(message) {
        Ok(query) => query,
        Err(error) => {
            let reply = error.reply(message);
            assert!(reply.is_none_or(|reply| reply.len() == 12), "a bare header");
            return;
        }
    };
    for edns in [UpstreamEdns::With, UpstreamEdns::Without] {
        let sent = query.asked_with(7).to_upstream(edns);
        let read = Query::read(&sent).expect("what we write, we can read");
        assert_eq!((&read.name, read.id), (&query.name, 7));
        assert_eq!(
            (read.record_type, read.class),
            (query.record_type, query.class)
        );
        assert!(sent.len() <= 12 + 255 + 4 + 11, "nothing else fits");
    }
}

/// An upstream's message, taken for the answer to the question that stands in it: what a client reads in our reply is
/// what was learned from the message, and what is taken out is gone.
pub fn dns_answer(message: &[u8]) {
    let mut asked = message.to_vec();
    // The same header and question, as a query without records.
    let Some(header) = asked.get_mut(..12) else {
        return;
    };
    header[2..4].copy_from_slice(&[1, 0]);
    header[6..12].fill(0);
    let Ok(query) = Query::read(&asked) else {
        return;
    };
    let Ok(answer) = Answer::read(message, &query) else {
        return;
    };
    assert_eq!(answer.chain().first(), Some(&query.name));
    let mut out = Vec::new();
    answer.write_reply(&query, 0, Transport::Tcp, None, &mut out);
    let again = Answer::read(&out, &query).expect("our own reply");
    assert_eq!(again.addresses(), answer.addresses());
    assert_eq!(again.chain(), answer.chain());
    assert!(again.resolution().strays.is_empty() && again.hints_removed() == 0);

    answer.write_reply(&query, 5, Transport::Udp, None, &mut out);
    assert!(out.len() <= query.reply_limit(Transport::Udp));

    let addresses: Vec<IpAddr> = answer.addresses().iter().map(|a| a.ip).collect();
    if let Ok(stripped) = answer.without(&addresses) {
        stripped.write_reply(&query, 0, Transport::Tcp, None, &mut out);
        let again = Answer::read(&out, &query).expect("our own reply");
        assert!(again.addresses().is_empty());
    }
}

/// `PATTERN` and `NAME` on two lines, in every grammar: a pattern that stands for one name matches it and no other, and
/// what matches lies in the pattern's zone.
pub fn name_pattern(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (pattern, name) = text.split_once('\n').unwrap_or((text, text));
    let name = Name::parse(name);
    if let Ok(name) = &name {
        assert_eq!(
            Name::parse(name.as_str()).as_ref(),
            Ok(name),
            "canonical text"
        );
    }
    for grammar in [
        Grammar::Native,
        Grammar::Cilium,
        Grammar::CiliumName,
        Grammar::ClusterNetworkPolicy,
        Grammar::Istio,
        Grammar::Calico,
    ] {
        let Ok(pattern) = NamePattern::parse(grammar, pattern) else {
            continue;
        };
        assert!(!pattern.covers().is_empty());
        if let Some(exact) = pattern.exact() {
            assert!(pattern.matches(exact));
        }
        let Ok(name) = &name else {
            continue;
        };
        if pattern.matches(name) {
            assert!(!pattern.is_never());
            assert!(pattern.exact().is_none_or(|exact| exact == name));
            assert!(pattern.zone().is_none_or(|zone| name.is_under(&zone)));
        }
        // Cilium's wildcards are about names of hosts.
        let is_any_name = !matches!(grammar, Grammar::Cilium | Grammar::CiliumName);
        assert!(pattern.matches(name) || !(is_any_name && pattern.is_match_all()));
    }
}

/// A policy file: every diagnostic has its place, and what was read compiles, or says why it does not.
pub fn policy_read(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let reading = read_text(text);
    compile(&reading.policies);
}

/// What follows `apiVersion`, `kind` and a name in a NetworkPolicy.
pub fn read_network_policy(input: &[u8]) {
    read_bodies(input, 0);
}

/// The same in a ClusterNetworkPolicy, and in the two kinds before it.
pub fn read_cluster_network_policy(input: &[u8]) {
    read_bodies(input, 1);
    for kind in ["AdminNetworkPolicy", "BaselineAdminNetworkPolicy"] {
        read_body(input, "policy.networking.k8s.io/v1alpha1", kind);
    }
}

/// The same in the kinds of Cilium.
pub fn read_cilium(input: &[u8]) {
    read_bodies(input, 2);
}

/// The same in the kinds of Calico.
pub fn read_calico(input: &[u8]) {
    read_bodies(input, 3);
}

/// The same in our own kinds.
pub fn read_native(input: &[u8]) {
    read_bodies(input, 4);
}

/// Policies and a cluster in one text: whatever the workload, two compilations are one, and an address has one verdict.
pub fn policy_compile(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let context = Context {
        others: Others::World,
        ..Context::default()
    };
    let reading = policy_dialects::read("fuzz.yaml", text, &context);
    let mut workloads = vec![Workload::command()];
    for name in reading.cluster.pods.keys().take(3) {
        let pod = PodIdentity::of_pod(&reading.cluster, name).expect("a pod of the cluster");
        workloads.push(Workload::of_pod(pod, &reading.cluster));
    }
    let world = World {
        cluster: reading.cluster.into(),
        ..World::default()
    };
    for workload in workloads {
        let compiled =
            || policy_engine::compile(&reading.policies, &workload, &world, &Settings::default());
        // A limit or a refusal is an answer too, and the same one each time.
        match (compiled(), compiled()) {
            (Ok(one), Ok(other)) => {
                assert_eq!(one.ruleset.statics(), other.ruleset.statics());
                assert_eq!(one.diagnostics, other.diagnostics);
            }
            (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
            (one, other) => panic!("{:?} and then {:?}", one.err(), other.err()),
        }
    }
}

/// What is converted can be read, nothing of it is refused, and to convert native policies again loses nothing.
pub fn policy_convert(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let reading = policy_dialects::read("fuzz.yaml", text, &Context::default());
    for to in Dialect::ALL {
        let once = policy_dialects::convert(&reading.policies, &reading.cluster, *to);
        let again = policy_dialects::read("converted.yaml", &once.text, &Context::default());
        let refused = |diagnostic: &&Diagnostic| {
            diagnostic.level == Level::Refused && diagnostic.code != "no-object"
        };
        let wrong = again.diagnostics.iter().find(refused);
        assert!(wrong.is_none(), "{to:?}: {wrong:#?}\n{}", once.text);
        if *to != Dialect::Native {
            continue;
        }
        let twice = policy_dialects::convert(&again.policies, &again.cluster, *to);
        let lost = twice
            .losses
            .iter()
            .find(|loss| loss.level == Level::Refused);
        assert!(lost.is_none(), "{lost:#?}\n{}", once.text);
    }
}

fn read_bodies(input: &[u8], dialect: usize) {
    let (version, kinds) = KINDS[dialect];
    for kind in kinds {
        read_body(input, version, kind);
    }
}

fn read_body(input: &[u8], version: &str, kind: &str) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let head = format!("apiVersion: {version}\nkind: {kind}\n");
    let text = if text.contains("metadata:") {
        format!("{head}{text}")
    } else {
        format!("{head}metadata: {{name: default}}\n{text}")
    };
    compile(&read_text(&text).policies);
}

/// Reads a text, and holds the diagnostics to what each must have.
fn read_text(text: &str) -> Reading {
    let reading = policy_dialects::read("fuzz.yaml", text, &Context::default());
    // YAML breaks lines at a carriage return, too; and what is missing at the end is missing on the line after it.
    let breaks = text.matches(['\n', '\r']).count();
    let lines = u32::try_from(breaks).unwrap_or(u32::MAX).saturating_add(2);
    for diagnostic in &reading.diagnostics {
        assert!(!diagnostic.message.is_empty());
        assert!(
            (1..=lines).contains(&diagnostic.origin.line),
            "{diagnostic:?}"
        );
    }
    reading
}

fn compile(policies: &[Policy]) {
    // A limit or a refusal is an answer too.
    drop(policy_engine::compile(
        policies,
        &Workload::command(),
        &World::default(),
        &Settings::default(),
    ));
}

/// A packet from its IP header on: the short reading never says anything else than the whole one.
pub fn packet(bytes: &[u8]) {
    let maps = HostMaps::new(5300);
    for version in [4, 6] {
        let packet = HostPacket { bytes, version };
        let whole = ebpf_logic::parse(&maps, &packet);
        if let Some(short) = ebpf_logic::glance(&packet) {
            assert_eq!(whole, Ok(short));
        }
    }
}
