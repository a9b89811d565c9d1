//! Upstreams that are slow, dead, or lie.

use std::time::Duration;

use gateway_playground::{Behaviour, Transport};
use test_case::test_case;
use testkit::Lab;
use testkit::names::{API, FORBIDDEN, RESOLVER, RESOLVER6};

use crate::in_lab;

#[test]
fn a_truncated_answer_is_fetched_over_tcp() {
    in_lab(|lab| {
        let many: String = (1..=120)
            .map(|n| format!("many.example.com 60 A 203.0.113.{n}\n"))
            .collect();
        lab.internet.zone(&many).unwrap();
        lab.internet
            .behave("v4.example.com", Behaviour::TruncateUdp)
            .unwrap();
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com", "many.example.com"]))
            .probe(&[
                "tcp v4.example.com:7 cut",
                "ask many.example.com A",
                "tcp 203.0.113.10:7 one-of-many",
            ]);
        assert_eq!(outcome.told()[0], "cut", "{outcome:#?}");
        assert_eq!(outcome.sights[1].addresses.len(), 120, "{outcome:#?}");
        assert_eq!(outcome.told()[2], "one-of-many");
        let asked = lab.internet.questions().entries();
        for name in ["v4.example.com", "many.example.com"] {
            assert!(
                asked
                    .iter()
                    .any(|q| q.name == name && q.transport == Transport::Tcp),
                "{name}: {asked:#?}"
            );
        }
    });
}

#[test_case(Behaviour::WrongId; "another id")]
#[test_case(Behaviour::WrongQuestion; "another question")]
#[test_case(Behaviour::Garbage; "garbage")]
#[test_case(Behaviour::Silent; "silence")]
#[test_case(Behaviour::Rcode(5); "refused")]
fn an_answer_that_is_none_opens_nothing(behaviour: Behaviour) {
    in_lab(|lab| {
        lab.internet.behave("v4.example.com", behaviour).unwrap();
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com"]))
            .probe(&["ask v4.example.com A", "tcp 203.0.113.10:7 x"]);
        assert!(!outcome.sights[0].ok, "{outcome:#?}");
        assert_eq!(outcome.told()[1], "EPERM", "{outcome:#?}");
        assert_eq!(lab.internet.packets_to(API).unwrap(), []);
    });
}

#[test]
fn records_of_another_owner_open_nothing() {
    in_lab(|lab| {
        lab.internet
            .behave("v4.example.com", Behaviour::WrongOwner)
            .unwrap();
        lab.internet
            .behave(
                "v6.example.com",
                Behaviour::Smuggle("v4.example.com 300 A 198.51.100.66".to_owned()),
            )
            .unwrap();
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com", "v6.example.com"]))
            .probe(&[
                "ask v4.example.com A",
                "tcp 203.0.113.10:7 x",
                "ask v6.example.com AAAA",
                "tcp [2001:db8:1::10]:7 own",
                "tcp 198.51.100.66:7 x",
            ]);
        let told = outcome.told();
        assert!(outcome.sights[0].addresses.is_empty(), "{outcome:#?}");
        assert_eq!(
            [&told[1], &told[3], &told[4]],
            ["EPERM", "own", "EPERM"],
            "{outcome:#?}"
        );
        assert_eq!(lab.internet.packets_to(FORBIDDEN).unwrap(), []);
    });
}

#[test]
fn a_dead_upstream_is_passed_over_for_one_that_lives() {
    in_lab(|lab| {
        lab.internet.behave_at(RESOLVER, Behaviour::Silent).unwrap();
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com"]))
            .probe(&["until ok tcp v4.example.com:7 alive"]);
        assert_eq!(outcome.told(), ["alive"], "{outcome:#?}");
        let asked = lab.internet.questions().entries();
        assert!(asked.iter().any(|q| q.server == RESOLVER6), "{asked:#?}");
    });
}

#[test]
fn upstreams_that_are_all_dead_are_servfail_and_not_silence() {
    in_lab(|lab| {
        for resolver in [RESOLVER, RESOLVER6] {
            lab.internet.behave_at(resolver, Behaviour::Silent).unwrap();
        }
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com"]))
            .probe(&["until failed ask v4.example.com A", "tcp 203.0.113.10:7 x"]);
        let told = outcome.told();
        assert!(
            ["SERVFAIL", "timeout"].contains(&told[0].as_str()),
            "{outcome:#?}"
        );
        assert_eq!(told[1], "EPERM");
    });
}

#[test]
fn a_slow_upstream_is_waited_for() {
    in_lab(|lab| {
        lab.internet
            .behave(
                "v4.example.com",
                Behaviour::Delay(Duration::from_millis(700)),
            )
            .unwrap();
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com"]))
            .probe(&["tcp v4.example.com:7 late"]);
        assert_eq!(outcome.told(), ["late"], "{outcome:#?}");
    });
}

#[test]
fn the_upstream_of_the_command_line_is_the_one_that_is_asked() {
    in_lab(|lab| {
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com"]))
            .with(["--upstream", "2001:db8::53"])
            .probe(&["tcp v4.example.com:7 asked"]);
        assert_eq!(outcome.told(), ["asked"], "{outcome:#?}");
        let asked = lab.internet.questions().entries();
        assert!(
            !asked.is_empty() && asked.iter().all(|q| q.server == RESOLVER6),
            "{asked:#?}"
        );
    });
}

#[test]
fn a_second_look_up_comes_from_the_cache_and_is_as_good() {
    in_lab(|lab| {
        let outcome = lab.held(&Lab::allowing(&["v4.example.com"])).probe(&[
            "ask v4.example.com A",
            "ask v4.example.com A tcp",
            "tcp 203.0.113.10:7 open",
        ]);
        assert_eq!(outcome.told()[2], "open", "{outcome:#?}");
        assert_eq!(outcome.sights[1].addresses, [API]);
        let asked = lab.internet.questions().entries();
        assert_eq!(
            asked.iter().filter(|q| q.kind == "A").count(),
            1,
            "{asked:#?}"
        );
    });
}
