use std::fmt;

use crate::origin::{ObjectRef, Origin};

/// How bad a finding is; nothing an author wrote is silently ignored. Ordered from worst to mildest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The dialect's own admission would refuse the object: it does not exist, its last good version stays.
    Refused,
    /// Egret cannot enforce this rule: an Allow matches nothing, a Deny or Pass denies everything, the policy still
    /// isolates.
    Closed,
    /// It is enforced as written, and may not be what was meant.
    Lint,
}

impl Level {
    /// The word used in JSON and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Lint => "lint",
        }
    }

    /// Whether it makes `check` answer 1 without `--strict`.
    pub const fn is_error(self) -> bool {
        match self {
            Self::Refused | Self::Closed => true,
            Self::Lint => false,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the author of a policy must be told, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable, `lower-case-with-dashes`; tests and users' CI name it.
    pub code: &'static str,
    pub level: Level,
    /// Lower case, no full stop, the author's input in backticks.
    pub message: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
    pub origin: Origin,
    /// Nothing where the document is so broken that it has no name.
    pub object: Option<ObjectRef>,
}

impl Diagnostic {
    pub fn new(
        level: Level,
        code: &'static str,
        origin: Origin,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            level,
            message: message.into(),
            help: None,
            origin,
            object: None,
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, about `object`.
    #[must_use]
    pub fn about(mut self, object: ObjectRef) -> Self {
        self.object = Some(object);
        self
    }
}
