//! What can be asked to run a test.

mod compiled;
mod reference;

use std::net::IpAddr;
use std::sync::Arc;

use dns_names::Rcode;
use policy_engine::{Reason, Verdict};
use policy_model::{DenyStyle, ObjectRef};

use crate::scene::Trial;

pub use compiled::{CompiledEngine, CompiledOnce, learned_leases};
pub use reference::ReferenceEngine;

/// Something that can be asked what happens to a flow, a question or an answer.
///
/// An engine says what it saw; what it cannot see (reasons, the proposed ruling) it leaves out, and that is then not
/// compared. It never says what it was expected to see.
pub trait Engine {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// Whether it knows a pod's own addresses, and that they are free. Where tables are shared by many pods none is asked of
    /// such a flow, because it never leaves the pod.
    fn knows_own_addresses(&self) -> bool {
        false
    }

    /// Runs one test.
    ///
    /// # Errors
    /// The engine cannot run such a test, or failed to.
    fn run(&mut self, trial: &Trial<'_>) -> Result<Observed, EngineError>;
}

/// Why an engine has nothing to say of a test.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Not this kind of test, on this engine; no failure.
    #[error("{engine} cannot run this: {why}")]
    Unsupported { engine: &'static str, why: Arc<str> },
    #[error("the policies cannot be compiled")]
    Compile(#[from] policy_engine::CompileError),
    #[error("the policies are over a limit")]
    Limit(#[from] policy_engine::LimitError),
    #[error("{engine} failed: {why}")]
    Failed { engine: &'static str, why: Arc<str> },
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    Flow(ObservedFlow),
    Query(ObservedQuery),
    Learned(ObservedLearned),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedFlow {
    /// What became of the look-up, where there was one.
    pub question: Option<ObservedQuery>,
    /// Each address that was tried; none after a look-up that was refused.
    pub addresses: Vec<Address>,
}

/// A flow to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub ip: IpAddr,
    pub verdict: Verdict,
    pub would: Option<Verdict>,
    pub how: Option<DenyStyle>,
    pub by: Option<By>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedQuery {
    pub verdict: Verdict,
    pub would: Option<Verdict>,
    /// The code of the answer; nothing where there was none.
    pub rcode: Option<Rcode>,
    pub how: Option<DenyStyle>,
    pub by: Option<By>,
}

/// What the answers opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedLearned {
    pub addresses: Vec<IpAddr>,
    /// Seconds, the least of the addresses.
    pub ttl: Option<u32>,
    /// As `443/TCP`, sorted.
    pub ports: Option<Vec<String>>,
}

/// Who decided: a reason, and every policy that decides equally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    pub who: Who,
    /// For people.
    pub text: String,
    /// `band/tier`, where a tier decided.
    pub tier: Option<String>,
}

impl By {
    /// Who decided, of a reason.
    #[must_use]
    pub fn of(reason: &Reason) -> Self {
        compiled::by(reason, Vec::new())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    Guard,
    Default,
    Policies(Vec<ObjectRef>),
}

impl std::fmt::Display for Who {
    /// As `by` names it: of policies that decide equally, the first.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Guard => f.write_str("guard"),
            Self::Default => f.write_str("default"),
            Self::Policies(policies) => match policies.first() {
                Some(policy) => policy.fmt(f),
                None => f.write_str("default"),
            },
        }
    }
}
