//! `egret test`: test files of policies, run against the tables the kernel would be filled with.

mod github;
mod json;
mod junit;
mod source;
mod story;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use policy_cases::{
    Check, CompiledOnce, DiagnosticTest, Outcome, Scene, Test, TestKind, TestResult, is_of_objects,
    judge,
};
use policy_model::Diagnostic;

use crate::cli::{TestArgs, TestOutput};
use crate::policy_files::{self, PolicyFile};
use crate::render::{self, Look};

use source::{Loaded, SourceError};

/// Every test passed.
const PASSED: u8 = 0;
/// Some failed.
const FAILED: u8 = 1;
/// Something could not be judged.
const NOT_JUDGED: u8 = 2;

/// Runs test files. Exit status: 0 all passed, 1 some failed, 2 something could not be judged or there was nothing to run.
#[must_use]
pub fn run(args: &TestArgs) -> ExitCode {
    let report = Report::of(&args.files, &args.tags);
    let look = Look::of_stdout();
    render::print(&match args.output {
        TestOutput::Text => text::report(&report, look),
        TestOutput::Json => json::report(&report),
        TestOutput::Junit => junit::report(&report),
        TestOutput::Github => github::report(&report),
    });
    ExitCode::from(report.status())
}

/// What became of everything that was asked for.
#[derive(Debug, Default)]
struct Report {
    files: Vec<FileReport>,
}

/// What became of one test file.
#[derive(Debug, Default)]
struct FileReport {
    name: String,
    /// Why its tests could not be run, or do not count.
    error: Option<String>,
    /// What is wrong with the file, or with its policies, and no test expects.
    diagnostics: Vec<Diagnostic>,
    /// What may surprise in the file and in its world.
    lints: Vec<Diagnostic>,
    /// The files those are about.
    sources: Vec<PolicyFile>,
    results: Vec<Judged>,
}

/// One test and how it ended.
#[derive(Debug)]
struct Judged {
    name: Arc<str>,
    kind: TestKind,
    line: u32,
    expect: Expected,
    result: TestResult,
    /// Of a test about diagnostics, those it is about.
    diagnostics: Vec<Diagnostic>,
    /// Of a flow that failed, how it was decided.
    story: Option<String>,
}

/// What a test expects, in the words of its file.
#[derive(Debug)]
enum Expected {
    Word(&'static str),
    Learned(policy_cases::LearnedTest),
}

impl Report {
    fn of(paths: &[PathBuf], tags: &[String]) -> Self {
        let (mut files, unreadable) = policy_files::load(paths);
        let number = files.len();
        // Policies lie beside their tests: in a folder they are no test files, and named they are said to be none.
        files.retain(|file| paths.contains(&file.path) || !is_of_objects(&file.text));
        let mut report = Self::default();
        let mut add = |name, error| {
            report.files.push(FileReport {
                name,
                error: Some(error),
                ..FileReport::default()
            });
        };
        for error in &unreadable {
            add(error.path(), render::chain(error));
        }
        if files.is_empty() && number > 0 {
            let paths: Vec<String> = paths
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let number = render::count(number, "file", "files");
            add(
                paths.join(", "),
                format!("no test file, only {number} of objects"),
            );
        }
        let files = files.into_iter().map(|file| FileReport::of(file, tags));
        report.files.extend(files);
        report
    }

    fn count(&self, counts: fn(&Judged) -> bool) -> usize {
        let results = self.files.iter().flat_map(|file| &file.results);
        results.filter(|judged| counts(judged)).count()
    }

    fn passed(&self) -> usize {
        self.count(Judged::passed)
    }

    fn failed(&self) -> usize {
        self.count(Judged::failed)
    }

    /// Tests that could not be judged, and files.
    fn errors(&self) -> usize {
        let files = self.files.iter().filter(|file| file.error.is_some());
        files.count() + self.count(|judged| judged.error().is_some())
    }

    fn status(&self) -> u8 {
        if self.errors() > 0 || self.passed() + self.failed() == 0 {
            NOT_JUDGED
        } else if self.failed() > 0 {
            FAILED
        } else {
            PASSED
        }
    }
}

impl FileReport {
    fn of(file: PolicyFile, tags: &[String]) -> Self {
        let name = file.name.clone();
        let Loaded { scene, sources } = match source::load(file) {
            Ok(loaded) => loaded,
            Err(SourceError {
                message,
                diagnostics,
                sources,
            }) => {
                return Self {
                    name,
                    error: Some(message),
                    diagnostics,
                    sources,
                    ..Self::default()
                };
            }
        };
        let mut engine = CompiledOnce::default();
        let chosen = scene.file.tests.iter().filter(|test| {
            tags.is_empty()
                || tags
                    .iter()
                    .any(|tag| test.tags.iter().any(|own| **own == **tag))
        });
        let results = chosen
            .map(|test| Judged::of(&scene, test, &mut engine))
            .collect();
        let unexpected: Vec<Diagnostic> = scene.unexpected().into_iter().cloned().collect();
        let mut lints = scene.file.lints.clone();
        lints.extend(scene.world_diagnostics.iter().cloned());
        let error = if scene.file.tests.is_empty() {
            Some("the file has no tests".to_owned())
        } else if unexpected.is_empty() {
            None
        } else {
            let number = render::count(unexpected.len(), "diagnostic", "diagnostics");
            Some(format!(
                "{number} of its policies that no `diagnostic` test expects"
            ))
        };
        Self {
            name,
            error,
            diagnostics: unexpected,
            lints,
            sources,
            results,
        }
    }
}

impl Judged {
    fn of(scene: &Scene, test: &Test, engine: &mut CompiledOnce) -> Self {
        let result = judge(scene, test, engine);
        let story = matches!(result.outcome, Outcome::Failed(_))
            .then(|| story::of(scene, test))
            .flatten();
        let diagnostics = match &test.check {
            Check::Diagnostic(DiagnosticTest::None) => scene.diagnostics.clone(),
            Check::Diagnostic(expected) => scene
                .diagnostics
                .iter()
                .filter(|diagnostic| expected.matches(diagnostic))
                .cloned()
                .collect(),
            Check::Flow(_) | Check::Query(_) | Check::Learned(_) => Vec::new(),
        };
        Self {
            name: Arc::clone(&test.name),
            kind: test.kind,
            line: test.origin.line,
            expect: Expected::of(&test.check),
            result,
            diagnostics,
            story,
        }
    }

    fn passed(&self) -> bool {
        self.result.outcome == Outcome::Passed
    }

    fn failed(&self) -> bool {
        matches!(self.result.outcome, Outcome::Failed(_))
    }

    /// Why it could not be judged.
    fn error(&self) -> Option<String> {
        match &self.result.outcome {
            Outcome::Passed | Outcome::Failed(_) => None,
            Outcome::Needs(need) => Some(need.to_string()),
            Outcome::Unsupported(why) | Outcome::Error(why) => Some(why.clone()),
        }
    }

    /// What differs, or why it could not be judged: nothing where it passed.
    fn wrong(&self) -> Vec<String> {
        match &self.result.outcome {
            Outcome::Failed(wrong) => wrong.clone(),
            Outcome::Passed | Outcome::Needs(_) | Outcome::Unsupported(_) | Outcome::Error(_) => {
                self.error().into_iter().collect()
            }
        }
    }
}

impl Expected {
    fn of(check: &Check) -> Self {
        match check {
            Check::Flow(flow) => Self::Word(flow.expect.verdict.as_str()),
            Check::Query(query) => Self::Word(query.expect.verdict.as_str()),
            Check::Learned(learned) => Self::Learned(learned.clone()),
            Check::Diagnostic(DiagnosticTest::None) => Self::Word("none"),
            Check::Diagnostic(DiagnosticTest::Some { reported, .. }) => {
                Self::Word(if *reported { "reported" } else { "absent" })
            }
        }
    }
}

#[cfg(test)]
mod tests;
