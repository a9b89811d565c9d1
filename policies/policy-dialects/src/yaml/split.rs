//! From a file to the texts of its documents, as `kubectl` cuts it.
//!
//! It looks for lines that begin with `---` and gives what is between them to a parser of YAML 1.1, which reads one document and
//! no further. What it refuses there, and what it would read otherwise than an eye does, is refused here.

use super::Place;
use super::error::{LoadError, LoadErrorKind};

/// The text of one document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk<'t> {
    pub(super) first_line: u32,
    pub(super) text: &'t str,
}

/// The documents of a file that can be looked into, and why others cannot.
pub(super) fn split(text: &str) -> (Vec<Chunk<'_>>, Vec<LoadError>) {
    let mut cut = Cut::default();
    let mut open = Open::new(1, 0);
    let (mut offset, mut number) = (0, 1_u32);
    for line in text.split_inclusive('\n') {
        let end = offset + line.len();
        if let Some(rest) = line.strip_prefix("---") {
            cut.close(&open, &text[open.start..offset]);
            open = Open::new(number.saturating_add(1), end);
            if !only_a_comment(rest) {
                open.refuse(number, 4, LoadErrorKind::Separator);
            }
            open.characters(line, number);
        } else {
            open.line(line, number, offset);
        }
        offset = end;
        number = number.saturating_add(1);
    }
    cut.close(&open, &text[open.start..]);
    (cut.chunks, cut.errors)
}

#[derive(Default)]
struct Cut<'t> {
    chunks: Vec<Chunk<'t>>,
    errors: Vec<LoadError>,
}

impl<'t> Cut<'t> {
    fn close(&mut self, open: &Open, text: &'t str) {
        if let Some(error) = &open.error {
            self.errors.push(error.clone());
            return;
        }
        let text = open
            .end
            .map_or(text, |end| &text[..end.saturating_sub(open.start)]);
        self.chunks.push(Chunk {
            first_line: open.first_line,
            text,
        });
    }
}

/// A document whose end has not been seen.
struct Open {
    first_line: u32,
    start: usize,
    /// Whether something other than comments stands in it.
    is_begun: bool,
    /// Where its `...` stands.
    end: Option<usize>,
    error: Option<LoadError>,
}

impl Open {
    const fn new(first_line: u32, start: usize) -> Self {
        Self {
            first_line,
            start,
            is_begun: false,
            end: None,
            error: None,
        }
    }

    fn line(&mut self, line: &str, number: u32, offset: usize) {
        self.characters(line, number);
        if !self.is_begun {
            self.blanks(line, number);
        }
        let marker = line
            .strip_prefix("...")
            .filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        let rest = marker.unwrap_or(line).trim();
        let has_text = !rest.is_empty() && !rest.starts_with('#');
        match (marker, self.end) {
            (None, None) => self.is_begun |= has_text,
            (Some(_), None) if !self.is_begun => {
                self.refuse(number, 1, LoadErrorKind::EndWithoutStart);
            }
            (Some(_), None) => {
                self.end = Some(offset);
                if has_text {
                    self.refuse(number, 4, LoadErrorKind::AfterEnd);
                }
            }
            (None, Some(_)) if has_text => self.refuse(number, 1, LoadErrorKind::AfterEnd),
            (None | Some(_), Some(_)) => {}
        }
    }

    fn characters(&mut self, line: &str, number: u32) {
        if let Some((column, found)) = odd_character(line) {
            self.refuse(number, column, LoadErrorKind::Character(found));
        }
    }

    /// To tell JSON from YAML `kubectl` passes over all that is a blank somewhere, and YAML knows two.
    fn blanks(&mut self, line: &str, number: u32) {
        let odd = line
            .chars()
            .zip(1_u32..)
            .take_while(|(found, _)| found.is_whitespace())
            .find(|(found, _)| !found.is_ascii());
        if let Some((found, column)) = odd {
            self.refuse(number, column, LoadErrorKind::Blank(found));
        }
    }

    /// The first reason is told.
    fn refuse(&mut self, line: u32, column: u32, kind: LoadErrorKind) {
        let place = Place {
            line,
            column,
            width: 1,
        };
        self.error.get_or_insert(LoadError { kind, place });
    }
}

/// Whether nothing else stands behind a `---`. `---# c` is a word to YAML 1.1, and `kubectl` cuts there all the same.
fn only_a_comment(rest: &str) -> bool {
    let bare = rest.trim_matches([' ', '\t', '\r', '\n']);
    bare.is_empty() || (bare.starts_with('#') && rest.starts_with([' ', '\t']))
}

/// A character that is a line break to YAML 1.1 and to no editor, or that none of its files may have here, and its column.
fn odd_character(line: &str) -> Option<(u32, char)> {
    let bare = line.strip_suffix('\n').unwrap_or(line);
    let bare = bare.strip_suffix('\r').unwrap_or(bare);
    if bare.bytes().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e)) {
        return None;
    }
    bare.chars()
        .zip(1_u32..)
        .find(|(found, _)| *found != '\t' && is_odd(*found))
        .map(|(found, column)| (column, found))
}

/// Whether a character may not stand in a text as it is.
pub(super) fn is_odd(found: char) -> bool {
    found.is_control()
        || matches!(
            found,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test]
    fn documents_keep_their_lines() {
        let (chunks, errors) = split("a\n---\nb\n--- # c\n---\t\r\ne\n...\n# f\n");
        let cut: Vec<(u32, &str)> = chunks
            .iter()
            .map(|chunk| (chunk.first_line, chunk.text))
            .collect();
        assert_eq!(cut, [(1, "a\n"), (3, "b\n"), (5, ""), (6, "e\n")]);
        assert_eq!(errors, []);
    }

    #[test_case("--- {a: b}\n", LoadErrorKind::Separator, (1, 4); "a document on the line that separates")]
    #[test_case("a: b\n---a\n", LoadErrorKind::Separator, (2, 4); "a separator with a slip")]
    #[test_case("a: b\n---#a\n", LoadErrorKind::Separator, (2, 4); "a comment too near")]
    #[test_case("a: b\n\u{feff}c: d\n", LoadErrorKind::Character('\u{feff}'), (2, 1); "a byte order mark inside")]
    #[test_case("a: b\n...\nc: d\n", LoadErrorKind::AfterEnd, (3, 1); "text behind the end")]
    #[test_case("a: b\n... c: d\n", LoadErrorKind::AfterEnd, (2, 4); "text beside the end")]
    #[test_case("...\na: b\n", LoadErrorKind::EndWithoutStart, (1, 1); "an end before anything")]
    #[test_case("a: b\rc: d\n", LoadErrorKind::Character('\r'), (1, 5); "a line end of old")]
    #[test_case("# é \u{2028}a: b\n", LoadErrorKind::Character('\u{2028}'), (1, 5); "a line end inside a comment")]
    #[test_case("--- # \u{2028}a: b\n", LoadErrorKind::Character('\u{2028}'), (1, 7); "a line end behind a separator")]
    #[test_case("a: \u{85}b\n", LoadErrorKind::Character('\u{85}'), (1, 4); "a line end inside a word")]
    #[test_case(" \u{a0}{a: b}\n", LoadErrorKind::Blank('\u{a0}'), (1, 2); "a blank of no language before JSON")]
    #[test_case("a: \u{7f}b\n", LoadErrorKind::Character('\u{7f}'), (1, 4); "a control character")]
    fn what_kubectl_reads_otherwise_is_refused(
        text: &str,
        kind: LoadErrorKind,
        (line, column): (u32, u32),
    ) {
        let (_, errors) = split(text);
        let place = Place {
            line,
            column,
            width: 1,
        };
        assert_eq!(errors, [LoadError { kind, place }]);
    }

    #[test]
    fn a_broken_document_leaves_the_others() {
        let (chunks, errors) = split("a\n---\nb\u{85}\n---\nc\n");
        assert_eq!((chunks.len(), errors.len()), (2, 1));
    }
}
