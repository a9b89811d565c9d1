//! `egret check`: every error and lint of policy files, with its place.

mod sarif;
mod summary;

use std::process::ExitCode;

use policy_dialects::{Context, Others, Reading, codes, read_with_world};
use policy_engine::compile;
use policy_model::{
    Cluster, Diagnostic, Level, Origin, Policy, Settings, Subject, Workload, World,
};

use crate::cli::{CheckArgs, CheckOutput};
use crate::policy_files::{self, PolicyFile, PolicyFileError};
use crate::policy_set;
use crate::render::{self, Look};

/// Nothing is refused and nothing is closed.
const CLEAN: u8 = 0;
/// Something is.
const FOUND: u8 = 1;
/// A path could not be read, so there is no whole answer.
const NOT_JUDGED: u8 = 2;

/// Checks the given files. Exit status: 0 nothing refused and nothing closed, 1 at least one (with `--strict` lints
/// count too), 2 a path could not be read or matched nothing.
#[must_use]
pub fn run(args: &CheckArgs) -> ExitCode {
    let Loaded {
        files,
        world,
        errors,
    } = Loaded::of(args);
    for error in &errors {
        render::complain("check", error);
    }
    let checked = Checked::of(&files, &world, !args.world.is_empty());
    let files: Vec<PolicyFile> = files.into_iter().chain(world).collect();
    render::print(&match args.output {
        CheckOutput::Text => checked.text(&files, errors.len(), Look::of_stdout()),
        CheckOutput::Json => checked.json(&files, &errors),
        CheckOutput::Sarif => sarif::log(&checked.diagnostics, &errors),
        CheckOutput::Github => checked
            .diagnostics
            .iter()
            .map(render::github::diagnostic)
            .collect(),
    });
    ExitCode::from(if errors.is_empty() {
        checked.status(args.strict)
    } else {
        NOT_JUDGED
    })
}

/// The files of a command line, and what of it could not be read.
struct Loaded {
    files: Vec<PolicyFile>,
    world: Vec<PolicyFile>,
    errors: Vec<PolicyFileError>,
}

impl Loaded {
    fn of(args: &CheckArgs) -> Self {
        let (files, mut errors) = policy_files::load(&args.paths);
        let (world, more) = policy_files::load(&args.world);
        errors.extend(more);
        let world = policy_set::without(world, &files);
        Self {
            files,
            world,
            errors,
        }
    }
}

/// What was found in a set of files.
#[derive(Debug)]
struct Checked {
    policies: Vec<Policy>,
    diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// With a world, objects of a cluster may stand among the policies too.
    fn of(files: &[PolicyFile], world: &[PolicyFile], has_world: bool) -> Self {
        let context = Context {
            others: if has_world {
                Others::World
            } else {
                Others::Refuse
            },
            ..Context::default()
        };
        let reading = read_with_world(policy_set::texts(files), policy_set::texts(world), &context);
        let Reading {
            policies,
            cluster,
            mut diagnostics,
            mut world_diagnostics,
        } = reading;
        diagnostics.append(&mut world_diagnostics);
        diagnostics.append(&mut compiled(&policies, cluster));
        diagnostics.sort_by(|a, b| place(a).cmp(&place(b)));
        Self {
            policies,
            diagnostics,
        }
    }

    fn status(&self, strict: bool) -> u8 {
        let counts = |diagnostic: &Diagnostic| strict || diagnostic.level.is_error();
        if self.diagnostics.iter().any(counts) {
            FOUND
        } else {
            CLEAN
        }
    }

    fn text(&self, files: &[PolicyFile], unreadable: usize, look: Look) -> String {
        let mut out = render::diagnostics(&self.diagnostics, files, look);
        out.push_str(&summary::text(
            files.len(),
            unreadable,
            &self.policies,
            &self.diagnostics,
            look,
        ));
        out
    }

    fn json(&self, files: &[PolicyFile], unreadable: &[PolicyFileError]) -> String {
        summary::json(files, unreadable, &self.policies, &self.diagnostics)
    }
}

fn place(diagnostic: &Diagnostic) -> (&str, u32, u32) {
    (
        &diagnostic.origin.source,
        diagnostic.origin.line,
        diagnostic.origin.column,
    )
}

/// What the engine finds when every policy selects, so that no finding waits for the right workload.
fn compiled(policies: &[Policy], cluster: Cluster) -> Vec<Diagnostic> {
    let selecting: Vec<Policy> = policies
        .iter()
        .map(|policy| Policy {
            subject: Subject::All,
            ..policy.clone()
        })
        .collect();
    let world = World {
        resolvers: vec![policy_cases::resolver()],
        cluster: cluster.into(),
        ..World::default()
    };
    match compile(
        &selecting,
        &Workload::command(),
        &world,
        &Settings::default(),
    ) {
        Ok(compiled) => compiled.diagnostics,
        Err(error) => {
            let nowhere = || Origin::new("", 1, 1, "");
            let origin = policies
                .first()
                .map_or_else(nowhere, |policy| policy.origin.clone());
            vec![Diagnostic::new(
                codes::POLICY_LIMIT.level,
                codes::POLICY_LIMIT.id,
                origin,
                render::chain(&error),
            )]
        }
    }
}

/// How many findings of a level there are.
fn number(diagnostics: &[Diagnostic], level: Level) -> usize {
    diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.level == level)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> (Checked, Vec<PolicyFile>) {
        let files = vec![PolicyFile {
            name: "p.yaml".into(),
            path: "p.yaml".into(),
            text: text.into(),
        }];
        (Checked::of(&files, &[], false), files)
    }

    const CLEAN_POLICY: &str = "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: ci}\nspec:\n  egress:\n  - action: Allow\n    to: [{fqdn: [\"*.cdn.example.com\", api.example.com]}]\n";

    #[test]
    fn a_clean_file_says_what_its_wildcards_cover() {
        let (checked, files) = checked(CLEAN_POLICY);
        assert_eq!(checked.status(true), CLEAN);
        let text = checked.text(&files, 0, Look::Plain);
        assert!(
            text.starts_with("1 file, 1 policy, 1 rule: nothing to report\n"),
            "{text}"
        );
        assert!(text.contains("`*.cdn.example.com`"), "{text}");
        assert!(!text.contains("`api.example.com`"), "{text}");
    }

    #[test]
    fn levels_decide_the_status() {
        let lint =
            CLEAN_POLICY.replace("api.example.com]", "api.example.com]}, {cidr: 192.0.2.1/24");
        let (lint, files) = checked(&lint);
        assert_eq!(
            (lint.status(false), lint.status(true)),
            (CLEAN, FOUND),
            "{}",
            lint.text(&files, 0, Look::Plain)
        );
        let (closed, _) =
            checked(&CLEAN_POLICY.replace("action: Allow", "action: Allow\n    tls: {sni: match}"));
        assert_eq!(closed.status(false), FOUND);
        let (broken, _) = checked("kind: [");
        assert_eq!(broken.status(false), FOUND);
    }

    #[test]
    fn json_has_the_one_shape_of_diagnostics() {
        let (checked, files) = checked(&CLEAN_POLICY.replace("egress:", "egres:"));
        let json: serde_json::Value =
            serde_json::from_str(&checked.json(&files, &[])).expect("JSON");
        assert_eq!(
            json["diagnostics"],
            serde_json::json!([{
                "code": "unknown-field", "level": "refused", "file": "p.yaml", "line": 5, "column": 3,
                "object": {"kind": "EgressPolicy", "namespace": null, "name": "ci"},
                "path": "spec.egres", "message": "unknown field `egres`", "help": "did you mean `egress`?"
            }])
        );
        assert_eq!(json["summary"]["refused"], 1);
    }
}
