//! The end of `check`: how much there is, and what wildcards cover.

use std::collections::{BTreeMap, BTreeSet};

use dns_names::NamePattern;
use policy_model::{Diagnostic, Level, Origin, Peer, Peers, Policy};
use serde::Serialize;

use super::number;
use crate::policy_files::{PolicyFile, PolicyFileError};
use crate::render::{self, DiagnosticJson, Look, ObjectJson, UnreadableJson, count, visible};

pub(super) fn text(
    files: usize,
    unreadable: usize,
    policies: &[Policy],
    diagnostics: &[Diagnostic],
    look: Look,
) -> String {
    let mut found: Vec<String> = [Level::Refused, Level::Closed, Level::Lint]
        .into_iter()
        .map(|level| (number(diagnostics, level), level))
        .filter(|(number, _)| *number > 0)
        .map(|(number, level)| match level {
            Level::Refused | Level::Closed => look.paint("31", &format!("{number} {level}")),
            Level::Lint => look.paint("33", &count(number, "lint", "lints")),
        })
        .collect();
    if unreadable > 0 {
        let paths = count(unreadable, "path", "paths");
        found.insert(0, look.paint("31", &format!("{paths} not read")));
    }
    let found = if found.is_empty() {
        look.paint("32", "nothing to report")
    } else {
        found.join(", ")
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
    for Wildcard {
        pattern,
        first,
        more,
    } in covered
    {
        let others = if more == 0 {
            String::new()
        } else {
            format!(" (and {})", count(more, "other rule", "other rules"))
        };
        out.push_str(&format!(
            "  {}:{}  `{}`: {}{others}\n",
            visible(&first.source),
            first.line,
            pattern.as_str(),
            pattern.covers()
        ));
    }
    out
}

pub(super) fn json(
    files: &[PolicyFile],
    unreadable: &[PolicyFileError],
    policies: &[Policy],
    diagnostics: &[Diagnostic],
) -> String {
    render::json(&AnswerJson {
        files: files.iter().map(|file| file.name.as_str()).collect(),
        unreadable: unreadable.iter().map(UnreadableJson::from).collect(),
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
            .map(|wildcard| WildcardJson {
                pattern: wildcard.pattern.as_str(),
                covers: wildcard.pattern.covers(),
                file: &wildcard.first.source,
                line: wildcard.first.line,
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
    })
}

#[derive(Serialize)]
struct AnswerJson<'a> {
    files: Vec<&'a str>,
    unreadable: Vec<UnreadableJson>,
    policies: Vec<PolicyJson<'a>>,
    diagnostics: Vec<DiagnosticJson<'a>>,
    wildcards: Vec<WildcardJson<'a>>,
    summary: SummaryJson,
}

#[derive(Serialize)]
struct PolicyJson<'a> {
    object: ObjectJson<'a>,
    file: &'a str,
    line: u32,
}

#[derive(Serialize)]
struct WildcardJson<'a> {
    pattern: &'a str,
    covers: String,
    /// The first rule it stands in.
    file: &'a str,
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

/// A pattern with a star, the first rule it stands in, and how many others do.
struct Wildcard<'a> {
    pattern: &'a NamePattern,
    first: &'a Origin,
    more: usize,
}

fn wildcards(policies: &[Policy]) -> Vec<Wildcard<'_>> {
    let mut found: BTreeMap<&NamePattern, BTreeSet<&Origin>> = BTreeMap::new();
    for rule in policies.iter().flat_map(|policy| &policy.rules) {
        let peers = match &rule.peers {
            Peers::Any => &[][..],
            Peers::Of(peers) => peers,
        };
        let names = peers.iter().filter_map(|peer| match peer {
            Peer::Fqdn(peer) => Some(&peer.pattern),
            Peer::Block(_)
            | Peer::Entity(_)
            | Peer::Metadata(_)
            | Peer::Pods(_)
            | Peer::Nodes(_)
            | Peer::Service(_)
            | Peer::Set(_)
            | Peer::Endpoints(_) => None,
        });
        for pattern in names
            .chain(rule.questions.iter().flatten())
            .filter(|pattern| pattern.as_str().contains('*'))
        {
            found.entry(pattern).or_default().insert(&rule.origin);
        }
    }
    let wildcards = found.into_iter().filter_map(|(pattern, origins)| {
        let first = origins.first().copied()?;
        Some(Wildcard {
            pattern,
            first,
            more: origins.len() - 1,
        })
    });
    let mut wildcards: Vec<_> = wildcards.collect();
    wildcards.sort_by_key(|wildcard| wildcard.first);
    wildcards
}
