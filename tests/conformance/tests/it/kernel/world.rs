//! A cgroup under the programs, and a client in it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ebpf_abi::Event;
use ebpf_abi::plan::{Batch, WorkloadId};
use ebpf_loader::{Datapath as _, Events, Kernel, Options, cgroup_id, cgroup_level, cgroup2_mount};
use gateway_playground::Site;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use policy_engine::Flow;
use policy_model::Protocol;

use crate::host::Fate;
use crate::player::Tables;

/// Where the interceptor's stand-in listens; nobody else listens anywhere.
const INTERCEPTOR: u16 = 5300;
/// How soon the stand-in notices that it is to end.
const TURN: u16 = 50;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Programs, a namespace that owns every address, and a client that is held there.
pub(crate) struct World {
    pub(crate) workload: WorkloadId,
    kernel: Kernel,
    events: Events,
    client: Client,
    interceptor: Interceptor,
    site: Site,
    cgroup: PathBuf,
}

struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Accepts every connection and answers every datagram that comes to the slots.
struct Interceptor {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let cgroup = cgroup2_mount()
            .unwrap()
            .join(format!("egret-conformance-{}-{number}", std::process::id()));
        fs::create_dir(&cgroup).unwrap();
        let directory = File::open(&cgroup).unwrap();
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
        let site = Site::new("conformance", &[]).unwrap();
        site.own_everything().unwrap();
        Self {
            workload: WorkloadId(cgroup_id(&directory).unwrap()),
            events: kernel.events().unwrap(),
            interceptor: Interceptor::start(&site),
            client: Client::start(&site, &cgroup.join("cgroup.procs")),
            kernel,
            site,
            cgroup,
        }
    }

    /// Starts flows, all at once. What is not heard of in time is taken for lost.
    pub(crate) fn start(&mut self, flows: &[Flow], patience: Duration) -> Vec<Fate> {
        for flow in flows {
            let Flow { ip, port, protocol } = flow;
            match *protocol {
                Protocol::TCP => self.client.write(&format!("tcp {ip} {port}")),
                Protocol::UDP => self.client.write(&format!("udp {ip} {port}")),
                Protocol(number) => self.client.write(&format!("raw {number} {ip} {port}")),
            }
        }
        self.client.write(&format!("go {}", patience.as_millis()));
        flows.iter().map(|flow| self.fate(flow)).collect()
    }

    /// Makes a connection and keeps it.
    pub(crate) fn open(&mut self, flow: &Flow) -> Fate {
        self.client
            .write(&format!("open {} {}", flow.ip, flow.port));
        self.client.write("go 400");
        // Somebody listens here, whether or not the call was turned to the interceptor.
        match self.fate(flow) {
            Fate::Redirected => Fate::Allowed,
            fate @ (Fate::Allowed | Fate::Rejected | Fate::Dropped) => fate,
        }
    }

    /// Writes to every connection that is kept.
    pub(crate) fn say(&mut self) {
        self.client.write("say");
        assert_eq!(self.client.read(), "said");
    }

    /// Closes them.
    pub(crate) fn close(&mut self) {
        self.client.write("close");
    }

    /// Everything that was told since the last call.
    pub(crate) fn told(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.take()).collect()
    }

    /// Runs something in the namespace.
    pub(super) fn in_it<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.site.run(work).unwrap()
    }

    fn fate(&mut self, flow: &Flow) -> Fate {
        match self.client.read().as_str() {
            "eperm" => Fate::Rejected,
            "refused" => Fate::Allowed,
            "answered" => Fate::Redirected,
            "silent" => Fate::Dropped,
            other => panic!("{flow:?}: {other}"),
        }
    }
}

impl Tables for &mut World {
    fn apply(&mut self, batch: &Batch) {
        self.kernel.apply(batch).unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.client.child.kill());
        drop(self.client.child.wait());
        self.interceptor.end();
        drop(fs::remove_dir(&self.cgroup));
    }
}

impl Client {
    fn start(site: &Site, processes: &std::path::Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conformance-client"));
        command.arg(processes);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = site.spawn(command).unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
        }
    }

    fn write(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    fn read(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(
            self.output.read_line(&mut line).unwrap(),
            0,
            "the client is gone"
        );
        line.trim_end().to_owned()
    }
}

impl Interceptor {
    fn start(site: &Site) -> Self {
        // Both families come to a socket of IPv6 that nothing else is said to.
        let anywhere = (Ipv6Addr::UNSPECIFIED, INTERCEPTOR);
        let listener = site.run(move || TcpListener::bind(anywhere).unwrap());
        let datagrams = site.run(move || UdpSocket::bind(anywhere).unwrap());
        let (listener, datagrams) = (listener.unwrap(), datagrams.unwrap());
        let over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let over = Arc::clone(&over);
            move || serve(&over, &listener, &datagrams)
        });
        Self {
            over,
            thread: Some(thread),
        }
    }

    fn end(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(over: &AtomicBool, listener: &TcpListener, datagrams: &UdpSocket) {
    listener.set_nonblocking(true).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    while !over.load(Ordering::Relaxed) {
        let mut polled = [listener.as_fd(), datagrams.as_fd()]
            .map(|socket| PollFd::new(socket, PollFlags::POLLIN));
        poll(&mut polled, PollTimeout::from(TURN)).unwrap();
        while listener.accept().is_ok() {}
        let mut datagram = [0; 512];
        while let Ok((length, from)) = datagrams.recv_from(&mut datagram) {
            drop(datagrams.send_to(&datagram[..length], from));
        }
    }
}
