//! The look-up: learned steps by time, then prefixes, then the port list.

use ebpf_abi::{Cause, LearnedKey, LearnedRow, PortKey, PrefixKey, Step, Style, Verdict};

use crate::seams::{Fault, Maps};
use crate::target::Target;

/// Which step of a learned address counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// A new flow: the step of now.
    New,
    /// A flow that is judged again: the first step, whose list is the widest the address ever had.
    Established,
}

/// What the tables say of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    pub verdict: Verdict,
    /// With every staged and audit policy in force.
    pub would: Verdict,
    pub style: Style,
    pub cause: Cause,
    /// The list that answered; 0: none.
    pub list: u32,
    pub reason: u32,
    /// The lease whose step counted; 0: none.
    pub lease: u32,
}

/// What `ruleset` says of `target`.
#[inline(always)]
pub fn rule<M: Maps>(maps: &M, ruleset: u32, target: &Target, age: Age) -> Ruling {
    let mut lease = 0;
    let mut list = 0;
    if let Some(row) = maps.learned(&LearnedKey {
        ruleset,
        address: target.address,
    }) {
        list = step_list(maps, row, age);
        lease = row.lease;
        // Last, so that nothing read before it can be another entry's.
        let ours = row.address == target.address && row.ruleset == ruleset;
        if !ours && !maps.fault(Fault::StrangerRowBelieved) {
            list = 0;
        }
        if list == 0 && maps.fault(Fault::NoPrefixAfterSteps) {
            return Ruling::closed(Cause::NoRuling);
        }
    }
    if list == 0 {
        lease = 0;
        match maps.prefix(&PrefixKey::look_up(ruleset, target.address)) {
            Some(row) => list = row.list,
            None => return Ruling::closed(Cause::NoRuling),
        }
    }
    match maps.port(&PortKey::look_up(list, target.protocol, target.port)) {
        Some(row) => Ruling {
            verdict: Verdict::from_byte(row.verdict),
            would: Verdict::from_byte(row.would),
            style: Style::from_byte(row.style),
            cause: Cause::Policy,
            list,
            reason: row.reason,
            lease,
        },
        None if maps.fault(Fault::MissingListAllows) => Ruling::open(Cause::NoRuling),
        None => Ruling {
            list,
            ..Ruling::closed(Cause::NoRuling)
        },
    }
}

impl Ruling {
    /// A denial without a list.
    #[inline(always)]
    pub const fn closed(cause: Cause) -> Self {
        Self::without_list(cause, Verdict::Deny)
    }

    /// An allowance without a list.
    #[inline(always)]
    pub const fn open(cause: Cause) -> Self {
        Self::without_list(cause, Verdict::Allow)
    }

    /// Whether the target may be reached.
    #[inline(always)]
    pub const fn allows(&self) -> bool {
        matches!(self.verdict, Verdict::Allow)
    }

    #[inline(always)]
    const fn without_list(cause: Cause, verdict: Verdict) -> Self {
        Self {
            verdict,
            would: verdict,
            style: Style::Reject,
            cause,
            list: 0,
            reason: 0,
            lease: 0,
        }
    }
}

/// The list of the step that counts; 0 when all have passed.
#[inline(always)]
fn step_list<M: Maps>(maps: &M, row: &LearnedRow, age: Age) -> u32 {
    let [first, second, third, fourth] = &row.steps;
    let first_counts = match age {
        Age::New => maps.fault(Fault::NewFlowUsesFirstStep),
        Age::Established => !maps.fault(Fault::EstablishedUsesNow),
    };
    if first_counts {
        return first.list;
    }
    let now = maps.now();
    for step in [first, second, third, fourth] {
        if holds(maps, step, now) {
            return step.list;
        }
    }
    0
}

#[inline(always)]
fn holds<M: Maps>(maps: &M, step: &Step, now: u64) -> bool {
    step.expires_at != 0 && (now <= step.expires_at || maps.fault(Fault::ExpiredStepCounts))
}
