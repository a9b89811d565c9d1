//! Which names may be asked, over which transport, and that nobody else hears of the others.

use test_case::test_case;
use testkit::Lab;
use testkit::names::{API, API6, EDGE, RESOLVER, RESOLVER6, STRANGER};

use crate::in_lab;

#[test_case(""; "over udp")]
#[test_case("tcp"; "over tcp")]
#[test_case("@2001:db8::53"; "over udp and ipv6")]
#[test_case("@2001:db8::53 tcp"; "over tcp and ipv6")]
fn an_allowed_name_is_answered_and_a_denied_one_does_not_exist(how: &str) {
    in_lab(|lab| {
        let outcome = lab.held(&Lab::allowing(&["api.example.com"])).probe(&[
            &format!("ask api.example.com A {how}"),
            &format!("ask api.example.com AAAA {how}"),
            &format!("ask forbidden.example.org A {how}"),
        ]);
        assert_eq!(
            outcome.told(),
            [API.to_string(), API6.to_string(), "NXDOMAIN".to_owned()],
            "{outcome:#?}"
        );
        let told_why = &outcome.sights[2].extended;
        assert!(
            !told_why.is_empty(),
            "an extended error says why: {outcome:#?}"
        );
        let asked = lab.internet.questions().entries();
        assert!(asked.iter().any(|q| q.name == "api.example.com"));
        assert!(
            asked.iter().all(|q| q.name == "api.example.com"),
            "{asked:#?}"
        );
    });
}

#[test]
fn both_families_are_reached_through_the_c_library() {
    in_lab(|lab| {
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com", "v6.example.com"]))
            .probe(&[
                "http v4.example.com:80/",
                "http v6.example.com:80/",
                "tcp v6.example.com:7 stream",
                "udp v4.example.com:7 datagram",
                "udp v6.example.com:7 datagram6",
                "udp-connected v6.example.com:7 connected6",
            ]);
        assert_eq!(
            outcome.told(),
            [
                "api v4.example.com/",
                "api6 v6.example.com/",
                "stream",
                "datagram",
                "datagram6",
                "connected6"
            ],
            "{outcome:#?}"
        );
        assert_eq!(outcome.code, Some(0));
    });
}

#[test]
fn an_alias_opens_what_stands_at_its_end() {
    in_lab(|lab| {
        let outcome = lab
            .held(&Lab::allowing(&["www.example.com"]))
            .probe(&["http www.example.com:80/", "lookup edge.example.net"]);
        assert_eq!(
            outcome.told(),
            ["edge www.example.com/", "Name or service not known"],
            "{outcome:#?}"
        );
        assert_eq!(outcome.sights[0].addresses, [EDGE]);
    });
}

#[test_case("*.wild.example.com", &["api a.wild.example.com/", "Name or service not known"]; "one star is one label")]
#[test_case("**.wild.example.com", &["api a.wild.example.com/", "api a.b.wild.example.com/"]; "two stars are any number")]
fn a_wildcard_covers_what_its_dialect_says(pattern: &str, told: &[&str]) {
    in_lab(|lab| {
        let outcome = lab.held(&Lab::allowing(&[pattern])).probe(&[
            "http a.wild.example.com:80/",
            "http a.b.wild.example.com:80/",
        ]);
        assert_eq!(outcome.told(), told, "{outcome:#?}");
    });
}

#[test]
fn a_denied_name_reaches_no_resolver_however_it_is_asked() {
    in_lab(|lab| {
        let outcome = lab.held(&Lab::allowing(&["api.example.com"])).probe(&[
            "lookup secret.forbidden.example.org",
            "ask secret.forbidden.example.org TXT",
            "ask secret.forbidden.example.org TYPE65280 tcp",
            "ask SeCrEt.forbidden.example.org HTTPS @2001:db8::53",
            &format!("ask secret.forbidden.example.org TXT @{STRANGER}"),
            &format!("ask secret.forbidden.example.org TXT @{STRANGER} tcp"),
        ]);
        assert!(outcome.sights.iter().all(|sight| !sight.ok), "{outcome:#?}");
        assert_eq!(lab.internet.questions().entries(), []);
        assert_eq!(lab.internet.packets_to(STRANGER).unwrap(), []);
        for server in [RESOLVER, RESOLVER6] {
            let packets = lab.internet.packets_to(server).unwrap();
            let leak = packets.iter().find(|p| {
                String::from_utf8_lossy(&p.head)
                    .to_lowercase()
                    .contains("secret")
            });
            assert!(leak.is_none(), "{leak:?}");
        }
    });
}

#[test]
fn the_case_of_a_question_comes_back_as_it_was_written() {
    in_lab(|lab| {
        let outcome = lab.held(&Lab::allowing(&["v4.example.com"])).run([
            "dig",
            "+tries=1",
            "+noall",
            "+question",
            "+answer",
            "V4.eXample.COM",
        ]);
        assert!(outcome.stdout.contains(";V4.eXample.COM."), "{outcome:#?}");
        assert!(outcome.stdout.contains("203.0.113.10"), "{outcome:#?}");
    });
}

#[test]
fn hints_of_an_https_record_are_stripped() {
    in_lab(|lab| {
        lab.internet
            .zone("svc.example.com 60 HTTPS 1 . alpn=h2 ipv4hint=203.0.113.99 ipv6hint=2001:db8:1::99 ech=abcdef")
            .unwrap();
        let outcome = lab
            .held(&Lab::allowing(&["svc.example.com"]))
            .probe(&["ask svc.example.com HTTPS", "tcp 203.0.113.99:80 x"]);
        assert_eq!(
            outcome.sights[0].text.as_deref(),
            Some("NOERROR"),
            "{outcome:#?}"
        );
        let records = outcome.sights[0].records.join(" ");
        // RFC 9460: SvcParams 4 and 6 are hints, 5 is ECH.
        for hint in [
            "cb007163",
            "20010db8000100000000000000000099",
            "616263646566",
        ] {
            assert!(!records.contains(hint), "{records}");
        }
        assert_eq!(outcome.told()[1], "EPERM", "{outcome:#?}");
    });
}
