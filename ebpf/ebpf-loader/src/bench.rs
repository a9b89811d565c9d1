//! What the packet hook costs, by path, measured by the kernel itself (`BPF_PROG_TEST_RUN`).
//!
//! The kernel runs the program on a packet of ours with a socket of its own making. Costs are read against a program
//! that does nothing, run the same way: the difference is what a packet of a held command pays. A real send costs
//! thousands of nanoseconds; these figures are the floor, with everything in the cache.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use aya::programs::{ProgramError, TestRun as _, TestRunOptions};
use ebpf_abi::plan::{Batch, LearnedStep, ListId, Op, PortRule, Prefix, RulesetId, WorkloadId};
use ebpf_abi::{PortRow, Verdict};

use crate::cgroup::{cgroup_id, cgroup2_mount};
use crate::datapath::{ApplyError, Datapath as _};
use crate::kernel::{Kernel, LoadError, Options};

/// Runs of one program in one measurement of a path that repeats.
const REPEATS: u32 = 200_000;
/// Measurements of a path that exists once for each socket.
const SOCKETS: usize = 5_001;
/// Measurements of a path that repeats; the median counts.
const ROUNDS: usize = 7;

const PORT: u16 = 5300;
const RULES: RulesetId = RulesetId(1);
const NOTHING: ListId = ListId(1);
const WEB: ListId = ListId(2);

/// One path through the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The path, in words.
    pub path: &'static str,
    /// Learned addresses in the table.
    pub learned: u32,
    /// Median of one run.
    pub run: Duration,
    /// The same of a program that does nothing.
    pub nothing: Duration,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("the kernel did not run the program")]
    Run(#[source] ProgramError),
    #[error("the root of the cgroup hierarchy cannot be used")]
    Cgroup(#[source] std::io::Error),
    #[error("`{path}` was expected to {expected}, the program said {got}")]
    Verdict {
        path: &'static str,
        expected: &'static str,
        got: u32,
    },
}

impl Cost {
    /// What the path costs above a program that does nothing.
    pub const fn above_nothing(&self) -> Duration {
        self.run.saturating_sub(self.nothing)
    }
}

/// Measures every path at each number of learned addresses. Needs the right to load programs; attaches nothing and
/// sends nothing.
///
/// # Errors
///
/// See [`BenchError`].
pub fn egress_costs(learned: &[u32]) -> Result<Vec<Cost>, BenchError> {
    let mut costs = Vec::new();
    for &count in learned {
        // Level 0 is the root of the hierarchy: whoever measures belongs to it.
        let mut kernel = Kernel::load(&Options {
            interceptor_port: PORT,
            cgroup_level: 0,
        })?;
        fill(&mut kernel, count)?;
        for path in PATHS {
            costs.push(measure(&mut kernel, &path, count)?);
        }
    }
    Ok(costs)
}

/// A packet, and how often it may be repeated before it is another path.
struct Path {
    name: &'static str,
    to: Ipv4Addr,
    port: u16,
    protocol: u8,
    kind: Kind,
    passes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every run after the first takes the same path.
    Repeats,
    /// Only a fresh socket takes it.
    OncePerSocket,
}

const LEARNED: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const FIXED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const CLOSED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SLOT: Ipv4Addr = Ipv4Addr::new(127, 83, 0, 1);

const PATHS: [Path; 6] = [
    Path {
        name: "established, TCP",
        to: LEARNED,
        port: 443,
        protocol: 6,
        kind: Kind::Repeats,
        passes: true,
    },
    Path {
        name: "established, UDP",
        to: LEARNED,
        port: 443,
        protocol: 17,
        kind: Kind::Repeats,
        passes: true,
    },
    Path {
        name: "new flow, learned",
        to: LEARNED,
        port: 443,
        protocol: 17,
        kind: Kind::OncePerSocket,
        passes: true,
    },
    Path {
        name: "new flow, by prefix",
        to: FIXED,
        port: 443,
        protocol: 17,
        kind: Kind::OncePerSocket,
        passes: true,
    },
    Path {
        name: "question to the interceptor",
        to: SLOT,
        port: PORT,
        protocol: 17,
        kind: Kind::Repeats,
        passes: true,
    },
    Path {
        name: "denied",
        to: CLOSED,
        port: 443,
        protocol: 17,
        kind: Kind::Repeats,
        passes: false,
    },
];

fn measure(kernel: &mut Kernel, path: &Path, learned: u32) -> Result<Cost, BenchError> {
    let bytes = packet(path);
    let (repeat, samples) = match path.kind {
        Kind::Repeats => (REPEATS, ROUNDS),
        Kind::OncePerSocket => (1, SOCKETS),
    };
    let nothing = median(kernel, "nothing", &bytes, repeat, samples)?.0;
    let (run, got) = median(kernel, "egress", &bytes, repeat, samples)?;
    if (got == 1) != path.passes {
        let expected = if path.passes { "pass" } else { "be denied" };
        return Err(BenchError::Verdict {
            path: path.name,
            expected,
            got,
        });
    }
    Ok(Cost {
        path: path.name,
        learned,
        run,
        nothing,
    })
}

/// The median time of one run, and the last verdict.
fn median(
    kernel: &mut Kernel,
    program: &'static str,
    bytes: &[u8],
    repeat: u32,
    samples: usize,
) -> Result<(Duration, u32), BenchError> {
    let program = kernel.packet_program(program)?;
    let mut times = Vec::with_capacity(samples);
    let mut verdict = 0;
    for _ in 0..samples {
        let options = TestRunOptions {
            data_in: Some(bytes),
            repeat,
            ..TestRunOptions::new()
        };
        let result = program.test_run(options).map_err(BenchError::Run)?;
        // The kernel divides by the repeats itself.
        times.push(result.duration);
        verdict = result.return_value;
    }
    times.sort_unstable();
    Ok((times.get(samples / 2).copied().unwrap_or_default(), verdict))
}

/// One workload (everybody), one open prefix, and names that open `count` addresses.
fn fill(kernel: &mut Kernel, count: u32) -> Result<(), BenchError> {
    let root = std::fs::File::open(cgroup2_mount().map_err(BenchError::Cgroup)?)
        .map_err(BenchError::Cgroup)?;
    let workload = WorkloadId(cgroup_id(&root).map_err(BenchError::Cgroup)?);
    let allow = PortRow {
        verdict: Verdict::Allow as u8,
        would: Verdict::Allow as u8,
        ..PortRow::default()
    };
    let default = PortRule {
        protocol: None,
        port: 0,
        port_bits: 0,
        ruling: PortRow::default(),
    };
    let https = |protocol| PortRule {
        protocol: Some(protocol),
        port: 443,
        port_bits: 16,
        ruling: allow,
    };
    let prefix = |address: IpAddr, len, list| Op::PutPrefix {
        ruleset: RULES,
        prefix: Prefix { address, len },
        list,
    };
    let mut batch: Batch = [
        Op::PutList {
            list: NOTHING,
            rows: vec![default],
        },
        Op::PutList {
            list: WEB,
            rows: vec![default, https(6), https(17)],
        },
        prefix(Ipv4Addr::UNSPECIFIED.into(), 0, NOTHING),
        prefix(std::net::Ipv6Addr::UNSPECIFIED.into(), 0, NOTHING),
        prefix(FIXED.into(), 24, WEB),
        Op::PutSlot {
            slot: 1,
            workload,
            server: (CLOSED, 53).into(),
        },
        Op::SetWorkload {
            workload,
            ruleset: RULES,
            flags: ebpf_abi::workload_flags::FILTERED,
        },
    ]
    .into_iter()
    .collect();
    let first = u32::from(LEARNED);
    batch.extend((0..count).map(|number| Op::PutLearned {
        ruleset: RULES,
        address: Ipv4Addr::from(first + number).into(),
        lease: number,
        steps: vec![LearnedStep {
            expires_at: u64::MAX,
            list: WEB,
        }],
    }));
    Ok(kernel.apply(&batch)?)
}

/// An Ethernet header (which the kernel takes off again), IPv4, and ports.
fn packet(path: &Path) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    bytes.extend([
        0x08,
        0x00,
        0x45,
        0,
        0,
        60,
        0,
        1,
        0,
        0,
        64,
        path.protocol,
        0,
        0,
        192,
        0,
        2,
        2,
    ]);
    bytes.extend(path.to.octets());
    bytes.extend(4000u16.to_be_bytes());
    bytes.extend(path.port.to_be_bytes());
    bytes.extend([0; 36]);
    bytes
}
