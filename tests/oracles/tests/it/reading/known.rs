//! Why we and `kubectl` may differ about a text.

use policy_model::Diagnostic;

/// What begins a message of ours, and why we refuse what it takes. A message of our own, not one of the parser's.
const OURS: &[(&str, &str)] = &[
    (
        "key `",
        "a key that stands twice: it takes the last one in silence",
    ),
    (
        "tag `",
        "a tag that makes another value of a text, or none at all: it knows binary, sets and times, and passes over others",
    ),
    (
        "a key must be a plain word, not a merge",
        "a merge key with a tag: it depends on the tag whether it merges",
    ),
    (
        "a key must be",
        "a key with a fraction, of which it writes seven digits",
    ),
    (
        "`kubectl` takes the",
        "a merge key behind what it overwrites: to a reader what is written out holds",
    ),
    ("a merge key needs", "a merge key that merges nothing"),
    (
        "`kubectl` takes nothing",
        "a comment without a blank behind `---`: it cuts there, and takes the line for text where it is the first",
    ),
    (
        "`kubectl` reads nothing",
        "text behind the end of a document: it passes over it in silence",
    ),
    ("`...` ends", "an end of a document that has not begun"),
    ("`\\u{", "a character that no editor shows"),
    (
        "`?` before a word",
        "a question mark before a word, or in one between brackets: a key to YAML 1.1, a part of the word to YAML 1.2",
    ),
    (
        "did not find expected <document start>",
        "text behind the first value of a document: it passes over it in silence",
    ),
];

/// What is in a message of ours.
const OURS_WITHIN: &[(&str, &str)] = &[
    (
        "is no number that JSON has",
        "a number that JSON has not: it makes a text of it, or refuses it where it is a value",
    ),
    (
        "is a word in YAML 1.1",
        "a word that ends with a colon before a comma or a bracket: a key to YAML 1.2",
    ),
    (
        "a name behind `&`",
        "an anchor with a name of other characters: to YAML 1.1 what follows is text",
    ),
    (
        "a word between brackets may not",
        "a word between brackets that begins with a colon, such as `[::1]`: a value to YAML 1.1",
    ),
    (
        "is not what its tag",
        "an integer beyond 63 bits with the tag of integers",
    ),
];

/// What is in a message of theirs, and why we take what they refuse. No value is in doubt in these.
const THEIRS: &[(&str, &str)] = &[
    ("unknown escape character", "an escape of YAML 1.2, `\\/`"),
    ("cannot start any token", TAB),
    ("found a tab character", TAB),
    ("did not find expected ','", FLOW),
    ("found unexpected end of stream", FLOW),
    (
        "as a !!float",
        "an integer beyond 63 bits with the tag of floats",
    ),
];

const TAB: &str = "a tab where there is nothing to indent";
const FLOW: &str = "in brackets: a key of several lines";

/// What the parser says of its own accord; it is one of YAML 1.2.
pub(super) const STRICTER: &str =
    "what the parser finds wrong, and theirs does not reach, or takes";

pub(super) fn refused_by_us(ours: &Diagnostic) -> Option<&'static str> {
    let begins = OURS
        .iter()
        .find(|(begin, _)| ours.message.starts_with(begin));
    let within = || {
        OURS_WITHIN
            .iter()
            .find(|(part, _)| ours.message.contains(part))
    };
    match begins.or_else(within) {
        Some((_, reason)) => Some(reason),
        None => (ours.code == "yaml-syntax").then_some(STRICTER),
    }
}

pub(super) fn refused_by_them(error: &str, text: &str) -> Option<&'static str> {
    // What begins like JSON is told to be bad JSON, whatever is bad about it as YAML.
    if error.starts_with("json: ") && text.trim_start().starts_with('{') {
        return Some("YAML that begins like JSON: what is wrong with it as YAML is not told");
    }
    THEIRS
        .iter()
        .find(|(part, _)| error.contains(part))
        .map(|(_, reason)| *reason)
}
