//! From policy files in their dialects to the model: YAML or JSON text in, policies and diagnostics out.
//!
//! [`read()`] reads every document of one file, finds the dialect of each object by apiVersion and kind, and lowers it.
//! Nothing is silently ignored: what a dialect's own admission would refuse is `refused` and gives no policy, a rule
//! that cannot be enforced is `closed`, what may surprise is a `lint`; each has a [`Code`](codes::Code) and its place.
//!
//! Inside, each dialect has a versioned module with the types of what the author wrote (`XxxSpec`) and one that lowers
//! them. What this crate deliberately does not do: it opens no file, and it decides nothing.
#![forbid(unsafe_code)]

mod calico;
mod catalog;
mod cidr;
mod cilium;
mod cluster_network_policy;
pub mod codes;
mod context;
mod convert;
pub mod decode;
mod kubernetes;
mod lints;
mod native;
mod network_policy;
mod nulls;
mod object;
mod read;
mod shorten;
mod suggest;
mod surroundings;
pub mod yaml;

pub use calico::{LabelTest, Selector, SelectorError, SelectorErrorKind, parse_selector};
#[cfg(feature = "schema")]
pub use native::schema as native_schema;

pub use catalog::could_select;
pub use context::{CiliumFlags, Context, Others};
pub use convert::{Conversion, Dialect, Effect, convert, effect, left_behind};
pub use read::{Reading, read, read_document, read_documents, read_set, read_with_world};
