use schemars::JsonSchema;
use serde::Serialize;

use crate::timestamp::Timestamp;

/// How much one line stands for.
///
/// What repeats is written at once the first time and then once a second, with its count: the counts of all lines and
/// `unwritten` make the sums of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Times {
    /// How often it happened since the line before that is like this one.
    pub count: u64,
    /// When it happened last, where that is more than once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Times {
    /// It happened, once.
    pub const ONCE: Self = Self {
        count: 1,
        until: None,
    };
}
