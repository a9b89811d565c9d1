//! A network namespace with servers, a cgroup with a client, and the programs between them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a world that cannot be set up fails the test"
)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ebpf_abi::plan::{Batch, LearnedStep, ListId, Op, PortRule, Prefix, RulesetId, WorkloadId};
use ebpf_abi::{Event, PortRow, Style, Verdict, workload_flags};
use ebpf_loader::{
    Datapath, Events, Kernel, Options, boot_now, cgroup_id, cgroup_level, cgroup2_mount,
};

/// Where the test's interceptor listens.
pub(crate) const INTERCEPTOR: u16 = 5300;
/// Lists every world knows.
pub(crate) const NOTHING: ListId = ListId(1);
pub(crate) const WEB: ListId = ListId(2);
pub(crate) const MAIL: ListId = ListId(3);
pub(crate) const EVERYTHING: ListId = ListId(4);
pub(crate) const SILENT: ListId = ListId(5);
/// The ruleset every world starts with.
pub(crate) const RULES: RulesetId = RulesetId(7);

/// Addresses of the namespace's loopback device that are not loopback addresses: judged like any other.
const ADDRESSES: [&str; 6] = [
    "203.0.113.7/32",
    "203.0.113.8/32",
    "192.0.2.53/32",
    "192.0.2.54/32",
    "2001:db8::7/128",
    "2001:db8::53/128",
];

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct World {
    pub(crate) kernel: Kernel,
    pub(crate) events: Events,
    pub(crate) client: Agent,
    pub(crate) server: Agent,
    pub(crate) workload: WorkloadId,
    cgroup: PathBuf,
}

/// A process that does what it is told.
pub(crate) struct Agent {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Whether this machine lets the test run. In CI it must.
pub(crate) fn privileged() -> bool {
    let root = nix::unistd::geteuid().is_root();
    assert!(
        root || std::env::var_os("CI").is_none(),
        "kernel tests need root, and CI is set"
    );
    root
}

impl World {
    /// Programs attached, and a ruleset that denies everything.
    pub(crate) fn new() -> Self {
        Self::with_flags(workload_flags::FILTERED)
    }

    pub(crate) fn with_flags(flags: u32) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let cgroup = cgroup2_mount()
            .unwrap()
            .join(format!("egret-test-{}-{number}", std::process::id()));
        fs::create_dir(&cgroup).unwrap();
        let directory = File::open(&cgroup).unwrap();
        let workload = WorkloadId(cgroup_id(&directory).unwrap());
        let options = Options {
            interceptor_port: INTERCEPTOR,
            cgroup_level: cgroup_level(&cgroup).unwrap(),
        };
        // `cargo xtask ebpf-verify` tests an object that is not committed.
        let mut kernel = match std::env::var_os("EGRET_BPF_OBJECT") {
            Some(path) => Kernel::load_object(&fs::read(path).unwrap(), &options).unwrap(),
            None => Kernel::load(&options).unwrap(),
        };
        kernel.attach(directory.as_fd()).unwrap();
        let events = kernel.events().unwrap();

        let mut server = Agent::start();
        server.ok("ctypes.CDLL(None).unshare(0x40000000)");
        server.ok("os.system('ip link set lo up')");
        let addresses: String = ADDRESSES
            .map(|address| format!("ip addr add {address} dev lo; "))
            .concat();
        server.ok(&format!("os.system('{addresses}')"));
        // The test cannot reach into the namespace without unsafe code; the server opens its file for the client.
        let pid = server.ok("os.getpid()");
        let mut client = Agent::start();
        client.ok(&format!(
            "open({:?}, 'w').write(str(os.getpid()))",
            cgroup.join("cgroup.procs")
        ));
        client.ok(&format!(
            "ctypes.CDLL(None).setns(os.open('/proc/{pid}/ns/net', 0), 0x40000000)"
        ));

        let mut world = Self {
            kernel,
            events,
            client,
            server,
            workload,
            cgroup,
        };
        world.apply(lists());
        world.apply(vec![
            Op::PutPrefix {
                ruleset: RULES,
                prefix: prefix("0.0.0.0/0"),
                list: NOTHING,
            },
            Op::PutPrefix {
                ruleset: RULES,
                prefix: prefix("::/0"),
                list: NOTHING,
            },
            Op::SetWorkload {
                workload,
                ruleset: RULES,
                flags,
            },
        ]);
        world
    }

    pub(crate) fn apply(&mut self, ops: Vec<Op>) {
        self.kernel
            .apply(&ops.into_iter().collect::<Batch>())
            .unwrap();
    }

    /// Opens an address for a while.
    pub(crate) fn learn(&mut self, address: &str, steps: &[(Duration, ListId)]) {
        self.learn_in(RULES, address, steps);
    }

    /// Opens an address under another ruleset.
    pub(crate) fn learn_in(
        &mut self,
        ruleset: RulesetId,
        address: &str,
        steps: &[(Duration, ListId)],
    ) {
        let now = boot_now();
        let end = |after: Duration| now + u64::try_from(after.as_nanos()).unwrap();
        let steps = steps
            .iter()
            .map(|&(after, list)| LearnedStep {
                expires_at: end(after),
                list,
            })
            .collect();
        self.apply(vec![Op::PutLearned {
            ruleset,
            address: address.parse().unwrap(),
            lease: 42,
            steps,
        }]);
    }

    /// Opens an address until moments of the boot clock.
    pub(crate) fn learn_until(&mut self, address: &str, steps: &[(u64, ListId)]) {
        let steps = steps
            .iter()
            .map(|&(expires_at, list)| LearnedStep { expires_at, list })
            .collect();
        self.apply(vec![Op::PutLearned {
            ruleset: RULES,
            address: address.parse().unwrap(),
            lease: 42,
            steps,
        }]);
    }

    /// Makes questions to `servers` go to the interceptor: slots 1, 2, …
    pub(crate) fn resolvers(&mut self, servers: &[&str]) {
        let workload = self.workload;
        let slots = (1..).zip(servers).map(|(slot, server)| Op::PutSlot {
            slot,
            workload,
            server: server.parse::<SocketAddr>().unwrap(),
        });
        self.apply(slots.collect());
    }

    /// Everything that was told since the last call.
    pub(crate) fn told(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.take()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for agent in [&mut self.client, &mut self.server] {
            drop(agent.child.kill());
            drop(agent.child.wait());
        }
        drop(fs::remove_dir(&self.cgroup));
    }
}

impl Agent {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kernel/agent.py");
        let mut child = Command::new("python3")
            .args(["-u", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
        }
    }

    /// The outcome: `ok VALUE`, `errno NAME`, `timeout` or `error …`.
    pub(crate) fn does(&mut self, code: &str) -> String {
        let hex: String = code.bytes().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.input, "{hex}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The value of something that must succeed.
    pub(crate) fn ok(&mut self, code: &str) -> String {
        let outcome = self.does(code);
        let value = outcome
            .strip_prefix("ok")
            .unwrap_or_else(|| panic!("`{code}`: {outcome}"));
        value.trim_start().to_owned()
    }
}

pub(crate) fn prefix(text: &str) -> Prefix {
    let (address, len) = text.split_once('/').unwrap();
    Prefix {
        address: address.parse::<IpAddr>().unwrap(),
        len: len.parse().unwrap(),
    }
}

pub(crate) fn allow(reason: u32) -> PortRow {
    PortRow {
        verdict: Verdict::Allow as u8,
        would: Verdict::Allow as u8,
        reason,
        ..PortRow::default()
    }
}

pub(crate) fn deny(reason: u32) -> PortRow {
    PortRow {
        reason,
        ..PortRow::default()
    }
}

fn lists() -> Vec<Op> {
    let default = |ruling| PortRule {
        protocol: None,
        port: 0,
        port_bits: 0,
        ruling,
    };
    let port = |protocol, port| PortRule {
        protocol: Some(protocol),
        port,
        port_bits: 16,
        ruling: allow(u32::from(port)),
    };
    vec![
        Op::PutList {
            list: NOTHING,
            rows: vec![default(deny(1))],
        },
        Op::PutList {
            list: WEB,
            rows: vec![
                default(deny(2)),
                port(6, 80),
                port(17, 80),
                port(1, 8 << 8),
                port(58, 128 << 8),
            ],
        },
        Op::PutList {
            list: MAIL,
            rows: vec![default(deny(3)), port(6, 25)],
        },
        Op::PutList {
            list: EVERYTHING,
            rows: vec![default(allow(4))],
        },
        Op::PutList {
            list: SILENT,
            rows: vec![default(PortRow {
                style: Style::Drop as u8,
                ..deny(5)
            })],
        },
    ]
}
