//! Lints over lowered policies, the same for every dialect.

mod cilium_blocks;
mod dns;
mod families;
mod guards;
mod meeting;
mod names;
mod own_host;
mod service_ports;
mod ties;
mod unreachable;

use std::collections::BTreeSet;

use policy_model::{Cluster, Diagnostic, Origin, Policy};

use crate::codes::Code;
use crate::decode::Findings;

/// Says what may surprise in the policies of one object.
pub(crate) fn lint(policies: &[Policy], findings: &mut Findings) {
    for policy in policies {
        guards::lint(policy, findings);
        names::lint(policy, findings);
        own_host::lint(policy, findings);
    }
    unreachable::lint(policies, findings);
}

/// Says what may surprise in policies because they stand together, or in that cluster.
pub(crate) fn lint_set(policies: &[Policy], cluster: &Cluster) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    dns::lint(policies, cluster, &mut found);
    ties::lint(policies, &mut found);
    cilium_blocks::lint(policies, cluster, &mut found);
    families::lint(policies, cluster, &mut found);
    service_ports::lint(policies, cluster, &mut found);
    // An object in two tiers is two policies.
    let mut seen = BTreeSet::new();
    found.retain(|diagnostic| seen.insert((diagnostic.code, diagnostic.origin.clone())));
    found
}

fn tell(
    code: Code,
    policy: &Policy,
    origin: &Origin,
    message: impl Into<String>,
    help: &str,
) -> Diagnostic {
    Diagnostic::new(code.level, code.id, origin.clone(), message)
        .with_help(help)
        .about(policy.id.clone())
}
