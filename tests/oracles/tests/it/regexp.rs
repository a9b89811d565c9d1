//! Whether we refuse the regular expressions that Cilium refuses: random ones, to our reader of its policies and to Go's `regexp`.

use std::fmt::Write as _;

use oracles::Program;
use policy_dialects::{Context, read};
use policy_engine::testing::Random;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::differential::seed;
use crate::engine::foreign;

const TEXTS: usize = 10_000;

/// Words of the grammar, and what breaks them.
const PARTS: &[&str] = &[
    "a",
    "b",
    "-",
    "_",
    "/",
    ".",
    "^",
    "$",
    "|",
    "*",
    "+",
    "?",
    "??",
    "{",
    "}",
    ",",
    "0",
    "1",
    "7",
    "9",
    "00",
    "999",
    "1000",
    "1001",
    "{2}",
    "{2,}",
    "{1,3}",
    "{3,1}",
    "{,2}",
    "{1000}",
    "{0}",
    "(",
    ")",
    "(?",
    "(?:",
    "(?i)",
    "(?i:",
    "(?s-m:",
    "(?P<",
    "(?<",
    "n>",
    ">",
    ":",
    "(?=",
    "[",
    "]",
    "[^",
    "[[:alpha:]]",
    "[[:word:]]",
    "[[:nothing:]]",
    "[:",
    ":]",
    "a-z",
    "z-a",
    "\\",
    "\\d",
    "\\W",
    "\\b",
    "\\z",
    "\\Z",
    "\\Q",
    "\\E",
    "\\x",
    "\\x41",
    "\\x{",
    "\\x{10ffff}",
    "\\x{110000}",
    "\\0",
    "\\1",
    "\\12",
    "\\n",
    "\\u0041",
    "\\.",
    "\\pL",
    "\\pN",
    "\\p{Greek}",
    "\\P{^Lu}",
    "\\p{",
    "é",
    "\u{1f980}",
    "\n",
];

#[derive(Serialize)]
struct Question<'t> {
    text: &'t str,
}

#[derive(Debug, Deserialize)]
struct Answer {
    error: String,
}

#[test]
fn expressions_beside_go() {
    let Some(mut oracle) = foreign(Program::Regexp) else {
        return;
    };
    let seed = seed();
    println!("EGRET_SEED={seed} regular expressions");
    let mut random = Random::new(seed);
    let texts: Vec<String> = (0..TEXTS).map(|_| text(&mut random)).collect();
    let questions: Vec<Question<'_>> = texts.iter().map(|text| Question { text }).collect();
    let answers = oracle
        .exchange(&questions, |line, _| {
            Ok(serde_json::from_str::<Answer>(line)?)
        })
        .unwrap();
    let mut differences = String::new();
    let mut refused = 0;
    for (text, Answer { error }) in texts.iter().zip(&answers) {
        refused += usize::from(!error.is_empty());
        let ours = refusal(text);
        if ours.is_some() == error.is_empty() {
            writeln!(differences, "{text:?}: we {ours:?}, they {error:?}").unwrap();
        }
    }
    assert!(differences.is_empty(), "EGRET_SEED={seed}\n{differences}");
    println!("{TEXTS} expressions, {refused} refused by both");
    assert!(
        refused * 10 >= TEXTS && refused * 10 <= TEXTS * 9,
        "one side of it was hardly asked"
    );
}

/// Not empty: no expression at all is every path.
fn text(random: &mut Random) -> String {
    (0..=random.below(7)).map(|_| random.pick(PARTS)).collect()
}

/// What our reader of policies says of a path.
fn refusal(path: &str) -> Option<String> {
    let policy = json!({
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "regexp"},
        "spec": {"endpointSelector": {}, "egress": [{"toPorts": [{
            "ports": [{"port": "80", "protocol": "TCP"}],
            "rules": {"http": [{"path": path}]},
        }]}]},
    });
    let diagnostics = read("text", &policy.to_string(), &Context::default()).diagnostics;
    diagnostics
        .into_iter()
        .map(|diagnostic| diagnostic.message)
        .find(|message| message.contains("is no regular expression"))
}
