//! What Calico's own admission refuses, and what Egret closes.

use policy_model::Level;
use test_case::test_case;

use crate::calico::{global, namespaced, object, reading, with_rule};
use crate::support::codes;

#[track_caller]
fn refused(text: &str, code: &str) {
    let reading = reading(text);
    let levels: Vec<Level> = reading.diagnostics.iter().map(|d| d.level).collect();
    let at = codes(&reading.diagnostics)
        .iter()
        .position(|found| *found == code);
    assert!(
        at.is_some_and(|at| levels[at] == Level::Refused),
        "{text}\n{:?}",
        reading.diagnostics
    );
    assert!(reading.policies.is_empty(), "{text}");
}

#[test_case("{destination: {}}", "missing-field"; "no action")]
#[test_case("{action: Accept}", "invalid-value"; "an action of another dialect")]
#[test_case("{action: Allow, protocol: tcp}", "invalid-value"; "a protocol in lower case")]
#[test_case("{action: Allow, protocol: 0}", "calico-protocol"; "protocol 0")]
#[test_case("{action: Allow, protocol: 256}", "calico-protocol"; "protocol 256")]
#[test_case("{action: Allow, ipVersion: 5}", "invalid-value"; "another ip version")]
#[test_case("{action: Allow, destination: {ports: [80]}}", "calico-ports-protocol"; "a port without protocol")]
#[test_case("{action: Allow, destination: {notPorts: [80]}}", "calico-ports-protocol"; "an excluded port without protocol")]
#[test_case("{action: Allow, protocol: ICMP, destination: {ports: [80]}}", "calico-ports-protocol"; "a protocol without ports")]
#[test_case("{action: Allow, protocol: UDPLite, destination: {ports: [web]}}", "calico-ports-protocol"; "a named port of a protocol without ports")]
#[test_case("{action: Allow, protocol: TCP, source: {ports: [0]}}", "calico-port"; "port 0")]
#[test_case("{action: Allow, protocol: TCP, destination: {ports: [\"90:80\"]}}", "calico-port"; "a range the wrong way round")]
#[test_case("{action: Allow, protocol: TCP, destination: {ports: [65536]}}", "calico-port"; "a port too large")]
#[test_case("{action: Allow, protocol: TCP, destination: {ports: [\"80-90\", \"a b\"]}}", "calico-port"; "a name with a blank")]
#[test_case("{action: Allow, protocol: TCP, destination: {ports: [\"+80\"]}}", "calico-port"; "a port with a sign")]
#[test_case("{action: Allow, protocol: TCP, destination: {ports: [\"+80:90\"]}}", "calico-port"; "a range with a sign")]
#[test_case("{action: Allow, protocol: \"+6\"}", "invalid-value"; "a protocol with a sign")]
#[test_case("{action: Allow, icmp: {type: 8}}", "calico-icmp"; "icmp without protocol")]
#[test_case("{action: Allow, protocol: TCP, icmp: {type: 8}}", "calico-icmp"; "icmp of tcp")]
#[test_case("{action: Allow, protocol: ICMP, icmp: {code: 0}}", "calico-icmp"; "a code without type")]
#[test_case("{action: Allow, protocol: ICMP, notICMP: {code: 0}}", "calico-icmp"; "an excluded code without type")]
#[test_case("{action: Allow, protocol: ICMP, icmp: {type: 255}}", "calico-icmp"; "type 255")]
#[test_case("{action: Allow, protocol: ICMP, icmp: {type: 3, code: 256}}", "calico-icmp"; "code 256")]
#[test_case("{action: Allow, protocol: ICMP, ipVersion: 6}", "calico-icmp"; "icmp of the other family")]
#[test_case("{action: Allow, notProtocol: 58, ipVersion: 4}", "calico-icmp"; "icmpv6 of the other family")]
#[test_case("{action: Allow, destination: {nets: [192.0.2.0]}}", "calico-nets"; "an address without length")]
#[test_case("{action: Allow, destination: {nets: [192.0.2.1/24]}}", "calico-nets"; "bits beyond the prefix")]
#[test_case("{action: Allow, source: {notNets: [\"2001:db8::1/64\"]}}", "calico-nets"; "bits beyond an excluded prefix")]
#[test_case("{action: Allow, destination: {nets: [192.0.2.0/24, \"2001:db8::/32\"]}}", "calico-nets"; "both families")]
#[test_case("{action: Allow, source: {notNets: [\"2001:db8::/32\"]}, destination: {nets: [192.0.2.0/24]}}", "calico-nets"; "both families at both ends")]
#[test_case("{action: Allow, ipVersion: 6, destination: {nets: [192.0.2.0/24]}}", "calico-nets"; "a block of the other family")]
#[test_case("{action: Allow, destination: {notNets: [0.0.0.0/0]}}", "calico-nets"; "all addresses excluded")]
#[test_case("{action: Allow, destination: {services: {namespace: x}}}", "calico-services"; "a service without name")]
#[test_case("{action: Allow, source: {services: {name: api}}}", "calico-services"; "a service as the source")]
#[test_case("{action: Allow, protocol: TCP, destination: {services: {name: api}, ports: [80]}}", "calico-services"; "a service with ports")]
#[test_case("{action: Allow, destination: {services: {name: api}, selector: has(a)}}", "calico-services"; "a service with a selector")]
#[test_case("{action: Allow, destination: {services: {name: api}, notSelector: has(a)}}", "calico-services"; "a service with an excluding selector")]
#[test_case("{action: Allow, destination: {services: {name: api}, namespaceSelector: all()}}", "calico-services"; "a service with namespaces")]
#[test_case("{action: Allow, destination: {services: {name: api}, nets: [192.0.2.0/24]}}", "calico-services"; "a service with nets")]
#[test_case("{action: Allow, destination: {services: {name: api}, serviceAccounts: {}}}", "calico-services"; "a service with accounts")]
#[test_case("{action: Allow, metadata: x}", "wrong-type"; "annotations that are a word")]
#[test_case("{action: Allow, metadata: {annotations: [x]}}", "wrong-type"; "annotations that are a list")]
#[test_case("{action: Allow, metadata: {annotations: {a: 1}}}", "wrong-type"; "an annotation that is a number")]
#[test_case("{action: Allow, http: {methods: [GET]}}", "calico-http"; "http on egress")]
#[test_case("{action: Deny, destination: {domains: [a.example]}}", "calico-domain"; "a name denied")]
#[test_case("{action: Pass, destination: {domains: [a.example]}}", "calico-domain"; "a name passed")]
#[test_case("{action: Allow, source: {domains: [a.example]}}", "calico-domain"; "a name as the source")]
#[test_case("{action: Allow, destination: {domains: [\"g*.com\"]}}", "calico-domain"; "a star in a label")]
#[test_case("{action: Allow, destination: {domains: [a.example], nets: [192.0.2.0/24]}}", "calico-domain"; "a name with nets")]
#[test_case("{action: Allow, destination: {domains: [a.example], selector: has(a)}}", "calico-domain"; "a name with a selector")]
#[test_case("{action: Allow, destination: {selector: a = 'b'}}", "calico-selector"; "no selector")]
#[test_case("{action: Allow, destination: {namespaceSelector: \"global() && has(a)\"}}", "calico-global"; "global and more")]
#[test_case("{action: Allow, destination: {notSelector: \"!global()\"}}", "calico-global"; "global in notSelector")]
#[test_case("{action: Allow, destination: {serviceAccounts: {selector: \"global()\"}}}", "calico-global"; "global of accounts")]
fn rules(rule: &str, code: &str) {
    refused(
        &namespaced(&format!("types: [Egress]\negress: [{rule}]")),
        code,
    );
}

#[test_case("types: []", "calico-types"; "no types")]
#[test_case("types: [Egress, Egress]", "calico-types"; "a type twice")]
#[test_case("types: [egress]", "invalid-value"; "a type in lower case")]
#[test_case("order: first", "wrong-type"; "an order that is no number")]
#[test_case("order: .nan", "yaml-syntax"; "an order that is not a number")]
#[test_case("selector: app = a", "calico-selector"; "no selector")]
#[test_case("serviceAccountSelector: \"global()\"", "calico-global"; "global of accounts")]
#[test_case("selector: \"a == 'global('\"", "calico-global"; "the word in a literal, as calico looks for it")]
#[test_case("performanceHints: [Other]", "invalid-value"; "an unknown hint")]
#[test_case("namespaceSelector: all()", "unknown-field"; "a field of the global kind")]
#[test_case("stagedAction: Set", "unknown-field"; "a field of the staged kind")]
#[test_case("tier: missing", "calico-tier-missing"; "a tier that is not there")]
#[test_case("ingress: [{action: Allow, protocol: TCP, http: {methods: [GET]}, destination: {ports: [0]}}]", "calico-port"; "ingress rules are read too")]
#[test_case("ingress: [{action: Deny, http: {methods: [GET]}}]", "calico-http"; "http that denies")]
#[test_case("ingress: [{action: Allow, protocol: UDP, http: {methods: [GET]}}]", "calico-http"; "http over udp")]
#[test_case("ingress: [{action: Allow, destination: {services: {name: api}}}]", "calico-services"; "a service as an ingress destination")]
fn namespaced_policies(spec: &str, code: &str) {
    refused(&namespaced(spec), code);
}

#[test_case("doNotTrack: true\npreDNAT: true\napplyOnForward: true", "calico-forward"; "both")]
#[test_case("doNotTrack: true", "calico-forward"; "untracked without forward")]
#[test_case("preDNAT: true\napplyOnForward: true\negress: [{action: Allow}]", "calico-forward"; "egress rules before nat")]
#[test_case("preDNAT: true\napplyOnForward: true\ntypes: [Egress]", "calico-forward"; "egress type before nat")]
#[test_case("selector: \"global()\"", "calico-global"; "global")]
#[test_case("namespaceSelector: \"global()\"", "calico-global"; "global namespaces")]
#[test_case("egress: [{action: Allow, destination: {services: {name: api}}}]", "calico-services"; "a service without namespace")]
fn global_policies(spec: &str, code: &str) {
    refused(&global(spec), code);
}

#[test_case("Tier", "{name: a.b}", "order: 1", "calico-tier"; "a tier with a dot")]
#[test_case("Tier", "{name: default}", "order: 5", "calico-tier"; "another order of the default tier")]
#[test_case("Tier", "{name: kube-admin}", "order: 1000", "calico-tier"; "another end of the admin tier")]
#[test_case("Tier", "{name: a}", "defaultAction: Allow", "invalid-value"; "a tier that ends in allow")]
#[test_case("NetworkSet", "{name: a}", "nets: [192.0.2.256]", "calico-nets"; "no address in a set")]
#[test_case("NetworkSet", "{name: a}", "allowedEgressDomains: [\"*\"]", "calico-domain"; "every name in a set")]
#[test_case("NetworkSet", "{name: a, labels: {projectcalico.org/namespace: b}}", "nets: []", "calico-label"; "a label that calico gives")]
#[test_case("NetworkSet", "{name: a}", "nets: []\nnotNets: []", "unknown-field"; "an unknown field in a set")]
#[test_case("HostEndpoint", "{name: a}", "interfaceName: eth0", "calico-host-endpoint"; "no node")]
#[test_case("HostEndpoint", "{name: a}", "node: n", "calico-host-endpoint"; "neither interface nor address")]
#[test_case("HostEndpoint", "{name: a}", "node: n\ninterfaceName: an-interface-name", "calico-host-endpoint"; "a long interface name")]
#[test_case("HostEndpoint", "{name: a}", "node: n\nexpectedIPs: [eth0]", "calico-host-endpoint"; "no address")]
#[test_case("HostEndpoint", "{name: a}", "node: n\ninterfaceName: e\nports: [{name: a, port: 1, protocol: ICMP}]", "calico-host-endpoint"; "a port of icmp")]
#[test_case("StagedNetworkPolicy", "{name: a}", "stagedAction: Delete\nselector: has(a)", "calico-staged"; "a deletion that says more")]
#[test_case("StagedKubernetesNetworkPolicy", "{name: a}", "policyTypes: []", "calico-types"; "staged types that are empty")]
#[test_case("StagedKubernetesNetworkPolicy", "{name: a}", "policyTypes: [Egress, Egress]", "calico-types"; "a staged type twice")]
#[test_case("StagedKubernetesNetworkPolicy", "{name: a}", "stagedAction: Learn\npodSelector: [{}]", "wrong-type"; "a broken policy that learns")]
#[test_case("StagedKubernetesNetworkPolicy", "{name: a}", "stagedAction: Delete\npodSelector: \"\"", "wrong-type"; "a deletion with a selector that is no mapping")]
#[test_case("StagedKubernetesNetworkPolicy", "{name: a}", "stagedAction: Delete\npolicyTypes: []", "calico-types"; "a deletion with types that are empty")]
#[test_case("StagedKubernetesNetworkPolicy", "{name: a}", "stagedAction: Delete\negress: {}", "wrong-type"; "a deletion with rules that are no list")]
#[test_case("StagedKubernetesNetworkPolicy", "{name: a}", "stagedAction: Delete\nstranger: \"\"", "unknown-field"; "a deletion with a field that is none")]
#[test_case("StagedKubernetesNetworkPolicy", "{name: a}", "stagedAction: Ignore\nstranger: x", "unknown-field"; "an ignored policy with a field that is none")]
#[test_case("StagedNetworkPolicy", "{name: a}", "stagedAction: Remove", "invalid-value"; "an unknown staged action")]
fn other_objects(kind: &str, metadata: &str, spec: &str, code: &str) {
    refused(&object(kind, metadata, spec), code);
}

#[test_case(253, false; "as long as may be")]
#[test_case(254, true; "longer")]
fn the_name_of_a_node(length: usize, is_refused: bool) {
    let text = object(
        "HostEndpoint",
        "{name: a}",
        &format!("interfaceName: eth0\nnode: {}", "n".repeat(length)),
    );
    let found = codes(&reading(&text).diagnostics).contains(&"calico-host-endpoint");
    assert_eq!(found, is_refused);
}

#[test]
fn bits_beyond_a_prefix_are_dropped_where_no_server_refuses_them() {
    let stored = "apiVersion: crd.projectcalico.org/v1\nkind: NetworkPolicy\nmetadata: {name: default.p, namespace: shop}\nspec:\n  types: [Egress]\n  selector: all()\n  egress: [{action: Allow, destination: {nets: [192.0.2.1/24]}}]\n";
    let set = object(
        "NetworkSet",
        "{name: a, namespace: shop}",
        "nets: [192.0.2.1/24]",
    );
    for text in [stored, &set] {
        let diagnostics = reading(text).diagnostics;
        assert_eq!(codes(&diagnostics), ["cidr-host-bits"], "{text}");
    }
}

#[test]
fn an_address_alone_is_a_block_in_a_set() {
    let sets = ["NetworkSet", "GlobalNetworkSet"].map(|kind| {
        let reading = reading(&object(
            kind,
            if kind == "NetworkSet" {
                "{name: a, namespace: shop}"
            } else {
                "{name: a}"
            },
            "nets: [192.0.2.1, \"2001:db8::1\", 198.51.100.0/24]",
        ));
        assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
        let mut sets = reading.cluster.network_sets.into_values();
        let nets = sets.next().expect("a set").nets;
        nets.iter().map(ToString::to_string).collect::<Vec<_>>()
    });
    for set in sets {
        assert_eq!(set, ["192.0.2.1/32", "2001:db8::1/128", "198.51.100.0/24"]);
    }
}

#[test]
fn an_order_that_is_no_number_is_not_called_one() {
    for order in [".nan", ".inf", "-.inf"] {
        let reading = reading(&namespaced(&format!("order: {order}")));
        let [diagnostic] = reading.diagnostics.as_slice() else {
            panic!("{:?}", reading.diagnostics)
        };
        assert_eq!(
            (diagnostic.code, diagnostic.message.as_str()),
            (
                "yaml-syntax",
                format!("`{order}` is no number that JSON has").as_str()
            )
        );
    }
}

#[test]
fn limits() {
    let rules = |count: usize| "{action: Allow},".repeat(count);
    let policy = |count| namespaced(&format!("egress: [{}]", rules(count)));
    assert_eq!(reading(&policy(1024)).policies[0].rules.len(), 1024);
    refused(&policy(1025), "calico-too-many");
    let numbers = |count: usize, write: &dyn Fn(usize) -> String| {
        (1..=count).map(write).collect::<Vec<_>>().join(", ")
    };
    for (count, fits) in [(50, true), (51, false)] {
        let ports = numbers(count, &|port| port.to_string());
        let reading = with_rule(&format!(
            "{{action: Allow, protocol: TCP, destination: {{ports: [{ports}]}}}}"
        ));
        assert_eq!(reading.diagnostics.is_empty(), fits, "{count} ports");
    }
    for (count, fits) in [(256, true), (257, false)] {
        let nets = numbers(count, &|net| format!("10.{}.{}.0/24", net / 256, net % 256));
        let reading = with_rule(&format!(
            "{{action: Allow, destination: {{nets: [{nets}]}}}}"
        ));
        assert_eq!(reading.diagnostics.is_empty(), fits, "{count} nets");
    }
}

#[test_case("{action: Allow, destination: {}}", "calico-emptied-destination"; "an emptied destination")]
#[test_case("{action: Allow, destination: {domains: []}}", "calico-emptied-destination"; "no domain")]
#[test_case("{action: Allow, protocol: TCP, destination: {domains: [], ports: [443]}}", "calico-emptied-destination"; "no domain beside ports")]
#[test_case("{action: Allow, protocol: TCP, source: {ports: [80]}}", "calico-source-ports"; "a port of the source")]
#[test_case("{action: Allow, destination: {domains: [a.example], notNets: [10.0.0.0/8]}}", "calico-domain-beside"; "names without addresses")]
#[test_case("{action: Allow, destination: {domains: [a.example], notSelector: has(a)}}", "calico-domain-beside"; "names without endpoints")]
#[test_case("{action: Allow, ipVersion: 4, destination: {domains: [a.example]}}", "calico-domain-beside"; "names of one family")]
#[test_case("{action: Allow, source: {nets: [10.0.0.0/8]}, destination: {domains: [a.example]}}", "calico-domain-beside"; "names for sources of one family")]
#[test_case("{action: Allow, ipVersion: 4, destination: {services: {name: api}}}", "calico-services-family"; "a service in one family")]
#[test_case("{action: Deny, source: {notNets: [10.0.0.0/8]}, destination: {services: {name: api}}}", "calico-services-family"; "a service for some sources of one family")]
#[test_case("{action: Allow, ports: [80]}", "unknown-rule-field"; "a field that is not there")]
#[test_case("{action: Allow, destination: {selectr: a}}", "unknown-rule-field"; "a misspelt field")]
#[test_case("{action: Allow, destination: {serviceAccounts: {nams: [a]}}}", "unknown-rule-field"; "a misspelt field inside")]
#[test_case("{action: Deny, protocol: ICMP, icmp: {typ: 8}}", "unknown-rule-field"; "a misspelt type")]
fn what_cannot_be_enforced_is_closed(rule: &str, code: &str) {
    let reading = with_rule(rule);
    let closed: Vec<&str> = reading
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.level == Level::Closed)
        .map(|diagnostic| diagnostic.code)
        .collect();
    assert_eq!(closed, [code]);
    let rules = reading.policies.iter().flat_map(|policy| &policy.rules);
    let closed: Vec<_> = rules.map(|rule| rule.closed).collect();
    assert!(!closed.is_empty());
    assert!(
        closed.iter().all(|closed| *closed == Some(code)),
        "{closed:?}"
    );
}

#[test_case("selector: app == b", 5, 20; "plain")]
#[test_case("selector: \"app == b\"", 5, 21; "in quotes")]
#[test_case("selector: app == 'a'\n  || app == b", 5, 13; "folded, as a whole")]
#[test_case("selector: \"app == \\\"a\\\" || b\"", 5, 13; "escaped, as a whole")]
#[test_case("selector: |\n  app == 'b'", 6, 5; "a block, as a whole")]
fn an_error_in_a_selector_is_pointed_at(spec: &str, line: u32, column: u32) {
    let reading = reading(&namespaced(spec));
    let [diagnostic] = reading.diagnostics.as_slice() else {
        panic!("{:?}", reading.diagnostics)
    };
    assert_eq!(diagnostic.code, "calico-selector");
    let origin = &diagnostic.origin;
    assert_eq!((origin.line, origin.column), (line, column));
    assert_eq!(&*origin.path, "spec.selector");
}
