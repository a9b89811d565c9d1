use policy_model::{Diagnostic, ObjectRef, Policy, Selects, Settings, Subject, Workload, World};

use crate::limits::{LimitError, MAX_PATTERNS, MAX_POLICIES, MAX_RULES};
use crate::lists::Lists;
use crate::names::NameIndex;
use crate::question::QuestionFilters;
use crate::reason::Reasons;
use crate::ruleset::{ByRuling, Ruleset};

use chain::build_chain;
use clauses::Lowered;
use diagnostics::diagnose;
use lowering::Here;
use prefixes::build_prefixes;

mod chain;
pub(crate) mod clauses;
mod diagnostics;
mod domains;
pub(crate) mod lowering;
mod members;
mod named_ports;
mod nesting;
mod placement;
mod prefixes;
mod standing;

/// What [`compile`] gives.
#[derive(Debug)]
pub struct Compiled {
    pub ruleset: Ruleset,
    /// The ruleset's port lists; folds add to it.
    pub lists: Lists,
    /// What this engine closes or finds odd, in the order of the walk.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why policies cannot be compiled. The last good ruleset stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error("the policy set is too large")]
    Limit(#[from] LimitError),
    /// The subject asks for something that is not known of the workload: to leave the policy out could free it.
    #[error("policy `{policy}` selects by {what}, and the workload's are not known")]
    UnknownSubject {
        policy: ObjectRef,
        what: &'static str,
    },
}

/// Compiles the policies that select `workload`.
///
/// The same input gives the same ruleset; so does the same set of policies in another order, where no two policies of one
/// object and tier have one rank. The guards of the house are part of it, whatever the policies say.
///
/// # Errors
/// A subject that cannot be judged, or a set over a limit.
pub fn compile(
    policies: &[Policy],
    workload: &Workload,
    world: &World,
    settings: &Settings,
) -> Result<Compiled, CompileError> {
    let (mut selected, unselected) = select(policies, workload)?;
    for policy in &mut selected {
        domains::write_out(policy, world.cluster.objects());
    }
    let mut lowered = Lowered::default();
    let here = Here {
        workload,
        world,
        settings,
    };
    for policy in &selected {
        lowered.push(policy, here);
    }
    let patterns = lowered.names.len()
        + lowered
            .questions
            .iter()
            .map(|rule| rule.patterns.len())
            .sum::<usize>();
    if patterns > MAX_PATTERNS {
        return Err(LimitError::Patterns { got: patterns }.into());
    }
    let diagnostics = diagnose(&selected, world);
    let mut reasons = Reasons::default();
    let replaced = standing::replaced(policies);
    let chains = ByRuling::from_fn(|ruling| {
        let stands = |policy: &Policy| standing::stands(policy, ruling, &replaced);
        build_chain(&selected, stands, here, &mut reasons)
    });
    let Lowered {
        clauses,
        names,
        questions,
        rules: _,
    } = lowered;
    let mut ruleset = Ruleset {
        names: NameIndex::build(names),
        questions: QuestionFilters::build(questions, &mut reasons),
        world: world.clone(),
        settings: settings.clone(),
        policies: selected,
        unselected,
        clauses,
        chains,
        shapes: Vec::new(),
        nodes: Vec::new(),
        statics: Vec::new(),
        reasons: reasons.into_vec(),
    };
    let mut lists = Lists::default();
    build_prefixes(&mut ruleset, &mut lists)?;
    Ok(Compiled {
        ruleset,
        lists,
        diagnostics,
    })
}

/// The policies that select the workload, in the order of the walk, and the objects that do not.
fn select(
    policies: &[Policy],
    workload: &Workload,
) -> Result<(Vec<Policy>, Vec<ObjectRef>), CompileError> {
    let mut selected = Vec::new();
    let mut unselected = Vec::new();
    for policy in policies {
        match policy.subject.selects(workload) {
            Selects::Yes => selected.push(policy),
            Selects::No => unselected.push(policy.id.clone()),
            Selects::Unknown => {
                let (policy, what) = (policy.id.clone(), what_it_selects_by(&policy.subject));
                return Err(CompileError::UnknownSubject { policy, what });
            }
        }
    }
    if selected.len() > MAX_POLICIES {
        return Err(LimitError::Policies {
            got: selected.len(),
        }
        .into());
    }
    let rules: usize = selected.iter().map(|policy| policy.rules.len()).sum();
    if rules > MAX_RULES {
        return Err(LimitError::Rules { got: rules }.into());
    }
    selected.sort_by_key(|policy| placement::rank(policy));
    unselected.sort_unstable();
    unselected.dedup();
    Ok((selected.into_iter().cloned().collect(), unselected))
}

fn what_it_selects_by(subject: &Subject) -> &'static str {
    match subject {
        Subject::Kubernetes(subject) => {
            if subject.pods.as_ref().is_some_and(|pods| !pods.is_empty()) {
                "labels"
            } else if subject
                .namespaces
                .as_ref()
                .is_some_and(|labels| !labels.is_empty())
            {
                "namespace labels"
            } else if subject.service_accounts.is_empty() {
                "namespace or node"
            } else {
                "service account"
            }
        }
        Subject::Endpoints(_) => "labels",
        Subject::Addressed(_) => "labels and addresses",
        Subject::Nodes(_) => "node labels",
        Subject::All | Subject::Plain(_) | Subject::HostEndpoint(_) => "identity",
    }
}
