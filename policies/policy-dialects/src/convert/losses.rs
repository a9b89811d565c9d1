use policy_model::{Diagnostic, Origin, Policy};

use crate::codes::Code;

/// What a conversion loses, as it is found.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    diagnostics: Vec<Diagnostic>,
}

impl Losses {
    /// Notes that something written at `origin` cannot be said. The same thing is noted once.
    pub(crate) fn note(
        &mut self,
        code: Code,
        policy: &Policy,
        origin: &Origin,
        message: impl Into<String>,
    ) {
        let found =
            Diagnostic::new(code.level, code.id, origin.clone(), message).about(policy.id.clone());
        if !self.diagnostics.contains(&found) {
            self.diagnostics.push(found);
        }
    }

    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}
