//! One engine through every file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use policy_cases::{Check, CompiledEngine, Engine, Outcome, ReferenceEngine, judge};

use crate::corpus::{File, files};
use crate::host::HostEngine;

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    /// Why, and how often.
    pub(crate) not_for_it: BTreeMap<String, usize>,
    /// A row for each difference.
    pub(crate) wrong: Vec<[String; 3]>,
}

/// Runs every test about flows, questions and what was learned.
pub(crate) fn run(engine: &mut dyn Engine, files: &[File]) -> Tally {
    let mut tally = Tally::default();
    for file in files {
        let tests = file.scene.file.tests.iter();
        for test in tests.filter(|test| !matches!(test.check, Check::Diagnostic(_))) {
            match judge(&file.scene, test, engine).outcome {
                Outcome::Passed => tally.passed += 1,
                Outcome::Unsupported(why) => *tally.not_for_it.entry(why).or_default() += 1,
                Outcome::Needs(need) => tally.differs(file, test, &need.to_string()),
                Outcome::Error(error) => tally.differs(file, test, &error),
                Outcome::Failed(wrong) => tally.differs(file, test, &wrong.join("; ")),
            }
        }
    }
    tally
}

impl Tally {
    fn differs(&mut self, file: &File, test: &policy_cases::Test, what: &str) {
        let place = format!("{}:{}", file.name, test.origin.line);
        self.wrong
            .push([place, test.name.to_string(), what.to_owned()]);
    }

    /// Fails on any difference, and when fewer tests ran than did before.
    pub(crate) fn check(&self, engine: &str, at_least: usize) {
        let skipped: usize = self.not_for_it.values().sum();
        println!("{engine}: {} passed, {skipped} not for it", self.passed);
        for (why, count) in &self.not_for_it {
            println!("  {count:3}  {why}");
        }
        assert!(self.wrong.is_empty(), "{engine}\n{}", self.table());
        assert!(
            self.passed >= at_least,
            "{engine}: only {} tests ran, there were {at_least}",
            self.passed
        );
    }

    fn table(&self) -> String {
        let width = |column: usize| {
            let lengths = self.wrong.iter().map(|row| row[column].chars().count());
            lengths.max().unwrap_or(0)
        };
        let (first, second) = (width(0), width(1));
        let mut table = String::new();
        for [place, test, what] in &self.wrong {
            writeln!(table, "{place:first$}  {test:second$}  {what}").unwrap();
        }
        table
    }
}

#[test]
fn the_reference_agrees_with_every_file() {
    run(&mut ReferenceEngine, &files()).check("reference", 195);
}

#[test]
fn the_compiled_ruleset_agrees_with_every_file() {
    run(&mut CompiledEngine, &files()).check("compiled", 205);
}

#[test]
fn the_decision_code_on_the_host_agrees_with_every_file() {
    run(&mut HostEngine::default(), &files()).check("host", 205);
}
