//! YAML and JSON text as a small tree that remembers where everything was written.
//!
//! Scalars keep their text and style and are typed on demand, as the Kubernetes API server types them: YAML 1.1 by
//! way of `sigs.k8s.io/yaml`, so that `on` is a truth value, `010` is eight and `08` is eight too. Who asks for a
//! string and finds `on` can say so, instead of reading a policy nobody wrote.

mod error;
mod json;
mod load;
mod scalar;
mod split;
pub(crate) mod write;

use std::fmt::Write as _;

pub(crate) use error::LoadErrorKind;
pub(crate) use load::{Limits, load};
pub use scalar::Typed;
pub(crate) use scalar::is_surprising_number;

/// Where a piece of text stands: 1-based line and column (in characters), and how many characters of that line it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// 1-based line.
    pub line: u32,
    /// 1-based column, counted in characters.
    pub column: u32,
    /// Characters of the first line that belong to it; at least 1.
    pub width: u32,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: its type follows from its text.
    Plain,
    /// In quotes: a string.
    Quoted,
    /// As a `|` or `>` block: a string.
    Block,
}

/// One document of a file.
#[derive(Debug)]
pub struct Document {
    nodes: Vec<NodeData>,
    root: u32,
}

/// A node of a [`Document`]: a cheap reference that knows its place and its path.
#[derive(Debug, Clone, Copy)]
pub struct Node<'d> {
    document: &'d Document,
    id: u32,
}

/// What a node is.
#[derive(Debug, Clone, Copy)]
pub enum Shape<'d> {
    /// Text and how it was written; its type is [`Node::typed`].
    Scalar(&'d str, Style),
    /// `[a, b]`
    Sequence(Items<'d>),
    /// `{a: b}`
    Mapping(Entries<'d>),
}

/// The nodes of a sequence, in order.
#[derive(Debug, Clone, Copy)]
pub struct Items<'d> {
    document: &'d Document,
    ids: &'d [u32],
}

/// The entries of a mapping, in order; no key stands twice.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'d> {
    document: &'d Document,
    entries: &'d [EntryData],
}

/// One `key: value`.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'d> {
    /// The key as the API server reads it.
    pub key: &'d str,
    /// Where the key stands.
    pub place: Place,
    /// What it holds.
    pub value: Node<'d>,
}

#[derive(Debug, Clone)]
struct NodeData {
    value: ValueData,
    place: Place,
    parent: Option<u32>,
    step: Step,
    /// Levels below it, so that copies by alias stay under the depth limit.
    height: usize,
}

#[derive(Debug, Clone)]
enum ValueData {
    Scalar {
        text: Box<str>,
        style: Style,
        tag: Option<scalar::CoreTag>,
    },
    Sequence(Vec<u32>),
    Mapping(Vec<EntryData>),
}

#[derive(Debug, Clone)]
struct EntryData {
    key: Box<str>,
    place: Place,
    value: u32,
}

/// How a node is reached from its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Root,
    Key(Box<str>),
    Index(usize),
}

impl Document {
    /// The outermost node.
    #[must_use]
    pub const fn root(&self) -> Node<'_> {
        Node {
            document: self,
            id: self.root,
        }
    }

    fn data(&self, id: u32) -> &NodeData {
        let index = usize::try_from(id).expect("a node number fits a machine word");
        self.nodes
            .get(index)
            .expect("nodes refer only to nodes of their own document")
    }
}

impl<'d> Node<'d> {
    /// What it is.
    #[must_use]
    pub fn shape(self) -> Shape<'d> {
        match &self.document.data(self.id).value {
            ValueData::Scalar { text, style, .. } => Shape::Scalar(text, *style),
            ValueData::Sequence(ids) => Shape::Sequence(Items {
                document: self.document,
                ids,
            }),
            ValueData::Mapping(entries) => Shape::Mapping(Entries {
                document: self.document,
                entries,
            }),
        }
    }

    /// The value of a scalar, typed as the API server types it; nothing for sequences and mappings.
    #[must_use]
    pub fn typed(self) -> Option<Typed<'d>> {
        match &self.document.data(self.id).value {
            ValueData::Scalar { text, style, tag } => Some(scalar::resolve(text, *style, *tag)),
            ValueData::Sequence(_) | ValueData::Mapping(_) => None,
        }
    }

    /// Whether it is null: absent text, `~` or `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self.typed(), Some(Typed::Null))
    }

    /// Where it stands.
    #[must_use]
    pub fn place(self) -> Place {
        self.document.data(self.id).place
    }

    /// Where a reader looks for it: a list or a mapping under a key stands where the key does, a mapping in a list where
    /// its first key does.
    #[must_use]
    pub fn sight(self) -> Place {
        let data = self.document.data(self.id);
        let collection = match &data.value {
            ValueData::Scalar { .. } => return data.place,
            ValueData::Sequence(_) => None,
            ValueData::Mapping(entries) => entries.first(),
        };
        if let (Step::Key(_), Some(parent)) = (&data.step, data.parent)
            && let ValueData::Mapping(entries) = &self.document.data(parent).value
            && let Some(entry) = entries.iter().find(|entry| entry.value == self.id)
        {
            return entry.place;
        }
        match collection {
            Some(first)
                if first.place.line == data.place.line
                    && first.place.column == data.place.column =>
            {
                first.place
            }
            Some(_) | None => data.place,
        }
    }

    /// The value under `key`, where this is a mapping that has it.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        match self.shape() {
            Shape::Mapping(entries) => entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| entry.value),
            Shape::Scalar(..) | Shape::Sequence(_) => None,
        }
    }

    /// The text under `key`, where it is a string.
    #[must_use]
    pub fn get_str(self, key: &str) -> Option<&'d str> {
        match self.get(key)?.typed()? {
            Typed::Str(text) => Some(text),
            Typed::Null | Typed::Bool(_) | Typed::Int(_) | Typed::Float(_) => None,
        }
    }

    /// How it is reached from the document's root: `spec.egress[0].to`. Empty for the root.
    #[must_use]
    pub fn path(self) -> String {
        let mut steps = Vec::new();
        let mut id = Some(self.id);
        while let Some(at) = id {
            let data = self.document.data(at);
            steps.push(&data.step);
            id = data.parent;
        }
        let mut path = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Root => {}
                Step::Key(key) if key.contains(['.', '[', '/']) => {
                    write!(path, "[{key:?}]").expect("writing to a string cannot fail");
                }
                Step::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Step::Index(index) => {
                    write!(path, "[{index}]").expect("writing to a string cannot fail")
                }
            }
        }
        path
    }

    /// What it is, in words a policy author uses.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self.shape() {
            Shape::Sequence(_) => "a list",
            Shape::Mapping(_) => "a mapping",
            Shape::Scalar(..) => match self.typed() {
                None | Some(Typed::Null) => "null",
                Some(Typed::Bool(_)) => "a truth value",
                Some(Typed::Int(_)) => "a whole number",
                Some(Typed::Float(_)) => "a number",
                Some(Typed::Str(_)) => "a string",
            },
        }
    }
}

impl<'d> Items<'d> {
    /// How many.
    #[must_use]
    pub const fn len(self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.ids.is_empty()
    }

    /// Each in order.
    pub fn iter(self) -> impl Iterator<Item = Node<'d>> {
        let document = self.document;
        self.ids.iter().map(move |id| Node { document, id: *id })
    }
}

impl<'d> Entries<'d> {
    /// How many.
    #[must_use]
    pub const fn len(self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.entries.is_empty()
    }

    /// Each in order.
    pub fn iter(self) -> impl Iterator<Item = Entry<'d>> {
        let document = self.document;
        self.entries.iter().map(move |entry| Entry {
            key: &entry.key,
            place: entry.place,
            value: Node {
                document,
                id: entry.value,
            },
        })
    }
}
