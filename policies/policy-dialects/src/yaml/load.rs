//! From text to [`Document`]s, by the events of `saphyr-parser`.
//!
//! A file is cut into documents first, as `kubectl` does it, so that a syntax error in one document leaves the others
//! readable. Nesting, size and the copies made by aliases are bounded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::error::{LoadError, LoadErrorKind};
use super::json::{self, Shifts};
use super::scalar::{CoreTag, Typed, resolve};
use super::split::{Chunk, split};
use super::{Document, EntryData, Place, Style, ValueData};

use source::Source;
use tags::{check, check_plain, collection_tag, scalar_tag};
use tree::Tree;

mod alias;
mod source;
mod tags;
mod tree;

/// What a file may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// LIMIT: bytes of one file. Ten thousand policies are about 2 MB; an object in Kubernetes is held to 1.5 MB by etcd. A node
    /// costs up to some sixty times its text in memory.
    pub(crate) bytes: usize,
    /// LIMIT: levels of nesting. The deepest dialect needs twelve.
    pub(crate) depth: usize,
    /// LIMIT: nodes made by aliases and merge keys in one document, against "billion laughs".
    pub(crate) alias_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            depth: 64,
            alias_nodes: 10_000,
        }
    }
}

/// Reads every document of `text`. Empty documents are left out.
pub(crate) fn load(text: &str, limits: &Limits) -> (Vec<Document>, Vec<LoadError>) {
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    if text.len() > limits.bytes {
        let kind = LoadErrorKind::Bytes {
            got: text.len(),
            limit: limits.bytes,
        };
        return (
            documents,
            vec![LoadError {
                kind,
                place: Place {
                    line: 1,
                    column: 1,
                    width: 1,
                },
            }],
        );
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = ended(text);
    let (chunks, cut) = split(&text);
    errors.extend(cut);
    for (number, Chunk { first_line, text }) in chunks.into_iter().enumerate() {
        let mut load = |text: &str, first_line, shifts| {
            let mut loader = Loader::new(text, first_line, shifts, limits);
            if let Err(error) = loader.run() {
                errors.push(error);
            }
            documents.append(&mut loader.documents);
        };
        // What stands behind `---` is YAML to `kubectl`, however it looks.
        let value = if number == 0 { json::value(text) } else { None };
        match value {
            Some(value) => {
                let line = first_line.saturating_add(value.lines_before);
                load(&value.text, line, value.shifts);
            }
            None => load(text, first_line, Shifts::default()),
        }
    }
    (documents, errors)
}

/// The text with the end of its last line. `kubectl` gives it one, which the blanks of a last line in a block need to be a line.
fn ended(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.ends_with('\n') {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{text}\n"))
    }
}

struct Loader<'t> {
    source: Source<'t>,
    limits: &'t Limits,
    documents: Vec<Document>,
    tree: Tree,
    open: Vec<Open>,
    anchors: BTreeMap<usize, u32>,
    alias_nodes: usize,
    root: Option<u32>,
}

/// A sequence or mapping whose end has not been seen.
struct Open {
    anchor: usize,
    place: Place,
    in_brackets: bool,
    kind: OpenKind,
}

enum OpenKind {
    Sequence(Vec<u32>),
    Mapping {
        entries: Vec<EntryData>,
        keys: BTreeMap<Box<str>, u32>,
        merges: Vec<Merge>,
        pending: Option<Key>,
    },
}

impl OpenKind {
    const fn tag(&self) -> &'static str {
        match self {
            Self::Sequence(_) => "seq",
            Self::Mapping { .. } => "map",
        }
    }
}

/// What stands behind a `<<`.
#[derive(Clone, Copy)]
struct Merge {
    id: u32,
    place: Place,
    /// How many keys stand before it.
    before: usize,
}

enum Key {
    Name(Box<str>, Place),
    Merge(Place),
}

impl<'t> Loader<'t> {
    fn new(text: &'t str, first_line: u32, shifts: Shifts, limits: &'t Limits) -> Self {
        Self {
            source: Source::new(text, first_line, shifts),
            limits,
            documents: Vec::new(),
            tree: Tree::default(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            alias_nodes: 0,
            root: None,
        }
    }

    fn run(&mut self) -> Result<(), LoadError> {
        let mut parser = Parser::new_from_str(self.source.text());
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| LoadError {
                kind: LoadErrorKind::Syntax(error.info().to_owned()),
                place: self.source.place_at(error.marker(), 1),
            })?;
            self.event(event, span)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), LoadError> {
        let place = self.source.place(span);
        if let Event::Scalar(_, _, anchor, _)
        | Event::SequenceStart(anchor, _)
        | Event::MappingStart(anchor, _) = &event
            && *anchor > 0
        {
            self.source
                .check_anchor(span)
                .map_err(|kind| LoadError { kind, place })?;
        }
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {
                Ok(())
            }
            Event::DocumentEnd => {
                self.finish_document();
                Ok(())
            }
            Event::Alias(id) => self.alias(id, place),
            Event::Scalar(text, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let tag = tag
                    .map(|tag| scalar_tag(&tag))
                    .transpose()
                    .map_err(|kind| LoadError { kind, place })?;
                check(&text, style, tag).map_err(|kind| LoadError { kind, place })?;
                let in_brackets = self.open.last().is_some_and(|open| open.in_brackets);
                if style == Style::Plain {
                    check_plain(&text, in_brackets).map_err(|kind| LoadError { kind, place })?;
                }
                if style == Style::Plain
                    && !text.is_empty()
                    && self.source.ends_in_a_tight_colon(span)
                {
                    let kind = LoadErrorKind::TightColon(text.into());
                    return Err(LoadError { kind, place });
                }
                if self.wants_key() {
                    return self.key(&text, style, tag, place);
                }
                let id = self.tree.add(
                    ValueData::Scalar {
                        text: text.into(),
                        style,
                        tag,
                    },
                    place,
                );
                self.keep_anchor(anchor, id);
                self.attach(id, place)
            }
            Event::SequenceStart(anchor, tag) => {
                let kind = OpenKind::Sequence(Vec::new());
                self.begin(anchor, tag.as_deref(), span, kind)
            }
            Event::MappingStart(anchor, tag) => {
                let kind = OpenKind::Mapping {
                    entries: Vec::new(),
                    keys: BTreeMap::new(),
                    merges: Vec::new(),
                    pending: None,
                };
                self.begin(anchor, tag.as_deref(), span, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn begin(
        &mut self,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
        kind: OpenKind,
    ) -> Result<(), LoadError> {
        let place = self.source.place(span);
        if let Some(tag) = tag {
            collection_tag(tag, kind.tag()).map_err(|kind| LoadError { kind, place })?;
        }
        if self.wants_key() {
            return Err(LoadError {
                kind: LoadErrorKind::Key("a list or a mapping"),
                place,
            });
        }
        if self.open.len() >= self.limits.depth {
            return Err(LoadError {
                kind: LoadErrorKind::Depth(self.limits.depth),
                place,
            });
        }
        let in_brackets = self.open.last().is_some_and(|open| open.in_brackets)
            || self.source.begins_with_a_bracket(span);
        self.open.push(Open {
            anchor,
            place,
            in_brackets,
            kind,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), LoadError> {
        let Some(Open {
            anchor,
            place,
            kind,
            in_brackets: _,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let value = match kind {
            OpenKind::Sequence(ids) => ValueData::Sequence(ids),
            OpenKind::Mapping {
                mut entries,
                merges,
                ..
            } => {
                self.merge(&mut entries, &merges)?;
                ValueData::Mapping(entries)
            }
        };
        let id = self.tree.add_collection(value, place);
        self.keep_anchor(anchor, id);
        self.attach(id, place)
    }

    /// Whether the next node is a key of the innermost mapping.
    fn wants_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                kind: OpenKind::Mapping { pending: None, .. },
                ..
            })
        )
    }

    /// Whether the next node is what a `<<` merges.
    fn merges_here(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                kind: OpenKind::Mapping {
                    pending: Some(Key::Merge(_)),
                    ..
                },
                ..
            })
        )
    }

    fn key(
        &mut self,
        text: &str,
        style: Style,
        tag: Option<CoreTag>,
        place: Place,
    ) -> Result<(), LoadError> {
        // sigs.k8s.io/yaml writes truth values and whole numbers as JSON keys; other types it refuses.
        let key: Box<str> = match resolve(text, style, tag) {
            Typed::Str(text) => text.into(),
            Typed::Bool(value) => value.to_string().into(),
            Typed::Int(value) => value.to_string().into(),
            // It writes them with seven digits, and refuses those beyond 64 bits.
            Typed::Float(_) => {
                return Err(LoadError {
                    kind: LoadErrorKind::Key("a number with a fraction"),
                    place,
                });
            }
            Typed::Null => {
                return Err(LoadError {
                    kind: LoadErrorKind::Key("null"),
                    place,
                });
            }
        };
        let Some(Open {
            kind: OpenKind::Mapping { keys, pending, .. },
            ..
        }) = self.open.last_mut()
        else {
            return Ok(());
        };
        let is_merge = style == Style::Plain && text == "<<";
        // To `kubectl` `!!str <<` merges nothing.
        if is_merge && tag.is_some() {
            return Err(LoadError {
                kind: LoadErrorKind::Key("a merge key with a tag"),
                place,
            });
        }
        if let Some(first) = keys.insert(key.clone(), place.line) {
            return Err(LoadError {
                kind: LoadErrorKind::DuplicateKey {
                    key: key.into(),
                    first,
                },
                place,
            });
        }
        *pending = Some(if is_merge {
            Key::Merge(place)
        } else {
            Key::Name(key, place)
        });
        Ok(())
    }

    fn attach(&mut self, id: u32, place: Place) -> Result<(), LoadError> {
        match self.open.last_mut() {
            None => self.root = Some(id),
            Some(Open {
                kind: OpenKind::Sequence(ids),
                ..
            }) => ids.push(id),
            Some(Open {
                kind:
                    OpenKind::Mapping {
                        entries,
                        merges,
                        pending,
                        ..
                    },
                ..
            }) => match pending.take() {
                Some(Key::Name(key, place)) => entries.push(EntryData {
                    key,
                    place,
                    value: id,
                }),
                Some(Key::Merge(place)) => merges.push(Merge {
                    id,
                    place,
                    before: entries.len(),
                }),
                None => {
                    return Err(LoadError {
                        kind: LoadErrorKind::Key("a value"),
                        place,
                    });
                }
            },
        }
        Ok(())
    }

    fn keep_anchor(&mut self, anchor: usize, id: u32) {
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
    }

    fn finish_document(&mut self) {
        let Tree { nodes } = std::mem::take(&mut self.tree);
        self.anchors.clear();
        self.open.clear();
        self.alias_nodes = 0;
        if let Some(root) = self.root.take() {
            let document = Document { nodes, root };
            if !document.root().is_null() {
                self.documents.push(document);
            }
        }
    }
}

#[cfg(test)]
mod tests;
