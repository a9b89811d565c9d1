//! From the model back to text: policies of whatever dialects as objects of one, and what that one cannot say.
//!
//! An Allow that cannot be said is left out, a Deny or Pass that cannot be said denies everything; what is said by words
//! that mean more there is written, and reported as wider. Each such loss is a diagnostic at the place where it was written; where none is of a
//! level above lint, every verdict stays.

mod beside_calico;
mod losses;

use policy_model::{Cluster, Diagnostic, Policy};

use crate::native;
use crate::yaml::write;

pub(crate) use beside_calico::moved;
pub(crate) use losses::Losses;

/// A dialect that policies can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// `egret.dev/v1alpha1`.
    Native,
}

impl Dialect {
    pub const ALL: &[Self] = &[Self::Native];

    /// The word of the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
        }
    }
}

/// Policies in another dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// A YAML document for each object; empty where nothing could be said.
    pub text: String,
    /// How many objects there are.
    pub objects: usize,
    /// What is lost, policy by policy.
    pub losses: Vec<Diagnostic>,
}

/// Writes policies in a dialect. `cluster` has the facts they were read with.
#[must_use]
pub fn convert(policies: &[Policy], cluster: &Cluster, to: Dialect) -> Conversion {
    let mut losses = Losses::default();
    let objects = match to {
        Dialect::Native => native::write::objects(policies, cluster, &mut losses),
    };
    Conversion {
        text: write::text(&objects),
        objects: objects.len(),
        losses: losses.into_diagnostics(),
    }
}
