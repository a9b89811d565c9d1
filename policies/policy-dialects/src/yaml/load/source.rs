//! What the events of the parser leave out: where a node stands in the file, and how it is written.

use saphyr_parser::{Marker, Span};

use super::super::Place;
use super::super::error::LoadErrorKind;
use super::super::json::Shifts;

/// The text of a document.
pub(super) struct Source<'t> {
    text: &'t str,
    first_line: u32,
    shifts: Shifts,
    /// A place in the text, in characters and in bytes.
    walked: (usize, usize),
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str, first_line: u32, shifts: Shifts) -> Self {
        Self {
            text,
            first_line,
            shifts,
            walked: (0, 0),
        }
    }

    pub(super) const fn text(&self) -> &'t str {
        self.text
    }

    pub(super) fn place(&self, span: Span) -> Place {
        let column = |marker: &Marker| self.shifts.written(marker.line(), marker.col());
        let width = if span.start.line() == span.end.line() {
            column(&span.end).saturating_sub(column(&span.start))
        } else {
            1
        };
        self.place_at(&span.start, width)
    }

    pub(super) fn place_at(&self, marker: &Marker, width: usize) -> Place {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place {
            line: self
                .first_line
                .saturating_add(number(marker.line().saturating_sub(1))),
            column: number(self.shifts.written(marker.line(), marker.col())).saturating_add(1),
            width: number(width.max(1)),
        }
    }

    /// Whether a list or a mapping is written in brackets: its span ends behind the first of them.
    pub(super) fn begins_with_a_bracket(&mut self, span: Span) -> bool {
        let behind = self.text_from(span.end).len();
        let before = self.text.len() - behind;
        self.text[..before].ends_with(['[', '{'])
    }

    /// The name of an anchor ends for YAML 1.1 where YAML 1.2 goes on: `&a:b` is an anchor before the text `:b`. An alias has the
    /// name of an anchor before it.
    pub(super) fn check_anchor(&mut self, span: Span) -> Result<(), LoadErrorKind> {
        // A node begins with its anchor and its tag, in either order.
        let mut rest = self.text_from(span.start);
        while let Some(skipped) = rest.strip_prefix(['!', '#', ' ', '\t', '\r', '\n']) {
            rest = match rest.chars().next() {
                Some('!') => skipped.trim_start_matches(|found: char| !found.is_whitespace()),
                Some('#') => skipped.trim_start_matches(|found| found != '\n'),
                _ => skipped,
            };
        }
        let ends = |found: char| " \t\r\n,]}".contains(found);
        let name = rest
            .strip_prefix('&')
            .and_then(|rest| rest.split(ends).next())
            .unwrap_or_default();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(LoadErrorKind::AnchorName(format!("&{name}")));
        }
        Ok(())
    }

    /// Whether `:,`, `:]` or `:}` follows: a key without a value to YAML 1.2, and a word that ends with a colon to YAML 1.1.
    pub(super) fn ends_in_a_tight_colon(&mut self, span: Span) -> bool {
        self.text_from(span.end)
            .trim_start()
            .strip_prefix(':')
            .is_some_and(|rest| rest.starts_with([',', ']', '}']))
    }

    /// The text behind a marker. Events come in the order of the text, so that it is walked once.
    fn text_from(&mut self, marker: Marker) -> &'t str {
        let (mut index, mut bytes) = self.walked;
        if marker.index() < index {
            (index, bytes) = (0, 0);
        }
        let rest = self.text.get(bytes..).unwrap_or_default();
        bytes += rest
            .chars()
            .take(marker.index() - index)
            .map(char::len_utf8)
            .sum::<usize>();
        self.walked = (marker.index(), bytes);
        self.text.get(bytes..).unwrap_or_default()
    }
}
