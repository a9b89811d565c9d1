use proptest::prelude::*;
use test_case::test_case;

use super::*;
use crate::Grammar;

fn patterns(texts: &[(Grammar, &str)]) -> Vec<NamePattern> {
    texts
        .iter()
        .map(|(grammar, text)| NamePattern::parse(*grammar, text).expect("a pattern"))
        .collect()
}

fn classes(texts: &[(Grammar, &str)]) -> Vec<Vec<usize>> {
    NamePattern::classes(&patterns(texts), 10_000)
        .expect("few states")
        .into_iter()
        .map(|class| class.patterns)
        .collect()
}

const NATIVE: Grammar = Grammar::Native;
const CILIUM: Grammar = Grammar::Cilium;

#[test_case(&[], &[&[]]; "no pattern")]
#[test_case(&[(NATIVE, "a.example")], &[&[], &[0]]; "one name")]
#[test_case(&[(NATIVE, "*")], &[&[0]]; "every name")]
#[test_case(&[(NATIVE, "*.example"), (NATIVE, "**.example")], &[&[], &[0, 1], &[1]]; "one label and more")]
#[test_case(&[(NATIVE, "**.example"), (NATIVE, "a.b.example")], &[&[], &[0], &[0, 1]]; "a name below")]
#[test_case(&[(CILIUM, "a*.io"), (CILIUM, "*b.io")], &[&[], &[0], &[0, 1], &[1]]; "stars that overlap")]
#[test_case(&[(CILIUM, "a*.io"), (NATIVE, "ax.io")], &[&[], &[0], &[0, 1]]; "a star around a name")]
#[test_case(&[(CILIUM, "a*.io"), (CILIUM, "ab*.io")], &[&[], &[0], &[0, 1]]; "a star inside of a star")]
#[test_case(&[(Grammar::Calico, "www.*.com"), (NATIVE, "**.shop.com")], &[&[], &[0], &[0, 1], &[1]]; "a star between labels")]
#[test_case(&[(CILIUM, "a..b")], &[&[]]; "what matches nothing")]
fn told_apart(texts: &[(Grammar, &str)], expected: &[&[usize]]) {
    assert_eq!(classes(texts), expected);
}

#[test]
fn too_much_is_no_answer() {
    assert_eq!(
        NamePattern::classes(&patterns(&[(NATIVE, "a.b.c.d")]), 3),
        None
    );
}

#[test]
fn a_long_list_of_names_is_quickly_told_apart() {
    let names: Vec<NamePattern> = (0..5_000)
        .map(|number| {
            NamePattern::parse(NATIVE, &format!("host-{number}.example.com")).expect("a pattern")
        })
        .collect();
    let classes = NamePattern::classes(&names, 100_000).expect("a trie");
    assert_eq!(classes.len(), 5_001);
}

proptest! {
    #[test]
    fn every_name_has_its_class(
        texts in prop::collection::vec(("[ab*.]{1,7}", 0..3_usize), 0..5),
        labels in prop::collection::vec("[abc]{1,3}", 1..5),
    ) {
        let grammars = [Grammar::Native, Grammar::Cilium, Grammar::Calico];
        let patterns: Vec<NamePattern> = texts
            .iter()
            .filter_map(|(text, grammar)| NamePattern::parse(grammars[*grammar], text).ok())
            .collect();
        let classes = NamePattern::classes(&patterns, 100_000).expect("few states");
        let of = |name: &Name| -> Vec<usize> {
            (0..patterns.len()).filter(|at| patterns[*at].matches(name)).collect()
        };
        let name = Name::from_labels(labels.iter().map(|l| l.as_bytes())).expect("a name");
        prop_assert!(classes.iter().any(|class| class.patterns == of(&name)), "{name} {patterns:?}");
        for class in &classes {
            prop_assert_eq!(&class.patterns, &of(&class.example), "{:?}", class);
        }
    }
}
