//! Whether we read in a text what `kubectl` reads in it: random YAML, to us and to the library it reads with.
//!
//! Both refusing is agreement, and so is both reading the same values. Where we refuse what it takes, and where we take what it
//! refuses, the reason stands in a list. Different values are a difference in every case.

mod known;
mod text;

use std::collections::BTreeMap;

use oracles::{Oracle, Program, json_of};
use policy_dialects::decode::Findings;
use policy_dialects::read_documents;
use policy_engine::testing::Random;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::differential::seed;
use crate::engine::foreign;

const TEXTS: usize = 10_000;

const NO_OBJECT: &str = "a document that is no mapping, which we refuse when we look for its kind";

#[derive(Serialize)]
struct Question<'t> {
    text: &'t str,
}

#[derive(Debug, Deserialize)]
struct Answer {
    documents: Vec<Value>,
    #[serde(default)]
    error: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Same,
    BothRefuse,
    Known(&'static str),
    /// What is told of it.
    Unknown(String),
}

#[test]
fn texts_beside_kubectl() {
    let Some(mut oracle) = foreign(Program::Yaml) else {
        return;
    };
    let seed = seed();
    println!("EGRET_SEED={seed} texts");
    let mut random = Random::new(seed);
    let texts: Vec<String> = (0..TEXTS).map(|_| text::text(&mut random)).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unknown: BTreeMap<String, &String> = BTreeMap::new();
    let (mut same, mut both_refuse) = (0, 0);
    for (text, outcome) in texts.iter().zip(outcomes(&texts, &mut oracle)) {
        match outcome {
            Outcome::Same => same += 1,
            Outcome::BothRefuse => both_refuse += 1,
            Outcome::Known(reason) => *counts.entry(reason).or_default() += 1,
            Outcome::Unknown(told) => {
                let shortest = unknown.entry(told).or_insert(text);
                if text.len() < shortest.len() {
                    *shortest = text;
                }
            }
        }
    }
    for (told, text) in &unknown {
        println!("{told}\n  in {:?}", smallest((*text).clone(), &mut oracle));
    }
    assert!(unknown.is_empty(), "EGRET_SEED={seed}: see above");
    println!("{TEXTS} texts, {same} read the same, {both_refuse} refused by both, and");
    for (reason, count) in &counts {
        println!("{count:6} {reason}");
    }
    let stricter = counts.get(known::STRICTER).copied().unwrap_or_default();
    assert!(
        stricter * 25 <= TEXTS,
        "too often only the parser knows why: {stricter} of {TEXTS}"
    );
    assert!(same * 4 >= TEXTS, "too few are read: {same} of {TEXTS}");
    assert!(
        both_refuse * 20 >= TEXTS,
        "too few are refused: {both_refuse} of {TEXTS}"
    );
}

/// What is read of these is what people trip over; none is refused.
#[test]
fn traps_beside_kubectl() {
    let Some(mut oracle) = foreign(Program::Yaml) else {
        return;
    };
    let texts = [
        "a: [y, Y, n, yes, no, on, off, On, OFF, yEs, ~, null, Null, nULL, true, TRUE]\n",
        "a: [010, 08, 0o17, 0x1F, 0b11, 1_000, 1:30, 190:20:30, 80.0, 1e3, .5, 2001-12-14, 1.2.3]\n",
        "a: [9223372036854775807, 9223372036854775808, 18446744073709551615, 99999999999999999999]\n",
        "on: 1\n010: 2\nno: 3\n",
        "\u{feff}a: 1\r\nb: |\r\n  c\r\n",
        "a: &a {x: 1}\nb: {<<: *a, x: 2}\nc: *a\n",
        "---\na: 1\n---\n\n---\n# nothing\n--- # next\nb: 2\n...\n",
        "{\n\t\"a\": 80.0,\n\t\"b\": [1e3, -0]\n}\n",
        "a: b\nc: \"\\u00e9\\x41\"\nd: 'it''s'\ne: >-\n  f\n  g\n\n  h\n",
    ];
    for (text, outcome) in texts.iter().zip(outcomes(&texts, &mut oracle)) {
        assert_eq!(outcome, Outcome::Same, "{text:?}");
    }
}

fn outcomes<T: AsRef<str>>(texts: &[T], oracle: &mut Oracle) -> Vec<Outcome> {
    let questions: Vec<Question<'_>> = texts
        .iter()
        .map(|text| Question {
            text: text.as_ref(),
        })
        .collect();
    let answers = oracle
        .exchange(&questions, |line, _| {
            Ok(serde_json::from_str::<Answer>(line)?)
        })
        .unwrap();
    texts
        .iter()
        .zip(&answers)
        .map(|(text, theirs)| outcome(text.as_ref(), theirs))
        .collect()
}

fn outcome(text: &str, theirs: &Answer) -> Outcome {
    let mut findings = Findings::new("text");
    let ours: Vec<Value> = read_documents(text, &mut findings)
        .iter()
        .map(|document| json_of(document.root()))
        .collect();
    let diagnostics = findings.into_diagnostics();
    match (diagnostics.first(), theirs.error.as_str()) {
        (None, "") => match differing_all(&ours, &theirs.documents) {
            None => Outcome::Same,
            Some(_) if ours.iter().any(is_no_object) => Outcome::Known(NO_OBJECT),
            Some((we, they)) => Outcome::Unknown(format!("we read {we}, they read {they}")),
        },
        (Some(_), error) if !error.is_empty() => Outcome::BothRefuse,
        (Some(ours), _) => known::refused_by_us(ours).map_or_else(
            || Outcome::Unknown(format!("we refuse: {} {}", ours.code, ours.message)),
            Outcome::Known,
        ),
        (None, _) if ours.iter().any(is_no_object) => Outcome::Known(NO_OBJECT),
        (None, error) => known::refused_by_them(error, text).map_or_else(
            || Outcome::Unknown(format!("they refuse: {error}")),
            Outcome::Known,
        ),
    }
}

/// The text without every line, and then every character, that the difference does not need.
fn smallest(mut text: String, oracle: &mut Oracle) -> String {
    let mut differs =
        |text: &str| matches!(outcomes(&[text], oracle).as_slice(), [Outcome::Unknown(_)]);
    for by_line in [true, false] {
        let mut at = 0;
        while at < text.len() {
            let end = if by_line {
                text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
            } else {
                at + text[at..].chars().next().map_or(1, char::len_utf8)
            };
            let fewer = [&text[..at], &text[end..]].concat();
            if differs(&fewer) {
                text = fewer;
            } else {
                at = end;
            }
        }
    }
    text
}

fn is_no_object(document: &Value) -> bool {
    !document.is_object()
}

/// The innermost values that differ first.
fn differing_all<'v>(ours: &'v [Value], theirs: &'v [Value]) -> Option<(&'v Value, &'v Value)> {
    const NOTHING: &Value = &Value::Null;
    let longer = ours.len().max(theirs.len());
    let at = |values: &'v [Value], at: usize| values.get(at).unwrap_or(NOTHING);
    (0..longer).find_map(|document| differing(at(ours, document), at(theirs, document)))
}

fn differing<'v>(ours: &'v Value, theirs: &'v Value) -> Option<(&'v Value, &'v Value)> {
    let here = Some((ours, theirs));
    match (ours, theirs) {
        (Value::Array(our), Value::Array(their)) if our.len() == their.len() => our
            .iter()
            .zip(their)
            .find_map(|(ours, theirs)| differing(ours, theirs)),
        (Value::Object(our), Value::Object(their))
            if our.len() == their.len() && our.keys().all(|key| their.contains_key(key)) =>
        {
            our.iter()
                .find_map(|(key, ours)| differing(ours, their.get(key)?))
        }
        (Value::Number(our), Value::Number(their)) => {
            let same = match (our.as_i64(), their.as_i64()) {
                (Some(our), Some(their)) => our == their,
                // JSON has one kind of number. An integer that Go writes for a float is one, to the precision that floats have.
                _ => our
                    .as_f64()
                    .zip(their.as_f64())
                    .is_some_and(|(our, their)| (our - their).abs() <= our.abs() * 1e-15),
            };
            if same { None } else { here }
        }
        _ if ours == theirs => None,
        _ => here,
    }
}
