//! The format: every key is known and typed, and an unknown one is an error with its place.

use dns_names::{Rcode, RecordType};
use policy_cases::{
    ByRef, CaseFile, Check, Closed, CompiledEngine, DiagnosticTest, FileText, FromSpec, Need,
    Outcome, Scene, TestKind, ToSpec, judge,
};
use policy_engine::Verdict;
use policy_model::{DenyStyle, Protocol, Scope};
use test_case::test_case;

fn parse(text: &str) -> CaseFile {
    CaseFile::parse("t.yaml", text).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

#[test]
fn the_documented_example_is_read_and_holds() {
    let (_, example) = include_str!("../../FORMAT.md")
        .split_once("```yaml\n")
        .expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let scene = Scene::prepare(parse(example), &[], &[]).expect("a scene");
    for test in &scene.file.tests {
        let result = judge(&scene, test, &mut CompiledEngine);
        assert_eq!(result.outcome, Outcome::Passed, "{}", result.name);
    }
    assert!(scene.unexpected().is_empty());
}

/// Every key in one file.
const EVERYTHING: &str = r##"
egretTest: 1
policies: [policies/*.yaml]
world: [world.yaml]
inline: |
  apiVersion: v1
  kind: Namespace
  metadata: {name: prod}
settings: {guards: on, clusterDomain: cluster.local, resolvers: [kube-system/kube-dns, 192.0.2.53], networkPolicyCIDR: outside, closed: accept, grace: 5}
dns:
  - query: www.example.com
    answers: [{name: www.example.com, type: A, data: 203.0.113.7, ttl: 60}]
    age: 5
    server: cluster
    trusted: true
    rcode: NOERROR
  - query: x.example
    server: 198.51.100.53
    trusted: false
tests:
  - name: web may call the api
    tags: [should]
    at: 3
    from: prod/web-0
    to: {host: api.example.com, ip: 203.0.113.8}
    port: 443
    protocol: TCP
    expect: deny
    would: allow
    how: drop
    by: prod/allow-api
  - from: {namespace: shop, labels: {a: b}, namespaceLabels: {c: d}, serviceAccount: s, hostNetwork: false, node: n1}
    to: {ip: "2001:db8::1"}
    protocol: ICMPv6
    icmp: {type: 128, code: 0}
    established: true
    expect: allow
    by: default
  - {from: {unit: a.service}, to: {pod: a/b}, port: 1, protocol: UDP, expect: allow}
  - {from: {user: ci}, to: {service: a/b}, port: 1, protocol: 132, expect: allow}
  - {from: {cgroup: /x}, to: {node: n1}, protocol: 47, expect: deny, by: guard}
  - {from: {command: true}, to: {host: a}, port: 1, expect: deny}
  - {from: {ip: 192.0.2.1}, to: {host: a}, port: 1, expect: deny}
  - query: {name: tracker.example.org, type: A, from: prod/web-0, server: cluster, port: 53, protocol: UDP}
    expect: deny
    rcode: NXDOMAIN
  - learned: {host: www.example.com, from: prod/web-0}
    expect: {addresses: [203.0.113.7], ttl: 60, ports: [443/TCP]}
  - diagnostic: {code: cilium-l3-combination, object: CiliumNetworkPolicy/prod/x, line: 12}
    expect: reported
  - diagnostic: none
  - matrix: {from: [x/a, x/b], to: [x/a, x/b, y/a], port: 80}
    expect: {x/a: "#.X", x/b: ".#."}
"##;

#[test]
fn every_key_is_read() {
    let file = parse(EVERYTHING);
    assert_eq!(
        (
            file.policies.len(),
            file.world.len(),
            file.responses.len(),
            file.tests.len()
        ),
        (1, 1, 2, 17)
    );
    assert_eq!(
        (
            file.settings.closed,
            file.settings.network_policy_cidr,
            file.settings.grace
        ),
        (Closed::Accept, Scope::Outside, 5)
    );
    assert!(file.inline.as_ref().is_some_and(
        |inline| inline.indent == 2 && inline.text.lines().nth(5) == Some("apiVersion: v1")
    ));
    let first = &file.tests[0];
    assert_eq!(
        (&*first.name, first.at, first.origin.line, first.tags.len()),
        ("web may call the api", 3, 21, 1)
    );
    let Check::Flow(flow) = &first.check else {
        panic!("a flow")
    };
    assert_eq!(
        (flow.protocol, flow.port, flow.established),
        (Protocol::TCP, 443, false)
    );
    assert_eq!(
        (flow.expect.verdict, flow.expect.would, flow.expect.how),
        (Verdict::Deny, Some(Verdict::Allow), Some(DenyStyle::Drop))
    );
    assert_eq!(flow.expect.by, Some(ByRef::Policy("prod/allow-api".into())));
    assert!(matches!(&flow.to, ToSpec::Host { ip: Some(_), .. }));
    let Check::Flow(icmp) = &file.tests[1].check else {
        panic!("a flow")
    };
    assert_eq!((icmp.port, icmp.established), (128 << 8, true));
    assert!(matches!(&icmp.from, FromSpec::Described { .. }));
    let Check::Query(query) = &file.tests[7].check else {
        panic!("a query")
    };
    assert_eq!(
        (query.record_type, query.port, query.protocol, query.rcode),
        (
            RecordType::A,
            Some(53),
            Protocol::UDP,
            Some(Rcode::NXDOMAIN)
        )
    );
    let Check::Learned(learned) = &file.tests[8].check else {
        panic!("what was learned")
    };
    assert_eq!(learned.ttl, Some(60));
    let Check::Diagnostic(DiagnosticTest::Some { line, reported, .. }) = &file.tests[9].check
    else {
        panic!("a diagnostic")
    };
    assert_eq!((*line, *reported), (Some(12), true));
    let cells: Vec<(&str, TestKind, u32)> = file.tests[11..]
        .iter()
        .map(|test| (&*test.name, test.kind, test.origin.line))
        .collect();
    assert_eq!(
        (cells.len(), cells[0], cells[5]),
        (
            6,
            ("x/a -> x/a 80/TCP", TestKind::Matrix, 53),
            ("x/b -> y/a 80/TCP", TestKind::Matrix, 53)
        )
    );
}

#[test_case("test: []", "unknown-field", 1; "unknown key")]
#[test_case("egretTest: 2", "invalid-value", 1; "unknown version")]
#[test_case("settings: {guard: on}", "unknown-field", 1; "unknown setting")]
#[test_case("settings: {guards: maybe}", "wrong-type", 1; "no truth value")]
#[test_case("settings: {closed: never}", "invalid-value", 1; "unknown word")]
#[test_case("settings: {grace: -1}", "invalid-value", 1; "negative seconds")]
#[test_case("dns: [{answers: []}]", "missing-field", 1; "response without a question")]
#[test_case("dns: [{query: a, answers: [{type: A, data: x, ttl: 1}]}]", "invalid-value", 1; "no address")]
#[test_case("dns: [{query: a, server: 192.0.2.1}]", "invalid-value", 1; "a server nobody configured")]
#[test_case("tests: [{to: {host: a}, port: 1, expect: allow, from: x}]", "invalid-value", 1; "a pod without a namespace")]
#[test_case("tests: [{to: {host: a}, port: 1}]", "missing-field", 1; "no expectation")]
#[test_case("tests: [{to: {host: a}, expect: allow}]", "missing-field", 1; "no port")]
#[test_case("tests: [{to: {host: a}, port: 1, expect: allow, how: drop}]", "invalid-value", 1; "how an allow is denied")]
#[test_case("tests: [{to: {host: a, pod: b/c}, port: 1, expect: allow}]", "invalid-value", 1; "two destinations")]
#[test_case("tests: [{to: {ip: 1.2.3.4}, protocol: ICMP, port: 8, expect: allow}]", "invalid-value", 1; "icmp with a port")]
#[test_case("tests: [{to: {ip: 1.2.3.4}, port: 8, icmp: {type: 8}, expect: allow}]", "invalid-value", 1; "tcp with icmp")]
#[test_case("tests: [{query: {name: a}, to: {host: a}, expect: allow}]", "invalid-value", 1; "two kinds of test")]
#[test_case("tests: [{expect: allow}]", "invalid-value", 1; "no kind of test")]
#[test_case("tests:\n- {to: {host: a}, port: 1, expect: allow, rcode: NXDOMAIN}", "unknown-field", 2; "a code for a flow")]
#[test_case("tests:\n- {matrix: {from: [a/b], to: [c/d], port: 1}, expect: {a/b: \"..\"}}", "invalid-value", 2; "a row too long")]
#[test_case("tests:\n- {diagnostic: }", "invalid-value", 2; "nothing expected")]
#[test_case("tests:\n- {diagnostic: none, expect: reported}", "invalid-value", 2; "none, reported")]
#[test_case("tests:\n- {diagnostic: {code: cidr-hostbits}, expect: absent}", "invalid-value", 2; "a code there is none of")]
#[test_case("tests:\n- {diagnostic: {level: warning}, expect: absent}", "invalid-value", 2; "a level there is none of")]
#[test_case("tests:\n- {to: {host: a b}, port: 1, expect: deny}", "invalid-value", 2; "no host")]
#[test_case("tests:\n- {to: {host: '*.example.com'}, port: 1, expect: deny}", "invalid-value", 2; "a pattern for a host")]
#[test_case("tests:\n- {to: {host: 203.0.113.7}, port: 1, expect: deny}", "invalid-value", 2; "an address for a host")]
#[test_case("tests:\n- {learned: {host: '*.example.com'}, expect: {addresses: []}}", "invalid-value", 2; "what a pattern learned")]
fn what_is_wrong_has_a_place(text: &str, code: &str, line: u32) {
    let errors = CaseFile::parse("t.yaml", text).expect_err(text);
    assert_eq!(
        errors
            .iter()
            .map(|error| (error.code, error.origin.line))
            .collect::<Vec<_>>(),
        [(code, line)],
        "{errors:#?}"
    );
}

fn outcomes(text: &str) -> Vec<Outcome> {
    let scene = Scene::prepare(parse(text), &[], &[]).expect("a scene");
    scene
        .file
        .tests
        .iter()
        .map(|test| judge(&scene, test, &mut CompiledEngine).outcome)
        .collect()
}

#[test_case("to: {pod: a/b}, port: 1"; "a pod")]
#[test_case("to: {service: a/b}, port: 1"; "a service")]
#[test_case("to: {node: a}, port: 1"; "a node")]
#[test_case("from: a/b, to: {host: x}, port: 1"; "from a pod")]
fn what_the_world_does_not_have_is_never_a_silent_pass(test: &str) {
    for expect in ["allow", "deny"] {
        let outcomes = outcomes(&format!("tests: [{{{test}, expect: {expect}}}]"));
        assert!(
            matches!(
                outcomes.as_slice(),
                [Outcome::Needs(Need::Object { .. } | Need::Pod { .. })]
            ),
            "{outcomes:?}"
        );
    }
}

/// Names are filtered, and a block is open as well.
const NAMED: &str = "inline: |\n  apiVersion: egret.dev/v1alpha1\n  kind: EgressPolicy\n  metadata: {name: web}\n  spec: {egress: [{action: Allow, to: [{fqdn: [gone.example.com, a.example.com]}, {cidr: 198.18.0.0/15}]}]}\n";

#[test_case("{query: gone.example.com, rcode: NXDOMAIN}"; "no such name")]
#[test_case("{query: gone.example.com, answers: []}"; "no answer")]
#[test_case("{query: gone.example.com, answers: [{type: CNAME, data: b.example.com, ttl: 60}]}"; "an alias of nothing")]
fn a_host_whose_answers_hold_no_address_is_not_reached(response: &str) {
    let expect = |name: &str, expect: &str| {
        format!("- {{to: {{host: {name}}}, port: 443, expect: {expect}}}\n")
    };
    let tests = [
        expect("gone.example.com", "allow"),
        expect("gone.example.com", "deny, by: default, would: deny"),
        expect("a.example.com", "allow"),
        expect("b.example.com", "deny, by: web"),
    ];
    let text = format!("{NAMED}dns: [{response}]\ntests:\n{}", tests.concat());
    let outcomes = outcomes(&text);
    assert_eq!(
        outcomes[0],
        Outcome::Failed(vec![
            "expected allow, got deny (no answer to the name holds an address)".into()
        ])
    );
    assert_eq!(
        outcomes[1..],
        [Outcome::Passed, Outcome::Passed, Outcome::Passed]
    );
}

#[test]
fn an_address_beside_a_host_is_one_of_its_own() {
    let text = format!(
        "{NAMED}dns: [{{query: a.example.com, answers: [{{type: A, data: 203.0.113.7, ttl: 60}}]}}]\ntests:\n\
- {{to: {{host: a.example.com, ip: 203.0.113.7}}, port: 443, expect: allow}}\n\
- {{to: {{host: a.example.com, ip: 203.0.113.7}}, at: 61, port: 443, expect: deny}}\n\
- {{to: {{host: a.example.com, ip: 198.18.0.9}}, port: 443, expect: allow}}\n\
- {{to: {{host: gone.example.com, ip: 203.0.113.8}}, port: 443, expect: allow}}\n"
    );
    let outcomes = outcomes(&text);
    assert_eq!(outcomes[..2], [Outcome::Passed, Outcome::Passed]);
    assert!(
        matches!(outcomes[2], Outcome::Needs(Need::HostAddress { .. })),
        "{outcomes:?}"
    );
    // Nobody has answered it: the address it is given is the one it has.
    assert_eq!(outcomes[3], Outcome::Passed);
}

#[test]
fn the_code_of_an_answer_is_compared_whoever_gave_it() {
    let text = format!(
        "{NAMED}settings: {{resolvers: [192.0.2.53]}}\ndns: [{{query: gone.example.com, rcode: NXDOMAIN}}]\ntests:\n\
- {{query: {{name: b.example.com}}, expect: deny, rcode: NXDOMAIN}}\n\
- {{query: {{name: b.example.com}}, expect: deny, rcode: REFUSED}}\n\
- {{query: {{name: a.example.com}}, expect: allow, rcode: NOERROR}}\n\
- {{query: {{name: a.example.com}}, expect: allow, rcode: NXDOMAIN}}\n\
- {{query: {{name: gone.example.com}}, expect: allow, rcode: NXDOMAIN}}\n\
- {{query: {{name: gone.example.com}}, expect: allow, rcode: NOERROR}}\n\
- {{query: {{name: a.example.com, port: 54}}, expect: deny, rcode: NXDOMAIN}}\n"
    );
    let passed: Vec<bool> = outcomes(&text)
        .iter()
        .map(|outcome| *outcome == Outcome::Passed)
        .collect();
    assert_eq!(passed, [true, false, true, false, true, false, false]);
}

#[test]
fn who_has_only_an_address_is_no_pod() {
    let everybody = "  ---\n  apiVersion: egret.dev/v1alpha1\n  kind: ClusterEgressPolicy\n  metadata: {name: everybody}\n  spec: {egress: [{action: Deny, to: [{cidr: 203.0.113.0/24}]}]}\n";
    let cases = [
        "apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n  metadata: {name: np, namespace: a}\n  spec: {podSelector: {}, policyTypes: [Egress]}",
        "apiVersion: cilium.io/v2\n  kind: CiliumNetworkPolicy\n  metadata: {name: cnp, namespace: a}\n  spec: {endpointSelector: {}, egressDeny: [{}]}",
        "apiVersion: cilium.io/v2\n  kind: CiliumClusterwideNetworkPolicy\n  metadata: {name: ccnp}\n  spec: {endpointSelector: {}, egressDeny: [{}]}",
        "apiVersion: policy.networking.k8s.io/v1alpha2\n  kind: ClusterNetworkPolicy\n  metadata: {name: cnp}\n  spec: {tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{networks: [0.0.0.0/0]}]}]}",
        "apiVersion: projectcalico.org/v3\n  kind: GlobalNetworkPolicy\n  metadata: {name: gnp}\n  spec: {selector: all(), types: [Egress], egress: [{action: Deny}]}",
        "apiVersion: egret.dev/v1alpha1\n  kind: EgressPolicy\n  metadata: {name: ep, namespace: a}\n  spec: {egress: []}",
    ];
    for policy in cases {
        let from = "from: {ip: 192.0.2.9}, to: {ip: 203.0.113.1}, port: 443";
        let alone =
            format!("inline: |\n  {policy}\ntests: [{{{from}, expect: allow, by: default}}]\n");
        assert_eq!(outcomes(&alone), [Outcome::Passed], "{policy}");
        let beside = format!(
            "inline: |\n  {policy}\n{everybody}tests: [{{{from}, expect: deny, by: everybody}}]\n"
        );
        assert_eq!(outcomes(&beside), [Outcome::Passed], "{policy}");
    }
}

#[test]
fn a_failure_says_what_was_expected_and_who_decided() {
    let text = "inline: |\n  apiVersion: egret.dev/v1alpha1\n  kind: EgressPolicy\n  metadata: {name: web}\n  spec: {}\ntests: [{to: {ip: 203.0.113.1}, port: 443, expect: allow}]\n";
    let outcomes = outcomes(text);
    let [Outcome::Failed(wrong)] = outcomes.as_slice() else {
        panic!("a failure")
    };
    assert_eq!(
        *wrong,
        ["expected allow, got deny (no rule allows it, isolated by EgressPolicy/web)"]
    );
}

#[test]
fn pods_of_the_world_are_who_asks() {
    let text = "world: [w]\ninline: |\n  apiVersion: cilium.io/v2\n  kind: CiliumNetworkPolicy\n  metadata: {name: p, namespace: shop}\n  spec: {endpointSelector: {matchLabels: {app: web}}, egress: [{}]}\ntests:\n- {from: shop/web, to: {ip: 203.0.113.1}, port: 443, expect: deny, by: shop/p}\n- {from: shop/db, to: {ip: 203.0.113.1}, port: 443, expect: allow, by: default}\n- {from: shop/done, to: {ip: 203.0.113.1}, port: 443, expect: allow}\n";
    let world = FileText {
        name: "w".into(),
        text: r#"{"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db", "namespace": "shop", "labels": {"app": "db"}}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "done", "namespace": "shop"}, "status": {"phase": "Succeeded"}}]}"#
            .into(),
    };
    let scene = Scene::prepare(parse(text), &[], &[world]).expect("a scene");
    let outcomes: Vec<Outcome> = scene
        .file
        .tests
        .iter()
        .map(|test| judge(&scene, test, &mut CompiledEngine).outcome)
        .collect();
    assert_eq!(outcomes[..2], [Outcome::Passed, Outcome::Passed]);
    assert!(matches!(outcomes[2], Outcome::Needs(Need::Pod { .. })));
}

#[test]
fn diagnostics_of_inline_policies_have_the_lines_of_the_file() {
    let text = "inline: |\n    apiVersion: egret.dev/v1alpha1\n    kind: EgressPolicy\n    metadata: {name: web}\n    spec: {egres: []}\ntests:\n- diagnostic: {code: unknown-field, line: 5, object: web}\n- diagnostic: none\n";
    let scene = Scene::prepare(parse(text), &[], &[]).expect("a scene");
    assert_eq!(scene.diagnostics[0].origin.column, 12);
    assert!(scene.unexpected().is_empty(), "{:#?}", scene.unexpected());
    let outcomes: Vec<Outcome> = scene
        .file
        .tests
        .iter()
        .map(|test| judge(&scene, test, &mut CompiledEngine).outcome)
        .collect();
    assert_eq!(outcomes[0], Outcome::Passed);
    assert!(matches!(outcomes[1], Outcome::Failed(_)));
}

#[test]
fn cut_and_mangled_files_never_panic() {
    // Every prefix of a file with every key, and every file with one character replaced by a likely troublemaker.
    let characters: Vec<char> = EVERYTHING.chars().collect();
    for at in 0..characters.len() {
        let cut: String = characters[..at].iter().collect();
        drop(CaseFile::parse("t.yaml", &cut));
        let mut mangled = characters.clone();
        mangled[at] = ['[', '}', ':', '&', '\n', '"', '~'][at % 7];
        let mangled: String = mangled.into_iter().collect();
        if let Ok(file) = CaseFile::parse("t.yaml", &mangled)
            && let Ok(scene) = Scene::prepare(file, &[], &[])
        {
            for test in &scene.file.tests {
                judge(&scene, test, &mut CompiledEngine);
            }
        }
    }
}
