use proptest::prelude::*;
use regex::Regex;
use test_case::test_case;

use super::*;

fn matches(grammar: Grammar, pattern: &str, name: &str) -> bool {
    let pattern = NamePattern::parse(grammar, pattern).expect("a pattern");
    Name::parse(name).is_ok_and(|name| pattern.matches(&name))
}

#[test]
fn cilium_match_cases() {
    let Some(cases) = crate::test_data::cilium() else {
        return;
    };
    let cases = cases["match_cases"].as_array().expect("a list");
    assert!(cases.len() >= 53);
    for case in cases {
        let (pattern, name) = (
            case["pattern"].as_str().expect("text"),
            case["name"].as_str().expect("text"),
        );
        assert_eq!(
            matches(Grammar::Cilium, pattern, name),
            case["match"].as_bool().expect("bool"),
            "{case}"
        );
    }
}

#[test]
fn cilium_canonicalisation_cases() {
    let Some(cases) = crate::test_data::cilium() else {
        return;
    };
    for case in cases["pattern_canonicalisation"]
        .as_array()
        .expect("a list")
    {
        let pattern = NamePattern::parse(Grammar::Cilium, case["input"].as_str().expect("text"))
            .expect("a pattern");
        assert_eq!(
            pattern.canonical(),
            case["output"].as_str().expect("text"),
            "{case}"
        );
    }
}

#[test]
fn cilium_selector_validation_cases() {
    let Some(cases) = crate::test_data::cilium() else {
        return;
    };
    for case in cases["selector_validation"].as_array().expect("a list") {
        let selector = &case["selector"];
        // Both fields at once is the dialect's business.
        let parsed = match (
            selector["matchName"].as_str(),
            selector["matchPattern"].as_str(),
        ) {
            (Some(name), None) => NamePattern::parse(Grammar::CiliumName, name),
            (None, Some(pattern)) => NamePattern::parse(Grammar::Cilium, pattern),
            (None, None) | (Some(_), Some(_)) => continue,
        };
        assert_eq!(
            parsed.is_ok(),
            case["valid"].as_bool().expect("bool"),
            "{case}"
        );
    }
}

#[test_case("example.com", "Example.COM.", true; "exact, any case")]
#[test_case("example.com", "a.example.com", false; "exact is not below")]
#[test_case("*.example.com", "a.example.com", true; "one star one label")]
#[test_case("*.example.com", "a.b.example.com", false; "one star not two labels")]
#[test_case("*.example.com", "example.com", false; "one star not the apex")]
#[test_case("*.example.com", "aexample.com", false; "one star label boundary")]
#[test_case("**.example.com", "a.example.com", true; "two stars one label")]
#[test_case("**.example.com", "a.b.example.com", true; "two stars two labels")]
#[test_case("**.example.com", "example.com", false; "two stars not the apex")]
#[test_case("**.example.com", "notexample.com", false; "two stars label boundary")]
#[test_case("*.example.com", r"a\.b.example.com", true; "a dot inside a label is no boundary")]
#[test_case("*", "a.b.c", true; "star alone")]
#[test_case("*", ".", true; "star alone covers the root")]
#[test_case("*", r"sp\032ace.example", true; "star alone covers odd octets")]
#[test_case("*.com", "example.com", true; "star below a top level domain")]
#[test_case("api-*.example.com", "api-eu.example.com", true; "star in a label")]
#[test_case("api-*.example.com", "api-.example.com", true; "star in a label may stand for nothing")]
#[test_case("api-*.example.com", "api-eu.b.example.com", false; "star in a label stays in it")]
#[test_case("a.*.com", "a.b.com", true; "star in the middle")]
#[test_case("a.*.com", "a.b.c.com", false; "star in the middle is one label")]
#[test_case("a.**.com", "a.b.c.com", true; "two stars in the middle")]
#[test_case("a.**.com", "a.com", false; "two stars in the middle are a label at least")]
#[test_case("**.a*.com", "x.y.ab.com", true; "two stars before one in a label")]
fn native(pattern: &str, name: &str, expected: bool) {
    assert_eq!(matches(Grammar::Native, pattern, name), expected);
}

#[test_case("*.kubernetes.io", "www.kubernetes.io", true; "one label")]
#[test_case("*.kubernetes.io", "latest.blog.kubernetes.io", true; "two labels")]
#[test_case("*.kubernetes.io", "kubernetes.io", false; "never the apex")]
#[test_case("*.kubernetes.io", "my-kubernetes.io", false; "label boundary")]
#[test_case("kubernetes.io", "kubernetes.io", true; "exact")]
#[test_case("kubernetes.io", "www.kubernetes.io", false; "exact is not below")]
fn cluster_network_policy(pattern: &str, name: &str, expected: bool) {
    assert_eq!(
        matches(Grammar::ClusterNetworkPolicy, pattern, name),
        expected
    );
}

#[test_case("*.example.com", "a.b.example.com", true; "any depth")]
#[test_case("*.example.com", "example.com", false; "not the apex")]
#[test_case("*", "a.b", true; "alone")]
fn istio(pattern: &str, name: &str, expected: bool) {
    assert_eq!(matches(Grammar::Istio, pattern, name), expected);
}

#[test_case("example.com", "example.com", true; "one name")]
#[test_case("example.com", "a.example.com", false; "nothing below it")]
#[test_case("*.example.com", "a.example.com", true; "one label")]
#[test_case("*.example.com", "a.b.example.com", true; "more labels")]
#[test_case("*.example.com", "example.com", false; "never the apex")]
#[test_case("*.example.com", "a.notexample.com", false; "whole labels")]
#[test_case("www.*.com", "www.shop.com", true; "a star between")]
#[test_case("www.*.com", "www.my.shop.com", true; "several labels between")]
#[test_case("www.*.com", "www.com", false; "no label between")]
#[test_case("www.*.com", "wwww.shop.com", false; "the first label as it is")]
#[test_case("www.*.com", "www.shop.net", false; "the last label as it is")]
#[test_case("A.*.b.Example", "a.x.b.example", true; "any case")]
fn calico(pattern: &str, name: &str, expected: bool) {
    assert_eq!(matches(Grammar::Calico, pattern, name), expected);
}

#[test_case("*", r"sp\032ace.example", false; "match all stays in its characters")]
#[test_case("**.x.io", r"sp\032ace.x.io", false; "subdomains stay in their characters")]
#[test_case("a*b*c.io", "abc.io", true; "stars may be empty")]
#[test_case("a*b*c.io", "aXbYbZc.io", true; "middle parts repeat")]
#[test_case("a*b*c.io", "acb.io", false; "order matters")]
#[test_case("a*a.io", "a.io", false; "parts do not overlap")]
#[test_case("**.a*.io", "x.y.ab.io", true; "leading stars before a glob")]
#[test_case("**.a*.io", "ab.io", false; "leading stars need a label")]
#[test_case("*.a*.io", "x.y.ab.io", false; "one leading star is one label")]
#[test_case("***", "a.b", true; "three stars are match all")]
#[test_case("a..b", "a.b", false; "what cannot be a name matches nothing")]
#[test_case("**..", "a.b", false; "stars and an empty label")]
#[test_case("", ".", true; "empty is the root")]
fn cilium(pattern: &str, name: &str, expected: bool) {
    assert_eq!(matches(Grammar::Cilium, pattern, name), expected);
}

#[test_case(Grammar::Native, "", "a name pattern cannot be empty"; "native empty")]
#[test_case(Grammar::Native, "a**.example.com", "`a**.example.com` has a `*` where this dialect does not allow one"; "native two stars in a label")]
#[test_case(Grammar::Native, "a.**.*.com", "`a.**.*.com` has a `*` where this dialect does not allow one"; "native two stars beside one")]
#[test_case(Grammar::Native, "a*..com", "`a*..com` is not a valid name"; "native star and an empty label")]
#[test_case(Grammar::Native, ".**.com", "`.**.com` is not a valid name"; "native nothing before two stars")]
#[test_case(Grammar::Native, "**", "`**` has a `*` where this dialect does not allow one"; "native two stars alone")]
#[test_case(Grammar::Native, "*.", "`*.` has a `*` where this dialect does not allow one"; "native star and dot")]
#[test_case(Grammar::Native, "a..b", "`a..b` is not a valid name"; "native empty label")]
#[test_case(Grammar::Native, "https://a.b", "`https://a.b` contains `:`, which no name here may contain"; "native scheme")]
#[test_case(Grammar::Native, "bücher.example", "`bücher.example` contains `ü`, which no name here may contain"; "native unicode")]
#[test_case(Grammar::CiliumName, "*.cilium.io", "`*.cilium.io` has a `*` where this dialect does not allow one"; "match name with a star")]
#[test_case(Grammar::ClusterNetworkPolicy, "*", "`*` has a `*` where this dialect does not allow one"; "cnp star alone")]
#[test_case(Grammar::ClusterNetworkPolicy, "*.com", "`*.com` has fewer than two labels besides the wildcard"; "cnp top level domain")]
#[test_case(Grammar::ClusterNetworkPolicy, "-a.com", "`-a.com` has a label that starts or ends with a character this dialect does not allow there"; "cnp hyphen first")]
#[test_case(Grammar::Calico, "g*.com", "`g*.com` has a `*` where this dialect does not allow one"; "calico star in a label")]
#[test_case(Grammar::Calico, "example.*", "`example.*` has a `*` where this dialect does not allow one"; "calico star last")]
#[test_case(Grammar::Calico, "*.*.com", "`*.*.com` has a `*` where this dialect does not allow one"; "calico two stars")]
#[test_case(Grammar::Calico, "*", "`*` has a `*` where this dialect does not allow one"; "calico star alone")]
#[test_case(Grammar::Istio, "a*.example.com", "`a*.example.com` has a `*` where this dialect does not allow one"; "istio star in a label")]
fn refusals(grammar: Grammar, text: &str, message: &str) {
    assert_eq!(
        NamePattern::parse(grammar, text)
            .expect_err("refused")
            .to_string(),
        message
    );
}

#[test_case(Grammar::Native, "*.Example.com", "names exactly one label below `example.com` (`a.example.com`), not `a.b.example.com` and not `example.com` itself"; "native one")]
#[test_case(Grammar::Native, "**.example.com", "every name below `example.com` (`a.example.com`, `a.b.example.com`), not `example.com` itself"; "native many")]
#[test_case(Grammar::ClusterNetworkPolicy, "*.example.com", "every name below `example.com` (`a.example.com`, `a.b.example.com`), not `example.com` itself"; "cnp many")]
#[test_case(Grammar::Native, "example.com", "`example.com` and nothing below it"; "exact")]
#[test_case(Grammar::Cilium, "**", "every name"; "all")]
#[test_case(Grammar::Cilium, "a..b", "no name at all: nothing can be called `a..b`"; "never")]
#[test_case(Grammar::Cilium, "sub*.x.io", "names of exactly 3 labels like `sub*.x.io`, each `*` standing for any letters, digits, `-` and `_` of its own label"; "glob")]
fn covers(grammar: Grammar, text: &str, sentence: &str) {
    assert_eq!(
        NamePattern::parse(grammar, text)
            .expect("a pattern")
            .covers(),
        sentence
    );
}

#[test_case(Grammar::Cilium, "*.ci*.x.io", Some("x.io."); "after the last star")]
#[test_case(Grammar::Cilium, "*", Some("."); "everything")]
#[test_case(Grammar::Cilium, "a..b", None; "nothing")]
#[test_case(Grammar::Native, "**.x.io", Some("x.io."); "below")]
#[test_case(Grammar::Native, "x.io", Some("x.io."); "exact")]
fn zones(grammar: Grammar, text: &str, zone: Option<&str>) {
    assert_eq!(
        NamePattern::parse(grammar, text)
            .expect("a pattern")
            .zone()
            .as_ref()
            .map(Name::as_str),
        zone
    );
}

#[test]
fn written_form_shows_and_canonical_form_compares() {
    let a = NamePattern::parse(Grammar::Native, "Example.com").expect("a pattern");
    let b = NamePattern::parse(Grammar::Native, "example.com.").expect("a pattern");
    assert_eq!(
        (a.to_string(), b.to_string()),
        ("Example.com".to_owned(), "example.com.".to_owned())
    );
    assert_eq!(a, b);
    assert_eq!(a.exact(), b.exact());
    assert_ne!(
        a,
        NamePattern::parse(Grammar::Cilium, "example.com").expect("a pattern")
    );
}

/// Cilium's own way: the whole pattern as one anchored expression (`pkg/fqdn/matchpattern`).
fn cilium_by_expression(pattern: &str, name: &str) -> bool {
    if is_all_stars(pattern) {
        return true;
    }
    let stars = pattern.bytes().take_while(|octet| *octet == b'*').count();
    let (leading, rest) = match pattern[stars..].strip_prefix('.') {
        Some(rest) if stars > 1 => ("([-a-zA-Z0-9_]+[.])+", rest),
        Some(_) | None => ("", pattern),
    };
    let rest = rest.replace('.', "[.]").replace('*', "[-a-zA-Z0-9_]*");
    Regex::new(&format!("^{leading}{rest}$"))
        .expect("an expression")
        .is_match(name)
}

const GRAMMARS: [Grammar; 6] = [
    Grammar::Calico,
    Grammar::Native,
    Grammar::Cilium,
    Grammar::CiliumName,
    Grammar::ClusterNetworkPolicy,
    Grammar::Istio,
];

#[test_case(Grammar::Cilium, "*.a.example", Grammar::Native, Some("*.a.example"); "one label")]
#[test_case(Grammar::Cilium, "**.a.example", Grammar::Native, Some("**.a.example"); "one or more")]
#[test_case(Grammar::ClusterNetworkPolicy, "*.a.example", Grammar::Native, Some("**.a.example"); "a star that means more")]
#[test_case(Grammar::Native, "**.a.example", Grammar::ClusterNetworkPolicy, Some("*.a.example"); "and back")]
#[test_case(Grammar::Native, "*.a.example", Grammar::ClusterNetworkPolicy, None; "one label has no word there")]
#[test_case(Grammar::Cilium, "***", Grammar::Native, Some("*"); "every name")]
#[test_case(Grammar::Native, "*", Grammar::ClusterNetworkPolicy, None; "no word for every name")]
#[test_case(Grammar::Cilium, "a*.example", Grammar::Native, Some("a*.example"); "a star inside of a label")]
#[test_case(Grammar::Cilium, "**.a*b.*.x", Grammar::Native, Some("**.a*b.*.x"); "stars everywhere")]
#[test_case(Grammar::Native, "a.*.example", Grammar::Calico, None; "one label in the middle")]
#[test_case(Grammar::Calico, "a.*.example", Grammar::Native, Some("a.**.example"); "one or more labels in the middle")]
#[test_case(Grammar::Native, "a.**.example", Grammar::Calico, Some("a.*.example"); "and back again")]
#[test_case(Grammar::Native, "a.**.example", Grammar::Cilium, None; "Cilium has no word for those")]
#[test_case(Grammar::Cilium, "", Grammar::Native, Some("."); "the root")]
#[test_case(Grammar::CiliumName, "A.Example.", Grammar::Native, Some("a.example"); "a name")]
fn translations(from: Grammar, text: &str, to: Grammar, expected: Option<&str>) {
    let pattern = NamePattern::parse(from, text).expect("a pattern");
    let translated = pattern.in_grammar(to);
    assert_eq!(translated.as_ref().map(NamePattern::as_str), expected);
}

proptest! {
    #[test]
    fn parse_never_panics(text in ".{0,40}|[a-c*.]{0,12}") {
        for grammar in GRAMMARS {
            if let Ok(pattern) = NamePattern::parse(grammar, &text) {
                let _sentence = pattern.covers();
                let _zone = pattern.zone();
            }
        }
    }

    #[test]
    fn cilium_agrees_with_its_expression(pattern in "[ab*.]{0,9}", labels in prop::collection::vec("[ab]{1,4}", 0..5)) {
        let name = Name::from_labels(labels.iter().map(|l| l.as_bytes())).expect("a name");
        let parsed = NamePattern::parse(Grammar::Cilium, &pattern).expect("a pattern");
        prop_assert_eq!(parsed.matches(&name), cilium_by_expression(parsed.canonical(), name.as_str()));
    }

    #[test]
    fn a_translation_covers_the_same_names(pattern in "[ab*.]{1,9}", labels in prop::collection::vec("[ab]{1,3}", 0..5)) {
        let name = Name::from_labels(labels.iter().map(|l| l.as_bytes())).expect("a name");
        for from in GRAMMARS {
            let Ok(parsed) = NamePattern::parse(from, &pattern) else { continue };
            for to in GRAMMARS {
                if let Some(translated) = parsed.in_grammar(to) {
                    prop_assert_eq!(translated.grammar(), to);
                    prop_assert_eq!(translated.matches(&name), parsed.matches(&name), "{:?} as {:?}", parsed, translated);
                }
            }
        }
    }

    #[test]
    fn what_matches_lies_in_the_zone(pattern in "[ab*.]{1,9}", labels in prop::collection::vec("[ab]{1,3}", 0..5)) {
        let name = Name::from_labels(labels.iter().map(|l| l.as_bytes())).expect("a name");
        for grammar in [Grammar::Native, Grammar::Cilium, Grammar::ClusterNetworkPolicy] {
            if let Ok(parsed) = NamePattern::parse(grammar, &pattern) && parsed.matches(&name) {
                prop_assert!(parsed.zone().is_some_and(|zone| name.is_under(&zone)));
            }
        }
    }
}
