//! The results for programs; `json.md` says what each key means.

use std::net::IpAddr;

use serde::Serialize;

use super::{Expected, FileReport, Judged, Report};
use crate::render::{self, DiagnosticJson};

#[derive(Debug, Serialize)]
struct ReportJson<'a> {
    passed: usize,
    failed: usize,
    errors: usize,
    results: Vec<ResultJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ResultJson<'a> {
    file: &'a str,
    line: Option<u32>,
    name: &'a str,
    kind: &'static str,
    expect: Option<ExpectJson<'a>>,
    got: Option<&'static str>,
    would: Option<&'static str>,
    by: Option<&'a str>,
    tier: Option<&'a str>,
    reason: Option<&'a str>,
    message: Option<String>,
    diagnostics: Vec<DiagnosticJson<'a>>,
    ok: bool,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ExpectJson<'a> {
    Word(&'static str),
    Learned {
        addresses: Option<&'a [IpAddr]>,
        ttl: Option<u32>,
        ports: Option<Vec<&'a str>>,
    },
}

pub(super) fn report(report: &Report) -> String {
    let mut results = Vec::new();
    for file in &report.files {
        if file.error.is_some() || !file.lints.is_empty() {
            results.push(of_file(file));
        }
        results.extend(file.results.iter().map(|judged| of_test(file, judged)));
    }
    render::json(&ReportJson {
        passed: report.passed(),
        failed: report.failed(),
        errors: report.errors(),
        results,
    })
}

/// A file that could not be judged, or has lints of its own, is a result too, so that nothing is lost in a list of tests.
fn of_file(file: &FileReport) -> ResultJson<'_> {
    let found = file.diagnostics.iter().chain(&file.lints);
    ResultJson {
        file: &file.name,
        line: None,
        name: &file.name,
        kind: "file",
        expect: None,
        got: None,
        would: None,
        by: None,
        tier: None,
        reason: None,
        message: file.error.clone(),
        diagnostics: found.map(DiagnosticJson::from).collect(),
        ok: file.error.is_none(),
    }
}

fn of_test<'a>(file: &'a FileReport, judged: &'a Judged) -> ResultJson<'a> {
    let wrong = judged.wrong();
    let result = &judged.result;
    ResultJson {
        file: &file.name,
        line: Some(judged.line),
        name: &judged.name,
        kind: judged.kind.as_str(),
        expect: Some(match &judged.expect {
            Expected::Word(word) => ExpectJson::Word(word),
            Expected::Learned(learned) => ExpectJson::Learned {
                addresses: learned.addresses.as_deref(),
                ttl: learned.ttl,
                ports: learned
                    .ports
                    .as_ref()
                    .map(|ports| ports.iter().map(|port| &**port).collect()),
            },
        }),
        got: result.got.map(policy_engine::Verdict::as_str),
        would: result.would.map(policy_engine::Verdict::as_str),
        by: result.by.as_deref(),
        tier: result.tier.as_deref(),
        reason: result.reason.as_deref(),
        message: (!wrong.is_empty()).then(|| wrong.join("; ")),
        diagnostics: judged
            .diagnostics
            .iter()
            .map(DiagnosticJson::from)
            .collect(),
        ok: judged.passed(),
    }
}
