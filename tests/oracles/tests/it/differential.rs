//! Random sets, judged by us and by somebody else.

use std::collections::BTreeMap;
use std::time::Instant;

use oracles::Set;
use policy_engine::testing::Random;

use crate::difference::{self, Difference};
use crate::engine::Engine;
use crate::random::{self, Kind};
use crate::shrink::shrink;
use crate::yaml;

/// Sets that are asked at once.
const CHUNK: usize = 250;

/// Compares as many random sets, and fails at the first difference that no known one explains, or where too little was seen
/// for the agreement to mean much.
pub(crate) fn compare(
    kind: Kind,
    sets: usize,
    ours: &mut dyn Engine,
    theirs: &mut dyn Engine,
    known: &'static [Difference],
) {
    let seed = seed();
    println!("EGRET_SEED={seed} {kind:?}");
    let begun = Instant::now();
    let mut random = Random::new(seed);
    let mut flows = 0;
    let mut allowed = 0;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..sets / CHUNK {
        let asked: Vec<Set> = (0..CHUNK).map(|_| random::set(kind, &mut random)).collect();
        let we_say = ours.verdicts(&asked);
        let they_say = theirs.verdicts(&asked);
        for (set, (we, they)) in asked.iter().zip(we_say.iter().zip(&they_say)) {
            for (at, (we, they)) in we.iter().zip(they).enumerate() {
                flows += 1;
                allowed += usize::from(*we);
                if we == they {
                    continue;
                }
                let one = Set {
                    flows: vec![set.flows[at].clone()],
                    ..set.clone()
                };
                let Some(names) = difference::explain(known, &one, *they, ours) else {
                    let smallest = shrink(one, |set| unexplained(set, ours, theirs, known));
                    panic!("EGRET_SEED={seed}\n{}", told(&smallest, ours, theirs));
                };
                for name in names {
                    *counts.entry(name).or_default() += 1;
                }
            }
        }
    }
    println!(
        "{sets} sets, {flows} flows, {allowed} allowed, in {:?}; known differences:\n{}",
        begun.elapsed(),
        difference::told(known, &counts)
    );
    assert!(
        allowed * 5 >= flows,
        "too few are allowed: {allowed} of {flows}"
    );
    assert!(
        (flows - allowed) * 5 >= flows,
        "too few are denied: {} of {flows}",
        flows - allowed
    );
}

/// The seed: of `EGRET_SEED`, or a new one.
pub(crate) fn seed() -> u64 {
    std::env::var("EGRET_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(policy_engine::testing::seed)
}

fn unexplained(
    set: &Set,
    ours: &mut dyn Engine,
    theirs: &mut dyn Engine,
    known: &'static [Difference],
) -> bool {
    if !ours.takes(set) {
        return false;
    }
    let they = theirs.verdicts(std::slice::from_ref(set))[0][0];
    ours.verdicts(std::slice::from_ref(set))[0][0] != they
        && difference::explain(known, set, they, ours).is_none()
}

fn told(set: &Set, ours: &mut dyn Engine, theirs: &mut dyn Engine) -> String {
    let word = |allowed| if allowed { "allow" } else { "deny" };
    let sets = std::slice::from_ref(set);
    format!(
        "{:?}{}{}\n{}\nwe say {}, they say {}",
        set.flows[0],
        if set.proposed { ", as proposed," } else { "" },
        if set.names.is_empty() {
            String::new()
        } else {
            format!(" with {:?}", set.names)
        },
        yaml::documents(&set.objects),
        word(ours.verdicts(sets)[0][0]),
        word(theirs.verdicts(sets)[0][0]),
    )
}
