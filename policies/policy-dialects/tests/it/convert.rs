//! Policies of one dialect in the words of another, word for word.

use policy_dialects::{Dialect, convert};
use policy_model::{Cluster, Expression, Subject};
use test_case::test_case;

use crate::support::read_text;

const NATIVE: &str = r#"apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: ci, namespace: build}
spec:
  subject: {pods: {matchLabels: {app: runner}}, network: own}
  egress:
    - action: Deny
      to: [{cidr: 10.0.0.0/8}]
    - name: source-hosting
      action: Allow
      to: [{fqdn: ["api.example.com", "*.cdn.example.com"]}]
      ports: [{port: 443}]
    - action: Allow
      to: [{cidr: 198.51.100.0/24, except: [198.51.100.7/32]}]
      ports: [{port: 8000, endPort: 8010}, {protocol: ICMP, type: 8}]
    - action: Allow
      to: [{pods: {namespaces: {}, matchLabels: {app: db}}}]
"#;

const CALICO: &str = r#"apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  selector: app == 'web'
  types: [Egress]
  egress:
  - {action: Allow, protocol: TCP, destination: {selector: app == 'db', ports: [5432]}}
  - {action: Deny}
"#;

const ORDERED: &str = r#"apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: tenants}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {matchLabels: {tenant: a}}}
  egress:
  - {action: Accept, to: [{networks: [192.0.2.0/24]}]}
  - {action: Deny, to: [{networks: [192.0.0.0/16]}]}
  - {action: Pass, to: [{pods: {namespaceSelector: {}, podSelector: {}}}]}
  - {action: Accept, to: [{networks: [198.51.100.0/24]}]}
"#;

const CILIUM: &str = r#"apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: web}}
  egress:
  - toEndpoints: [{matchLabels: {"k8s:io.kubernetes.pod.namespace": kube-system, k8s-app: kube-dns}}]
    toPorts: [{ports: [{port: "53", protocol: UDP}], rules: {dns: [{matchPattern: "*"}]}}]
  - toFQDNs: [{matchPattern: "*.example.com"}]
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
  - toEndpoints: [{matchLabels: {app: db}}]
    toPorts: [{ports: [{port: postgres, protocol: TCP}]}]
"#;

fn converted(text: &str, to: Dialect) -> (String, Vec<(&'static str, u32)>) {
    let (policies, _) = read_text(text);
    let conversion = convert(&policies, &Cluster::default(), to);
    let mut losses: Vec<(&str, u32)> = conversion
        .losses
        .iter()
        .map(|loss| (loss.code, loss.origin.line))
        .collect();
    losses.sort_by_key(|(code, line)| (*line, *code));
    losses.dedup();
    (conversion.text, losses)
}

#[test]
fn native_becomes_cilium() {
    let (text, losses) = converted(NATIVE, Dialect::Cilium);
    assert_eq!(
        losses,
        [
            ("convert-deny", 7),
            ("convert-narrower", 9),
            ("convert-narrower", 13)
        ]
    );
    assert_eq!(
        text,
        r#"# from EgressPolicy/build/ci (policy.yaml:4:1)
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: ci, namespace: build}
spec:
  endpointSelector: {matchLabels: {app: runner}}
  egress:
  - toFQDNs: [{matchName: api.example.com}, {matchPattern: "*.cdn.example.com"}]
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
  - toCIDRSet: [{cidr: 198.51.100.0/24, except: [198.51.100.7/32]}]
    toPorts: [{ports: [{port: "8000", protocol: TCP, endPort: 8010}]}]
  - toCIDRSet: [{cidr: 198.51.100.0/24, except: [198.51.100.7/32]}]
    icmps: [{fields: [{type: 8, family: IPv4}]}]
  - toEndpoints:
    - matchLabels: {app: db}
      matchExpressions: [{key: "k8s:io.kubernetes.pod.namespace", operator: Exists}]
  - toEndpoints:
    - matchLabels:
        "k8s:io.kubernetes.pod.namespace": kube-system
        k8s-app: kube-dns
    toPorts:
    - ports: [{port: "53", protocol: ANY}]
      rules:
        dns:
        - {matchName: api.example.com}
        - {matchPattern: "*.cdn.example.com"}
  egressDeny: [{toCIDRSet: [{cidr: 10.0.0.0/8}]}]
"#
    );
}

#[test]
fn native_becomes_networkpolicy() {
    let (text, losses) = converted(NATIVE, Dialect::NetworkPolicy);
    assert_eq!(
        losses,
        [
            ("convert-questions", 4),
            ("convert-peer", 9),
            ("convert-ports", 13),
            ("convert-narrower", 16)
        ]
    );
    assert_eq!(
        text,
        r#"# from EgressPolicy/build/ci (policy.yaml:4:1)
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ci, namespace: build}
spec:
  podSelector: {matchLabels: {app: runner}}
  policyTypes: [Egress]
  egress:
  - to: [{ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.7/32]}}]
    ports: [{protocol: TCP, port: 8000, endPort: 8010}]
"#
    );
}

#[test]
fn calico_becomes_cilium() {
    let (text, losses) = converted(CALICO, Dialect::Cilium);
    assert_eq!(losses, [("", 0); 0]);
    assert_eq!(
        text,
        r#"# from NetworkPolicy/shop/web (policy.yaml:4:1)
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: web}}
  egress:
  - toEndpoints: [{matchLabels: {app: db}}]
    toPorts: [{ports: [{port: "5432", protocol: TCP}]}]
"#
    );
}

#[test]
fn calico_becomes_networkpolicy() {
    let (text, losses) = converted(CALICO, Dialect::NetworkPolicy);
    assert_eq!(losses, [("", 0); 0]);
    assert_eq!(
        text,
        r#"# from NetworkPolicy/shop/web (policy.yaml:4:1)
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: db}}}]
    ports: [{protocol: TCP, port: 5432}]
"#
    );
}

#[test]
fn ordered_becomes_cilium() {
    let (text, losses) = converted(ORDERED, Dialect::Cilium);
    assert_eq!(
        losses,
        [
            ("convert-narrower", 9),
            ("convert-deny", 10),
            ("convert-order", 10),
            ("convert-order", 11),
            ("convert-order", 12)
        ]
    );
    assert_eq!(
        text,
        r#"# from ClusterNetworkPolicy/tenants (policy.yaml:4:1)
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: tenants}
spec:
  endpointSelector: {matchLabels: {"k8s:io.cilium.k8s.namespace.labels.tenant": a}}
  enableDefaultDeny: {egress: false}
  egress: [{toCIDRSet: [{cidr: 192.0.2.0/24}]}]
  egressDeny: [{toCIDRSet: [{cidr: 192.0.0.0/16}]}]
"#
    );
}

#[test]
fn native_becomes_calico() {
    let (text, losses) = converted(NATIVE, Dialect::Calico);
    assert_eq!(
        losses,
        [
            ("convert-questions", 4),
            ("convert-enterprise", 9),
            ("convert-narrower", 9),
            ("convert-peer", 9)
        ]
    );
    assert_eq!(
        text,
        r#"# names of EgressPolicy/build/ci (policy.yaml:4:1)
# `allowedEgressDomains` needs Calico Enterprise or Cloud: elsewhere it is dropped, and the set is empty
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: build.ci, labels: {egret.dev/names: build.ci}}
spec: {allowedEgressDomains: [api.example.com]}
---
# from EgressPolicy/build/ci (policy.yaml:4:1)
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: ci, namespace: build}
spec:
  order: 100
  selector: "app == 'runner'"
  types: [Egress]
  egress:
  - {action: Deny, destination: {nets: [10.0.0.0/8]}}
  - action: Allow
    protocol: TCP
    destination:
      selector: "k8s-app == 'kube-dns' && projectcalico.org/orchestrator == 'k8s'"
      namespaceSelector: "projectcalico.org/name == 'kube-system'"
      ports: [53]
  - action: Allow
    protocol: UDP
    destination:
      selector: "k8s-app == 'kube-dns' && projectcalico.org/orchestrator == 'k8s'"
      namespaceSelector: "projectcalico.org/name == 'kube-system'"
      ports: [53]
  - action: Allow
    protocol: TCP
    destination:
      selector: "egret.dev/names == 'build.ci'"
      namespaceSelector: "global()"
      ports: [443]
  - action: Allow
    protocol: ICMP
    icmp: {type: 8}
    destination: {nets: [198.51.100.0/24], notNets: [198.51.100.7/32]}
  - action: Allow
    protocol: TCP
    destination:
      nets: [198.51.100.0/24]
      notNets: [198.51.100.7/32]
      ports: ["8000:8010"]
  - action: Allow
    destination:
      selector: "app == 'db' && projectcalico.org/orchestrator == 'k8s'"
      namespaceSelector: "all()"
"#
    );
}

#[test]
fn ordered_becomes_calico() {
    let (text, losses) = converted(ORDERED, Dialect::Calico);
    assert_eq!(losses, [("", 0); 0]);
    assert_eq!(
        text,
        r#"apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: admin}
spec: {order: 1000, defaultAction: Pass}
---
# from ClusterNetworkPolicy/tenants (policy.yaml:4:1)
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: admin.tenants}
spec:
  tier: admin
  order: 10
  namespaceSelector: "tenant == 'a'"
  types: [Egress]
  egress:
  - {action: Allow, destination: {nets: [192.0.2.0/24]}}
  - {action: Deny, destination: {nets: [192.0.0.0/16]}}
  - action: Pass
    destination:
      selector: "projectcalico.org/orchestrator == 'k8s'"
      namespaceSelector: "all()"
  - {action: Allow, destination: {nets: [198.51.100.0/24]}}
"#
    );
}

#[test]
fn calico_stays_calico() {
    let (text, losses) = converted(CALICO, Dialect::Calico);
    assert_eq!(losses, [("", 0); 0]);
    assert_eq!(
        text,
        r#"# from NetworkPolicy/shop/web (policy.yaml:4:1)
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  selector: "app == 'web'"
  types: [Egress]
  egress:
  - action: Allow
    protocol: TCP
    destination: {selector: "app == 'db'", ports: [5432]}
  - {action: Deny}
"#
    );
}

#[test]
fn cilium_becomes_calico() {
    let (text, losses) = converted(CILIUM, Dialect::Calico);
    assert_eq!(losses, [("convert-questions", 4), ("convert-peer", 9)]);
    assert_eq!(
        text,
        r#"# from CiliumNetworkPolicy/shop/web (policy.yaml:4:1)
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  order: 1000
  selector: "app == 'web'"
  types: [Egress]
  egress:
  - action: Allow
    protocol: UDP
    destination:
      selector: "k8s-app == 'kube-dns' && projectcalico.org/orchestrator == 'k8s'"
      namespaceSelector: "kubernetes.io/metadata.name == 'kube-system'"
      ports: [53]
  - action: Allow
    protocol: TCP
    destination:
      selector: "app == 'db' && projectcalico.org/orchestrator == 'k8s'"
      ports: [postgres]
"#
    );
}

/// Where another rule would mean a set of names too, there is none; and names never stand in a rule, which a server without
/// them would leave for every destination.
#[test_case("role == 'db'", &["convert-enterprise"], true; "another set")]
#[test_case("all()", &["convert-peer"], false; "every set")]
#[test_case("!has(role)", &["convert-peer"], false; "sets without a label")]
fn names_of_calico_stand_in_sets(selector: &str, codes: &[&str], written: bool) {
    let text = format!(
        "apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {{name: p}}
spec:
  namespaceSelector: all()
  types: [Egress]
  egress:
  - {{action: Allow, destination: {{domains: [\"*.example.com\"]}}}}
  - {{action: Allow, protocol: TCP, destination: {{selector: \"{selector}\", ports: [443]}}}}
"
    );
    let (text, losses) = converted(&text, Dialect::Calico);
    let found: Vec<&str> = losses.iter().map(|(code, _)| *code).collect();
    assert_eq!(found, codes, "{text}");
    assert!(!text.contains(" domains:"), "{text}");
    assert_eq!(text.contains("kind: GlobalNetworkSet"), written, "{text}");
}

/// What neither kind of quotes can hold is no selector of Calico's.
#[test_case("it's", Some("team == \\\"it's\\\""); "one kind of quotes")]
#[test_case("\"x\"", Some("team == '\\\"x\\\"'"); "the other kind")]
#[test_case("\"it's\"", None; "both kinds")]
fn quotes_of_calico(value: &str, expected: Option<&str>) {
    let (mut policies, _) = read_text(CALICO);
    for policy in &mut policies {
        policy.subject = Subject::Endpoints(Expression::Equal("team".into(), value.into()));
    }
    let conversion = convert(&policies, &Cluster::default(), Dialect::Calico);
    let codes: Vec<&str> = conversion.losses.iter().map(|loss| loss.code).collect();
    match expected {
        Some(expected) => {
            assert_eq!(codes, [""; 0]);
            assert!(conversion.text.contains(expected), "{}", conversion.text);
        }
        None => {
            assert_eq!(codes, ["convert-subject"]);
            assert_eq!(conversion.text, "");
        }
    }
}

#[test]
fn cilium_stays_cilium() {
    let (text, losses) = converted(CILIUM, Dialect::Cilium);
    assert_eq!(losses, [("", 0); 0]);
    assert_eq!(
        text,
        r#"# from CiliumNetworkPolicy/shop/web (policy.yaml:4:1)
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: web}}
  egress:
  - toEndpoints:
    - matchLabels:
        k8s-app: kube-dns
        "k8s:io.kubernetes.pod.namespace": kube-system
    toPorts:
    - ports: [{port: "53", protocol: UDP}]
      rules: {dns: [{matchPattern: "*"}]}
  - toFQDNs: [{matchPattern: "*.example.com"}]
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
  - toEndpoints: [{matchLabels: {app: db}}]
    toPorts: [{ports: [{port: postgres, protocol: TCP}]}]
"#
    );
}

/// Cilium puts its own words before a namespace's label, and a server takes 63 characters.
#[test_case("a23456789-123456789-123456789-12", &["convert-narrower"], true; "as long as it may be")]
#[test_case("a23456789-123456789-123456789-123", &["convert-subject"], false; "longer")]
#[test_case("example.com/a23456789-123456789-123456789-123456789-123456789-123", &["convert-narrower"], true; "with a domain")]
fn a_label_of_namespaces_may_be_too_long_for_cilium(key: &str, codes: &[&str], written: bool) {
    let text = format!(
        "apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: p}}
spec:
  tier: Admin
  priority: 1
  subject: {{namespaces: {{matchLabels: {{{key}: x}}}}}}
  egress:
  - {{action: Accept, to: [{{networks: [192.0.2.0/24]}}]}}
"
    );
    let (text, losses) = converted(&text, Dialect::Cilium);
    let found: Vec<&str> = losses
        .iter()
        .map(|(code, _)| *code)
        .filter(|code| *code != "convert-order")
        .collect();
    assert_eq!(found, codes, "{text}");
    assert_eq!(text.contains(key), written, "{text}");
    let (_, wrong) = read_text(&text);
    assert!(
        wrong.iter().all(|found| found.code != "invalid-selector"),
        "{text}"
    );
}

/// The rule for DNS stays: every name may be asked by it, there as here.
#[test]
fn cilium_becomes_networkpolicy() {
    let (text, losses) = converted(CILIUM, Dialect::NetworkPolicy);
    assert_eq!(losses, [("convert-questions", 4), ("convert-peer", 9)]);
    assert_eq!(
        text,
        r#"# from CiliumNetworkPolicy/shop/web (policy.yaml:4:1)
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
      podSelector: {matchLabels: {k8s-app: kube-dns}}
    ports: [{protocol: UDP, port: 53}]
  - to: [{podSelector: {matchLabels: {app: db}}}]
    ports: [{protocol: TCP, port: postgres}]
"#
    );
}

#[test]
fn ordered_stays_clusternetworkpolicy() {
    let (text, losses) = converted(ORDERED, Dialect::ClusterNetworkPolicy);
    assert_eq!(losses, [("", 0); 0]);
    assert_eq!(
        text,
        r#"# from ClusterNetworkPolicy/tenants (policy.yaml:4:1)
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: tenants}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {matchLabels: {tenant: a}}}
  egress:
  - {action: Accept, to: [{networks: [192.0.2.0/24]}]}
  - {action: Deny, to: [{networks: [192.0.0.0/16]}]}
  - {action: Pass, to: [{namespaces: {}}]}
  - {action: Accept, to: [{networks: [198.51.100.0/24]}]}
"#
    );
}

/// What no rule allows is denied behind them; an exception is taken out of its block.
#[test]
fn native_becomes_clusternetworkpolicy() {
    let (text, losses) = converted(NATIVE, Dialect::ClusterNetworkPolicy);
    assert_eq!(
        losses,
        [
            ("convert-questions", 4),
            ("convert-narrower", 9),
            ("convert-peer", 9),
            ("convert-ports", 13)
        ]
    );
    assert_eq!(
        text,
        r#"# from EgressPolicy/build/ci (policy.yaml:4:1)
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: build.ci}
spec:
  tier: Admin
  priority: 100
  subject:
    pods:
      namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: build}}
      podSelector: {matchLabels: {app: runner}}
  egress:
  - {action: Deny, to: [{networks: [10.0.0.0/8]}]}
  - name: dns
    action: Accept
    to:
    - pods:
        namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
        podSelector: {matchLabels: {k8s-app: kube-dns}}
    protocols:
    - {udp: {destinationPort: {number: 53}}}
    - {tcp: {destinationPort: {number: 53}}}
  - name: source-hosting
    action: Accept
    to: [{domainNames: [api.example.com]}]
    protocols: [{tcp: {destinationPort: {number: 443}}}]
  - action: Accept
    to:
    - networks:
      - 198.51.100.0/30
      - 198.51.100.4/31
      - 198.51.100.6/32
      - 198.51.100.8/29
      - 198.51.100.16/28
      - 198.51.100.32/27
      - 198.51.100.64/26
      - 198.51.100.128/25
    protocols: [{tcp: {destinationPort: {range: {start: 8000, end: 8010}}}}]
  - action: Accept
    to:
    - pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}
  - {action: Deny, to: [{networks: [0.0.0.0/0, "::/0"]}]}
"#
    );
}

#[test]
fn calico_becomes_clusternetworkpolicy() {
    let (text, losses) = converted(CALICO, Dialect::ClusterNetworkPolicy);
    assert_eq!(losses, [("", 0); 0]);
    assert_eq!(
        text,
        r#"# from NetworkPolicy/shop/web (policy.yaml:4:1)
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: shop.web}
spec:
  tier: Admin
  priority: 100
  subject:
    pods:
      namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}
      podSelector: {matchLabels: {app: web}}
  egress:
  - action: Accept
    to:
    - pods:
        namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}
        podSelector: {matchLabels: {app: db}}
    protocols: [{tcp: {destinationPort: {number: 5432}}}]
  - {action: Deny, to: [{networks: [0.0.0.0/0, "::/0"]}]}
"#
    );
}

const PASSED: &str = r#"apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: partners}
spec:
  priority: 10
  subject: {namespaces: {}}
  egress:
  - {action: Pass, to: [{networks: [192.0.2.0/24]}]}
  - {action: Deny, to: [{networks: [192.0.0.0/16]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: 192.0.2.0/25}}], ports: [{port: 443}]}]
"#;

/// What passes out of Admin goes on to the policies of namespaces, which Baseline then holds.
#[test]
fn a_pass_goes_on_to_baseline() {
    let (text, losses) = converted(PASSED, Dialect::ClusterNetworkPolicy);
    assert_eq!(losses, [("", 0); 0]);
    assert_eq!(
        text,
        r#"# from AdminNetworkPolicy/partners (policy.yaml:4:1)
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: partners}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {}}
  egress:
  - {action: Pass, to: [{networks: [192.0.2.0/24]}]}
  - {action: Deny, to: [{networks: [192.0.0.0/16]}]}
---
# from NetworkPolicy/shop/web (policy.yaml:14:1)
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: shop.web}
spec:
  tier: Baseline
  priority: 100
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}
  egress:
  - action: Accept
    to: [{networks: [192.0.2.0/25]}]
    protocols: [{tcp: {destinationPort: {number: 443}}}]
  - {action: Deny, to: [{networks: [0.0.0.0/0, "::/0"]}]}
"#
    );
}

/// A Deny by label may mean network sets that lie in another file: pods alone would deny less, in silence.
#[test_case(Dialect::Cilium, "convert-deny"; "cilium denies less and says so")]
#[test_case(Dialect::ClusterNetworkPolicy, "convert-narrower"; "cluster network policy denies more")]
fn a_deny_by_label_that_sets_may_have_is_told(to: Dialect, code: &'static str) {
    for (more, told) in [
        ("", true),
        (" && projectcalico.org/orchestrator == 'k8s'", false),
    ] {
        let text = CALICO.replace(
            "  - {action: Deny}\n",
            &format!("  - {{action: Deny, destination: {{selector: \"role == 'bad'{more}\"}}}}\n"),
        );
        let (_, losses) = converted(&text, to);
        assert_eq!(losses.contains(&(code, 9)), told, "{more}: {losses:?}");
    }
}
