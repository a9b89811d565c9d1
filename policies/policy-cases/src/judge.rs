//! What was observed, held against what a test expects.

use std::sync::Arc;

use dns_names::{Name, Rcode};
use policy_engine::{Reason, Verdict};
use policy_model::{Diagnostic, ObjectRef};

use crate::engine::{
    By, Engine, EngineError, Observed, ObservedFlow, ObservedLearned, ObservedQuery, Who,
};
use crate::file::{ByRef, Check, DiagnosticTest, Expect, LearnedTest, Test};
use crate::need::Need;
use crate::scene::Scene;

/// The result of one test on one engine.
#[derive(Debug, Clone)]
pub struct TestResult {
    pub name: Arc<str>,
    pub outcome: Outcome,
    pub got: Option<Verdict>,
    pub would: Option<Verdict>,
    /// Who decided, as `by` names it.
    pub by: Option<String>,
    /// The same, for people.
    pub reason: Option<String>,
    pub tier: Option<String>,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// Each difference, as a sentence.
    Failed(Vec<String>),
    /// It was not run: the world has not what it needs.
    Needs(Need),
    /// It was not run: this engine cannot.
    Unsupported(String),
    /// It could not be judged.
    Error(String),
}

/// Runs one test of a scene on an engine.
pub fn judge(scene: &Scene, test: &Test, engine: &mut dyn Engine) -> TestResult {
    let mut result = TestResult {
        name: Arc::clone(&test.name),
        outcome: Outcome::Passed,
        got: None,
        would: None,
        by: None,
        reason: None,
        tier: None,
    };
    if let Check::Diagnostic(expected) = &test.check {
        result.outcome = outcome(judge_diagnostic(expected, scene));
        return result;
    }
    let trial = match scene.trial(test) {
        Ok(trial) => trial,
        Err(need) => {
            result.outcome = Outcome::Needs(need);
            return result;
        }
    };
    if let Check::Flow(flow) = &test.check
        && trial.is_own()
        && !engine.knows_own_addresses()
    {
        let by = By::of(&Reason::OwnAddress);
        note(&mut result, Verdict::Allow, Some(Verdict::Allow), Some(&by));
        let allow = Verdict::Allow;
        let wrong = differences(&flow.expect, allow, Some(allow), None, Some(&by));
        result.outcome = outcome(wrong);
        return result;
    }
    let observed = match engine.run(&trial) {
        Ok(observed) => observed,
        Err(error @ EngineError::Unsupported { .. }) => {
            result.outcome = Outcome::Unsupported(error.to_string());
            return result;
        }
        Err(error) => {
            result.outcome = Outcome::Error(with_causes(&error));
            return result;
        }
    };
    let wrong = match (&test.check, &observed) {
        (Check::Flow(flow), Observed::Flow(seen)) if trial.has_no_address() => {
            judge_no_address(&flow.expect, seen, &mut result)
        }
        (Check::Flow(flow), Observed::Flow(seen)) => judge_flow(&flow.expect, seen, &mut result),
        (Check::Query(query), Observed::Query(seen)) => {
            let mut wrong = judge_query(&query.expect, seen, &mut result);
            if let Some(expected) = query.rcode {
                wrong.extend(judge_rcode(expected, seen, scene, &query.name));
            }
            wrong
        }
        (Check::Learned(learned), Observed::Learned(seen)) => judge_learned(learned, seen),
        (Check::Flow(_) | Check::Query(_) | Check::Learned(_) | Check::Diagnostic(_), _) => {
            vec![format!(
                "{} observed something else than was asked",
                engine.name()
            )]
        }
    };
    result.outcome = outcome(wrong);
    result
}

fn outcome(wrong: Vec<String>) -> Outcome {
    if wrong.is_empty() {
        Outcome::Passed
    } else {
        Outcome::Failed(wrong)
    }
}

fn judge_flow(expect: &Expect, seen: &ObservedFlow, result: &mut TestResult) -> Vec<String> {
    let refused = seen
        .question
        .as_ref()
        .filter(|question| question.verdict == Verdict::Deny);
    if let Some(question) = refused
        && seen.addresses.is_empty()
    {
        return judge_query(expect, question, result);
    }
    let mut wrong = Vec::new();
    for address in &seen.addresses {
        // A name that may not be asked in the proposed ruling is not reached in it.
        let asked = seen.question.as_ref().and_then(|question| question.would);
        let would = match (address.would, asked) {
            (Some(flow), Some(asked)) => Some(flow.max(asked)),
            (would, _) => would,
        };
        let mut these = differences(
            expect,
            address.verdict,
            would,
            address.how,
            address.by.as_ref(),
        );
        if seen.addresses.len() > 1 {
            these
                .iter_mut()
                .for_each(|text| *text = format!("{}: {text}", address.ip));
        }
        wrong.append(&mut these);
        // Of several addresses the one that differs is told of.
        if result.got.is_none() || address.verdict != expect.verdict {
            note(result, address.verdict, would, address.by.as_ref());
        }
    }
    if seen.addresses.is_empty() {
        wrong.push("no address was tried".to_owned());
    }
    wrong
}

/// A host that has no address is not reached, whatever the policies say; where they refuse its name, they decide.
fn judge_no_address(expect: &Expect, seen: &ObservedFlow, result: &mut TestResult) -> Vec<String> {
    if let Some(question) = &seen.question
        && question.verdict == Verdict::Deny
    {
        return judge_query(expect, question, result);
    }
    let by = By {
        who: Who::Default,
        text: "no answer to the name holds an address".to_owned(),
        tier: None,
    };
    note(result, Verdict::Deny, Some(Verdict::Deny), Some(&by));
    differences(expect, Verdict::Deny, Some(Verdict::Deny), None, Some(&by))
}

fn judge_query(expect: &Expect, seen: &ObservedQuery, result: &mut TestResult) -> Vec<String> {
    note(result, seen.verdict, seen.would, seen.by.as_ref());
    differences(expect, seen.verdict, seen.would, seen.how, seen.by.as_ref())
}

/// The code of the answer: Egret's own, or, of a question that went on, that of the answer that was seen.
fn judge_rcode(
    expected: Rcode,
    seen: &ObservedQuery,
    scene: &Scene,
    name: &Name,
) -> Option<String> {
    let of_server = || {
        let answers = scene.file.responses.iter();
        let answers = answers.filter(|answer| answer.query == *name);
        let codes: Vec<Rcode> = answers.map(|answer| answer.rcode).collect();
        // A name without an answer has a fresh address.
        match codes.as_slice() {
            [] => Rcode::NOERROR,
            codes if codes.contains(&expected) => expected,
            [first, ..] => *first,
        }
    };
    let got = match (seen.rcode, seen.verdict) {
        (Some(own), _) => own,
        (None, Verdict::Allow) => of_server(),
        (None, Verdict::Deny) => {
            return Some(format!(
                "expected rcode {expected}, got no answer: the server is not reached"
            ));
        }
    };
    (got != expected).then(|| format!("expected rcode {expected}, got {got}"))
}

fn note(result: &mut TestResult, got: Verdict, would: Option<Verdict>, by: Option<&By>) {
    result.got = Some(got);
    result.would = would;
    result.by = by.map(|by| by.who.to_string());
    result.reason = by.map(|by| by.text.clone());
    result.tier = by.and_then(|by| by.tier.clone());
}

fn differences(
    expect: &Expect,
    verdict: Verdict,
    would: Option<Verdict>,
    how: Option<policy_model::DenyStyle>,
    by: Option<&By>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let because = by.map_or_else(String::new, |by| format!(" ({})", by.text));
    if verdict != expect.verdict {
        wrong.push(format!(
            "expected {}, got {}{because}",
            expect.verdict.as_str(),
            verdict.as_str()
        ));
        return wrong;
    }
    if let (Some(expected), Some(got)) = (expect.would, would)
        && expected != got
    {
        wrong.push(format!(
            "expected would {}, got {}",
            expected.as_str(),
            got.as_str()
        ));
    }
    if let (Some(expected), Some(got)) = (expect.how, how)
        && expected != got
    {
        wrong.push(format!("expected how {expected:?}, got {got:?}").to_lowercase());
    }
    if let (Some(expected), Some(by)) = (&expect.by, by)
        && !expected.is(&by.who)
    {
        wrong.push(format!("expected by {expected}, got {}", by.text));
    }
    wrong
}

fn judge_learned(expect: &LearnedTest, seen: &ObservedLearned) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(addresses) = &expect.addresses {
        let mut expected: Vec<_> = addresses.iter().map(|ip| ip.to_canonical()).collect();
        expected.sort_unstable();
        expected.dedup();
        if expected != seen.addresses {
            wrong.push(format!(
                "expected addresses {expected:?}, got {:?}",
                seen.addresses
            ));
        }
    }
    // Tables hold expiries, not TTLs: an engine that sees addresses and no TTL says nothing of it.
    if let Some(ttl) = expect.ttl
        && seen.ttl != Some(ttl)
        && (seen.ttl.is_some() || seen.addresses.is_empty())
    {
        wrong.push(format!("expected ttl {ttl}, got {:?}", seen.ttl));
    }
    if let (Some(ports), Some(got)) = (&expect.ports, &seen.ports) {
        let mut expected: Vec<&str> = ports.iter().map(|port| &**port).collect();
        expected.sort_unstable();
        expected.dedup();
        if expected != *got {
            wrong.push(format!("expected ports {expected:?}, got {got:?}"));
        }
    }
    wrong
}

fn judge_diagnostic(expected: &DiagnosticTest, scene: &Scene) -> Vec<String> {
    let said = |diagnostic: &Diagnostic| {
        format!(
            "{} [{}] {}",
            diagnostic.origin, diagnostic.code, diagnostic.message
        )
    };
    match expected {
        DiagnosticTest::None => scene
            .diagnostics
            .iter()
            .map(|diagnostic| format!("reported: {}", said(diagnostic)))
            .collect(),
        DiagnosticTest::Some { reported, .. } => {
            let found: Vec<&Diagnostic> = scene
                .diagnostics
                .iter()
                .filter(|diagnostic| expected.matches(diagnostic))
                .collect();
            match (reported, found.first()) {
                (true, None) => {
                    let all: Vec<String> = scene.diagnostics.iter().map(said).collect();
                    vec![format!("not reported; reported are {all:?}")]
                }
                (false, Some(diagnostic)) => vec![format!("reported: {}", said(diagnostic))],
                (true, Some(_)) | (false, None) => Vec::new(),
            }
        }
    }
}

impl DiagnosticTest {
    /// Whether a test asks for this diagnostic to be reported.
    pub(crate) fn expects(&self, diagnostic: &Diagnostic) -> bool {
        match self {
            Self::None => false,
            Self::Some { reported, .. } => *reported && self.matches(diagnostic),
        }
    }

    /// Whether a diagnostic has all parts that are given.
    pub fn matches(&self, diagnostic: &Diagnostic) -> bool {
        match self {
            Self::None => false,
            Self::Some {
                code,
                level,
                object,
                line,
                reported: _,
            } => {
                code.as_ref().is_none_or(|code| **code == *diagnostic.code)
                    && level
                        .as_ref()
                        .is_none_or(|level| **level == *diagnostic.level.as_str())
                    && line.is_none_or(|line| line == diagnostic.origin.line)
                    && object.as_ref().is_none_or(|text| {
                        diagnostic
                            .object
                            .as_ref()
                            .is_some_and(|object| refers_to(text, object))
                    })
            }
        }
    }
}

impl ByRef {
    fn is(&self, who: &Who) -> bool {
        match (self, who) {
            (Self::Guard, Who::Guard) | (Self::Default, Who::Default) => true,
            (Self::Policy(text), Who::Policies(policies)) => {
                policies.iter().any(|policy| refers_to(text, policy))
            }
            (Self::Guard | Self::Default | Self::Policy(_), _) => false,
        }
    }
}

impl std::fmt::Display for ByRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Guard => "guard",
            Self::Default => "default",
            Self::Policy(text) => text,
        })
    }
}

/// Whether `[kind/][namespace/]name` means an object.
fn refers_to(text: &str, object: &ObjectRef) -> bool {
    let namespace = object.namespace.as_deref();
    match *text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => name == &*object.name,
        [first, name] => {
            name == &*object.name && (Some(first) == namespace || first == &*object.kind)
        }
        [kind, wanted, name] => {
            name == &*object.name && Some(wanted) == namespace && kind == &*object.kind
        }
        _ => false,
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("web", true; "name")]
    #[test_case("prod/web", true; "namespace and name")]
    #[test_case("EgressPolicy/web", true; "kind and name")]
    #[test_case("EgressPolicy/prod/web", true; "all of it")]
    #[test_case("test/web", false; "another namespace")]
    #[test_case("CiliumNetworkPolicy/prod/web", false; "another kind")]
    #[test_case("a/b/c/web", false; "too much")]
    fn objects_by_reference(text: &str, expected: bool) {
        assert_eq!(
            refers_to(text, &ObjectRef::new("EgressPolicy", Some("prod"), "web")),
            expected
        );
    }
}
