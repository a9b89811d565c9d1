//! Sets made by hand (`cases.json`): every oracle says what stands there, and where it says something else than the API,
//! that is a difference we know.

use std::collections::BTreeMap;
use std::net::IpAddr;

use oracles::{Flow, Program, Set};
use serde::Deserialize;
use serde_json::Value;

use crate::difference::{explain, known};
use crate::engine::{Engine, foreign, shared_model};
use crate::ours::Ours;

#[derive(Deserialize)]
struct Cases {
    world: Vec<Value>,
    names: BTreeMap<String, Vec<IpAddr>>,
    flows: Vec<Flow>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Case {
    name: String,
    policies: Vec<Value>,
    /// As the API has it.
    verdicts: String,
    kube_network_policies: Option<String>,
    cyclonus: Option<String>,
}

#[test]
fn the_oracles_say_what_stands_there() {
    for program in [Program::KubeNetworkPolicies, Program::Cyclonus] {
        let Some(mut oracle) = foreign(program) else {
            return;
        };
        for (case, set) in cases() {
            let Some(expected) = case.said_by(program) else {
                continue;
            };
            let said = spell(&oracle.verdicts(&[set])[0]);
            assert_eq!(
                &said,
                expected,
                "{} says of `{}`",
                program.folder(),
                case.name
            );
        }
    }
}

#[test]
fn we_say_what_the_api_does() {
    says_what_the_api_does(&mut Ours::new());
}

#[test]
fn the_model_says_what_the_api_does() {
    let Some(mut model) = shared_model() else {
        return;
    };
    says_what_the_api_does(&mut model);
}

/// Where the oracle says something else, the known differences make of our verdict the oracle's.
fn says_what_the_api_does(ours: &mut dyn Engine) {
    for (case, set) in cases() {
        let said = spell(&ours.verdicts(std::slice::from_ref(&set))[0]);
        assert_eq!(said, case.verdicts, "of `{}`", case.name);
        for program in [Program::KubeNetworkPolicies, Program::Cyclonus] {
            let Some(theirs) = case.said_by(program) else {
                continue;
            };
            for (at, (we, they)) in said.chars().zip(theirs.chars()).enumerate() {
                let one = Set {
                    flows: vec![set.flows[at].clone()],
                    ..set.clone()
                };
                assert!(
                    we == they || explain(known(program), &one, they == '.', ours).is_some(),
                    "{} says `{they}` of {:?} in `{}`, and nobody knows why",
                    program.folder(),
                    set.flows[at],
                    case.name
                );
            }
        }
    }
}

impl Case {
    /// What the oracle says; nothing where there are kinds it does not know.
    fn said_by(&self, program: Program) -> Option<&String> {
        let only = |kind: &str| self.policies.iter().all(|policy| policy["kind"] == kind);
        match program {
            Program::KubeNetworkPolicies => Some(&self.kube_network_policies),
            Program::Cyclonus => only("NetworkPolicy").then_some(&self.cyclonus),
            Program::Yaml | Program::Regexp => None,
        }
        .map(|own| own.as_ref().unwrap_or(&self.verdicts))
    }
}

fn cases() -> impl Iterator<Item = (Case, Set)> {
    let Cases {
        world,
        names,
        flows,
        cases,
    } = serde_json::from_str(include_str!("../../cases.json")).unwrap();
    cases.into_iter().map(move |case| {
        let set = Set {
            objects: [&world[..], &case.policies[..]].concat(),
            names: names.clone(),
            proposed: false,
            flows: flows.clone(),
        };
        (case, set)
    })
}

fn spell(verdicts: &[bool]) -> String {
    verdicts
        .iter()
        .map(|allowed| if *allowed { '.' } else { 'X' })
        .collect()
}
