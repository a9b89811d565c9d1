//! The path of an answer through judge, owner and tables, with a datapath that can be stopped or broken.

#![expect(clippy::unwrap_in_result, reason = "a table of a test fails the test")]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use dns_bindings::{Limits as LeaseLimits, Timing};
use dns_names::{Name, Query, Rcode, RecordType, UpstreamEdns};
use dns_server::{Config, Server, Sockets};
use ebpf_abi::Event;
use ebpf_abi::plan::{Batch, Op, WorkloadId};
use ebpf_loader::{ApplyError, Datapath};
use gateway_state::{Detail, GatewayState, Mode};
use policy_dialects::Context;
use policy_model::{Cluster, Resolver, Settings, Workload, World};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::judge::PolicyJudge;
use super::observation::{Observer, Times};
use super::owner::{self, Held, Owner};

#[test]
fn no_answer_leaves_while_the_write_of_its_address_is_paused() {
    let (entered, entries) = sync_channel(1);
    let (resume, resumes) = sync_channel(1);
    let egret = Interception::start(Table::Paused { entered, resumes });
    let client = egret.ask("api.example.com");

    entries
        .recv_timeout(PATIENCE)
        .expect("the answer's address is on its way to the table");
    client.set_nonblocking(true).unwrap();
    let early = client
        .recv(&mut [0; 512])
        .expect_err("nothing may be answered yet");
    assert_eq!(early.kind(), ErrorKind::WouldBlock);

    resume.send(()).unwrap();
    client.set_nonblocking(false).unwrap();
    assert_eq!(rcode(&client), Rcode::NOERROR);
}

#[test]
fn an_answer_whose_address_cannot_be_written_is_servfail() {
    let egret = Interception::start(Table::Broken);
    assert_eq!(rcode(&egret.ask("api.example.com")), Rcode::SERVFAIL);
    assert_eq!(
        rcode(&egret.ask("api.example.com")),
        Rcode::SERVFAIL,
        "the cached answer too"
    );
}

/// However many denials wait to be told, the next answer does not wait behind them, and is not refused for them.
#[test]
fn a_flood_of_denials_does_not_stand_before_an_answer() {
    let egret = Interception::start(Table::Sound);
    let tell = egret.tell.clone();
    let (full, filled) = sync_channel(1);
    let (stop, stopped) = sync_channel::<()>(0);
    let flood = std::thread::spawn(move || {
        let once = Times { count: 1, last: 0 };
        let mut sent = 0;
        while stopped.try_recv() != Err(TryRecvError::Disconnected) {
            tell.blocking_send((Event::default(), once)).unwrap();
            sent += 1;
            if sent == owner::WAITING * 2 {
                full.send(()).unwrap();
            }
        }
    });
    filled.recv_timeout(PATIENCE).unwrap();
    for number in 0..20 {
        let client = egret.ask(&format!("n{number}.api.example.com"));
        assert_eq!(rcode(&client), Rcode::NOERROR);
    }
    drop(stop);
    flood.join().unwrap();
}

#[test]
fn a_refused_question_needs_no_table() {
    let egret = Interception::start(Table::Broken);
    assert_eq!(rcode(&egret.ask("tracker.example.org")), Rcode::NXDOMAIN);
}

/// Longer than any step takes; only a failing test waits for so long.
const PATIENCE: Duration = Duration::from_secs(10);

const POLICY: &str = r#"
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: one}
spec: {egress: [{action: Allow, to: [{fqdn: ["api.example.com", "*.api.example.com"]}], ports: [{protocol: TCP, port: 443}]}]}
"#;

/// Tables that take everything; what names open, as the variant says.
enum Table {
    /// Says that it was reached, and waits to be told to go on.
    Paused {
        entered: SyncSender<()>,
        resumes: Receiver<()>,
    },
    /// Refuses.
    Broken,
    /// Takes it.
    Sound,
}

impl Datapath for Table {
    fn apply(&mut self, batch: &Batch) -> Result<(), ApplyError> {
        if !batch
            .ops()
            .iter()
            .any(|op| matches!(op, Op::PutLearned { .. }))
        {
            return Ok(());
        }
        match self {
            Self::Sound => Ok(()),
            Self::Paused { entered, resumes } => {
                entered.send(()).expect("the test waits for it");
                resumes
                    .recv_timeout(PATIENCE)
                    .expect("the test lets it go on");
                Ok(())
            }
            Self::Broken => {
                let source = std::io::Error::from(ErrorKind::OutOfMemory);
                Err(ApplyError::Write {
                    table: "LEARNED",
                    source,
                })
            }
        }
    }
}

/// An interceptor on loopback, with an upstream that knows one address for every name.
struct Interception {
    port: u16,
    tell: mpsc::Sender<(Event, Times)>,
    shutdown: CancellationToken,
}

impl Interception {
    fn start(table: Table) -> Self {
        let sockets = Sockets::open(0).unwrap();
        let port = sockets.port;
        let (observer, _observations) = Observer::new();
        let held = Held {
            id: WorkloadId(7),
            who: Workload::command(),
            mode: Mode::Enforce,
            world: World {
                resolvers: vec![Resolver {
                    address: "192.0.2.53".parse().unwrap(),
                    port: 53,
                }],
                ..World::default()
            },
            settings: Settings::default(),
        };
        let state = GatewayState::new(Timing::default(), LeaseLimits::default());
        let mut owner = Owner::new(state, table, held, observer.clone());
        let policy_dialects::Reading {
            policies,
            diagnostics,
            ..
        } = policy_dialects::read("test.yaml", POLICY, &Context::default());
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        owner.hold(&policies, Cluster::default()).unwrap();

        let (requests, waiting) = mpsc::channel(owner::WAITING);
        let judge = PolicyJudge {
            port,
            view: owner.view(),
            owner: requests,
            observer,
            detail: Detail::Everything,
        };
        let (tell, told) = mpsc::channel(owner::EVENTS_WAITING);
        let server = Server::new(&Config::new(vec![upstream()]), judge);
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let serving = tokio::spawn(owner.serve(waiting, told));
                server.serve(sockets, stop).await.unwrap();
                drop(server);
                drop(serving.await);
            });
        });
        Self {
            port,
            tell,
            shutdown,
        }
    }

    /// Asks for an address of `name`, at the slot of the one known resolver.
    fn ask(&self, name: &str) -> UdpSocket {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
            .connect((Ipv4Addr::new(127, 83, 0, 1), self.port))
            .unwrap();
        let query = Query::new(0x1234, Name::parse(name).unwrap(), RecordType::A);
        client.send(&query.to_upstream(UpstreamEdns::With)).unwrap();
        client
    }
}

impl Drop for Interception {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn rcode(client: &UdpSocket) -> Rcode {
    let mut reply = [0; 512];
    let length = client.recv(&mut reply).expect("an answer");
    assert!(length >= 12, "a header");
    Rcode(u16::from(reply[3] & 0x0f))
}

/// Answers every question with 203.0.113.7, for a minute.
fn upstream() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut message = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut message) {
            let Ok(query) = Query::read(&message[..length]) else {
                continue;
            };
            // The question as it came, without the OPT record behind it.
            let mut reply = message[..12 + query.name.as_str().len() + 1 + 4].to_vec();
            reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            // A pointer to its name, A, IN, 60 s, four octets.
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7]);
            drop(socket.send_to(&reply, from));
        }
    });
    address
}
