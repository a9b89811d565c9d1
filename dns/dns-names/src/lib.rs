//! DNS names, name patterns and message views.
//!
//! The types to know: [`Name`] (a name in canonical form), [`NamePattern`] (what a policy may write where a name
//! stands, one [`Grammar`] per dialect), [`Query`] (a client's question), [`Answer`] (an upstream's answer, read,
//! checked and ready to be passed on) and [`Resolution`] (which names and addresses an answer stands for).
//!
//! The only crate that names hickory-proto. What it deliberately does not do: no sockets, no clock, no cache, and no
//! opinion on what a name may do.
#![forbid(unsafe_code)]

mod name;
mod pattern;

mod codes;
mod resolution;

mod answer;
mod query;
mod reply;
mod rewrite;
mod wire;

#[cfg(test)]
mod test_data;

pub use answer::{Answer, AnswerError, Truncation};
pub use codes::{ExtendedError, Rcode, RecordType, UnknownRecordType};
pub use name::{Labels, Name, NameError};
pub use pattern::{Grammar, NameClass, NamePattern, PatternError};
pub use query::{Edns, Query, QueryError, QuestionKey, UpstreamEdns};
pub use reply::Transport;
pub use resolution::{Address, ChainError, MAX_CHAIN, Record, RecordData, Resolution};
pub use rewrite::{RewriteError, Unreadable};
