//! Foreign policy engines as child processes: a [`Set`] of objects and flows goes in, verdicts come out.
//!
//! A [`Program`] says how an oracle is built and started, an [`Oracle`] is one that runs. The folder's README describes the
//! lines that go between.
//!
//! What this crate deliberately does not do: it makes no sets and compares nothing; its tests do.
#![forbid(unsafe_code)]

mod json;
mod model;
mod oracle;
mod program;
mod set;

pub use json::json_of;
pub use model::{model, worlds};
pub use oracle::Oracle;
pub use program::{Program, go};
pub use set::{Answer, Flow, Set, Verdicts};
