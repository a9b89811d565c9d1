//! Batches: what is refused, and what stands when writing stops half-way.

use ebpf_abi::globals::maps;
use ebpf_abi::plan::{
    Batch, LearnedStep, Ledger, ListId, Op, PlanError, PortRule, Prefix, RulesetId, WorkloadId,
    Write,
};
use ebpf_abi::{PortRow, Verdict, capacity};
use ebpf_logic::host::{HostMaps, HostSocket};
use proptest::collection::vec;
use proptest::prelude::*;
use test_case::test_case;

use crate::world::{
    CGROUP, NOTHING, PORT, RULES, WEB, connects, hold, learn, prefix, ruleset, tables, tcp,
};

fn stage(ops: Vec<Op>) -> Result<Vec<Write>, PlanError> {
    held().stage(&ops.into_iter().collect())
}

/// Two lists, and a workload held to a ruleset of them.
fn held() -> Ledger {
    let mut ledger = Ledger::new();
    let lists = [NOTHING, WEB].map(|list| Op::PutList {
        list,
        rows: vec![default_row(Verdict::Deny)],
    });
    let mut first: Batch = lists.into_iter().collect();
    first.extend(ruleset(RULES, &[]));
    first.push(Op::SetWorkload {
        workload: WorkloadId(CGROUP),
        ruleset: RULES,
        flags: 0,
    });
    for write in ledger.stage(&first).unwrap() {
        ledger.wrote(&write);
    }
    ledger
}

fn default_row(verdict: Verdict) -> PortRule {
    let ruling = PortRow {
        verdict: verdict as u8,
        ..PortRow::default()
    };
    PortRule {
        protocol: None,
        port: 0,
        port_bits: 0,
        ruling,
    }
}

fn steps(ends: &[u64]) -> Op {
    let steps = ends
        .iter()
        .map(|&expires_at| LearnedStep {
            expires_at,
            list: WEB,
        })
        .collect();
    Op::PutLearned {
        ruleset: RULES,
        address: "192.0.2.9".parse().unwrap(),
        lease: 0,
        steps,
    }
}

fn slot(slot: u16, server: &str) -> Op {
    Op::PutSlot {
        slot,
        workload: WorkloadId(CGROUP),
        server: server.parse().unwrap(),
    }
}

#[test_case(vec![Op::PutList { list: ListId(0), rows: vec![] }] => "list 0 means no list"; "list zero")]
#[test_case(vec![Op::PutList { list: ListId(9), rows: vec![] }] => "list 9 does not have exactly one default row"; "no default")]
#[test_case(vec![Op::PutList { list: WEB, rows: vec![default_row(Verdict::Allow)] }] => "list 2 is known with another content"; "a list is immutable")]
#[test_case(vec![Op::PutPrefix { ruleset: RulesetId(8), prefix: prefix("0.0.0.0/0"), list: ListId(9) }] => "list 9 was never written"; "unknown list")]
#[test_case(vec![Op::PutPrefix { ruleset: RulesetId(8), prefix: prefix("192.0.2.0/33"), list: WEB }] => "prefix `192.0.2.0/33` is too long"; "too long")]
#[test_case(vec![Op::PutPrefix { ruleset: RULES, prefix: prefix("192.0.2.0/24"), list: WEB }] => "ruleset 7 is in use and cannot change"; "a ruleset is immutable")]
#[test_case(vec![Op::DelRuleset { ruleset: RULES }] => "ruleset 7 is in use and cannot change"; "forgetting what is in use")]
#[test_case(vec![Op::SetWorkload { workload: WorkloadId(1), ruleset: RulesetId(8), flags: 0 }] => "ruleset 8 does not answer for every address: 0.0.0.0/0 or ::/0 is missing"; "half a ruleset")]
#[test_case(vec![steps(&[])] => "`192.0.2.9` has 0 steps, expected 1 to 4"; "no steps")]
#[test_case(vec![steps(&[1, 2, 3, 4, 5])] => "`192.0.2.9` has 5 steps, expected 1 to 4"; "too many steps")]
#[test_case(vec![steps(&[2, 2])] => "steps of `192.0.2.9` do not ascend"; "order of steps")]
#[test_case(vec![slot(0, "192.0.2.53:53")] => "slot 0 is not free"; "slot zero")]
#[test_case(vec![slot(1, "192.0.2.53:53"), slot(1, "192.0.2.54:53")] => "slot 1 is not free"; "taken slot")]
#[test_case(vec![slot(1, "192.0.2.53:53"), slot(2, "[::ffff:192.0.2.53]:53")] => "`192.0.2.53:53` has a slot for workload 77 already"; "one server, two slots")]
fn refused(ops: Vec<Op>) -> String {
    stage(ops).unwrap_err().to_string()
}

#[test]
fn the_same_again_is_nothing() {
    let same = vec![Op::PutList {
        list: WEB,
        rows: vec![default_row(Verdict::Deny)],
    }];
    assert_eq!(stage(same), Ok(vec![]));
}

/// One row over what a table takes, beside rows that stand. The batch comes to nothing, and the next one is staged as ever.
#[test_case(maps::PORTS, capacity::PORTS, |count| lists_of(count - 4); "port lists")]
#[test_case(maps::PREFIXES, capacity::PREFIXES, |count| prefixes(count - 2); "prefixes")]
#[test_case(maps::LEARNED, capacity::LEARNED, learned; "learned addresses")]
#[test_case(maps::WORKLOADS, capacity::WORKLOADS, |count| workloads(count - 1); "workloads")]
fn a_table_that_would_be_too_full_is_found_out_before_anything_is_written(
    table: &'static str,
    capacity: usize,
    ops_of: fn(usize) -> Vec<Op>,
) {
    let mut ledger = held();
    let whole = |ops: Vec<Op>| ops.into_iter().collect::<Batch>();
    let full = PlanError::TableFull {
        table,
        rows: capacity + 1,
        capacity,
    };
    let too_many = whole(ops_of(capacity + 1));
    assert_eq!(ledger.stage(&too_many), Err(full.clone()));
    assert_eq!(ledger.stage(&too_many), Err(full), "nothing was noted");
    for write in ledger.stage(&whole(ops_of(capacity))).unwrap() {
        ledger.wrote(&write);
    }
    let again = ledger.stage(&whole(ops_of(capacity)));
    assert!(again.is_ok(), "what stands needs no room: {again:?}");
}

/// Lists of so many rows in all.
fn lists_of(rows: usize) -> Vec<Op> {
    const LONGEST: usize = 1 << 14;
    let lengths = (0..rows / LONGEST)
        .map(|_| LONGEST)
        .chain([rows % LONGEST])
        .filter(|length| *length > 0);
    lengths
        .zip(100..)
        .map(|(length, number)| {
            // The row that says whether anything is open, and the default.
            let ports = (0..u16::try_from(length - 2).unwrap()).map(|port| PortRule {
                protocol: Some(6),
                port,
                port_bits: 16,
                ..default_row(Verdict::Allow)
            });
            Op::PutList {
                list: ListId(number),
                rows: ports.chain([default_row(Verdict::Deny)]).collect(),
            }
        })
        .collect()
}

fn prefixes(count: usize) -> Vec<Op> {
    (0..u32::try_from(count).unwrap())
        .map(|number| Op::PutPrefix {
            ruleset: RulesetId(8),
            prefix: Prefix {
                address: std::net::Ipv4Addr::from_bits(number).into(),
                len: 32,
            },
            list: WEB,
        })
        .collect()
}

fn learned(count: usize) -> Vec<Op> {
    (0..u32::try_from(count).unwrap())
        .map(|number| Op::PutLearned {
            ruleset: RULES,
            address: std::net::Ipv4Addr::from_bits(number).into(),
            lease: 0,
            steps: vec![LearnedStep {
                expires_at: 9_000,
                list: WEB,
            }],
        })
        .collect()
}

fn workloads(count: usize) -> Vec<Op> {
    (0..u64::try_from(count).unwrap())
        .map(|number| Op::SetWorkload {
            workload: WorkloadId(1_000_000 + number),
            ruleset: RULES,
            flags: 0,
        })
        .collect()
}

#[test]
fn writes_come_in_phases() {
    let next = RulesetId(8);
    let mut ops = vec![
        Op::SetWorkload {
            workload: WorkloadId(CGROUP),
            ruleset: next,
            flags: 0,
        },
        Op::DelRuleset { ruleset: RULES },
        slot(1, "192.0.2.53:53"),
    ];
    ops.extend(ruleset(next, &[("192.0.2.0/24", ListId(3))]));
    ops.push(Op::PutList {
        list: ListId(3),
        rows: vec![default_row(Verdict::Allow)],
    });
    let kinds: Vec<_> = stage(ops).unwrap().iter().map(kind).collect();
    assert_eq!(
        kinds,
        [
            "port", "port", "list", "prefix", "prefix", "prefix", "origin", "slot", "workload",
            "epoch", "-prefix", "-prefix"
        ]
    );
}

#[test]
fn an_interrupted_list_may_be_written_again() {
    let list = Op::PutList {
        list: ListId(3),
        rows: vec![default_row(Verdict::Allow)],
    };
    let use_it = Op::PutPrefix {
        ruleset: RulesetId(8),
        prefix: prefix("192.0.2.0/24"),
        list: ListId(3),
    };
    let mut ledger = Ledger::new();
    let batch: Batch = [list].into_iter().collect();
    let writes = ledger.stage(&batch).unwrap();
    ledger.wrote(&writes[0]);
    let refused = ledger.stage(&[use_it].into_iter().collect());
    assert_eq!(
        refused,
        Err(PlanError::UnknownList { list: ListId(3) }),
        "half a list is none"
    );
    assert_eq!(
        ledger.stage(&batch).unwrap(),
        writes,
        "and is written as a whole"
    );
}

#[test]
fn a_forgotten_list_may_be_written_again() {
    let mut maps = tables(&[]);
    learn(&mut maps, RULES, "192.0.2.9", &[(9_000, WEB)]);
    let open = |maps: &HostMaps| connects(maps, &HostSocket::new(CGROUP), &tcp("192.0.2.9", 80));
    assert!(open(&maps));
    crate::world::apply(&mut maps, vec![Op::DelList { list: WEB }]);
    assert!(!open(&maps));
    crate::world::apply(
        &mut maps,
        vec![Op::PutList {
            list: WEB,
            rows: vec![default_row(Verdict::Allow)],
        }],
    );
    assert!(open(&maps));
}

#[test]
fn a_slot_may_change_hands_in_one_batch() {
    let mut ledger = Ledger::new();
    let ops = [
        slot(1, "192.0.2.53:53"),
        Op::DelSlot { slot: 1 },
        slot(1, "192.0.2.54:53"),
        slot(2, "192.0.2.53:53"),
    ];
    for write in ledger.stage(&ops.into_iter().collect()).unwrap() {
        ledger.wrote(&write);
    }
    assert_eq!(
        ledger.slot(1),
        Some((WorkloadId(CGROUP), "192.0.2.54:53".parse().unwrap()))
    );
    assert_eq!(
        ledger.slot(2),
        Some((WorkloadId(CGROUP), "192.0.2.53:53".parse().unwrap()))
    );
}

#[test]
fn a_ruleset_is_forgotten_with_everything_under_it() {
    let mut maps = tables(&[]);
    learn(&mut maps, RULES, "192.0.2.9", &[(9_000, WEB)]);
    crate::world::apply(&mut maps, ruleset(RulesetId(8), &[]));
    hold(&mut maps, RulesetId(8), 0);
    crate::world::apply(&mut maps, vec![Op::DelRuleset { ruleset: RULES }]);
    let left = ebpf_logic::rule(&maps, RULES.0, &tcp("192.0.2.9", 80), ebpf_logic::Age::New);
    assert_eq!(left.cause, ebpf_abi::Cause::NoRuling);
}

type Rules = Vec<((u8, u8, u8), usize)>;

fn rules() -> impl Strategy<Value = Rules> {
    vec(((0u8..2, 0u8..4, 20u8..=32), 0usize..3), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever write fails, what is open then was open before or is meant to be open after.
    #[test]
    fn half_a_switch_opens_nothing(before in rules(), after in rules(), learned in vec((0u8..2, 0u8..4), 0..3)) {
        let workload = WorkloadId(CGROUP);
        let lists = |base: u32| {
            (0..3).map(move |at| {
                let verdict = if at == 0 { Verdict::Deny } else { Verdict::Allow };
                Op::PutList { list: ListId(base + at), rows: vec![default_row(verdict)] }
            })
        };
        let whole = |ruleset: RulesetId, base: u32, rules: &Rules| {
            let zero = ["0.0.0.0/0", "::/0"].map(|text| (prefix(text), 0));
            let given = rules.iter().map(|&((c, d, len), at)| {
                let address = std::net::IpAddr::from([198, 51, c, d]);
                (Prefix { address, len }, at)
            });
            let put = move |(prefix, at)| Op::PutPrefix {
                ruleset,
                prefix,
                list: ListId(base + u32::try_from(at).unwrap()),
            };
            zero.into_iter().chain(given).map(put).collect::<Vec<_>>()
        };
        let first: Batch = lists(1)
            .chain(whole(RulesetId(1), 1, &before))
            .chain([Op::SetWorkload { workload, ruleset: RulesetId(1), flags: 0 }])
            .collect();
        let names = learned.iter().map(|&(c, d)| Op::PutLearned {
            ruleset: RulesetId(2),
            address: std::net::IpAddr::from([198, 51, c, d]),
            lease: 0,
            steps: vec![LearnedStep { expires_at: u64::MAX, list: ListId(12) }],
        });
        let second: Batch = [Op::SetWorkload { workload, ruleset: RulesetId(2), flags: 0 }]
            .into_iter()
            .chain([Op::DelRuleset { ruleset: RulesetId(1) }])
            .chain(names)
            .chain(whole(RulesetId(2), 11, &after))
            .chain(lists(11))
            .collect();
        let (mut old, mut new) = (HostMaps::new(PORT), HostMaps::new(PORT));
        old.apply(&first).unwrap();
        new.apply(&first).unwrap();
        new.apply(&second).unwrap();
        let (mut half, mut ledger) = (HostMaps::new(PORT), Ledger::new());
        half.apply(&first).unwrap();
        for write in ledger.stage(&first).unwrap() {
            ledger.wrote(&write);
        }
        for write in ledger.stage(&second).unwrap() {
            half.write(&write);
            for (c, d) in (0..2).flat_map(|c| (0..4).map(move |d| (c, d))) {
                let target = tcp(&format!("198.51.{c}.{d}"), 80);
                let open = |maps: &HostMaps| connects(maps, &HostSocket::new(CGROUP), &target);
                prop_assert!(!open(&half) || open(&old) || open(&new), "198.51.{}.{} after {:?}", c, d, write);
            }
        }
    }
}

fn kind(write: &Write) -> &'static str {
    match write {
        Write::Port(_, Some(_)) => "port",
        Write::Port(_, None) => "-port",
        Write::ListStands(_) => "list",
        Write::ListFalls(_) => "-list",
        Write::Prefix(_, Some(_)) => "prefix",
        Write::Prefix(_, None) => "-prefix",
        Write::Learned(_, Some(_)) => "learned",
        Write::Learned(_, None) => "-learned",
        Write::Slot(_, Some(_)) => "slot",
        Write::Slot(_, None) => "-slot",
        Write::Origin(_, Some(_)) => "origin",
        Write::Origin(_, None) => "-origin",
        Write::Workload(_, Some(_)) => "workload",
        Write::Workload(_, None) => "-workload",
        Write::Epoch(_) => "epoch",
    }
}
