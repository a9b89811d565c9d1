use test_case::test_case;

use super::super::{Node, Shape};
use super::*;

fn one(text: &str) -> Document {
    let (mut documents, errors) = load(text, &Limits::default());
    assert_eq!(errors, [], "{text}");
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

fn error(text: &str) -> LoadError {
    let (_, errors) = load(text, &Limits::default());
    errors
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("no error in {text}"))
}

fn at<'d>(node: Node<'d>, key: &str) -> Node<'d> {
    node.get(key).unwrap_or_else(|| panic!("no {key}"))
}

#[test]
fn nodes_know_their_place_and_path() {
    let document = one("a:\n  - b: x\n  - \"c.d/e\":\n      f: [1, yes]\n");
    let Shape::Sequence(items) = at(document.root(), "a").shape() else {
        panic!("a list")
    };
    let second = items.iter().nth(1).expect("two items");
    let f = at(at(second, "c.d/e"), "f");
    assert_eq!(f.path(), "a[1][\"c.d/e\"].f");
    assert_eq!(
        f.place(),
        Place {
            line: 4,
            column: 10,
            width: 1
        }
    );
    let Shape::Sequence(values) = f.shape() else {
        panic!("a list")
    };
    let yes = values.iter().nth(1).expect("two values");
    assert_eq!(
        (yes.place(), yes.typed()),
        (
            Place {
                line: 4,
                column: 14,
                width: 3
            },
            Some(Typed::Bool(true))
        )
    );
}

#[test]
fn documents_are_read_one_by_one_and_keep_their_lines() {
    let (documents, errors) = load(
        "a: 1\n---\nb: [\n--- # three\n{\"c\": \"d\"}\n---\n",
        &Limits::default(),
    );
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].root().get_str("c"), Some("d"));
    assert_eq!(at(documents[1].root(), "c").place().line, 5);
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].place.line >= 3 && errors[0].place.line <= 4,
        "{errors:?}"
    );
}

#[test]
fn empty_documents_are_left_out() {
    let (documents, errors) = load("# nothing\n---\n---\n~\n---\n", &Limits::default());
    assert_eq!((documents.len(), errors.len()), (0, 0));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_fine() {
    let document = one("\u{feff}a: b\r\nc: d\r\n");
    assert_eq!(document.root().get_str("c"), Some("d"));
    assert_eq!(at(document.root(), "c").place().line, 2);
}

#[test_case("a: |\n b", "b\n"; "text")]
#[test_case("a: >+\n ", "\n"; "blanks alone")]
#[test_case("a: |+\n  b\n   ", "b\n \n"; "blanks behind text")]
#[test_case("a: |-\n  ", ""; "blanks that are not kept")]
fn a_last_line_ends_in_a_block(text: &str, value: &str) {
    assert_eq!(one(text).root().get_str("a"), Some(value));
}

#[test]
fn anchors_are_copied_and_merge_keys_fill_in() {
    let document = one("base: &b {x: 1, z: [2]}\nuse: *b\nmerged:\n  <<: *b\n  x: 3\n");
    let root = document.root();
    assert_eq!(at(at(root, "use"), "x").typed(), Some(Typed::Int(1)));
    assert_eq!(at(at(root, "merged"), "x").typed(), Some(Typed::Int(3)));
    assert_eq!(at(at(root, "merged"), "z").path(), "merged.z");
}

#[test]
fn what_stands_before_a_merge_key_is_not_overwritten_in_silence() {
    assert_eq!(
        error("base: &b {x: 1}\nmerged:\n  x: 3\n  <<: *b\n").kind,
        LoadErrorKind::MergeAfter {
            key: "x".into(),
            first: 3
        }
    );
}

#[test_case("b: &b {x: 1}\nm: {<<: *b, <<: *b}\n"; "twice")]
#[test_case("b: &b [{x: 1}]\nm: {<<: *b}\n"; "the alias of a list")]
#[test_case("m: {<<: 1}\n"; "a number")]
fn other_merge_keys_are_refused(text: &str) {
    assert!(matches!(
        error(text).kind,
        LoadErrorKind::Merge | LoadErrorKind::DuplicateKey { .. }
    ));
}

#[test]
fn a_merge_key_with_a_tag_is_refused() {
    let kind = error("a: {!!str <<: {b: 1}}").kind;
    assert_eq!(kind, LoadErrorKind::Key("a merge key with a tag"));
}

#[test_case("a: [?b]"; "a word")]
#[test_case("a: {?b: c}"; "a key")]
#[test_case("a:\n- b: [{c: d?}]"; "behind a word in brackets")]
#[test_case("a: [b: http://c/?d=e]"; "in a word in brackets")]
#[test_case("a: &b ?c"; "a word without brackets")]
fn a_question_mark_before_a_word_is_refused(text: &str) {
    assert_eq!(error(text).kind, LoadErrorKind::QuestionMark);
}

#[test_case("a: [::1]", "::1"; "an address")]
#[test_case("a: {b: ::/0}", "::/0"; "a block")]
#[test_case("a: {:b: c}", ":b"; "a key")]
#[test_case("a: [{b: &c :d}]", ":d"; "behind an anchor")]
fn a_colon_that_begins_a_word_in_brackets_is_refused(text: &str, word: &str) {
    assert_eq!(
        error(text).kind,
        LoadErrorKind::LeadingColon(word.to_owned())
    );
}

#[test]
fn only_what_begins_with_json_has_escapes_of_json() {
    let crab = r#"{"a": "\ud83e\udd80"}"#;
    assert_eq!(one(crab).root().get_str("a"), Some("\u{1f980}"));
    assert!(matches!(
        error(&format!("---\n{crab}")).kind,
        LoadErrorKind::Syntax(_)
    ));
}

#[test]
fn a_question_mark_in_a_word_is_a_part_of_it() {
    let document = one("a: http://c/?d=e\nb: [c, {d: 'e?'}]\nf?: g?");
    assert_eq!(document.root().get_str("a"), Some("http://c/?d=e"));
    assert_eq!(document.root().get_str("f?"), Some("g?"));
}

#[test_case("a: {b:}"; "a key without a value")]
#[test_case("a: {b :}"; "a blank before it")]
#[test_case("a: [é, 2001:db8::, b]"; "an address")]
#[test_case("a: [b, {c: 1, d:, e: 2}]"; "a key between others")]
fn a_colon_before_a_bracket_or_comma_is_refused(text: &str) {
    assert!(
        matches!(error(text).kind, LoadErrorKind::TightColon(_)),
        "{:?}",
        error(text)
    );
}

#[test]
fn a_colon_before_a_blank_is_a_key() {
    let document = one("a: {b: , \"c\":}\nd: ['2001:db8::', 2001:db8::1]\n");
    assert!(at(at(document.root(), "a"), "b").is_null());
    assert!(at(at(document.root(), "a"), "c").is_null());
}

#[test]
fn keys_are_read_as_json_keys() {
    let document = one("on: 1\n010: 2\n");
    assert_eq!(at(document.root(), "true").typed(), Some(Typed::Int(1)));
    assert_eq!(at(document.root(), "8").typed(), Some(Typed::Int(2)));
}

#[test_case("a: &0:0", "&0:0"; "before what YAML 1.1 takes for text")]
#[test_case("a: &b:\n", "&b:"; "before what YAML 1.1 takes for a key")]
#[test_case("a: !!str &b.c 1", "&b.c"; "behind a tag")]
#[test_case("a: !!map # é\n  &b? {c: d}", "&b?"; "behind a comment")]
#[test_case("a: &b[c]", "&b[c"; "before a bracket that opens")]
#[test_case("a: &b\u{a0}c", "&b\u{a0}c"; "before what is no blank")]
#[test_case("é: 1\na: &é [1]", "&é"; "letters beyond ASCII")]
#[test_case("a: &b@c\n  d: 1", "&b@c"; "of a mapping in lines")]
fn an_anchor_of_other_characters_is_refused(text: &str, name: &str) {
    assert_eq!(error(text).kind, LoadErrorKind::AnchorName(name.to_owned()));
}

#[test]
fn an_anchor_may_end_before_a_bracket() {
    let document = one("a: [&b-1 b, &c_2 !!str 3, !!str &d]\ne: {*b-1 : *c_2, f: *d}\ng: *c_2");
    assert_eq!(at(document.root(), "g").typed(), Some(Typed::Str("3")));
}

#[test]
fn an_anchor_in_itself_is_refused() {
    assert_eq!(error("a: &x [*x]\n").kind, LoadErrorKind::Alias);
}

#[test]
fn a_duplicate_key_names_the_first() {
    let error = error("spec:\n  a: 1\n  a: 2\n");
    assert_eq!(
        error.kind,
        LoadErrorKind::DuplicateKey {
            key: "a".into(),
            first: 2
        }
    );
    assert_eq!(
        error.place,
        Place {
            line: 3,
            column: 3,
            width: 1
        }
    );
}

#[test]
fn two_spellings_of_one_key_are_a_duplicate() {
    assert!(matches!(
        error("on: 1\nyes: 2\n").kind,
        LoadErrorKind::DuplicateKey { .. }
    ));
}

#[test_case("{[a]: b}"; "a list as key")]
#[test_case("? {a: b}\n: c"; "a mapping as key")]
#[test_case("~: b"; "null as key")]
#[test_case("1.5: b"; "a fraction as key")]
#[test_case("18446744073709551615: b"; "a number beyond 64 bits as key")]
fn other_keys_are_refused(text: &str) {
    assert!(
        matches!(error(text).kind, LoadErrorKind::Key(_)),
        "{:?}",
        error(text)
    );
}

#[test]
fn foreign_tags_are_refused() {
    for text in [
        "!secret b",
        "!!map b",
        "!!str [b]",
        "!!seq {b: c}",
        "!!binary aGk=",
    ] {
        let error = error(&format!("a: {text}\n"));
        assert!(
            matches!(error.kind, LoadErrorKind::Tag(_)),
            "{text}: {error:?}"
        );
    }
    assert_eq!(
        at(one("a: !!str 5").root(), "a").typed(),
        Some(Typed::Str("5"))
    );
}

#[test_case("!!int on"; "a truth value")]
#[test_case("!!bool 1"; "a number")]
#[test_case("!!null 'x'"; "a string")]
#[test_case("!!float x"; "a word")]
fn a_tag_that_does_not_fit_is_refused(text: &str) {
    assert!(matches!(
        error(&format!("a: {text}\n")).kind,
        LoadErrorKind::TagMismatch { .. }
    ));
}

#[test_case(".inf")]
#[test_case("-.INF")]
#[test_case(".nan")]
#[test_case("1e400"; "beyond every float")]
fn a_number_json_has_not_is_refused(text: &str) {
    assert_eq!(
        error(&format!("a: [{text}]\n")).kind,
        LoadErrorKind::Number(text.into())
    );
}

#[test]
fn nesting_is_bounded() {
    let limits = Limits::default();
    for text in [
        "[".repeat(100),
        (0..100)
            .map(|depth| format!("{}a:\n", " ".repeat(depth)))
            .collect::<String>(),
        "- ".repeat(100),
    ] {
        let (_, errors) = load(&text, &limits);
        assert_eq!(
            errors.first().map(|error| error.kind.clone()),
            Some(LoadErrorKind::Depth(limits.depth)),
            "{text}"
        );
    }
}

#[test]
fn aliases_cannot_multiply_without_bound() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    assert_eq!(
        error(&text).kind,
        LoadErrorKind::AliasNodes(Limits::default().alias_nodes)
    );
}

#[test]
fn aliases_cannot_nest_without_bound() {
    let mut text = String::from("a0: &a0 [x]\n");
    for level in 1..200 {
        text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert_eq!(
        error(&text).kind,
        LoadErrorKind::Depth(Limits::default().depth)
    );
}

#[test]
fn size_is_bounded() {
    let limits = Limits {
        bytes: 10,
        ..Limits::default()
    };
    let (documents, errors) = load("a: 123456789", &limits);
    assert_eq!(documents.len(), 0);
    assert_eq!(errors[0].kind, LoadErrorKind::Bytes { got: 12, limit: 10 });
}

#[test]
fn json_escapes_in_pairs_are_one_character_and_move_no_place() {
    let text = "{\"a\": \"\\ud83d\\ude00 \\u00e9\\\\ud83d \\ud83d\", \"b\": 1,\n\"\\ud83d\\ude00\": 2, \"\\uD83D\\uDE01\": 3, \"c\": 4}";
    let document = one(text);
    let root = document.root();
    assert_eq!(
        at(root, "a").typed(),
        Some(Typed::Str("😀 é\\ud83d \u{fffd}"))
    );
    let place = |key: &str| {
        let place = at(root, key).place();
        (place.line, place.column, place.width)
    };
    assert_eq!(place("a"), (1, 7, 35));
    assert_eq!(place("b"), (1, 49, 1));
    assert_eq!(place("😀"), (2, 17, 1));
    assert_eq!(place("😁"), (2, 36, 1));
    assert_eq!(place("c"), (2, 44, 1));
}

#[test_case("{\"a\": '\\ud83d\\ude00'}", "\\ud83d\\ude00"; "in quotes that know no escapes")]
#[test_case("{\"a\": x\\ud83d}", "x\\ud83d"; "without quotes")]
fn what_is_no_json_is_read_as_yaml(text: &str, expected: &str) {
    assert_eq!(
        at(one(text).root(), "a").typed(),
        Some(Typed::Str(expected))
    );
}

#[test_case("a: \"\\ud83d\\ude00\"\n"; "pairs of escapes")]
#[test_case("{a: 1}\n{a: 2}\n"; "several values")]
#[test_case("{\"a\": 1}\n{\"a\": 2}\n"; "several values of JSON")]
#[test_case("%YAML 1.1\n---\na: 1\n"; "a directive, which kubectl cuts off its document")]
#[test_case("{\"a\": 1}, {\"a\": 2}\n"; "values with a comma")]
#[test_case("{\"a\": 1}\n}\n"; "a bracket too many")]
fn what_json_alone_has_is_no_yaml(text: &str) {
    assert!(matches!(error(text).kind, LoadErrorKind::Syntax(_)));
}
