use oracles::{Oracle, Program, Set, Verdicts, go, model};

/// Who can be asked for verdicts.
pub(crate) trait Engine {
    fn verdicts(&mut self, sets: &[Set]) -> Vec<Verdicts>;

    /// Whether a set is one that it can be asked about: a part of a valid one need not be.
    fn takes(&self, _set: &Set) -> bool {
        true
    }
}

impl Engine for Oracle {
    fn verdicts(&mut self, sets: &[Set]) -> Vec<Verdicts> {
        match self.ask(sets) {
            Ok(answers) => answers.into_iter().map(|answer| answer.verdicts).collect(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// The oracle, where Go is installed; it must be where `CI` is set.
pub(crate) fn foreign(program: Program) -> Option<Oracle> {
    if go().is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI is set and Go is absent"
        );
        facts::not_run("Go");
        return None;
    }
    Some(started(program.start()))
}

/// The model, where it lies beside the clone.
pub(crate) fn shared_model() -> Option<Oracle> {
    model().map(started)
}

fn started(oracle: anyhow::Result<Oracle>) -> Oracle {
    oracle.unwrap_or_else(|error| panic!("{error:?}"))
}
