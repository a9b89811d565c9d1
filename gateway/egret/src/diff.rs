//! `egret diff`: whose access changes between two sets of policies, and how.
//!
//! Texts may differ as they like: what is compared is what the tables of the kernel would be filled with, for every pod of
//! the world, or for the command of `egret run`.

mod json;
mod sides;
mod text;

use std::process::ExitCode;
use std::sync::Arc;

use policy_engine::{Change, CompileError, DiffError, Verdict};
use policy_model::Diagnostic;

use crate::cli::{DiffArgs, FailOn, Output};
use crate::policy_files::PolicyFile;
use crate::policy_set::PolicySetError;
use crate::render::{self, Look};

use sides::{COMMAND, Side};

/// No access changes, or none that counts.
const SAME: u8 = 0;
/// Some does.
const CHANGED: u8 = 1;
/// A side could not be judged.
const NOT_JUDGED: u8 = 2;

/// Compares two sets of policies. Exit status: 0 no access changes, 1 some does (with `--fail-on widened`: grows), 2 a side
/// could not be judged.
#[must_use]
pub fn run(args: &DiffArgs) -> ExitCode {
    match compare(args) {
        Ok(comparison) => {
            render::print(&match args.output {
                Output::Text => text::comparison(&comparison, Look::of_stdout()),
                Output::Json => json::comparison(&comparison),
            });
            let counts = |change: &Change| match args.fail_on {
                FailOn::Any => true,
                FailOn::Widened => widens(change),
            };
            let mut changes = comparison.groups.iter().flat_map(|group| &group.changes);
            ExitCode::from(if changes.any(counts) { CHANGED } else { SAME })
        }
        Err(error) => {
            for (diagnostics, files) in error.findings() {
                render::complain_with(&render::diagnostics(diagnostics, files, Look::of_stderr()));
            }
            if let DiffVerbError::Read(_, PolicySetError::Files(errors)) = &error {
                for error in errors {
                    render::complain("diff", error);
                }
            }
            render::complain("diff", &error);
            if args.output == Output::Json {
                render::print(&json::no_answer(&error));
            }
            ExitCode::from(NOT_JUDGED)
        }
    }
}

/// Why there is no answer; each says which side it is about.
#[derive(Debug, thiserror::Error)]
enum DiffVerbError {
    #[error("--{0}")]
    Read(&'static str, #[source] PolicySetError),
    #[error(
        "--{side}: a refused policy could select a workload, so what it may reach is not known"
    )]
    Refused {
        side: &'static str,
        diagnostics: Vec<Diagnostic>,
        files: Vec<PolicyFile>,
    },
    #[error("--world: no pod is in both worlds, so there is nobody to compare")]
    NoPods,
    #[error(
        "--{side}: the policies of {} cannot be compiled{}",
        called(.workload), help_for(.workload, *.more)
    )]
    Compile {
        side: &'static str,
        workload: Arc<str>,
        /// How many others there are.
        more: Option<usize>,
        #[source]
        source: Box<CompileError>,
    },
    #[error("the policies of {} cannot be compared", called(.workload))]
    Compare {
        workload: Arc<str>,
        #[source]
        source: DiffError,
    },
}

fn called(workload: &str) -> String {
    if workload == COMMAND {
        "the command of `egret run`".to_owned()
    } else {
        format!("pod `{workload}`")
    }
}

fn help_for(workload: &str, more: Option<usize>) -> String {
    if workload == COMMAND {
        " (--world compares the pods of a cluster; --labels, --namespace and --service-account say who the command is)".to_owned()
    } else {
        more.map_or_else(String::new, |more| format!(" (and those of {more} more)"))
    }
}

impl DiffVerbError {
    /// What is wrong with policies or worlds, and the files it is about.
    fn findings(&self) -> Vec<(&[Diagnostic], &[PolicyFile])> {
        match self {
            Self::Refused {
                diagnostics, files, ..
            }
            | Self::Read(_, PolicySetError::World(diagnostics, files)) => {
                vec![(diagnostics.as_slice(), files.as_slice())]
            }
            Self::Read(_, PolicySetError::Files(_) | PolicySetError::Scene(_))
            | Self::NoPods
            | Self::Compile { .. }
            | Self::Compare { .. } => Vec::new(),
        }
    }
}

/// What was compared, and what came of it.
#[derive(Debug)]
struct Comparison {
    old: Side,
    new: Side,
    /// Who was compared: the pods of a world, or the command.
    of_pods: bool,
    compared: usize,
    /// Those who are only in one of the worlds.
    only_old: Vec<Arc<str>>,
    only_new: Vec<Arc<str>>,
    /// By the first of those whose access changes.
    groups: Vec<Group>,
}

/// Workloads whose access changes alike.
#[derive(Debug)]
struct Group {
    workloads: Vec<Arc<str>>,
    changes: Vec<Change>,
}

impl Comparison {
    fn changed(&self) -> usize {
        self.groups.iter().map(|group| group.workloads.len()).sum()
    }

    /// How many changes widen, and how many narrow.
    fn directions(&self) -> (usize, usize) {
        let changes = || self.groups.iter().flat_map(|group| &group.changes);
        let wider = changes().filter(|change| widens(change)).count();
        (wider, changes().count() - wider)
    }
}

fn widens(change: &Change) -> bool {
    change.to.verdict == Verdict::Allow
}

fn compare(args: &DiffArgs) -> Result<Comparison, DiffVerbError> {
    let old = Side::read("old", &args.old, args)?;
    let new = Side::read("new", &args.new, args)?;
    sides::compare(old, new, args)
}
