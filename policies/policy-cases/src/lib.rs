//! Policy test files (the format of the verdict suite, `FORMAT.md`): what they say, and what engines make of them.
//!
//! [`CaseFile::parse`] reads a file to the letter: every key is known and typed, an unknown one is an error with its
//! place. [`Scene::prepare`] joins it with the policies and the world it names. Each [`Trial`] of a scene can be run by
//! anything that implements [`Engine`]: the compiled ruleset here, the kernel tables, the kernel and the daemon
//! elsewhere. [`judge()`] holds what an engine observed against what the test expects.
//!
//! A test that needs what the world does not have is [`Outcome::Needs`], never a silent pass. What this crate
//! deliberately does not do: it opens no file and has no clock; times are [`policy_model::Time`] since [`EPOCH`].
#![forbid(unsafe_code)]

mod engine;
mod file;
mod judge;
mod need;
mod scene;

pub use engine::{
    Address, By, CompiledEngine, CompiledOnce, Engine, EngineError, Observed, ObservedFlow,
    ObservedLearned, ObservedQuery, ReferenceEngine, Who, learned_leases,
};
pub use file::{
    ByRef, CaseFile, Check, Closed, DiagnosticTest, Expect, FlowTest, FromSpec, Inline,
    LearnedTest, QueryTest, ResolverSpec, ResponseSpec, ServerSpec, SettingsSpec, SourceRef, Test,
    TestKind, ToSpec, decode_responses, is_of_objects,
};
pub use judge::{Outcome, TestResult, judge};
pub use need::Need;
pub use scene::{
    EPOCH, FileText, Question, Response, Scene, SceneError, Trial, TrialKind, resolver,
};
