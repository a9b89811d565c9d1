//! DNS names, name patterns and message views.
//!
//! The types to know: [`Name`] (a name in canonical form), [`NamePattern`] (what a policy may write where a name
//! stands, one [`Grammar`] per dialect).
//!
//! What this crate deliberately does not do: no sockets, no clock, no cache, and no opinion on what a name may do.
#![forbid(unsafe_code)]

mod name;
mod pattern;

pub use name::{Labels, Name, NameError};
pub use pattern::{Grammar, NamePattern, PatternError};
