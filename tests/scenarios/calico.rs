//! Calico's policies on one machine: tiers in their order, sets of addresses by label, what is staged.

use testkit::Lab;
use testkit::names::FORBIDDEN;

use crate::in_lab;

/// The tier `security` closes what a set calls banned; the tier `default` opens what another calls a partner, on one port,
/// and what a set of the command's own namespace holds.
fn policy(order_of_security: u32) -> String {
    format!(
        "
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {{name: security}}
spec: {{order: {order_of_security}, defaultAction: Pass}}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {{name: partners, labels: {{role: partner}}}}
spec: {{nets: [203.0.113.0/28, '2001:db8:1::/64']}}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {{name: banned, labels: {{role: partner, state: banned}}}}
spec: {{nets: [203.0.113.11/32]}}
---
apiVersion: projectcalico.org/v3
kind: NetworkSet
metadata: {{name: office, namespace: ci, labels: {{role: office}}}}
spec: {{nets: [10.9.9.9/32]}}
---
apiVersion: projectcalico.org/v3
kind: NetworkSet
metadata: {{name: elsewhere, namespace: shop, labels: {{role: office}}}}
spec: {{nets: [198.51.100.66/32]}}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {{name: security.banned}}
spec:
  tier: security
  selector: app == 'build'
  types: [Egress]
  egress:
    - {{action: Deny, destination: {{selector: \"state == 'banned'\"}}}}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {{name: partners}}
spec:
  order: 20
  selector: has(app)
  types: [Egress]
  egress:
    - {{action: Allow, protocol: TCP, destination: {{selector: \"role == 'partner'\", notPorts: [80]}}}}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: office, namespace: ci}}
spec:
  selector: all()
  types: [Egress]
  egress:
    - {{action: Log}}
    - {{action: Allow, protocol: TCP, destination: {{selector: \"role == 'office'\"}}}}
---
apiVersion: projectcalico.org/v3
kind: StagedGlobalNetworkPolicy
metadata: {{name: everything}}
spec:
  order: 1
  types: [Egress]
  egress: [{{action: Allow}}]
"
    )
}

const STEPS: &[&str] = &[
    "tcp 203.0.113.10:7 partner",
    "tcp [2001:db8:1::10]:7 partner6",
    "http 203.0.113.10:80/",
    "tcp 203.0.113.11:7 banned",
    "tcp 10.9.9.9:7 office",
    "tcp 198.51.100.66:7 elsewhere",
];

fn told(lab: &Lab, order_of_security: u32, labels: &str) -> Vec<String> {
    let outcome = lab
        .held(&policy(order_of_security))
        .with(["--namespace", "ci", "--labels", labels])
        .probe(STEPS);
    let told = outcome.told();
    // What is staged opens nothing, and is told of.
    let would = outcome.report.iter().any(|line| {
        line["verdict"] == "deny"
            && line["would"] == "allow"
            && line.to_string().contains("198.51.100.66")
    });
    assert!(would, "{outcome:#?}");
    assert_eq!(lab.internet.packets_to(FORBIDDEN).unwrap(), []);
    told
}

#[test]
fn calicos_tiers_hold_in_their_order_and_sets_by_their_labels() {
    in_lab(|lab| {
        assert_eq!(
            told(lab, 500, "app=build"),
            ["partner", "partner6", "EPERM", "EPERM", "office", "EPERM"]
        );
        // Behind the tier `default`, `security` is asked of nothing that was decided.
        assert_eq!(
            told(lab, 2_000_000, "app=build"),
            ["partner", "partner6", "EPERM", "banned", "office", "EPERM"]
        );
        // Whom it does not select it does not hold.
        assert_eq!(
            told(lab, 500, "app=other"),
            ["partner", "partner6", "EPERM", "banned", "office", "EPERM"]
        );
    });
}
