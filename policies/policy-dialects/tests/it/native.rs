//! Native policies, field by field.

use policy_model::{
    Action, DnsFilter, Entity, FqdnBy, Level, Peer, Peers, Policy, PortMatch, Ports, Protocol,
    Scope, Standing, Subject,
};
use test_case::test_case;

use crate::support::{codes, has_level, read_text};

fn cluster(spec: &str) -> String {
    let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: egret.dev/v1alpha1\nkind: ClusterEgressPolicy\nmetadata: {{name: p}}\nspec:\n{spec}"
    )
}

fn namespaced(spec: &str) -> String {
    cluster(spec)
        .replace("ClusterEgressPolicy", "EgressPolicy")
        .replace("{name: p}", "{name: p, namespace: shop}")
}

fn clean(text: &str) -> Vec<Policy> {
    let (policies, diagnostics) = read_text(text);
    assert_eq!(
        codes(&diagnostics),
        Vec::<&str>::new(),
        "{text}\n{diagnostics:?}"
    );
    policies
}

#[test]
fn the_whole_shape_is_read() {
    let text = cluster(
        r#"tier: admin
priority: 100
mode: audit
subject:
  namespaces: {matchLabels: {team: ci}}
  pods: {matchExpressions: [{key: app, operator: In, values: [runner]}]}
  serviceAccounts: [runner]
defaultDeny: true
dns: {filter: true}
deny: drop
egress:
  - name: source-hosting
    action: Allow
    to:
      - fqdn: ["api.example.com", "*.cdn.example.com", "**.example.net"]
      - cidr: 198.51.100.0/24
        except: [198.51.100.7/32]
      - entity: dns
    ports: [{protocol: TCP, port: 443}, {protocol: TCP, port: 8000, endPort: 8010}, {protocol: ICMP, type: 8}]
    allowPrivate: false
  - action: Log
"#,
    );
    let (policies, diagnostics) = read_text(&text);
    assert_eq!(codes(&diagnostics), ["native-log"]);
    assert_eq!(policies.len(), 1);
    let policy = &policies[0];
    assert_eq!(policy.standing, Standing::Audit);
    assert!(policy.isolates);
    assert!(matches!(policy.subject, Subject::Kubernetes(_)));
    let rule = &policy.rules[0];
    assert_eq!(rule.name.as_deref(), Some("source-hosting"));
    let Peers::Of(peers) = &rule.peers else {
        panic!("peers")
    };
    assert_eq!(peers.len(), 5);
    assert!(matches!(peers[4], Peer::Entity(Entity::Dns)));
    let Ports::Only(ports) = &rule.ports else {
        panic!("ports")
    };
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["443/TCP", "8000-8010/TCP", "2048-2303/ICMP"]);
    assert_eq!(policy.rules[1].action, Action::Log);
    assert_eq!(rule.origin.line, 16);
    assert_eq!(&*rule.origin.path, "spec.egress[0]");
}

#[test]
fn what_other_dialects_mean_can_be_said() {
    let policies = clean(&cluster(
        r#"dns: {resolvers: false}
subject: {nodes: {matchLabels: {zone: a}}, network: own}
egress:
  - action: Allow
    to: [{cidr: 192.0.2.0/24, scope: outside}, {fqdn: [a.example], chain: false, scope: outside}]
    exceptPorts: [{port: 25}, {name: smtp}]
  - {action: Allow, to: [{entity: dns}], questions: ["*.a.example"]}
  - {action: Allow, to: [{fqdn: [b.example]}], askOnly: true}
  - {action: Allow, to: [{service: {allNamespaces: true, labels: {matchLabels: {app: db}}, anyPort: true}}]}
"#,
    ));
    let [policy] = policies.as_slice() else {
        panic!("{policies:?}")
    };
    assert_eq!(policy.dns, DnsFilter::Untouched);
    let Subject::Kubernetes(subject) = &policy.subject else {
        panic!("{policy:?}")
    };
    assert!(!subject.host_network && subject.nodes.is_some());
    let [mail, asks, only, service] = policy.rules.as_slice() else {
        panic!("{policy:?}")
    };
    let Peers::Of(peers) = &mail.peers else {
        panic!("{mail:?}")
    };
    assert!(matches!(&peers[0], Peer::Block(block) if block.scope == Scope::Outside));
    assert!(
        matches!(&peers[1], Peer::Fqdn(peer) if peer.scope == Scope::Outside && peer.by == FqdnBy::Question)
    );
    let smtp = PortMatch::port(Protocol::TCP, 25);
    assert_eq!(mail.ports, Ports::AllBut(vec![smtp]));
    assert_eq!(&*mail.named_ports.none_of[0].name, "smtp");
    let questions = asks.questions.as_deref().unwrap_or_default();
    assert_eq!(questions[0].as_str(), "*.a.example");
    assert_eq!(only.ports, Ports::Only(Vec::new()));
    let Peers::Of(peers) = &service.peers else {
        panic!("{service:?}")
    };
    assert!(
        matches!(&peers[0], Peer::Service(peer) if peer.namespace.is_none() && !peer.with_ports)
    );
}

#[test]
fn excepted_ports_are_taken_from_those_given() {
    let policies = clean(&cluster(
        "egress: [{action: Allow, ports: [{port: 20, endPort: 30}, {name: web}], exceptPorts: [{port: 25}]}]\n",
    ));
    let rule = &policies[0].rules[0];
    let range = |first, last| PortMatch::range(Protocol::TCP, first, last);
    assert_eq!(rule.ports, Ports::Only(vec![range(20, 24), range(26, 30)]));
    assert_eq!(rule.named_ports.except, [range(25, 25)], "of names too");
}

#[test]
fn questions_filter_even_where_nothing_is_denied_by_default() {
    let text = "egress: [{action: Allow, to: [{entity: dns}], questions: [a.example]}]\n";
    assert_eq!(clean(&cluster(text))[0].dns, DnsFilter::Filter);
}

#[test_case("{network: host, nodes: {matchLabels: {zone: a}}}"; "a node's network")]
#[test_case("{endpoints: {selector: \"app == 'web'\"}}"; "an expression")]
#[test_case("{endpoints: {selector: all(), notNets: [192.0.2.0/24]}}"; "addresses of its own")]
#[test_case("{hostEndpoint: eth0}"; "a host endpoint")]
fn subjects_of_no_namespace(subject: &str) {
    let spec = format!("subject: {subject}\negress: []\n");
    assert!(!matches!(
        clean(&cluster(&spec))[0].subject,
        Subject::All | Subject::Kubernetes(_) | Subject::Plain(_)
    ));
    let (policies, diagnostics) = read_text(&namespaced(&spec));
    assert!(policies.is_empty());
    assert_eq!(codes(&diagnostics), ["native-cluster-field"]);
}

#[test]
fn deny_rules_of_a_namespace_stand_in_their_own_tier() {
    let policies = clean(&namespaced(
        "egress:\n- {action: Deny, to: [{cidr: 192.0.2.0/24}]}\n- {action: Allow}\n",
    ));
    let tiers: Vec<String> = policies
        .iter()
        .map(|policy| policy.tier.to_string())
        .collect();
    assert_eq!(tiers, ["namespace/deny", "namespace/union"]);
    assert_eq!(
        policies
            .iter()
            .map(|policy| policy.isolates)
            .collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(
        policies[1].rules[0].index, 1,
        "rules keep the number the author counts"
    );
}

#[test]
fn a_file_without_a_namespace_selects_every_workload() {
    let policies = clean(&namespaced("egress: []\n").replace(", namespace: shop", ""));
    assert_eq!(policies[0].subject, Subject::All);
    assert!(policies[0].isolates);
}

#[test_case("egress: [{action: Allow, to: [{set: partners}]}]", "native-set"; "set")]
#[test_case("egress: [{action: Allow, to: [{fqdn: [a.example]}], tls: {sni: match}}]", "native-tls"; "tls")]
#[test_case("egress: [{action: Allow, to: [{fqdn: [a.example]}], http: [{methods: [GET], paths: [\"/v1/*\"]}]}]", "native-http"; "http")]
#[test_case("egress: [{action: Allow, to: [{fqdn: [a.example]}], port: [{port: 443}]}]", "unknown-rule-field"; "unknown field in a rule")]
#[test_case("egress: [{action: Allow, ports: [{port: 443, endport: 445}]}]", "unknown-rule-field"; "unknown field in a port")]
#[test_case("egress: [{action: Allow, to: [{cidr: 192.0.2.0/24, excepts: [192.0.2.1/32]}]}]", "unknown-rule-field"; "unknown field in a peer")]
fn closed(spec: &str, code: &str) {
    let (policies, diagnostics) = read_text(&cluster(spec));
    assert_eq!(codes(&diagnostics), [code], "{diagnostics:?}");
    assert!(has_level(&diagnostics, Level::Closed));
    assert_eq!(
        policies.len(),
        1,
        "a closed rule leaves its policy in force"
    );
    assert_eq!(
        policies[0]
            .rules
            .iter()
            .filter(|rule| rule.closed == Some(diagnostics[0].code))
            .count(),
        1
    );
}

#[test]
fn an_allow_keeps_the_peers_that_can_be_enforced() {
    let (policies, _) = read_text(&cluster(
        "egress: [{action: Allow, to: [{set: nobody}, {cidr: 192.0.2.0/24}]}]",
    ));
    let closed: Vec<Option<&str>> = policies[0].rules.iter().map(|rule| rule.closed).collect();
    assert_eq!(closed, [None, Some("native-set")]);
}

#[test]
fn a_deny_with_a_part_that_cannot_be_enforced_is_closed_whole() {
    let (policies, _) = read_text(&cluster(
        "egress: [{action: Deny, to: [{set: nobody}, {cidr: 192.0.2.0/24}]}]",
    ));
    let closed: Vec<Option<&str>> = policies[0].rules.iter().map(|rule| rule.closed).collect();
    assert_eq!(closed, [Some("native-set")]);
}

#[test_case("tier: admn", "invalid-value"; "tier")]
#[test_case("teir: admin", "unknown-field"; "unknown field of spec")]
#[test_case("audit: true", "unknown-field"; "the word of other products for mode audit")]
#[test_case("subject: {pod: {}}", "unknown-field"; "unknown field of subject")]
#[test_case("subject: {pods: {matchLabel: {a: b}}}", "unknown-field"; "unknown field of a selector")]
#[test_case("subject: {pods: {}, unit: x.service}", "native-subject"; "pods and unit")]
#[test_case("subject: {serviceAccounts: []}", "empty-list"; "no service account")]
#[test_case("subject: {user: 1000}", "wrong-type"; "a number as user")]
#[test_case("egress: {action: Allow}", "wrong-type"; "one rule instead of a list")]
#[test_case("egress: [{to: [{cidr: 192.0.2.0/24}]}]", "missing-field"; "no action")]
#[test_case("egress: [{action: Accept}]", "invalid-value"; "action of another dialect")]
#[test_case("egress: [{action: Allow, to: []}]", "empty-list"; "empty to")]
#[test_case("egress: [{action: Allow, ports: []}]", "empty-list"; "empty ports")]
#[test_case("egress: [{action: Allow, to: }]", "wrong-type"; "to without a value, which would be every destination")]
#[test_case("egress: [{action: Allow, to: [{cidr: 192.0.2.0/24}], ports: }]", "wrong-type"; "ports without a value")]
#[test_case("egress: [{action: Allow, to: [{pods: {namespaces: , matchLabels: {a: b}}}]}]", "wrong-type"; "namespaces without a value")]
#[test_case("subject: {pods: }", "wrong-type"; "a subject without a value, which would be every pod")]
#[test_case("egress: [{action: Allow, to: [{}]}]", "native-peer"; "peer without a kind")]
#[test_case("egress: [{action: Allow, to: [{cidr: 192.0.2.0/24, entity: dns}]}]", "native-peer"; "peer of two kinds")]
#[test_case("egress: [{action: Allow, to: [{cidr: 192.0.2.1}]}]", "invalid-cidr"; "an address is no block")]
#[test_case("egress: [{action: Allow, to: [{cidr: 192.0.2.0/24, except: [198.51.100.0/25]}]}]", "invalid-except"; "except outside")]
#[test_case("egress: [{action: Allow, to: [{fqdn: [\"a.**b.example\"]}]}]", "invalid-pattern"; "two stars in a label")]
#[test_case("egress: [{action: Allow, to: [{entity: dns, scope: outside}]}]", "native-peer"; "the scope of an entity")]
#[test_case("egress: [{action: Allow, to: [{cidr: 192.0.2.0/24, chain: false}]}]", "native-peer"; "the chain of a block")]
#[test_case("egress: [{action: Allow, to: [{endpoints: {}}]}]", "native-peer"; "endpoints of no kind")]
#[test_case("egress: [{action: Allow, to: [{endpoints: {selector: \"a = 'b'\"}}]}]", "calico-selector"; "no selector")]
#[test_case("egress: [{action: Allow, to: [{endpoints: {selector: \"\"}}]}]", "invalid-value"; "an empty selector")]
#[test_case("egress: [{action: Allow, to: [{endpoints: {nets: []}}]}]", "empty-list"; "no blocks")]
#[test_case("egress: [{action: Allow, to: [{service: {name: a, labels: {}, namespace: b}}]}]", "native-peer"; "a service in two ways")]
#[test_case("egress: [{action: Allow, to: [{service: {name: a, allNamespaces: true, namespace: b}}]}]", "native-peer"; "a service in two places")]
#[test_case("egress: [{action: Allow, to: [{service: {allNamespaces: true}}]}]", "native-peer"; "no service")]
#[test_case("egress: [{action: Deny, questions: [a.example]}]", "native-questions"; "questions of a deny")]
#[test_case("egress: [{action: Allow, to: [{entity: dns}], questions: []}]", "empty-list"; "no questions")]
#[test_case("egress: [{action: Allow, to: [{entity: dns}], askOnly: true}]", "native-questions"; "asking for no name")]
#[test_case("egress: [{action: Allow, to: [{fqdn: [a.example]}], ports: [{port: 1}], askOnly: true}]", "native-questions"; "asking on a port")]
#[test_case("egress: [{action: Allow, exceptPorts: []}]", "empty-list"; "no excepted ports")]
#[test_case("dns: {filter: true, resolvers: false}", "native-dns"; "a filter without resolvers")]
#[test_case("subject: {network: host, pods: {}}", "native-subject"; "pods of a node's network")]
#[test_case("subject: {endpoints: {selector: all()}, pods: {}}", "native-subject"; "an expression beside pods")]
#[test_case("subject: {endpoints: {selector: all()}, hostEndpoint: eth0}", "native-subject"; "two kinds of endpoint")]
#[test_case("subject: {endpoints: {nets: [192.0.2.0/24]}}", "missing-field"; "endpoints without an expression")]
#[test_case("subject: {nodes: {}, unit: a.service}", "native-subject"; "nodes beside a unit")]
#[test_case("egress: [{action: Allow, to: [{fqdn: []}]}]", "empty-list"; "no names")]
#[test_case("egress: [{action: Allow, to: [{fqdn: [on]}]}]", "wrong-type"; "a truth value as name")]
#[test_case("egress: [{action: Allow, ports: [{port: \"443\"}]}]", "wrong-type"; "a port in quotes")]
#[test_case("egress: [{action: Allow, ports: [{port: 0}]}]", "invalid-port"; "port zero")]
#[test_case("egress: [{action: Allow, ports: [{port: 65536}]}]", "invalid-port"; "port too large")]
#[test_case("egress: [{action: Allow, ports: [{port: 90, endPort: 80}]}]", "invalid-port"; "range the wrong way round")]
#[test_case("egress: [{action: Allow, ports: [{protocol: ICMP, port: 8}]}]", "invalid-port"; "icmp has no ports")]
#[test_case("egress: [{action: Allow, ports: [{protocol: tcp, port: 8}]}]", "invalid-value"; "protocol in small letters")]
#[test_case("egress: [{action: Pass, to: [{fqdn: [a.example]}]}]", "native-pass-by-name"; "pass by name")]
#[test_case("egress: [{action: Deny, metadata: [gcp]}]", "native-metadata-action"; "metadata in a deny")]
#[test_case("egress: [{action: Allow, metadata: []}]", "empty-list"; "no preset, which would leave every destination")]
#[test_case("egress: [{action: Allow, http: []}]", "empty-list"; "no request")]
#[test_case("egress: [{action: Allow, to: [{fqdn: a.example}]}]", "wrong-type"; "one name instead of a list, which an API server refuses")]
#[test_case("egress: [{action: Allow, to: [{pods: {serviceAccounts: []}}]}]", "empty-list"; "pods of no account")]
#[test_case("egress: [{action: Allow, to: [{service: {name: api}}]}]", "missing-field"; "a service in no namespace")]
#[test_case("egress: [{action: Allow, ports: [{name: http, port: 80}]}]", "invalid-port"; "a port by name and number")]
#[test_case("egress: [{action: Allow, ports: [{name: http, protocol: ICMP}]}]", "invalid-port"; "a name for a protocol without ports")]
#[test_case("egress: [{action: Allow, metadata: [aws]}]", "invalid-value"; "unknown preset")]
fn refused(spec: &str, code: &str) {
    let (policies, diagnostics) = read_text(&cluster(spec));
    assert_eq!(codes(&diagnostics), [code], "{diagnostics:?}");
    assert!(has_level(&diagnostics, Level::Refused), "{diagnostics:?}");
    assert!(policies.is_empty(), "a refused object does not exist");
}

#[test_case("tier: admin"; "tier")]
#[test_case("priority: 5"; "priority")]
#[test_case("subject: {namespaces: {}}"; "namespaces")]
fn fields_of_the_cluster_kind_are_refused_in_a_namespace(spec: &str) {
    let (policies, diagnostics) = read_text(&namespaced(spec));
    assert_eq!(codes(&diagnostics), ["native-cluster-field"]);
    assert!(policies.is_empty());
}

#[test_case("egress: [{action: Deny, to: [{fqdn: [a.example]}]}]", "native-deny-by-name"; "deny by name")]
#[test_case("egress: [{action: Allow, to: [{cidr: 192.0.2.0/24}], allowPrivate: true}]", "native-allow-private"; "allow private without names")]
#[test_case("egress: [{action: Log, to: [{cidr: 192.0.2.0/24}]}]", "native-log"; "a rule that only notes")]
#[test_case("subject: {unit: \"build@*.service\"}", "native-subject-later"; "a unit")]
#[test_case("egress: [{action: Allow, to: [{cidr: 192.0.2.9/24}]}]", "cidr-host-bits"; "host bits")]
#[test_case("egress: [{action: Allow, ports: [{port: 0443}]}]", "yaml-surprising-number"; "octal port")]
fn lints(spec: &str, code: &str) {
    let (policies, diagnostics) = read_text(&cluster(spec));
    assert_eq!(codes(&diagnostics), [code], "{diagnostics:?}");
    assert!(has_level(&diagnostics, Level::Lint));
    assert_eq!(policies.len(), 1);
}

#[test]
fn a_suggestion_names_the_field_that_was_meant() {
    let (_, diagnostics) = read_text(&cluster("egress: [{action: Allow, prots: [{port: 443}]}]"));
    assert_eq!(
        diagnostics[0].help.as_deref(),
        Some("did you mean `ports`?")
    );
    assert_eq!(
        (
            diagnostics[0].origin.line,
            diagnostics[0].origin.column,
            diagnostics[0].origin.width
        ),
        (5, 28, 5)
    );
    assert_eq!(&*diagnostics[0].origin.path, "spec.egress[0].prots");
}

#[test]
fn every_finding_of_a_file_is_reported_at_once() {
    let text = format!(
        "{}---\n{}---\nkind: [\n",
        cluster("tier: nope\nmode: maybe"),
        cluster("egress: 5")
    );
    let (policies, diagnostics) = read_text(&text);
    assert!(policies.is_empty());
    assert_eq!(
        codes(&diagnostics),
        [
            "invalid-value",
            "invalid-value",
            "duplicate-object",
            "wrong-type",
            "yaml-syntax"
        ]
    );
}

#[test_case("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: x}", "unsupported-dialect"; "a dialect of later")]
#[test_case("apiVersion: crd.antrea.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {name: x}", "unsupported-dialect"; "antrea")]
#[test_case("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}", "unknown-kind"; "no policy")]
#[test_case("apiVersion: egret.dev/v1alpha1\nkind: EgresPolicy\nmetadata: {name: x}", "unknown-kind"; "a misspelt kind")]
#[test_case("apiVersion: egret.dev/v1\nkind: EgressPolicy\nmetadata: {name: x}", "unsupported-version"; "another version")]
#[test_case("kind: EgressPolicy", "not-an-object"; "no version")]
#[test_case("[1, 2]", "not-an-object"; "a list")]
#[test_case("", "no-object"; "an empty file")]
#[test_case("# nothing\n---\n---\n", "no-object"; "a file of comments")]
#[test_case("apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {}\nspec: {}", "not-an-object"; "no name")]
#[test_case("apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: Big}\nspec: {}", "invalid-name"; "a name kubernetes refuses")]
#[test_case("apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: x}", "missing-field"; "no spec")]
fn objects_that_are_no_policy_are_refused(text: &str, code: &str) {
    let (policies, diagnostics) = read_text(text);
    assert_eq!(codes(&diagnostics), [code], "{diagnostics:?}");
    assert!(policies.is_empty());
}

#[test]
fn lists_and_json_are_read() {
    let item = r#"{"apiVersion": "egret.dev/v1alpha1", "kind": "EgressPolicy", "metadata": {"name": "NAME"}, "spec": {}}"#;
    let text = format!(
        r#"{{"apiVersion": "v1", "kind": "List", "items": [{}, {}]}}"#,
        item.replace("NAME", "a"),
        item.replace("NAME", "b")
    );
    let policies = clean(&text);
    assert_eq!(
        policies
            .iter()
            .map(|policy| &*policy.id.name)
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(&*policies[1].origin.path, "items[1].spec");
}

/// An API server writes a typed list so: its items do not say what they are.
#[test]
fn items_of_a_typed_list_are_what_the_list_says() {
    let list = |kind: &str, item: &str| {
        format!(
            "apiVersion: egret.dev/v1alpha1\nkind: {kind}\nmetadata: {{resourceVersion: \"7\"}}\nitems:\n- {{{item}metadata: {{name: a}}, spec: {{}}}}\n"
        )
    };
    let policies = clean(&list("EgressPolicyList", ""));
    assert_eq!(policies[0].id.to_string(), "EgressPolicy/a");
    let other = "apiVersion: egret.dev/v1alpha1, kind: ClusterEgressPolicy, ";
    let policies = clean(&list("EgressPolicyList", other));
    assert_eq!(policies[0].id.to_string(), "ClusterEgressPolicy/a");
    let plain = list("List", "").replace("egret.dev/v1alpha1", "v1");
    let (policies, diagnostics) = read_text(&plain);
    assert_eq!(codes(&diagnostics), ["not-an-object"; 2]);
    assert!(policies.is_empty());
    let beside = format!("{}itms: []\n", list("EgressPolicyList", ""));
    assert_eq!(codes(&read_text(&beside).1), ["unknown-top-level-field"]);
}
