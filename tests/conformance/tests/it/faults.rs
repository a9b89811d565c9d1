//! Deliberate mistakes in the compiler, the fold and the look-ups, and who notices them.
//!
//! A suite that would not notice a mistake proves nothing by passing.

use policy_cases::{CompiledEngine, Engine};
use policy_engine::testing::Random;
use policy_engine::with_fault;

use crate::corpus::{File, files};
use crate::differential::{Seen, compare, seed};
use crate::host::HostEngine;
use crate::suite::run;

/// A mistake.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// In what the rules are compiled and folded to.
    Rules(policy_engine::Fault),
    /// In how the tables are read.
    Look(ebpf_logic::Fault),
}

/// Who noticed: each way of looking, and after how much.
#[derive(Debug)]
struct Caught {
    fault: Fault,
    /// Tests of the suite that failed on the compiled ruleset.
    compiled: usize,
    /// And on the decision code.
    host: usize,
    /// The ruleset of the differential that showed it.
    differential: Option<usize>,
}

/// The differential gives up after so many rulesets. Faults in rare corners need some thousands.
const PATIENCE: usize = 3_000;

/// Mistakes in the look-up. Two more are seen only in races and half-written tables, which `ebpf-logic`'s own tests put
/// up by hand.
const LOOK: [ebpf_logic::Fault; 11] = [
    ebpf_logic::Fault::ExpiredStepCounts,
    ebpf_logic::Fault::NewFlowUsesFirstStep,
    ebpf_logic::Fault::EstablishedUsesNow,
    ebpf_logic::Fault::NoPrefixAfterSteps,
    ebpf_logic::Fault::UnknownWorkloadFree,
    ebpf_logic::Fault::EpochIgnored,
    ebpf_logic::Fault::PortForgotten,
    ebpf_logic::Fault::ForeignSlotOpen,
    ebpf_logic::Fault::LaterFragmentFree,
    ebpf_logic::Fault::SourceRouteFree,
    ebpf_logic::Fault::UnredirectedFree,
];

#[test]
fn every_fault_is_caught() {
    let seed = seed();
    println!("EGRET_SEED={seed}");
    let files = files();
    let rules = policy_engine::Fault::ALL.map(Fault::Rules);
    let look = LOOK.map(Fault::Look);
    let faults = rules.into_iter().chain(look);
    let caught: Vec<Caught> = faults.map(|fault| fault.catch(&files, seed)).collect();
    println!(
        "{:45} {:>8} {:>5}  differential",
        "fault", "compiled", "host"
    );
    for row in &caught {
        println!("{row}");
    }
    let missed: Vec<String> = caught
        .iter()
        .filter(|row| !row.is_caught())
        .map(ToString::to_string)
        .collect();
    assert!(
        missed.is_empty(),
        "EGRET_SEED={seed}: nobody noticed\n{}",
        missed.join("\n")
    );
    let random = caught.iter().filter(|row| row.differential.is_some());
    assert!(random.count() >= 18, "EGRET_SEED={seed}");
}

impl Fault {
    fn catch(self, files: &[File], seed: u64) -> Caught {
        match self {
            Self::Rules(fault) => with_fault(fault, || self.look(&[], files, seed)),
            Self::Look(fault) => self.look(&[fault], files, seed),
        }
    }

    fn look(self, faults: &[ebpf_logic::Fault], files: &[File], seed: u64) -> Caught {
        let wrong = |engine: &mut dyn Engine| run(engine, files).wrong.len();
        let mut host = HostEngine {
            faults: faults.to_vec(),
        };
        let mut random = Random::new(seed);
        let mut seen = Seen::default();
        Caught {
            fault: self,
            compiled: wrong(&mut CompiledEngine),
            host: wrong(&mut host),
            differential: (0..PATIENCE).find(|_| compare(&mut random, faults, &mut seen).is_err()),
        }
    }
}

impl Caught {
    const fn is_caught(&self) -> bool {
        self.compiled > 0 || self.host > 0 || self.differential.is_some()
    }
}

impl std::fmt::Display for Caught {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = format!("{:?}", self.fault);
        let Self { compiled, host, .. } = self;
        write!(f, "{name:45} {compiled:>8} {host:>5}  ")?;
        match self.differential {
            Some(ruleset) => write!(f, "at ruleset {ruleset}"),
            None => write!(f, "-"),
        }
    }
}
