//! What the reference says, and whether what was seen is that.

use std::net::SocketAddr;

use ebpf_abi::{Cause, Event};
use gateway_state::{Mode, WorkloadView};
use policy_engine::reference::{self, Ruled, Setting};
use policy_engine::testing::Case;
use policy_engine::{Age, Flow, NamedLease, Reason, Ruling, Verdict};
use policy_model::Protocol;

use crate::host::{Fate, how, reached, verdict, would};

/// The reference, with everything it has to know.
#[derive(Clone, Copy)]
pub(super) struct Court<'c> {
    pub(super) case: &'c Case,
    pub(super) mode: Mode,
}

/// Both rulings of the reference.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) enforced: Ruled,
    pub(super) proposed: Ruled,
}

impl Court<'_> {
    pub(super) fn expects(&self, flow: &Flow, leases: &[NamedLease], age: Age) -> Expected {
        Expected {
            enforced: self.ask(Ruling::Enforced, flow, leases, age),
            proposed: self.ask(Ruling::Proposed, flow, leases, age),
        }
    }

    pub(super) fn ask(
        &self,
        ruling: Ruling,
        flow: &Flow,
        leases: &[NamedLease],
        age: Age,
    ) -> Ruled {
        let Case {
            policies,
            workload,
            world,
            settings,
            names: _,
        } = self.case;
        let setting = Setting {
            policies,
            workload,
            world,
            settings,
        };
        let ip = reached(flow.ip);
        // Nobody learns what stands for "any address": the stack sends it to this machine.
        let leases = if ip == flow.ip.to_canonical() {
            leases
        } else {
            &[]
        };
        reference::decide(setting, ruling, &Flow { ip, ..*flow }, leases, age)
    }

    /// The verdict that counts.
    pub(super) fn effective(&self, expected: &Expected) -> Verdict {
        match self.mode {
            Mode::Enforce => expected.enforced.verdict,
            Mode::Audit => Verdict::Allow,
        }
    }

    /// Whether a flow's fate and the event that tells of it are what is expected.
    pub(super) fn agrees(
        &self,
        expected: &Expected,
        fate: Fate,
        told: Option<&Event>,
        reason: Option<&Reason>,
    ) -> bool {
        let Expected { enforced, proposed } = expected;
        let counts = self.effective(expected);
        let looks = (counts == Verdict::Deny).then_some(enforced.style);
        let expected_would = match self.mode {
            Mode::Enforce => proposed.verdict,
            Mode::Audit => enforced.verdict,
        };
        // Without an event it was let out as what it was before: a flow that goes on.
        let told_right = told.is_none_or(|event| {
            event.cause() != Some(Cause::Policy)
                || (would(event) == expected_would && reason == Some(&enforced.reason))
        });
        verdict(fate) == counts && how(fate) == looks && told_right
    }

    /// Whether a flow was ruled out, though audit may have let it go.
    pub(super) fn is_ruled_out(&self, fate: Fate, told: Option<&Event>) -> bool {
        let ruled = match self.mode {
            Mode::Enforce => verdict(fate),
            Mode::Audit => told.map_or(Verdict::Allow, would),
        };
        ruled == Verdict::Deny
    }

    /// Whether a system call for this flow is a question to a known resolver.
    pub(super) fn is_intercepted(&self, view: &WorkloadView, flow: &Flow) -> bool {
        let (ip, port) = (flow.ip.to_canonical(), flow.port);
        let mut known = self.case.world.resolvers.iter();
        view.ruleset.redirects_dns()
            && [Protocol::UDP, Protocol::TCP].contains(&flow.protocol)
            && known.any(|resolver| (resolver.address, resolver.port) == (ip, port))
    }

    /// Whether the interceptor would judge the flow to a resolver as the reference does.
    pub(super) fn agrees_on_the_way(&self, view: &WorkloadView, flow: &Flow) -> bool {
        let server = SocketAddr::new(flow.ip.to_canonical(), flow.port);
        let expected = self.ask(Ruling::Enforced, flow, &[], Age::Established);
        view.flow_to(server, flow.protocol).is_some_and(|way| {
            way.verdict == expected.verdict && view.ruleset.reason(way.reason) == &expected.reason
        })
    }
}
