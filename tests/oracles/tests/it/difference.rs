//! The differences we know: where an oracle means something else than the API says, and how.
//!
//! Each is an exact statement: asked of a set as that oracle reads it, our engine must give that oracle's verdict. So a
//! fault of ours that happens to lie beside a known difference is still found.

mod cyclonus;
mod kube_network_policies;
mod rewrite;

pub(crate) use rewrite::is_pod;

use std::collections::BTreeMap;
use std::fmt::Write;

use oracles::{Program, Set};
use serde_json::Value;

use crate::engine::Engine;

/// A way in which an oracle reads a set otherwise than we do.
pub(crate) struct Difference {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) link: &'static str,
    /// Writes down what the oracle reads; the set has one flow. False where the set has nothing of the kind.
    pub(crate) apply: fn(&mut Set) -> bool,
}

pub(crate) fn known(program: Program) -> &'static [Difference] {
    match program {
        Program::KubeNetworkPolicies => kube_network_policies::DIFFERENCES,
        Program::Cyclonus => cyclonus::DIFFERENCES,
        Program::Yaml | Program::Regexp => &[],
    }
}

/// Which known differences, together, make of our verdict theirs: as few as possible.
pub(crate) fn explain(
    known: &'static [Difference],
    set: &Set,
    theirs: bool,
    ours: &mut dyn Engine,
) -> Option<Vec<&'static str>> {
    let mut readings: Vec<(Vec<&'static str>, Set)> = vec![(Vec::new(), set.clone())];
    for difference in known {
        for at in 0..readings.len() {
            let (mut names, mut set) = readings[at].clone();
            if (difference.apply)(&mut set) {
                names.push(difference.name);
                readings.push((names, set));
            }
        }
    }
    readings.remove(0);
    readings.sort_by_key(|(names, _)| names.len());
    let sets: Vec<Set> = readings.iter().map(|(_, set)| set.clone()).collect();
    let verdicts = ours.verdicts(&sets);
    readings
        .into_iter()
        .zip(verdicts)
        .find(|(_, verdicts)| verdicts == &[theirs])
        .map(|((names, _), _)| names)
}

/// The table, as a run prints it: how often each was seen, why, and where to read of it.
pub(crate) fn told(known: &[Difference], counts: &BTreeMap<&str, usize>) -> String {
    let mut text = String::new();
    for difference in known {
        let count = counts.get(difference.name).copied().unwrap_or_default();
        let Difference {
            name, reason, link, ..
        } = difference;
        writeln!(text, "  {count:>5} {name}: {reason} ({link})").unwrap();
    }
    text
}

/// Objects of a kind.
fn of_kind<'a>(set: &'a mut Set, kind: &'a str) -> impl Iterator<Item = &'a mut Value> {
    set.objects
        .iter_mut()
        .filter(move |object| object["kind"] == kind)
}
