//! Reading fields of an object: types, unknown fields, suggestions. Every finding is a diagnostic with its place.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy_model::{Diagnostic, ObjectRef, Origin};

use crate::codes::{self, Code};
use crate::shorten;
use crate::suggest::nearest;
use crate::yaml::{Entries, Entry, Node, Place, Shape, Typed};

/// A value and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct At<'d, T> {
    pub value: T,
    pub node: Node<'d>,
}

/// Collects what is found in one file.
#[derive(Debug)]
pub struct Findings {
    source: Arc<str>,
    object: Option<ObjectRef>,
    diagnostics: Vec<Diagnostic>,
}

impl Findings {
    pub fn new(source: &str) -> Self {
        Self {
            source: source.into(),
            object: None,
            diagnostics: Vec::new(),
        }
    }

    /// Names the object the following findings are about.
    pub fn begin_object(&mut self, object: Option<ObjectRef>) {
        self.object = object.map(shorten::object);
    }

    /// What the places of these findings begin with.
    pub(crate) fn source(&self) -> Arc<str> {
        Arc::clone(&self.source)
    }

    /// Adds what was found elsewhere about this file.
    pub(crate) fn extend(&mut self, diagnostics: Vec<Diagnostic>) {
        self.diagnostics.extend(diagnostics);
    }

    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }

    /// How many findings there are by now; with [`Self::refused_since`], whether a part could be read.
    pub fn mark(&self) -> usize {
        self.diagnostics.len()
    }

    pub fn refused_since(&self, mark: usize) -> bool {
        self.diagnostics[mark..]
            .iter()
            .any(|diagnostic| diagnostic.level == policy_model::Level::Refused)
    }

    /// The paths of what was found since a mark.
    pub(crate) fn paths_since(&self, mark: usize) -> BTreeSet<Arc<str>> {
        self.diagnostics[mark..]
            .iter()
            .map(|diagnostic| Arc::clone(&diagnostic.origin.path))
            .collect()
    }

    /// Forgets what does not refuse, of a part that has no effect.
    pub(crate) fn keep_refusals_since(&mut self, mark: usize) {
        let mut index = 0;
        self.diagnostics.retain(|diagnostic| {
            index += 1;
            index <= mark || diagnostic.level == policy_model::Level::Refused
        });
    }

    pub fn origin(&self, node: Node<'_>) -> Origin {
        self.origin_at(node.sight(), node.path())
    }

    pub fn report(&mut self, code: Code, node: Node<'_>, message: impl Into<String>) {
        self.push(code, self.origin(node), message.into(), None);
    }

    pub fn report_help(
        &mut self,
        code: Code,
        node: Node<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(code, self.origin(node), message.into(), Some(help.into()));
    }

    pub fn report_at(
        &mut self,
        code: Code,
        place: Place,
        path: String,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.push(code, self.origin_at(place, path), message.into(), help);
    }

    /// A finding about an entry's key.
    pub fn report_key(
        &mut self,
        code: Code,
        entry: Entry<'_>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.push(
            code,
            self.origin_at(entry.place, entry.value.path()),
            message.into(),
            help,
        );
    }

    /// A finding about something already lowered.
    pub fn report_origin(
        &mut self,
        code: Code,
        origin: Origin,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(code, origin, message.into(), Some(help.into()));
    }

    fn push(&mut self, code: Code, origin: Origin, message: String, help: Option<String>) {
        self.diagnostics.push(Diagnostic {
            code: code.id,
            level: code.level,
            message: shorten::message(message),
            help: help.map(shorten::message),
            origin: Origin {
                path: shorten::path(origin.path),
                ..origin
            },
            object: self.object.clone(),
        });
    }

    fn origin_at(&self, place: Place, path: String) -> Origin {
        Origin {
            source: Arc::clone(&self.source),
            line: place.line,
            column: place.column,
            width: place.width,
            path: path.into(),
        }
    }

    /// The fields of a mapping.
    pub fn fields<'d>(&mut self, node: Node<'d>) -> Option<Fields<'d>> {
        match node.shape() {
            Shape::Mapping(entries) => Some(Fields {
                entries,
                known: Vec::new(),
            }),
            Shape::Scalar(..) | Shape::Sequence(_) => {
                self.wrong_type(node, "a mapping");
                None
            }
        }
    }

    /// The items of a list.
    pub fn list<'d>(&mut self, node: Node<'d>) -> Option<Vec<Node<'d>>> {
        match node.shape() {
            Shape::Sequence(items) => Some(items.iter().collect()),
            Shape::Scalar(..) | Shape::Mapping(_) => {
                self.wrong_type(node, "a list");
                None
            }
        }
    }

    pub fn string<'d>(&mut self, node: Node<'d>) -> Option<At<'d, &'d str>> {
        match node.typed() {
            Some(Typed::Str(value)) => Some(At { value, node }),
            None | Some(Typed::Null | Typed::Bool(_) | Typed::Int(_) | Typed::Float(_)) => {
                self.wrong_type(node, "a string");
                None
            }
        }
    }

    pub fn boolean(&mut self, node: Node<'_>) -> Option<bool> {
        match node.typed() {
            Some(Typed::Bool(value)) => Some(value),
            None | Some(Typed::Null | Typed::Str(_) | Typed::Int(_) | Typed::Float(_)) => {
                self.wrong_type(node, "a truth value");
                None
            }
        }
    }

    /// A whole number; `08`, which YAML 1.1 makes a float, counts as one too, as it does in JSON.
    pub fn integer<'d>(&mut self, node: Node<'d>) -> Option<At<'d, i64>> {
        let value = match node.typed() {
            Some(Typed::Int(value)) => value,
            Some(Typed::Float(value)) => whole(value).or_else(|| {
                self.wrong_type(node, "a whole number");
                None
            })?,
            None | Some(Typed::Null | Typed::Str(_) | Typed::Bool(_)) => {
                self.wrong_type(node, "a whole number");
                return None;
            }
        };
        if let Shape::Scalar(text, _) = node.shape()
            && crate::yaml::is_surprising_number(text)
        {
            self.report_help(
                codes::YAML_SURPRISING_NUMBER,
                node,
                format!("`{text}` is read as {value}"),
                format!(
                    "write `{value}`, or the number you mean without leading zeros and underscores"
                ),
            );
        }
        Some(At { value, node })
    }

    /// The strings of a list. What is none is reported and left out.
    pub fn strings<'d>(&mut self, node: Node<'d>) -> Option<Vec<At<'d, &'d str>>> {
        let items = self.list(node)?;
        Some(
            items
                .into_iter()
                .filter_map(|item| self.string(item))
                .collect(),
        )
    }

    /// One of a closed set of words.
    pub fn word<'d, T: Copy>(
        &mut self,
        node: Node<'d>,
        words: &[(&'static str, T)],
    ) -> Option<At<'d, T>> {
        let text = self.string(node)?.value;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(At {
                value: *value,
                node,
            });
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let help = did_you_mean(text, &known);
        self.push(
            codes::INVALID_VALUE,
            self.origin(node),
            format!("`{text}` is not one of {}", listed(&known)),
            help,
        );
        None
    }

    pub fn wrong_type(&mut self, node: Node<'_>, expected: &str) {
        let message = match node.shape() {
            Shape::Scalar(text, _) if !node.is_null() => format!(
                "expected {expected}, found `{text}`, which is {}",
                node.describe()
            ),
            Shape::Scalar(..) | Shape::Sequence(_) | Shape::Mapping(_) => {
                format!("expected {expected}, found {}", node.describe())
            }
        };
        let help = match (expected, node.shape()) {
            ("a string", Shape::Scalar(text, _)) if !node.is_null() => Some(format!(
                "YAML reads this as {}; put it in quotes: \"{}\"",
                node.describe(),
                shorten::value(text)
            )),
            ("a whole number", Shape::Scalar(text, _)) if text.parse::<i64>().is_ok() => {
                Some("leave out the quotes".into())
            }
            ("a list", _) => Some("write `- ` before each item, or put the value in [ ]".into()),
            _ => None,
        };
        self.push(codes::WRONG_TYPE, self.origin(node), message, help);
    }
}

/// The fields of one mapping, taken one by one; [`Fields::finish`] reports those nobody took.
#[derive(Debug)]
pub struct Fields<'d> {
    entries: Entries<'d>,
    known: Vec<&'static str>,
}

impl<'d> Fields<'d> {
    /// The value of a field; a null one is absent, as it is for the API server.
    pub fn take(&mut self, key: &'static str) -> Option<Node<'d>> {
        self.take_entry(key).map(|entry| entry.value)
    }

    /// The value of a field, a null one too.
    pub fn take_any(&mut self, key: &'static str) -> Option<Node<'d>> {
        self.known.push(key);
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| entry.value)
    }

    pub fn take_entry(&mut self, key: &'static str) -> Option<Entry<'d>> {
        self.known.push(key);
        self.entries
            .iter()
            .find(|entry| entry.key == key && !entry.value.is_null())
    }

    /// Reports every field that was not asked for; `unknown` says how bad that is here.
    pub fn finish(self, findings: &mut Findings, unknown: Code) -> Unknown {
        let mut found = Unknown::None;
        for entry in self
            .entries
            .iter()
            .filter(|entry| !self.known.contains(&entry.key))
        {
            found = Unknown::Some;
            let help = did_you_mean(entry.key, &self.known)
                .unwrap_or_else(|| format!("known here: {}", listed(&self.known)));
            findings.report_key(
                unknown,
                entry,
                format!("unknown field `{}`", entry.key),
                Some(help),
            );
        }
        found
    }
}

/// Whether a mapping had fields that do not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    None,
    Some,
}

/// A number written with digits alone: Rust takes a plus sign too, which no dialect does.
pub(crate) fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|octet| octet.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// The known word that another is probably a misspelling of, as a question.
pub fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}

/// `a`, `b` and `c`, in backticks.
pub fn listed(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn whole(value: f64) -> Option<i64> {
    // Beyond 2^53 a float is no longer exactly the number that was written.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() != 0.0 || value.abs() > EXACT {
        return None;
    }
    format!("{value:.0}").parse().ok()
}
