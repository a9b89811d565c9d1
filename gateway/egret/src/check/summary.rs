//! The end of `check`: how much there is, and what wildcards cover.

use std::collections::{BTreeMap, BTreeSet};

use dns_names::NamePattern;
use policy_model::{Diagnostic, Level, Origin, Peer, Peers, Policy};
use serde::Serialize;

use super::number;
use crate::policy_files::PolicyFile;
use crate::render::{DiagnosticJson, Look, ObjectJson, count, visible};

pub(super) fn text(
    files: usize,
    policies: &[Policy],
    diagnostics: &[Diagnostic],
    look: Look,
) -> String {
    let levels: Vec<String> = [Level::Refused, Level::Closed, Level::Lint]
        .into_iter()
        .map(|level| (number(diagnostics, level), level))
        .filter(|(number, _)| *number > 0)
        .map(|(number, level)| match level {
            Level::Refused | Level::Closed => look.paint("31", &format!("{number} {level}")),
            Level::Lint => look.paint("33", &count(number, "lint", "lints")),
        })
        .collect();
    let found = if levels.is_empty() {
        look.paint("32", "nothing to report")
    } else {
        levels.join(", ")
    };
    let mut out = format!(
        "{}, {}, {}: {found}\n",
        count(files, "file", "files"),
        count(objects(policies).len(), "policy", "policies"),
        count(rules(policies), "rule", "rules"),
    );
    let covered = wildcards(policies);
    if !covered.is_empty() {
        out.push_str("\nwildcards:\n");
    }
    for (origin, pattern) in covered {
        out.push_str(&format!(
            "  {}:{}  `{}`: {}\n",
            visible(&origin.source),
            origin.line,
            pattern.as_str(),
            pattern.covers()
        ));
    }
    out
}

pub(super) fn json(
    files: &[PolicyFile],
    policies: &[Policy],
    diagnostics: &[Diagnostic],
) -> String {
    let answer = AnswerJson {
        files: files.iter().map(|file| file.name.as_str()).collect(),
        policies: objects(policies)
            .into_values()
            .map(|policy| PolicyJson {
                object: ObjectJson::from(&policy.id),
                file: &policy.origin.source,
                line: policy.origin.line,
            })
            .collect(),
        diagnostics: diagnostics.iter().map(DiagnosticJson::from).collect(),
        wildcards: wildcards(policies)
            .into_iter()
            .map(|(origin, pattern)| WildcardJson {
                pattern: pattern.as_str().to_owned(),
                covers: pattern.covers(),
                file: origin.source.to_string(),
                line: origin.line,
            })
            .collect(),
        summary: SummaryJson {
            files: files.len(),
            policies: objects(policies).len(),
            rules: rules(policies),
            refused: number(diagnostics, Level::Refused),
            closed: number(diagnostics, Level::Closed),
            lint: number(diagnostics, Level::Lint),
        },
    };
    let mut text =
        serde_json::to_string_pretty(&answer).expect("strings and numbers are always JSON");
    text.push('\n');
    text
}

#[derive(Serialize)]
struct AnswerJson<'a> {
    files: Vec<&'a str>,
    policies: Vec<PolicyJson<'a>>,
    diagnostics: Vec<DiagnosticJson<'a>>,
    wildcards: Vec<WildcardJson>,
    summary: SummaryJson,
}

#[derive(Serialize)]
struct PolicyJson<'a> {
    object: ObjectJson<'a>,
    file: &'a str,
    line: u32,
}

#[derive(Serialize)]
struct WildcardJson {
    pattern: String,
    covers: String,
    file: String,
    line: u32,
}

#[derive(Serialize)]
struct SummaryJson {
    files: usize,
    policies: usize,
    rules: usize,
    refused: usize,
    closed: usize,
    lint: usize,
}

/// One policy of each object: an object with rules in two tiers is two policies of the model.
fn objects(policies: &[Policy]) -> BTreeMap<(&Origin, String), &Policy> {
    policies
        .iter()
        .map(|policy| ((&policy.origin, policy.id.to_string()), policy))
        .collect()
}

/// Rules as their authors count them.
fn rules(policies: &[Policy]) -> usize {
    let places: BTreeSet<&Origin> = policies
        .iter()
        .flat_map(|policy| &policy.rules)
        .map(|rule| &rule.origin)
        .collect();
    places.len()
}

/// Patterns with a star, and the rules they stand in.
fn wildcards(policies: &[Policy]) -> BTreeSet<(&Origin, &NamePattern)> {
    let mut found = BTreeSet::new();
    for rule in policies.iter().flat_map(|policy| &policy.rules) {
        if let Peers::Of(peers) = &rule.peers {
            for peer in peers {
                if let Peer::Fqdn(peer) = peer {
                    found.insert((&rule.origin, &peer.pattern));
                }
            }
        }
        found.extend(
            rule.questions
                .iter()
                .flatten()
                .map(|pattern| (&rule.origin, pattern)),
        );
    }
    found.retain(|(_, pattern)| pattern.as_str().contains('*'));
    found
}
