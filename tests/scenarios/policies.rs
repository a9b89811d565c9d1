//! Policies: read at the start, read again when they change, and refused when they cannot be read.

use testkit::Lab;
use testkit::names::{FORBIDDEN, METADATA};

use crate::in_lab;

/// Every kind of breakage, and the place that is said of it.
const BROKEN: &str = "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: test}\nspec:\n  egress:\n    - action: Alow\n";

#[test]
fn a_rule_that_is_added_opens_and_one_that_is_taken_away_closes() {
    in_lab(|lab| {
        let mut running = lab
            .held(&Lab::allowing(&["api.example.com"]))
            .start_probe(&[
                "lookup forbidden.example.org",
                "until ok tcp forbidden.example.org:7 opened",
                "until EPERM tcp 198.51.100.66:7 closed",
                "lookup forbidden.example.org",
            ]);
        assert!(!running.sight().ok);
        running.edit_policy(&Lab::allowing(&[
            "api.example.com",
            "forbidden.example.org",
        ]));
        assert_eq!(running.sight().text.as_deref(), Some("opened"));
        running.edit_policy(&Lab::allowing(&["api.example.com"]));
        assert_eq!(running.sight().text.as_deref(), Some("EPERM"));
        let outcome = running.finish();
        assert_eq!(
            outcome.told()[3],
            "Name or service not known",
            "{outcome:#?}"
        );
    });
}

/// Judged again, a connection is held to what it began under: its lease is over, and the new rules still want the name.
#[test]
fn a_reload_after_expiry_leaves_established_connections_alone() {
    in_lab(|lab| {
        let mut running = lab
            .held(&Lab::allowing(&["short.example.com"]))
            .start_probe(&[
                "open kept short.example.com:7",
                "say kept before",
                "until failed tcp 203.0.113.12:7 expired",
                "until ok tcp v4.example.com:7 reloaded",
                "say kept after",
                "tcp 203.0.113.12:7 new",
            ]);
        let begun: Vec<_> = (0..3).map(|_| running.sight()).collect();
        assert_eq!(begun[2].text.as_deref(), Some("EPERM"), "{begun:#?}");
        running.edit_policy(&Lab::allowing(&["short.example.com", "v4.example.com"]));
        assert_eq!(running.sight().text.as_deref(), Some("reloaded"));
        assert_eq!(running.sight().text.as_deref(), Some("after"));
        assert_eq!(
            running.sight().error.as_deref(),
            Some("EPERM"),
            "new ones stay closed"
        );
    });
}

#[test]
fn a_broken_edit_is_reported_and_the_last_good_rules_stay() {
    in_lab(|lab| {
        let gate = lab.folder().join("gate");
        let wait = format!("file {}", gate.display());
        let mut running = lab.held(&Lab::allowing(&["v4.example.com"])).start_probe(&[
            "tcp v4.example.com:7 before",
            &wait,
            "tcp v4.example.com:7 after",
            "tcp 198.51.100.66:7 x",
            "lookup forbidden.example.org",
            "until ok tcp forbidden.example.org:7 mended",
        ]);
        assert_eq!(running.sight().text.as_deref(), Some("before"));
        running.edit_policy(BROKEN);
        running.wait_for_stderr("Alow");
        std::fs::write(&gate, "").unwrap();
        let seen: Vec<_> = (0..4).map(|_| running.sight()).collect();
        assert_eq!(seen[1].text.as_deref(), Some("after"), "{seen:#?}");
        assert_eq!(seen[2].error.as_deref(), Some("EPERM"), "{seen:#?}");
        assert!(!seen[3].ok, "{seen:#?}");
        running.edit_policy(&Lab::allowing(&["forbidden.example.org"]));
        assert_eq!(running.sight().text.as_deref(), Some("mended"));
        assert_eq!(running.finish().code, Some(0));
    });
}

#[test]
fn a_broken_policy_at_the_start_is_125_with_every_place_and_nothing_runs() {
    in_lab(|lab| {
        let ran = lab.folder().join("ran");
        let outcome = lab
            .held(&format!("{BROKEN}    - action: Deyn\n"))
            .run([std::ffi::OsStr::new("touch"), ran.as_os_str()]);
        assert_eq!(outcome.code, Some(125), "{outcome:#?}");
        for place in [".yaml:6:", ".yaml:7:", "Alow", "Deyn"] {
            assert!(
                outcome.stderr.contains(place),
                "{place}: {}",
                outcome.stderr
            );
        }
        assert!(!ran.exists());
    });
}

#[test]
fn a_policy_that_is_not_there_is_125() {
    in_lab(|lab| {
        let outcome = lab
            .held("")
            .with(["--policy", "/nowhere/policy.yaml"])
            .run(["true"]);
        assert_eq!(outcome.code, Some(125), "{outcome:#?}");
        assert!(outcome.stderr.contains("/nowhere/policy.yaml"));
    });
}

#[test]
fn policies_that_select_somebody_else_are_said_to_hold_nothing() {
    in_lab(|lab| {
        let policy = Lab::allowing(&["api.example.com"]).replace(
            "spec:\n",
            "spec:\n  subject: {pods: {matchLabels: {app: other}}}\n",
        );
        let outcome = lab
            .held(&policy)
            .with(["--labels", "app=build", "--quiet"])
            .probe(&["lookup forbidden.example.org"]);
        assert!(
            outcome
                .stderr
                .contains("no policy selects the command: only the guards hold"),
            "{outcome:#?}"
        );
    });
}

#[test]
fn a_kubernetes_selector_without_labels_is_125_and_never_selects_nothing() {
    in_lab(|lab| {
        let policy = "
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: test}
spec:
  subject: {pods: {matchLabels: {app: build}}}
  egress:
    - action: Allow
      to: [{fqdn: [v4.example.com]}]
";
        let refused = lab.held(policy).run(["true"]);
        assert_eq!(refused.code, Some(125), "{refused:#?}");
        assert!(refused.stderr.contains("labels"), "{}", refused.stderr);
        let outcome = lab
            .held(policy)
            .with(["--labels", "app=build"])
            .probe(&["tcp v4.example.com:7 in", "tcp 198.51.100.66:7 x"]);
        assert_eq!(outcome.told(), ["in", "EPERM"], "{outcome:#?}");
    });
}

#[test]
fn without_a_policy_only_the_guards_hold_and_that_is_said() {
    in_lab(|lab| {
        let outcome = lab
            .held("")
            .probe(&["tcp 198.51.100.66:7 free", "http 169.254.169.254:80/"]);
        assert_eq!(outcome.told(), ["free", "EPERM"], "{outcome:#?}");
        assert!(outcome.stderr.contains("guards"), "{}", outcome.stderr);
        assert_eq!(lab.internet.packets_to(METADATA).unwrap(), []);
    });
}

#[test]
fn a_cilium_policy_holds_as_well() {
    in_lab(|lab| {
        let policy = "
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: test}
spec:
  endpointSelector: {}
  egress:
    - toEndpoints: [{matchLabels: {'k8s:k8s-app': kube-dns}}]
      toPorts: [{ports: [{port: '53', protocol: ANY}], rules: {dns: [{matchPattern: '*.example.com'}]}}]
    - toFQDNs: [{matchName: v4.example.com}]
      toPorts: [{ports: [{port: '80', protocol: TCP}]}]
    - toCIDRSet: [{cidr: 198.51.100.0/24, except: [198.51.100.66/32]}]
";
        let outcome = lab.held(policy).probe(&[
            "http v4.example.com:80/",
            "tcp v4.example.com:7 x",
            "tcp 198.51.100.66:7 x",
            "lookup forbidden.example.org",
        ]);
        assert_eq!(
            outcome.told(),
            [
                "api v4.example.com/",
                "EPERM",
                "EPERM",
                "Name or service not known"
            ],
            "{outcome:#?}"
        );
        assert_eq!(lab.internet.packets_to(FORBIDDEN).unwrap(), []);
    });
}

#[test]
fn audit_allows_everything_and_says_what_it_would_have_denied() {
    in_lab(|lab| {
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com"]))
            .with(["--audit"])
            .probe(&[
                "tcp v4.example.com:7 allowed",
                "tcp 198.51.100.66:7 audited",
                "tcp forbidden.example.org:7 by-name",
            ]);
        assert_eq!(
            outcome.told(),
            ["allowed", "audited", "by-name"],
            "{outcome:#?}"
        );
        let would = outcome.report.iter().any(|line| {
            let text = line.to_string();
            line["would"] == "deny" && text.contains("198.51.100.66")
        });
        assert!(would, "{:#?}", outcome.report);
    });
}
