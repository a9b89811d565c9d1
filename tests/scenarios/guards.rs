//! Guards: metadata services and names that suddenly mean something inside.

use gateway_playground::Behaviour;
use testkit::Lab;
use testkit::names::{INTRANET, METADATA, METADATA6};

use crate::in_lab;

#[test]
fn metadata_services_are_closed_although_a_policy_allows_the_whole_range() {
    in_lab(|lab| {
        let policy = "
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: test}
spec:
  egress:
    - action: Allow
      to: [{cidr: 0.0.0.0/0}, {cidr: '::/0'}]
";
        let outcome = lab.held(policy).probe(&[
            "http 169.254.169.254:80/",
            "http [fd00:ec2::254]:80/",
            "http [::ffff:169.254.169.254]:80/",
            "http [64:ff9b::169.254.169.254]:80/",
            "http [64:ff9b:1::169.254.169.254]:80/",
            "http [2002:a9fe:a9fe::1]:80/",
            "http [::169.254.169.254]:80/",
            "http [::ffff:0:169.254.169.254]:80/",
            "http 198.51.100.66:80/",
        ]);
        assert_eq!(
            outcome.told(),
            [
                "EPERM",
                "EPERM",
                "EPERM",
                "EPERM",
                "EPERM",
                "EPERM",
                "EPERM",
                "EPERM",
                "forbidden 198.51.100.66/"
            ],
            "{outcome:#?}"
        );
        assert_eq!(lab.internet.packets_to(METADATA).unwrap(), []);
        assert_eq!(lab.internet.packets_to(METADATA6).unwrap(), []);
    });
}

#[test]
fn a_preset_opens_the_metadata_service_for_its_policy() {
    in_lab(|lab| {
        let policy = format!(
            "{}    - action: Allow\n      metadata: [aws-imds]\n",
            Lab::allowing(&["v4.example.com"])
        );
        let outcome = lab.held(&policy).probe(&[
            "http 169.254.169.254:80/",
            "http [fd00:ec2::254]:80/",
            "http 198.51.100.66:80/",
        ]);
        assert_eq!(
            outcome.told(),
            [
                "metadata 169.254.169.254/",
                "metadata6 [fd00:ec2::254]/",
                "EPERM"
            ],
            "{outcome:#?}"
        );
    });
}

#[test]
fn an_outside_name_opens_no_inner_address() {
    in_lab(|lab| {
        lab.internet
            .zone(
                "mixed.example.com 60 A 203.0.113.10
                 mixed.example.com 60 A 10.9.9.9
                 imds.example.com 60 A 169.254.169.254
                 lo.example.com 60 A 127.0.0.1
                 ula.example.com 60 AAAA fd00:ec2::254
                 mapped.example.com 60 AAAA ::ffff:10.9.9.9",
            )
            .unwrap();
        let policy = Lab::allowing(&["*.example.com"]);
        let outcome = lab.held(&policy).probe(&[
            "ask inner.example.com A",
            "ask mixed.example.com A",
            "ask imds.example.com A",
            "ask lo.example.com A",
            "ask ula.example.com AAAA",
            "ask mapped.example.com AAAA",
            "http 10.9.9.9:80/",
        ]);
        let addresses: Vec<String> = outcome.sights[..6]
            .iter()
            .map(|sight| format!("{:?}", sight.addresses))
            .collect();
        assert_eq!(
            addresses,
            ["[]", "[203.0.113.10]", "[]", "[]", "[]", "[]"],
            "{outcome:#?}"
        );
        assert_eq!(outcome.told()[6], "EPERM");
        assert_eq!(lab.internet.packets_to(INTRANET).unwrap(), []);
    });
}

#[test]
fn a_name_that_changes_its_mind_is_caught_at_the_second_answer() {
    in_lab(|lab| {
        lab.internet
            .behave(
                "rebind.example.com",
                Behaviour::InTurn(vec![
                    "rebind.example.com 0 A 203.0.113.10".to_owned(),
                    "rebind.example.com 0 A 10.9.9.9".to_owned(),
                ]),
            )
            .unwrap();
        let outcome = lab.held(&Lab::allowing(&["rebind.example.com"])).probe(&[
            "lookup rebind.example.com",
            "until failed lookup rebind.example.com",
            "http 10.9.9.9:80/",
        ]);
        assert_eq!(outcome.told()[0], "203.0.113.10", "{outcome:#?}");
        assert!(outcome.sights[1].addresses.is_empty(), "{outcome:#?}");
        assert_eq!(outcome.told()[2], "EPERM");
        assert_eq!(lab.internet.packets_to(INTRANET).unwrap(), []);
    });
}

#[test]
fn a_rule_may_allow_private_addresses_for_its_names() {
    in_lab(|lab| {
        let policy = format!(
            "{}      allowPrivate: true\n",
            Lab::allowing(&["inner.example.com"])
        );
        let outcome = lab.held(&policy).probe(&["http inner.example.com:80/"]);
        assert_eq!(
            outcome.told(),
            ["intranet inner.example.com/"],
            "{outcome:#?}"
        );
    });
}
