//! The DNS interceptor: takes the queries of held workloads, asks a [`Judge`] about question and answer, and asks
//! configured upstreams in the workload's place.
//!
//! It knows no policy, no lease and no kernel. An answer leaves only after the judge has said so.

mod judge;

pub use judge::{Answered, Client, Judge, QuestionAction, Refusal, Release};
