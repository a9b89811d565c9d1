use landlock::{CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetError, Scope};

/// Puts the process into a Landlock domain that reaches no abstract Unix socket and signals no process outside it.
/// Abstract sockets belong to the network namespace, which the command shares with the host, so no mount hides them;
/// a process group can reach out of a pid namespace, so `kill 0` would hit Egret.
///
/// Returns whether the kernel has this (Landlock ABI 6, Linux 6.12).
pub(super) fn close() -> Result<bool, RulesetError> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::AbstractUnixSocket | Scope::Signal);
    match ruleset {
        Ok(ruleset) => {
            ruleset.create()?.restrict_self()?;
            Ok(true)
        }
        Err(RulesetError::Scope(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
