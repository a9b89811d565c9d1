//! How the flow of a failed test was decided.

use std::fmt::Write as _;

use policy_cases::{Check, Scene, Test, Trial, TrialKind};
use policy_engine::{Age, Compiled, Flow, NamedLease, Reason, Ruling, compile};

use crate::explain;
use crate::render::{Look, visible};

/// LIMIT: lines of an explanation that are shown with a failure; `egret explain` has the rest.
const MOST_LINES: usize = 16;

/// Where the decision stands, and the first steps to it: of the first address that is not ruled as expected, else of the
/// first. Nothing where there was no flow, or none that can be told of.
pub(super) fn of(scene: &Scene, test: &Test) -> Option<String> {
    let Check::Flow(expected) = &test.check else {
        return None;
    };
    let trial = scene.trial(test).ok()?;
    let TrialKind::Flow {
        addresses,
        protocol,
        port,
        established,
        ..
    } = &trial.kind
    else {
        return None;
    };
    let Compiled {
        ruleset, mut lists, ..
    } = compile(
        &scene.policies,
        &trial.workload,
        &scene.world,
        &trial.settings,
    )
    .ok()?;
    let leases = trial.leases();
    let age = if *established {
        Age::Established
    } else {
        Age::New { now: trial.now }
    };
    let mut stories = Vec::new();
    for ip in addresses {
        let of_ip: Vec<NamedLease> = leases
            .iter()
            .filter(|(of, _)| *of == ip.to_canonical())
            .map(|(_, lease)| lease.clone())
            .collect();
        let flow = Flow::new(ip.to_canonical(), *protocol, *port);
        let story = ruleset.explain(&mut lists, &flow, &of_ip, age, Ruling::Enforced);
        stories.push(story.ok()?);
    }
    let wrong = stories
        .iter()
        .position(|story| story.verdict != expected.expect.verdict);
    let story = stories.get(wrong.unwrap_or(0))?;
    let mut out = places(&trial, &story.reason);
    let steps = explain::steps(story, trial.fresh.is_some(), trial.now, Look::Plain);
    let lines: Vec<&str> = steps.lines().collect();
    for line in lines.iter().take(MOST_LINES) {
        out.push_str(line);
        out.push('\n');
    }
    if lines.len() > MOST_LINES {
        out.push_str("  …\n");
    }
    Some(out)
}

/// Where the policies stand that decided.
fn places(trial: &Trial<'_>, reason: &Reason) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        writeln!(out, "{text}").expect("writing to a string cannot fail");
    };
    if let Reason::Rule(rule) = reason {
        line(format!("at {}", visible(&rule.origin.to_string())));
        return out;
    }
    for object in reason.policies() {
        let policy = trial.scene.policies.iter().find(|one| one.id == *object);
        if let Some(policy) = policy {
            let (id, place) = (policy.id.to_string(), policy.origin.to_string());
            line(format!("{} at {}", visible(&id), visible(&place)));
        }
    }
    out
}
