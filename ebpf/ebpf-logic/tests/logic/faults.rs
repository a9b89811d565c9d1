//! Mistakes put in on purpose: each has to be seen by at least one of the checks below.

use ebpf_abi::plan::{Op, RulesetId, WorkloadId};
use ebpf_abi::{LearnedKey, LearnedRow, PrefixKey, PrefixRow, Step, workload_flags};
use ebpf_logic::Fault;
use ebpf_logic::host::HostSocket;

use crate::world::{
    CGROUP, EVERYTHING, MAIL, OTHER, PORT, RULES, WEB, apply, connects, hold, ip, learn, leaves,
    packet, ports, ruleset, tables, tcp, udp, v4,
};

const TO: [u8; 4] = [192, 0, 2, 9];

const FAULTS: [Fault; 13] = [
    Fault::ExpiredStepCounts,
    Fault::NewFlowUsesFirstStep,
    Fault::EstablishedUsesNow,
    Fault::NoPrefixAfterSteps,
    Fault::StrangerRowBelieved,
    Fault::MissingListAllows,
    Fault::UnknownWorkloadFree,
    Fault::EpochIgnored,
    Fault::PortForgotten,
    Fault::ForeignSlotOpen,
    Fault::LaterFragmentFree,
    Fault::SourceRouteFree,
    Fault::UnredirectedFree,
];

type Check = (&'static str, fn(&[Fault]) -> bool);

/// Each says whether the decision code does what it should.
const CHECKS: [Check; 12] = [
    ("a step ends", |faults| {
        let mut maps = tables(faults);
        learn(&mut maps, RULES, "192.0.2.9", &[(2_000, EVERYTHING)]);
        maps.now = 2_001;
        !connects(&maps, &HostSocket::new(CGROUP), &tcp("192.0.2.9", 80))
    }),
    ("the second step counts after the first", |faults| {
        let mut maps = tables(faults);
        learn(
            &mut maps,
            RULES,
            "192.0.2.9",
            &[(2_000, EVERYTHING), (3_000, MAIL)],
        );
        maps.now = 2_001;
        let socket = HostSocket::new(CGROUP);
        connects(&maps, &socket, &tcp("192.0.2.9", 25))
            && !connects(&maps, &socket, &tcp("192.0.2.9", 80))
    }),
    (
        "an established flow outlives its lease and a new ruleset that allows it",
        |faults| {
            let mut maps = tables(faults);
            learn(&mut maps, RULES, "192.0.2.9", &[(2_000, WEB)]);
            let socket = HostSocket::new(CGROUP);
            let began = connects(&maps, &socket, &tcp("192.0.2.9", 80));
            maps.now = 2_001;
            hold(&mut maps, RULES, workload_flags::FILTERED);
            began && leaves(&maps, &socket, &packet("192.0.2.9", 6, &ports(80)))
        },
    ),
    (
        "an established flow does not outlive a ruleset that forbids it",
        |faults| {
            let mut maps = tables(faults);
            learn(&mut maps, RULES, "192.0.2.9", &[(9_000, WEB)]);
            let socket = HostSocket::new(CGROUP);
            let began = connects(&maps, &socket, &tcp("192.0.2.9", 80));
            apply(&mut maps, ruleset(RulesetId(8), &[]));
            hold(&mut maps, RulesetId(8), 0);
            began && !leaves(&maps, &socket, &packet("192.0.2.9", 6, &ports(80)))
        },
    ),
    ("after the last step the prefixes answer", |faults| {
        let mut maps = tables(faults);
        apply(&mut maps, ruleset(RulesetId(8), &[("192.0.2.0/24", WEB)]));
        learn(&mut maps, RulesetId(8), "192.0.2.9", &[(2_000, EVERYTHING)]);
        hold(&mut maps, RulesetId(8), 0);
        maps.now = 2_001;
        connects(&maps, &HostSocket::new(CGROUP), &tcp("192.0.2.9", 80))
    }),
    (
        "a row whose memory was handed on is not believed",
        |faults| {
            let mut maps = tables(faults);
            let mut row = LearnedRow {
                address: ip("192.0.2.10"),
                ruleset: RULES.0,
                ..LearnedRow::default()
            };
            row.steps[0] = Step {
                expires_at: 9_000,
                list: EVERYTHING.0,
                reserved: 0,
            };
            let key = LearnedKey {
                ruleset: RULES.0,
                address: ip("192.0.2.9"),
            };
            maps.write(&ebpf_abi::plan::Write::Learned(key, Some(row)));
            !connects(&maps, &HostSocket::new(CGROUP), &tcp("192.0.2.9", 80))
        },
    ),
    ("a list that is not there opens nothing", |faults| {
        let mut maps = tables(faults);
        let key = PrefixKey::new(RULES.0, ip("192.0.2.9"), 128);
        maps.write(&ebpf_abi::plan::Write::Prefix(
            key,
            Some(PrefixRow {
                list: 999,
                reserved: 0,
            }),
        ));
        !connects(&maps, &HostSocket::new(CGROUP), &tcp("192.0.2.9", 80))
    }),
    ("who is unknown is denied", |faults| {
        let maps = tables(faults);
        !connects(&maps, &HostSocket::new(OTHER), &tcp("192.0.2.9", 80))
    }),
    ("a flow is one port", |faults| {
        let mut maps = tables(faults);
        learn(&mut maps, RULES, "192.0.2.9", &[(9_000, WEB)]);
        let socket = HostSocket::new(CGROUP);
        let began = connects(&maps, &socket, &tcp("192.0.2.9", 80));
        began && !leaves(&maps, &socket, &packet("192.0.2.9", 6, &ports(81)))
    }),
    (
        "slots and resolvers are closed but for one's own way",
        |faults| {
            let mut maps = tables(faults);
            let slots = [(1, CGROUP), (2, OTHER)].map(|(slot, workload)| Op::PutSlot {
                slot,
                workload: WorkloadId(workload),
                server: "192.0.2.53:53".parse().unwrap(),
            });
            apply(&mut maps, slots.to_vec());
            learn(&mut maps, RULES, "192.0.2.53", &[(9_000, EVERYTHING)]);
            let socket = HostSocket::new(CGROUP);
            leaves(&maps, &socket, &packet("127.83.0.1", 17, &ports(PORT)))
                && !leaves(&maps, &socket, &packet("127.83.0.2", 17, &ports(PORT)))
                && !leaves(&maps, &socket, &packet("192.0.2.53", 17, &ports(53)))
                && connects(&maps, &socket, &udp("127.83.0.1", PORT))
        },
    ),
    ("a later fragment needs its first", |faults| {
        let mut maps = tables(faults);
        learn(&mut maps, RULES, "192.0.2.9", &[(9_000, EVERYTHING)]);
        !leaves(
            &maps,
            &HostSocket::new(CGROUP),
            &v4(TO, 17, 1, &[], &[0; 8]),
        )
    }),
    ("a source route does not leave", |faults| {
        let mut maps = tables(faults);
        learn(&mut maps, RULES, "192.0.2.9", &[(9_000, EVERYTHING)]);
        let route = [131, 7, 4, 192, 0, 2, 53, 0];
        !leaves(
            &maps,
            &HostSocket::new(CGROUP),
            &v4(TO, 17, 0, &route, &ports(80)),
        )
    }),
];

#[test]
fn the_checks_hold_without_a_fault() {
    for (name, check) in CHECKS {
        assert!(check(&[]), "{name}");
    }
}

#[test]
fn every_fault_is_caught() {
    for fault in FAULTS {
        let caught: Vec<_> = CHECKS
            .iter()
            .filter(|(_, check)| !check(&[fault]))
            .map(|(name, _)| *name)
            .collect();
        assert!(!caught.is_empty(), "{fault:?} went unseen");
    }
}
