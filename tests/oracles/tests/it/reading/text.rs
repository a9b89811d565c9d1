//! Random YAML as people write it, and as nobody should: what YAML 1.1 makes of bare words and numbers, anchors, merge keys, tags,
//! quotes of every kind, several documents, and then perhaps a slip of the fingers.

use std::fmt::Write;

use policy_engine::testing::Random;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

/// Bare words that are not what they seem, or are after all.
const WORDS: &[&str] = &[
    "y",
    "Y",
    "n",
    "N",
    "yes",
    "Yes",
    "YES",
    "yEs",
    "no",
    "No",
    "NO",
    "on",
    "On",
    "ON",
    "off",
    "Off",
    "OFF",
    "true",
    "True",
    "TRUE",
    "tRue",
    "false",
    "False",
    "~",
    "null",
    "Null",
    "NULL",
    "nULL",
    "",
    "a",
    "web",
    "TCP",
    "=",
    "<<",
    "<",
    ".",
    "..",
    "-",
    "--",
    "+",
    "0",
    "-0",
    "+0",
    "00",
    "7",
    "010",
    "-010",
    "08",
    "0800",
    "019",
    "0x1F",
    "0X1f",
    "0x",
    "-0x5",
    "0x-5",
    "0b101",
    "0b102",
    "0B11",
    "0o17",
    "0O17",
    "0o8",
    "1_000",
    "_1",
    "1_",
    "1__0",
    "0x_1",
    "80.0",
    "80.",
    ".5",
    "-.5",
    "+.5",
    "1.5",
    "1.50",
    "1e3",
    "1E3",
    "1e+3",
    "1e-3",
    "1e",
    "e3",
    "1.e3",
    ".e3",
    "1e400",
    "-1e400",
    "1e-400",
    "0e0",
    "1.2.3",
    "10.0.0.0",
    "10.0.0.0/8",
    "10.0",
    "1:30",
    "190:20:30",
    "0:0",
    "::1",
    "fd00::1",
    "2001:db8::",
    "2001-12-14",
    "2001-12-14t21:59:43.10-05:00",
    "2001-1-1",
    ".inf",
    "-.inf",
    "+.inf",
    ".Inf",
    ".INF",
    ".iNF",
    ".nan",
    ".NaN",
    ".NAN",
    "inf",
    "nan",
    "NaN",
    "Infinity",
    "65535",
    "65536",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "0xFFFFFFFFFFFFFFFF",
    "0xFFFFFFFFFFFFFFFFF",
    "-0xFFFFFFFFFFFFFFFF",
    "0777777777777777777777",
    "07777777777777777777777",
    "99999999999999999999",
    "12345678901234567890.0",
    "1 000",
    "1,000",
    "a b",
    "a: b",
    "a:b",
    "a #b",
    "a#b",
    "#a",
    "*.example.com",
    "*",
    "&",
    "!",
    "%",
    "@a",
    "`a",
    "|",
    ">",
    "?",
    "?a",
    "- a",
    "-a",
    ":",
    ":a",
    "a:",
    "{",
    "}",
    "[",
    "]",
    "[a]",
    "{a}",
    ",",
    "a,b",
    "'",
    "\"",
    "it's",
    "a\"b",
    "\\",
    "\\n",
    "é",
    "日本",
    "\u{a0}",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{7f}",
    "🦀",
];

/// What digits, signs and letters of numbers are made of.
const DIGITS: &[char] = &[
    '0', '1', '7', '8', '9', '0', '1', 'x', 'b', 'o', 'e', 'E', '.', '_', '-', '+', ':', 'F', 'a',
];

const TAGS: &[&str] = &[
    "!!str",
    "!!int",
    "!!float",
    "!!bool",
    "!!null",
    "!!binary",
    "!!seq",
    "!!map",
    "!!set",
    "!!omap",
    "!!timestamp",
    "!!merge",
    "!",
    "!a",
    "!!a",
    "!<tag:yaml.org,2002:str>",
    "!<a>",
    "!e!a",
];

/// What a slip of the fingers leaves in a text.
const SLIPS: &[&str] = &[
    "\t",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    ":",
    ": ",
    "- ",
    "#",
    " #",
    "'",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ", ",
    "&a ",
    "*a",
    "*a ",
    "!",
    "!!str ",
    "%",
    "@",
    "`",
    "? ",
    "| ",
    "|\n",
    ">-\n",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{a0}",
    "\0",
    "\u{1}",
    "---\n",
    "---",
    "--- ",
    "...\n",
    "...",
    "<<: ",
    "<<",
    "\\",
    "~",
    "0",
    "-",
    "<",
    "=",
    "%YAML 1.1\n",
    "%TAG ! !\n",
];

/// A text; of three, something is broken in one.
pub(super) fn text(random: &mut Random) -> String {
    let mut writer = Writer {
        random,
        text: String::new(),
        anchors: Vec::new(),
    };
    writer.stream();
    let mut text = writer.text;
    if random.chance(70) {
        return text;
    }
    for _ in 0..1 + random.below(2) {
        slip(&mut text, random);
    }
    text
}

struct Writer<'r> {
    random: &'r mut Random,
    text: String,
    /// Those of this document.
    anchors: Vec<String>,
}

impl Writer<'_> {
    fn stream(&mut self) {
        if self.random.chance(3) {
            self.text.push('\u{feff}');
        }
        if self.random.chance(5) {
            let start = self.random.pick(&[
                "%YAML 1.1\n---",
                "%YAML 1.2\n---",
                "# first\n---",
                "%TAG !e! tag:e,1:\n---",
            ]);
            self.text.push_str(start);
            self.text.push('\n');
        } else if self.random.chance(25) {
            self.separator();
        }
        self.document();
        while self.random.chance(25) {
            self.separator();
            self.anchors.clear();
            if self.random.chance(90) {
                self.document();
            }
        }
        if self.random.chance(5) {
            self.text.push_str("...\n");
        }
        if self.random.chance(5) {
            self.text = self.text.replace('\n', "\r\n");
        }
        if self.random.chance(5) {
            self.text.truncate(self.text.trim_end().len());
        }
    }

    fn separator(&mut self) {
        let separator = if self.random.chance(10) {
            self.random
                .pick(&["...\n", "--- ", "----\n", " ---\n", "---a\n"])
        } else {
            self.random.pick(&[
                "---\n",
                "---\n",
                "---\n",
                "--- \n",
                "---\t\n",
                "--- # next\n",
                "---#next\n",
                "...\n---\n",
                "---\n---\n",
            ])
        };
        self.text.push_str(separator);
    }

    fn document(&mut self) {
        match self.random.below(14) {
            13 => {
                let value = self.json(0);
                let indent = self.random.pick(&["", "  ", "\t"]);
                let text = if indent.is_empty() {
                    value.to_string()
                } else {
                    pretty(&value, indent)
                };
                self.text.push_str(&text);
                self.text.push('\n');
            }
            0 => {
                let flow = self.flow(0);
                self.text.push_str(&flow);
                self.text.push('\n');
            }
            1 => self.items(0, 0),
            2 => {
                let scalar = self.scalar(false);
                self.text.push_str(&scalar);
                self.text.push('\n');
            }
            _ => self.entries(0, 0),
        }
    }

    fn entries(&mut self, indent: usize, depth: usize) {
        for at in 0..1 + self.random.below(4) {
            self.text.extend(std::iter::repeat_n(' ', indent));
            if self.random.chance(4) && !self.anchors.is_empty() {
                let anchor = self.random.pick(&self.anchors);
                let form = self.random.pick(&[
                    "<<: *A\n",
                    "<<: [*A]\n",
                    "<<: [*A, {z: 1}]\n",
                    "<<: {a: 1, z: 2}\n",
                    "'<<': *A\n",
                    "*A : 1\n",
                ]);
                self.text.push_str(&form.replace('A', &anchor));
                continue;
            }
            let key = self.key(at);
            self.text.push_str(&key);
            self.text.push(':');
            self.value(indent, depth + 1, true);
        }
    }

    fn items(&mut self, indent: usize, depth: usize) {
        for _ in 0..1 + self.random.below(3) {
            self.text.extend(std::iter::repeat_n(' ', indent));
            self.text.push('-');
            if self.random.chance(25) && depth < 4 {
                // A mapping whose first key stands on the dash's line.
                self.text.push(' ');
                let mut inner = Writer {
                    random: self.random,
                    text: String::new(),
                    anchors: std::mem::take(&mut self.anchors),
                };
                inner.entries(indent + 2, depth + 1);
                self.anchors = inner.anchors;
                let text = inner.text;
                self.text.push_str(text.trim_start_matches(' '));
            } else {
                self.value(indent, depth + 1, false);
            }
        }
    }

    /// What stands behind `key:` or `-`, to the end of its last line.
    fn value(&mut self, indent: usize, depth: usize, of_key: bool) {
        if self.random.chance(6) {
            let name = self.random.pick(&["a", "b", "a1"]).to_owned();
            write!(self.text, " &{name}").unwrap();
            self.anchors.push(name);
        }
        if self.random.chance(2) {
            self.text.push(' ');
            let tag = self.random.pick(TAGS);
            self.text.push_str(tag);
        }
        let deep = depth > 4;
        match self.random.below(20) {
            0..=4 if !deep => {
                self.end_line();
                self.entries(indent + 2, depth);
            }
            5 | 6 if !deep => {
                self.end_line();
                // A list may stand as far left as its key.
                let same = of_key && self.random.chance(40);
                self.items(if same { indent } else { indent + 2 }, depth);
            }
            7 | 8 => {
                let flow = self.flow(depth);
                write!(self.text, " {flow}").unwrap();
                self.end_line();
            }
            9 => self.literal(indent + 2),
            10 if !self.anchors.is_empty() => {
                let anchor = self.random.pick(&self.anchors);
                write!(self.text, " *{anchor}").unwrap();
                self.end_line();
            }
            11 if self.random.chance(30) => {
                // A scalar of several lines.
                let (one, other) = (self.scalar(false), self.scalar(false));
                write!(self.text, " {one}\n{}{other}", " ".repeat(indent + 2)).unwrap();
                self.end_line();
            }
            _ => {
                let scalar = self.scalar(false);
                write!(self.text, " {scalar}").unwrap();
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let end = self.random.pick(&[
            "\n",
            "\n",
            "\n",
            "\n",
            "\n",
            "\n",
            "\n",
            " \n",
            " # why\n",
            "\t\n",
            "\n\n",
            "\n# why\n",
        ]);
        self.text.push_str(end);
    }

    fn literal(&mut self, indent: usize) {
        let head = self.random.pick(&[
            " |", " |", " >", " >", " |-", " >-", " |+", " >+", " |2", " | # why",
        ]);
        self.text.push_str(head);
        self.text.push('\n');
        for _ in 0..self.random.below(4) {
            let more = self.random.below(4).saturating_sub(2);
            let word = self.word();
            writeln!(self.text, "{}{word}", " ".repeat(indent + more)).unwrap();
        }
    }

    fn flow(&mut self, depth: usize) -> String {
        let deep = depth > 4;
        match self.random.below(6) {
            0 | 1 if !deep => {
                let items: Vec<String> = (0..self.random.below(4))
                    .map(|_| self.flow(depth + 1))
                    .collect();
                format!(
                    "[{}{}]",
                    items.join(", "),
                    self.random.pick(&["", "", "", ",", " "])
                )
            }
            2 | 3 if !deep => {
                let entries: Vec<String> = (0..self.random.below(4))
                    .map(|at| {
                        let key = self.key(at);
                        let between = self.random.pick(&[": ", ": ", ": ", ": ", ":", " : ", ""]);
                        let value = if between.is_empty() {
                            String::new()
                        } else {
                            self.flow(depth + 1)
                        };
                        format!("{key}{between}{value}")
                    })
                    .collect();
                format!(
                    "{{{}{}}}",
                    entries.join(", "),
                    self.random.pick(&["", "", "", ",", " "])
                )
            }
            _ => self.scalar(true),
        }
    }

    /// As a program writes it.
    fn json(&mut self, depth: usize) -> Value {
        match self.random.below(9) {
            _ if depth == 0 => (0..self.random.below(4))
                .map(|at| (["a", "b", "c"][at % 3].to_owned(), self.json(1)))
                .collect::<Map<_, _>>()
                .into(),
            0..=2 if depth < 4 => (0..self.random.below(4))
                .map(|at| (["a", "b", "c"][at % 3].to_owned(), self.json(depth + 1)))
                .collect::<Map<_, _>>()
                .into(),
            3 if depth < 4 => (0..self.random.below(4))
                .map(|_| self.json(depth + 1))
                .collect(),
            4 => json!(self.random.number()),
            5 => json!(self.random.pick(&[0, 80, -1, 65_535])),
            6 => json!(self.random.pick(&[0.5, 80.0, 1e21, -2.5e-7])),
            7 => self.random.pick(&[json!(null), json!(true), json!(false)]),
            _ => self.word().into(),
        }
    }

    /// Mostly names of which none stands twice.
    fn key(&mut self, at: usize) -> String {
        match self.random.below(20) {
            0..=15 => ["a", "b", "c-d", "e.f/g"][at % 4].to_owned(),
            16 => self.random.pick(&["a", "b"]).to_owned(),
            17 => self.word(),
            _ => self.scalar(true),
        }
    }

    /// On one line, in quotes or not; `closed` where a bare word may not hold what a flow is made of.
    fn scalar(&mut self, closed: bool) -> String {
        let word = self.word();
        match self.random.below(10) {
            0 => format!("'{}'", word.replace('\'', "''")),
            1 => self.escaped(&word),
            _ if closed && word.contains([',', '[', ']', '{', '}', '#']) => {
                format!("'{}'", word.replace('\'', "''"))
            }
            _ if hard(&word) && !self.random.chance(1) => format!("'{}'", word.replace('\'', "''")),
            _ => word,
        }
    }

    fn escaped(&mut self, word: &str) -> String {
        let escape = if self.random.chance(3) {
            self.random
                .pick(&["\\/", "\\z", "\\ud83e\\udd80", "\\ud83e", "\\", "\\x4"])
        } else {
            self.random.pick(&[
                "",
                "",
                "\\n",
                "\\t",
                "\\0",
                "\\x41",
                "\\u00e9",
                "\\U0001F980",
                "\\ ",
                "\\\"",
                "\\e",
                "\\a",
                "\\N",
                "\\_",
                "\\L",
            ])
        };
        format!(
            "\"{}{escape}\"",
            word.replace('\\', "\\\\").replace('"', "\\\"")
        )
    }

    fn word(&mut self) -> String {
        if self.random.chance(60) {
            self.random.pick(WORDS).to_owned()
        } else {
            (0..1 + self.random.below(5))
                .map(|_| self.random.pick(DIGITS))
                .collect()
        }
    }
}

/// Whether a bare word would most likely break the text.
fn hard(word: &str) -> bool {
    let mut chars = word.chars();
    let (first, second) = (chars.next(), chars.next());
    matches!(
        first,
        Some(
            '#' | '*'
                | '&'
                | '!'
                | '%'
                | '@'
                | '`'
                | '|'
                | '>'
                | '{'
                | '}'
                | '['
                | ']'
                | ','
                | '\''
                | '"'
        )
    ) || matches!(first, Some('-' | '?' | ':')) && second.is_none_or(|second| second == ' ')
        || word.contains(": ")
        || word.ends_with(':')
        || word.contains(['\u{7f}', '\u{85}', '\u{2028}', '\u{feff}'])
}

fn pretty(value: &Value, indent: &str) -> String {
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(indent.as_bytes());
    value
        .serialize(&mut Serializer::with_formatter(&mut text, formatter))
        .unwrap();
    String::from_utf8(text).unwrap()
}

fn slip(text: &mut String, random: &mut Random) {
    let places: Vec<usize> = text
        .char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .collect();
    let at = random.pick(&places);
    match random.below(4) {
        0 if at < text.len() => {
            text.remove(at);
        }
        1 => {
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let (from, to) = (
                random.below(lines.len().max(1)),
                random.below(lines.len().max(1)),
            );
            if let (Some(_), Some(line)) = (lines.get(from), lines.get(to)) {
                let mut lines: Vec<&str> = lines.clone();
                lines.insert(from, line);
                *text = lines.concat();
            }
        }
        _ => text.insert_str(at, random.pick(SLIPS)),
    }
}
