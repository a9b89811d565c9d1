//! Why a document cannot be read.

use super::Place;

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
        "`{0}`: a word between brackets may not begin with a colon in YAML 1.1; put it in quotes"
    )]
    LeadingColon(String),
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
