//! Diagnostics for people and for programs: one look and one JSON shape in all verbs.

pub mod github;

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level as Mark, Origin as Place, Renderer, Snippet};
use policy_model::{Diagnostic, Level};
use serde::Serialize;

use crate::policy_files::{PolicyFile, PolicyFileError};

/// Whether text carries colours and line art.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A terminal that shows colours.
    Colour,
    /// Everything else: the same text without them.
    Plain,
}

impl Look {
    /// What standard output is; `NO_COLOR` (<https://no-color.org>) and a dumb terminal mean plain.
    #[must_use]
    pub fn of_stdout() -> Self {
        Self::of(&io::stdout())
    }

    /// The same of standard error.
    #[must_use]
    pub fn of_stderr() -> Self {
        Self::of(&io::stderr())
    }

    fn of(stream: &impl io::IsTerminal) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        if stream.is_terminal() && !refused {
            Self::Colour
        } else {
            Self::Plain
        }
    }

    /// `text` in an ANSI style (`1` bold, `31` red…), where there are colours.
    #[must_use]
    pub fn paint(self, style: &str, text: &str) -> String {
        match self {
            Self::Colour => format!("\u{1b}[{style}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// Each diagnostic with the line it is about, a caret under what is meant, and its help.
#[must_use]
pub fn diagnostics(diagnostics: &[Diagnostic], files: &[PolicyFile], look: Look) -> String {
    let texts: BTreeMap<&str, Vec<&str>> = files
        .iter()
        .map(|file| (file.name.as_str(), file.text.lines().collect()))
        .collect();
    let renderer = match look {
        Look::Colour => Renderer::styled().decor_style(DecorStyle::Unicode),
        Look::Plain => Renderer::plain(),
    };
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&renderer.render(&[group(diagnostic, &texts)]));
        out.push_str("\n\n");
    }
    out
}

fn group<'a>(diagnostic: &'a Diagnostic, texts: &BTreeMap<&str, Vec<&'a str>>) -> Group<'a> {
    let Diagnostic {
        code,
        level,
        message,
        help,
        origin,
        object,
    } = diagnostic;
    let mark = match level {
        Level::Refused | Level::Closed => Mark::ERROR,
        Level::Lint => Mark::WARNING,
    };
    let line = usize::try_from(origin.line).unwrap_or(usize::MAX);
    let title = mark
        .with_name(level.as_str())
        .primary_title(message.as_str())
        .id(*code);
    let text = texts
        .get(&*origin.source)
        .and_then(|lines| lines.get(line.saturating_sub(1)));
    let mut group = match text {
        Some(text) => title.element(
            Snippet::source(*text)
                .line_start(line)
                .path(&*origin.source)
                .annotation(AnnotationKind::Primary.span(span(text, origin.column, origin.width))),
        ),
        None => title.element(
            Place::path(&*origin.source)
                .line(line)
                .char_column(usize::try_from(origin.column).unwrap_or(usize::MAX)),
        ),
    };
    if let Some(object) = object {
        group = group.element(
            Mark::NOTE
                .with_name("in")
                .message(if origin.path.is_empty() {
                    object.to_string()
                } else {
                    format!("{object}, {}", origin.path)
                }),
        );
    }
    if let Some(help) = help {
        group = group.element(Mark::HELP.message(help.as_str()));
    }
    group
}

/// LIMIT: characters that are marked in an excerpt; the renderer cuts a long line around what is marked.
const LONGEST_MARK: u32 = 80;

/// The bytes of `width` characters from a 1-based column on; at least one, where the line has any.
fn span(text: &str, column: u32, width: u32) -> std::ops::Range<usize> {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let mut offsets = text
        .char_indices()
        .map(|(offset, _)| offset)
        .skip(count(column.saturating_sub(1)));
    let start = offsets.next().unwrap_or(text.len());
    let width = count(width.clamp(1, LONGEST_MARK));
    let end = offsets.nth(width - 1).unwrap_or(text.len());
    start..end
}

/// A diagnostic as every verb's `-o json` prints it (a contract: keys stay).
#[derive(Debug, Serialize)]
pub struct DiagnosticJson<'a> {
    code: &'a str,
    level: &'static str,
    file: &'a str,
    line: u32,
    column: u32,
    object: Option<ObjectJson<'a>>,
    path: &'a str,
    message: &'a str,
    help: Option<&'a str>,
}

/// An object as JSON names it.
#[derive(Debug, Serialize)]
pub struct ObjectJson<'a> {
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
}

impl<'a> From<&'a Diagnostic> for DiagnosticJson<'a> {
    fn from(diagnostic: &'a Diagnostic) -> Self {
        let Diagnostic {
            code,
            level,
            message,
            help,
            origin,
            object,
        } = diagnostic;
        Self {
            code,
            level: level.as_str(),
            file: &origin.source,
            line: origin.line,
            column: origin.column,
            object: object.as_ref().map(ObjectJson::from),
            path: &origin.path,
            message,
            help: help.as_deref(),
        }
    }
}

impl<'a> From<&'a policy_model::ObjectRef> for ObjectJson<'a> {
    fn from(object: &'a policy_model::ObjectRef) -> Self {
        Self {
            kind: &object.kind,
            namespace: object.namespace.as_deref(),
            name: &object.name,
        }
    }
}

/// A path that gave no policies as every verb's `-o json` prints it.
#[derive(Debug, Serialize)]
pub struct UnreadableJson {
    path: String,
    message: String,
}

impl From<&PolicyFileError> for UnreadableJson {
    fn from(error: &PolicyFileError) -> Self {
        Self {
            path: error.path(),
            message: chain(error),
        }
    }
}

/// Writes an answer to standard output; a reader who went away is no failure.
pub fn print(text: &str) {
    drop(io::stdout().lock().write_all(text.as_bytes()));
}

/// Writes what kept a verb from its answer to standard error.
pub fn complain(verb: &str, error: &(dyn std::error::Error + 'static)) {
    drop(writeln!(io::stderr(), "egret {verb}: {}", chain(error)));
}

/// An error and its causes, on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// An answer as JSON, for a program.
#[must_use]
pub fn json(answer: &impl Serialize) -> String {
    let mut text =
        serde_json::to_string_pretty(answer).expect("strings and numbers are always JSON");
    text.push('\n');
    text
}

/// Writes diagnostics that kept a verb from its answer to standard error.
pub fn complain_with(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

/// `1 rule`, `2 rules`.
#[must_use]
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// One policy may not move a terminal's cursor: control characters become visible.
#[must_use]
pub fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_unicode().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use policy_model::Origin;

    use super::*;

    fn rendered(column: u32, width: u32, text: &str) -> String {
        let origin = Origin {
            width,
            ..Origin::new("p.yaml", 2, column, "spec.tier")
        };
        let diagnostic = Diagnostic::new(
            Level::Refused,
            "invalid-value",
            origin,
            "`admn` is not one of `admin`, `baseline`",
        )
        .with_help("did you mean `admin`?")
        .about(policy_model::ObjectRef::new(
            "ClusterEgressPolicy",
            None,
            "ci",
        ));
        let file = PolicyFile {
            name: "p.yaml".into(),
            path: "p.yaml".into(),
            text: text.into(),
        };
        diagnostics(&[diagnostic], &[file], Look::Plain)
    }

    #[test]
    fn a_finding_shows_its_line_a_caret_and_help() {
        assert_eq!(
            rendered(9, 4, "spec:\n  tier: admn\n"),
            "\
refused[invalid-value]: `admn` is not one of `admin`, `baseline`
 --> p.yaml:2:9
  |
2 |   tier: admn
  |         ^^^^
  |
  = in: ClusterEgressPolicy/ci, spec.tier
  = help: did you mean `admin`?

"
        );
    }

    #[test]
    fn places_beyond_the_text_do_not_matter() {
        for (column, width) in [(1, 0), (99, 5), (u32::MAX, u32::MAX), (0, 0)] {
            assert!(rendered(column, width, "a\nü\n").contains("p.yaml:2"));
        }
        assert!(rendered(1, 1, "").contains("p.yaml:2"));
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(visible("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }
}
