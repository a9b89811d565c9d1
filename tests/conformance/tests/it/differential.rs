//! Random policies, answers and packets, played to the state machine and the decision code, and walked by the
//! reference.

mod court;
mod kernel;
mod round;

use std::time::Instant;

use policy_engine::Verdict;
use policy_engine::testing::Random;

use self::round::{Round, Sweeps};

/// Rulesets, sets of answers for each, flows for each set: a little over 100,000 triples.
const RULESETS: usize = 3_600;

/// What was compared.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) triples: usize,
    pub(crate) allowed: usize,
    pub(crate) denied: usize,
    /// Flows that were judged again after others came into force.
    pub(crate) judged_again: usize,
    /// Questions that went to the interceptor.
    pub(crate) redirected: usize,
    /// Closed earlier than the reference, because there are more steps than a row holds and nobody swept.
    pub(crate) capped: usize,
    /// Packets that must not leave whatever the rules say.
    pub(crate) odd: usize,
}

/// The seed: of `EGRET_SEED`, or a new one.
pub(crate) fn seed() -> u64 {
    std::env::var("EGRET_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(policy_engine::testing::seed)
}

/// One ruleset with its answers and flows; the first difference, in words.
pub(crate) fn compare(
    random: &mut Random,
    faults: &[ebpf_logic::Fault],
    seen: &mut Seen,
) -> Result<(), String> {
    let sweeps = if random.chance(50) {
        Sweeps::AtEachTimeout
    } else {
        Sweeps::Never
    };
    Round::new(random, faults, sweeps).play(random, seen)
}

impl Seen {
    fn count(&mut self, verdict: Verdict) {
        self.triples += 1;
        match verdict {
            Verdict::Allow => self.allowed += 1,
            Verdict::Deny => self.denied += 1,
        }
    }

    /// Fails where too little was seen for the agreement to mean much.
    pub(crate) fn check(&self, triples: usize) {
        assert!(self.triples >= triples, "{self:?}");
        assert!(self.allowed * 5 >= self.triples, "{self:?}");
        assert!(self.denied * 5 >= self.triples, "{self:?}");
    }
}

#[test]
fn the_decision_code_on_the_host_agrees_with_the_reference() {
    let seed = seed();
    println!("EGRET_SEED={seed}");
    let begun = Instant::now();
    let mut random = Random::new(seed);
    let mut seen = Seen::default();
    for _ in 0..RULESETS {
        if let Err(difference) = compare(&mut random, &[], &mut seen) {
            panic!("EGRET_SEED={seed}\n{difference}");
        }
    }
    println!("{seen:?} in {:?}", begun.elapsed());
    seen.check(100_000);
    for (what, count, least) in [
        ("judged again", seen.judged_again, 500),
        ("redirected", seen.redirected, 50),
        ("capped", seen.capped, 3),
        ("odd packets", seen.odd, 5_000),
    ] {
        assert!(count >= least, "{what}: {seen:?}");
    }
}
