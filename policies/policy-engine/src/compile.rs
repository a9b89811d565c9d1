use std::collections::BTreeSet;
use std::sync::Arc;

use policy_model::{Diagnostic, ObjectRef, Policy, Selects, Settings, Subject, Workload, World};

use crate::limits::{LimitError, MAX_PATTERNS, MAX_POLICIES, MAX_RULES};
use crate::lists::Lists;
use crate::names::NameIndex;
use crate::numbering::number;
use crate::question::QuestionFilters;
use crate::reason::{Reason, ReasonId, Reasons};
use crate::ruleset::{ByRuling, Ruleset};
use crate::starts::Starts;

use chain::build_chain;
use clauses::Lowered;
use diagnostics::diagnose;
use lowering::Here;
use prefixes::build_prefixes;

pub(crate) use standing::replaced;

mod chain;
pub(crate) mod clauses;
mod diagnostics;
mod domains;
pub(crate) mod lowering;
pub(crate) mod members;
mod named_ports;
mod nesting;
mod placement;
mod prefixes;
mod standing;

/// What [`compile`] gives.
#[derive(Debug, Clone)]
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
    let (selected, unselected) = select(policies, workload)?;
    let selected = selected.into_iter().cloned().map(Arc::new).collect();
    let replaced = replaced(policies);
    let here = Here {
        workload,
        world: &Arc::new(world.clone()),
        settings,
    };
    let mut compiled = compile_selected(selected, &replaced, here)?;
    let Ruleset {
        unselected: others,
        own,
        reasons,
        ..
    } = &mut compiled.ruleset;
    *others = unselected.into();
    if !workload.pod.addresses.is_empty() {
        let reason = ReasonId(number(reasons.len()));
        reasons.push(Reason::OwnAddress);
        *own = Some((workload.pod.clone(), reason));
    }
    Ok(compiled)
}

/// Compiles policies that all select the workload, in any order. `replaced` is what staged changes replace or remove.
pub(crate) fn compile_selected(
    mut selected: Vec<Arc<Policy>>,
    replaced: &BTreeSet<ObjectRef>,
    here: Here<'_>,
) -> Result<Compiled, CompileError> {
    let Here {
        workload: _,
        world,
        settings,
    } = here;
    check_limits(&selected)?;
    selected.sort_by_cached_key(|policy| placement::rank(policy));
    for policy in &mut selected {
        domains::write_out(policy, world.cluster.objects());
    }
    let mut lowered = Lowered::default();
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
    let chains = ByRuling::from_fn(|ruling| {
        let stands = |policy: &Policy| standing::stands(policy, ruling, replaced);
        build_chain(&selected, stands, here, &mut reasons)
    });
    let Lowered {
        clauses,
        names,
        questions,
        rules: _,
    } = lowered;
    let tells_classes_apart = clauses
        .iter()
        .any(|clause| nesting::tells_classes_apart(&clause.peer));
    let mut ruleset = Ruleset {
        names: NameIndex::build(names),
        questions: QuestionFilters::build(questions, &mut reasons),
        world: Arc::clone(world),
        settings: settings.clone(),
        policies: selected,
        unselected: Arc::from([]),
        clauses,
        chains,
        shapes: Vec::new(),
        nodes: Vec::new(),
        starts: Starts::default(),
        statics: Vec::new(),
        tells_classes_apart,
        reasons: reasons.into_vec(),
        own: None,
    };
    let mut lists = Lists::default();
    build_prefixes(&mut ruleset, &mut lists)?;
    Ok(Compiled {
        ruleset,
        lists,
        diagnostics,
    })
}

/// The policies that select the workload, and the objects that do not.
fn select<'a>(
    policies: &'a [Policy],
    workload: &Workload,
) -> Result<(Vec<&'a Policy>, Vec<ObjectRef>), CompileError> {
    let mut selected = Vec::new();
    let mut unselected = Vec::new();
    for policy in policies {
        match policy.subject.selects(workload) {
            Selects::Yes => selected.push(policy),
            Selects::No => unselected.push(policy.id.clone()),
            Selects::Unknown => return Err(unknown_subject(policy)),
        }
    }
    unselected.sort_unstable();
    unselected.dedup();
    Ok((selected, unselected))
}

pub(crate) fn unknown_subject(policy: &Policy) -> CompileError {
    CompileError::UnknownSubject {
        policy: policy.id.clone(),
        what: what_it_selects_by(&policy.subject),
    }
}

fn check_limits(selected: &[Arc<Policy>]) -> Result<(), LimitError> {
    if selected.len() > MAX_POLICIES {
        return Err(LimitError::Policies {
            got: selected.len(),
        });
    }
    let rules: usize = selected.iter().map(|policy| policy.rules.len()).sum();
    if rules > MAX_RULES {
        return Err(LimitError::Rules { got: rules });
    }
    Ok(())
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
