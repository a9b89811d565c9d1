use std::fmt;
use std::sync::Arc;

/// Where in its source something was written.
///
/// Lines and columns count from 1, columns in characters. Ordered by source, then place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The file as the user named it, or the object and generation where there is no file.
    pub source: Arc<str>,
    pub line: u32,
    pub column: u32,
    /// How many characters from `column` on are meant; 0 where only the place is known.
    pub width: u32,
    /// The field, as `spec.egress[0].to[1].fqdn`; empty for a whole document.
    pub path: Arc<str>,
}

impl Origin {
    /// A place with a path, of unknown width.
    pub fn new(
        source: impl Into<Arc<str>>,
        line: u32,
        column: u32,
        path: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            source: source.into(),
            line,
            column,
            width: 0,
            path: path.into(),
        }
    }
}

impl fmt::Display for Origin {
    /// `file:line:column`, as editors and terminals link it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source, self.line, self.column)
    }
}

/// The object a policy came from. Two policies of one object (one in each tier it touches) share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    pub kind: Arc<str>,
    /// Nothing for cluster-wide kinds.
    pub namespace: Option<Arc<str>>,
    pub name: Arc<str>,
    /// The API group, which tells apart kinds of one name (`NetworkPolicy`); for people it goes without saying.
    pub group: Arc<str>,
}

impl ObjectRef {
    pub fn new(
        kind: impl Into<Arc<str>>,
        namespace: Option<&str>,
        name: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            kind: kind.into(),
            namespace: namespace.map(Arc::from),
            name: name.into(),
            group: Arc::from(""),
        }
    }

    /// The same object, of a kind of that group.
    #[must_use]
    pub fn in_group(self, group: &str) -> Self {
        Self {
            group: group.into(),
            ..self
        }
    }
}

impl fmt::Display for ObjectRef {
    /// `Kind/namespace/name`, without the namespace where there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{}/{}", self.kind, namespace, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}
