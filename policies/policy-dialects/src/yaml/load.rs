//! From text to [`Document`]s, by the events of `saphyr-parser`.
//!
//! A file is cut into documents first, as `kubectl` does it, so that a syntax error in one document leaves the others
//! readable. Nesting, size and the copies made by aliases are bounded.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::json::{self, Shifts};
use super::scalar::{CoreTag, Typed, resolve};
use super::split::{Chunk, split};
use super::{Document, EntryData, NodeData, Place, Step, Style, ValueData};

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

/// Why a document could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadError {
    pub(crate) kind: LoadErrorKind,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadErrorKind {
    #[error("{0}")]
    Syntax(String),
    #[error("key `{key}` stands twice in this mapping, first on line {first}")]
    DuplicateKey { key: String, first: u32 },
    #[error("a key must be a plain word, not {0}")]
    Key(&'static str),
    #[error("alias of an anchor that is not complete here")]
    Alias,
    #[error("`{0}`: a name behind `&` has letters, digits, `-` and `_` only")]
    AnchorName(String),
    #[error("a merge key needs a mapping, or a list of mappings")]
    Merge,
    #[error(
        "`kubectl` takes the `{key}` that is merged here for the one on line {first}; put `<<` first"
    )]
    MergeAfter { key: String, first: u32 },
    #[error("tag `{0}` means nothing to a policy")]
    Tag(String),
    #[error("`{text}` is not what its tag `!!{tag}` says")]
    TagMismatch { text: String, tag: &'static str },
    #[error("`{0}:` is a word in YAML 1.1; put a blank behind the colon, or the word in quotes")]
    TightColon(String),
    #[error(
        "`?` before a word, or in one between brackets, makes a key in YAML 1.1; put the word in quotes"
    )]
    QuestionMark,
    #[error("`{0}` is no number that JSON has")]
    Number(String),
    #[error("`{}` is a line break or a control character in YAML 1.1, which no editor shows", .0.escape_unicode())]
    Character(char),
    #[error("`{}` looks like a blank, and is none in YAML", .0.escape_unicode())]
    Blank(char),
    #[error("`kubectl` takes nothing behind `---` but a comment")]
    Separator,
    #[error("`kubectl` reads nothing behind `...`; begin a document with `---`")]
    AfterEnd,
    #[error("`...` ends a document, and none has begun")]
    EndWithoutStart,
    #[error("nesting is deeper than {0} levels")]
    Depth(usize),
    #[error("aliases copy more than {0} values")]
    AliasNodes(usize),
    #[error("text of {got} bytes, limit is {limit}")]
    Bytes { got: usize, limit: usize },
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
    for Chunk { first_line, text } in chunks {
        let mut load = |text: &str, first_line, shifts| {
            let mut loader = Loader::new(text, first_line, shifts, limits);
            if let Err(error) = loader.run() {
                errors.push(error);
            }
            documents.append(&mut loader.documents);
        };
        match json::value(text) {
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
    text: &'t str,
    first_line: u32,
    shifts: Shifts,
    limits: &'t Limits,
    documents: Vec<Document>,
    nodes: Vec<NodeData>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, u32>,
    alias_nodes: usize,
    root: Option<u32>,
    /// A place in the text, in characters and in bytes.
    walked: (usize, usize),
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
            text,
            first_line,
            shifts,
            limits,
            documents: Vec::new(),
            nodes: Vec::new(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            alias_nodes: 0,
            root: None,
            walked: (0, 0),
        }
    }

    fn run(&mut self) -> Result<(), LoadError> {
        let mut parser = Parser::new_from_str(self.text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| LoadError {
                kind: LoadErrorKind::Syntax(error.info().to_owned()),
                place: self.place_at(error.marker(), 1),
            })?;
            self.event(event, span)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), LoadError> {
        let place = self.place(span);
        self.anchor_name(&event, span)
            .map_err(|kind| LoadError { kind, place })?;
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
                if style == Style::Plain
                    && (text.starts_with('?') || (in_brackets && text.contains('?')))
                {
                    let kind = LoadErrorKind::QuestionMark;
                    return Err(LoadError { kind, place });
                }
                if style == Style::Plain && !text.is_empty() && self.ends_in_a_tight_colon(span) {
                    let kind = LoadErrorKind::TightColon(text.into());
                    return Err(LoadError { kind, place });
                }
                if self.wants_key() {
                    return self.key(&text, style, tag, place);
                }
                let id = self.add(
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
        let place = self.place(span);
        if let Some(tag) = tag {
            collection_tag(tag, &kind).map_err(|kind| LoadError { kind, place })?;
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
            || self.begins_with_a_bracket(span);
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
        let id = self.add_collection(value, place);
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

    /// Whether a list or a mapping is written in brackets: its span ends behind the first of them.
    fn begins_with_a_bracket(&mut self, span: Span) -> bool {
        let behind = self.text_from(span.end).len();
        let before = self.text.len() - behind;
        self.text[..before].ends_with(['[', '{'])
    }

    /// The name of an anchor ends for YAML 1.1 where YAML 1.2 goes on: `&a:b` is an anchor before the text `:b`. An alias has the
    /// name of an anchor before it.
    fn anchor_name(&mut self, event: &Event<'_>, span: Span) -> Result<(), LoadErrorKind> {
        let (Event::Scalar(_, _, anchor, _)
        | Event::SequenceStart(anchor, _)
        | Event::MappingStart(anchor, _)) = event
        else {
            return Ok(());
        };
        if *anchor == 0 {
            return Ok(());
        }
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

    /// Whether `:,`, `:]` or `:}` follows: a key without a value to YAML 1.2, and a word that ends with a colon to YAML 1.1.
    fn ends_in_a_tight_colon(&mut self, span: Span) -> bool {
        self.text_from(span.end)
            .trim_start()
            .strip_prefix(':')
            .is_some_and(|rest| rest.starts_with([',', ']', '}']))
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

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), LoadError> {
        let Some(&target) = self.anchors.get(&anchor) else {
            return Err(LoadError {
                kind: LoadErrorKind::Alias,
                place,
            });
        };
        if self.wants_key() {
            let ValueData::Scalar { text, style, tag } = self.data(target).value.clone() else {
                return Err(LoadError {
                    kind: LoadErrorKind::Key("a list or a mapping"),
                    place,
                });
            };
            return self.key(&text, style, tag, place);
        }
        if self.open.len() + self.data(target).height > self.limits.depth {
            return Err(LoadError {
                kind: LoadErrorKind::Depth(self.limits.depth),
                place,
            });
        }
        // `<<: *list` is refused by `kubectl`, `<<: [*one, *other]` is not.
        let is_list = matches!(self.data(target).value, ValueData::Sequence(_));
        if is_list && self.merges_here() {
            return Err(LoadError {
                kind: LoadErrorKind::Merge,
                place,
            });
        }
        let copy = self.copy(target, place)?;
        self.attach(copy, place)
    }

    /// A copy of `target` and all below it, since each node has one parent.
    fn copy(&mut self, target: u32, place: Place) -> Result<u32, LoadError> {
        self.alias_nodes += 1;
        if self.alias_nodes > self.limits.alias_nodes {
            return Err(LoadError {
                kind: LoadErrorKind::AliasNodes(self.limits.alias_nodes),
                place,
            });
        }
        let original = self.data(target).clone();
        // Recursion is bounded by the depth limit: no node is higher than it.
        let value = match original.value {
            ValueData::Scalar { .. } => original.value,
            ValueData::Sequence(ids) => ValueData::Sequence(
                ids.into_iter()
                    .map(|id| self.copy(id, place))
                    .collect::<Result<_, _>>()?,
            ),
            ValueData::Mapping(entries) => ValueData::Mapping(
                entries
                    .into_iter()
                    .map(|entry| {
                        Ok(EntryData {
                            value: self.copy(entry.value, place)?,
                            ..entry
                        })
                    })
                    .collect::<Result<_, LoadError>>()?,
            ),
        };
        Ok(self.add_collection(value, original.place))
    }

    /// YAML 1.1's `<<`: the entries of the merged mappings that are not written out; the first of several wins. To `kubectl` what is
    /// written before it does not win.
    fn merge(&mut self, entries: &mut Vec<EntryData>, merges: &[Merge]) -> Result<(), LoadError> {
        let mut known: BTreeSet<Box<str>> = entries.iter().map(|entry| entry.key.clone()).collect();
        for Merge { id, place, before } in merges.iter().copied() {
            let sources = match &self.data(id).value {
                ValueData::Mapping(_) => vec![id],
                ValueData::Sequence(ids) => ids.clone(),
                ValueData::Scalar { .. } => {
                    return Err(LoadError {
                        kind: LoadErrorKind::Merge,
                        place,
                    });
                }
            };
            for id in sources {
                let ValueData::Mapping(merged) = self.data(id).value.clone() else {
                    return Err(LoadError {
                        kind: LoadErrorKind::Merge,
                        place,
                    });
                };
                for entry in merged {
                    let written = entries[..before.min(entries.len())]
                        .iter()
                        .find(|written| written.key == entry.key);
                    if let Some(written) = written {
                        let (key, first) = (entry.key.to_string(), written.place.line);
                        return Err(LoadError {
                            kind: LoadErrorKind::MergeAfter { key, first },
                            place,
                        });
                    }
                    if known.insert(entry.key.clone()) {
                        entries.push(entry);
                    }
                }
            }
        }
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

    fn add_collection(&mut self, value: ValueData, place: Place) -> u32 {
        let children = children(&value);
        let id = self.add(value, place);
        let mut height = 0;
        for (child, step) in children {
            let data = self.data_mut(child);
            data.parent = Some(id);
            data.step = step;
            height = height.max(data.height);
        }
        self.data_mut(id).height = height + 1;
        id
    }

    fn add(&mut self, value: ValueData, place: Place) -> u32 {
        // Each node needs at least one byte of text or one of the counted copies, so the numbers stay far below 2^32.
        let id = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(NodeData {
            value,
            place,
            parent: None,
            step: Step::Root,
            height: 0,
        });
        id
    }

    fn keep_anchor(&mut self, anchor: usize, id: u32) {
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
    }

    fn finish_document(&mut self) {
        let nodes = std::mem::take(&mut self.nodes);
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

    fn data(&self, id: u32) -> &NodeData {
        &self.nodes[usize::try_from(id).expect("a node number fits a machine word")]
    }

    fn data_mut(&mut self, id: u32) -> &mut NodeData {
        &mut self.nodes[usize::try_from(id).expect("a node number fits a machine word")]
    }

    fn place(&self, span: Span) -> Place {
        let column = |marker: &Marker| self.shifts.written(marker.line(), marker.col());
        let width = if span.start.line() == span.end.line() {
            column(&span.end).saturating_sub(column(&span.start))
        } else {
            1
        };
        self.place_at(&span.start, width)
    }

    fn place_at(&self, marker: &Marker, width: usize) -> Place {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place {
            line: self
                .first_line
                .saturating_add(number(marker.line().saturating_sub(1))),
            column: number(self.shifts.written(marker.line(), marker.col())).saturating_add(1),
            width: number(width.max(1)),
        }
    }
}

fn children(value: &ValueData) -> Vec<(u32, Step)> {
    match value {
        ValueData::Scalar { .. } => Vec::new(),
        ValueData::Sequence(ids) => ids
            .iter()
            .enumerate()
            .map(|(index, id)| (*id, Step::Index(index)))
            .collect(),
        ValueData::Mapping(entries) => entries
            .iter()
            .map(|entry| (entry.value, Step::Key(entry.key.clone())))
            .collect(),
    }
}

/// What no JSON can hold, what is not of the type its tag says, and what versions of YAML read as different things.
fn check(text: &str, style: Style, tag: Option<CoreTag>) -> Result<(), LoadErrorKind> {
    let typed = resolve(text, style, tag);
    if let Typed::Float(number) = typed
        && !number.is_finite()
    {
        return Err(LoadErrorKind::Number(text.to_owned()));
    }
    match tag {
        Some(tag) if !tag.fits(typed) => Err(LoadErrorKind::TagMismatch {
            text: text.to_owned(),
            tag: tag.word(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// The tags JSON's types have; anything else would change a value in a way no reader of the file sees.
fn scalar_tag(tag: &Tag) -> Result<CoreTag, LoadErrorKind> {
    if tag.handle == "!" && tag.suffix.is_empty() {
        return Ok(CoreTag::Str);
    }
    match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
        (true, "str") => Ok(CoreTag::Str),
        (true, "int") => Ok(CoreTag::Int),
        (true, "float") => Ok(CoreTag::Float),
        (true, "bool") => Ok(CoreTag::Bool),
        (true, "null") => Ok(CoreTag::Null),
        _ => Err(LoadErrorKind::Tag(tag.to_string())),
    }
}

/// The same for a list or a mapping.
fn collection_tag(tag: &Tag, kind: &OpenKind) -> Result<(), LoadErrorKind> {
    let expected = match kind {
        OpenKind::Sequence(_) => "seq",
        OpenKind::Mapping { .. } => "map",
    };
    if tag.is_yaml_core_schema() && tag.suffix == expected {
        return Ok(());
    }
    Err(LoadErrorKind::Tag(tag.to_string()))
}

#[cfg(test)]
mod tests;
