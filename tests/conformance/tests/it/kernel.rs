//! The programs in this machine's kernel: the same plans in its tables, asked by real sockets of a held process.
//!
//! The process is alone in a network namespace in which every address is its own, so that nothing leaves and everything
//! that is let out is answered at once. Time is the boot clock's: a scene is shifted so that its "now" is the machine's.

mod world;

use std::io::Read as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use dns_names::Name;
use ebpf_abi::Event;
use ebpf_loader::boot_now;
use gateway_state::WorkloadView;
use policy_cases::{
    Address, By, Engine, EngineError, Observed, ObservedFlow, ObservedQuery, Trial, TrialKind,
};
use policy_engine::{Flow, Verdict};
use policy_model::{Protocol, Time};
use testkit::as_root;

use crate::corpus::files;
use crate::host::{Fate, how, intercepted, to_resolver, verdict, would};
use crate::player::{Player, answers, for_tables, play};
use crate::suite;

pub(crate) use world::World;

/// Half of the least difference of a scene's times: what is asked before it has passed is asked at the scene's second.
const HALF: Duration = Duration::from_millis(500);
/// How often a scene is played when the machine is too busy to ask in time.
const TRIES: usize = 5;
/// How long something lost is waited for before it is held for lost.
const PATIENCE: Duration = Duration::from_millis(100);
/// And what the programs let out may be late by.
pub(crate) const LATE: Duration = Duration::from_secs(5);

/// The suite's engine.
struct KernelEngine {
    world: World,
}

#[test]
fn the_kernel_agrees_with_every_file() {
    as_root(|| {
        let mut engine = KernelEngine {
            world: World::new(),
        };
        suite::run(&mut engine, &files()).check("kernel", 195);
    });
}

/// What was asked, and what came of it.
struct Asked<T> {
    outcome: T,
    in_time: bool,
}

impl Engine for KernelEngine {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn run(&mut self, trial: &Trial<'_>) -> Result<Observed, EngineError> {
        for_tables(trial, self.name())?;
        for _ in 0..TRIES {
            let Asked { outcome, in_time } = self.ask(trial)?;
            if in_time {
                return Ok(outcome);
            }
        }
        Err(EngineError::Failed {
            engine: "kernel",
            why: "this machine is too busy to ask within half a second".into(),
        })
    }
}

impl KernelEngine {
    fn ask(&mut self, trial: &Trial<'_>) -> Result<Asked<Observed>, EngineError> {
        match &trial.kind {
            TrialKind::Flow {
                question,
                addresses,
                protocol,
                port,
                established: false,
            } => self.at_now(trial, |run| {
                let question = question
                    .as_ref()
                    .and_then(|question| run.ask_anyone(&question.name));
                let refused = question
                    .as_ref()
                    .is_some_and(|question| question.verdict == Verdict::Deny);
                let flows = addresses.iter().filter(|_| !refused);
                Observed::Flow(ObservedFlow {
                    addresses: flows
                        .map(|ip| run.flow(&Flow::new(*ip, *protocol, *port)))
                        .collect(),
                    question,
                })
            }),
            TrialKind::Flow {
                addresses,
                protocol: Protocol::TCP,
                port,
                established: true,
                ..
            } => {
                let flows: Vec<Flow> = addresses
                    .iter()
                    .map(|ip| Flow::new(*ip, Protocol::TCP, *port))
                    .collect();
                self.established(trial, &flows)
            }
            TrialKind::Flow { .. } => Err(not_for_it("only connections are kept")),
            TrialKind::Query {
                question,
                server,
                port,
                protocol,
            } => self.at_now(trial, |run| {
                let flow = Flow::new(*server, *protocol, *port);
                Observed::Query(run.ask(&flow, &question.name).0)
            }),
            TrialKind::Learned { .. } => {
                Err(not_for_it("what is learned is seen by what it opens"))
            }
        }
    }

    /// Plays the scene so that its second is this one, and asks.
    fn at_now(
        &mut self,
        trial: &Trial<'_>,
        ask: impl FnOnce(&mut Run<'_, '_>) -> Observed,
    ) -> Result<Asked<Observed>, EngineError> {
        let clock = Clock::showing(trial.now, trial)?;
        let id = self.world.workload;
        let player = play(trial, id, &mut self.world, trial.now, |time| {
            clock.boot(time)
        })?;
        let mut run = Run { trial, player };
        let outcome = ask(&mut run);
        let in_time = clock.is_in_time();
        run.player.release(id);
        Ok(Asked { outcome, in_time })
    }

    /// Connections that are made when everything is fresh, and written to at the scene's time after all of it was put
    /// into the tables again.
    fn established(
        &mut self,
        trial: &Trial<'_>,
        flows: &[Flow],
    ) -> Result<Asked<Observed>, EngineError> {
        let id = self.world.workload;
        let fresh = answers(trial).last().map_or(trial.now, |answer| answer.at);
        let clock = Clock::showing(fresh, trial)?;
        let mut player = play(trial, id, &mut self.world, fresh, |time| clock.boot(time))?;
        let mut seen = Vec::new();
        let mut open = Vec::new();
        for flow in flows {
            let listener = player.tables.listen(flow);
            let fate = player.tables.open(flow);
            let in_time = clock.is_in_time();
            if verdict(fate) == Verdict::Allow {
                open.push((*flow, listener.accept().unwrap().0));
            } else {
                let mut run = Run { trial, player };
                seen.push(run.address(flow, fate));
                player = run.player;
            }
            if !in_time {
                player.tables.close();
                player.release(id);
                let outcome = Observed::Flow(ObservedFlow {
                    question: None,
                    addresses: seen,
                });
                return Ok(Asked { outcome, in_time });
            }
        }
        player.release(id);
        drop(player);
        let clock = Clock::showing(trial.now, trial)?;
        let player = play(trial, id, &mut self.world, trial.now, |time| {
            clock.boot(time)
        })?;
        let mut run = Run { trial, player };
        run.player.tables.say();
        for (flow, mut stream) in open {
            stream.set_read_timeout(Some(HALF)).unwrap();
            let arrived = stream.read(&mut [0]).is_ok_and(|length| length == 1);
            let fate = if arrived {
                Fate::Allowed
            } else {
                Fate::Rejected
            };
            seen.push(run.address(&flow, fate));
        }
        run.player.tables.close();
        run.player.release(id);
        let outcome = Observed::Flow(ObservedFlow {
            question: None,
            addresses: seen,
        });
        Ok(Asked {
            outcome,
            // An established flow does not look at the time.
            in_time: true,
        })
    }
}

struct Run<'t, 'w> {
    trial: &'t Trial<'t>,
    player: Player<&'w mut World>,
}

impl Run<'_, '_> {
    fn flow(&mut self, flow: &Flow) -> Address {
        let fate = self.player.tables.start(&[*flow], PATIENCE)[0];
        if fate == Fate::Redirected {
            return to_resolver(&self.view(), flow);
        }
        self.address(flow, fate)
    }

    fn address(&mut self, flow: &Flow, fate: Fate) -> Address {
        let told = self.player.tables.told();
        let event = told.iter().rev().find(|event| tells_of(event, flow));
        let reason = event.and_then(|event| self.player.reason(event));
        Address {
            ip: flow.ip,
            verdict: verdict(fate),
            would: event.map(would),
            how: how(fate),
            by: reason.as_ref().map(By::of),
        }
    }

    fn ask_anyone(&mut self, name: &Name) -> Option<ObservedQuery> {
        let mut first = None;
        for resolver in self.trial.scene.world.resolvers.clone() {
            for protocol in [Protocol::UDP, Protocol::TCP] {
                let flow = Flow::new(resolver.address, protocol, resolver.port);
                let (asked, intercepted) = self.ask(&flow, name);
                if !intercepted {
                    return None;
                }
                if asked.verdict == Verdict::Allow {
                    return Some(asked);
                }
                first.get_or_insert(asked);
            }
        }
        first
    }

    /// A question, and whether it came to the interceptor.
    fn ask(&mut self, flow: &Flow, name: &Name) -> (ObservedQuery, bool) {
        let fate = self.player.tables.start(&[*flow], PATIENCE)[0];
        if fate == Fate::Redirected {
            return (intercepted(&self.view(), flow, name), true);
        }
        let Address {
            verdict,
            would,
            how,
            by,
            ..
        } = self.address(flow, fate);
        let query = ObservedQuery {
            verdict,
            would,
            rcode: None,
            how,
            by,
        };
        (query, false)
    }

    fn view(&self) -> Arc<WorkloadView> {
        self.player.view(self.player.tables.workload).unwrap()
    }
}

/// The boot clock, set so that it shows a scene's time now, and half a second less.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    begun: Time,
    shows: Time,
}

impl Clock {
    fn showing(time: Time, trial: &Trial<'_>) -> Result<Self, EngineError> {
        let begun = Duration::from_nanos(boot_now());
        let oldest = answers(trial).first().map_or(time, |answer| answer.at);
        if time.saturating_sub(oldest) > begun {
            return Err(not_for_it("this machine has not been up for so long"));
        }
        Ok(Self { begun, shows: time })
    }

    fn boot(&self, time: Time) -> Time {
        (self.begun + HALF + time).saturating_sub(self.shows)
    }

    fn is_in_time(&self) -> bool {
        Duration::from_nanos(boot_now()) < self.begun + HALF
    }
}

/// Whether an event is about a flow.
pub(crate) fn tells_of(event: &Event, flow: &Flow) -> bool {
    let ip = crate::host::reached(flow.ip);
    (event.remote_ip(), event.remote_port, event.protocol) == (ip, flow.port, flow.protocol.0)
}

fn not_for_it(why: &str) -> EngineError {
    EngineError::Unsupported {
        engine: "kernel",
        why: why.into(),
    }
}

/// Where a namespace that owns every address listens on a port of one family.
fn anywhere(flow: &Flow) -> SocketAddr {
    if flow.ip.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, flow.port).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, flow.port).into()
    }
}

impl World {
    fn listen(&self, flow: &Flow) -> TcpListener {
        let at = anywhere(flow);
        self.in_it(move || TcpListener::bind(at)).unwrap()
    }
}
