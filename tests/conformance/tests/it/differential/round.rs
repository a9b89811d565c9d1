//! One gateway under random policies, and what comes to it.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dns_bindings::Timing;
use dns_names::{Address, Resolution};
use ebpf_abi::plan::WorkloadId;
use ebpf_abi::slot;
use ebpf_logic::host::HostSocket;
use ebpf_logic::{CallAction, Fault, connect};
use gateway_state::{Mode, WorkloadView};
use policy_engine::testing::{self, Case, Random};
use policy_engine::{Age, Flow, MAX_STEPS, NamedLease, Verdict};
use policy_model::{Protocol, Time};

use super::Seen;
use super::court::Court;
use crate::host::{COMMAND, Fate, HostTables, verdict};
use crate::packets::Oddity;
use crate::player::{Player, Terms};

/// Sets of answers under each ruleset.
const ANSWERS: u64 = 5;
/// Flows for each set.
const FLOWS: usize = 6;
/// Longer than any lease: one set of answers is forgotten before the next comes in.
const TURN: Time = Duration::from_secs(1_000);
/// A workload whose slots are not the command's.
const NEIGHBOUR: WorkloadId = WorkloadId(8);
/// A cgroup nobody holds.
const STRANGER: u64 = 9;

/// Whether what has ended is taken out of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweeps {
    /// As the daemon does.
    AtEachTimeout,
    /// As a daemon that is dead: the tables alone close what has ended.
    Never,
}

/// A gateway in the middle of its life.
pub(crate) struct Round {
    player: Player<HostTables>,
    case: Case,
    mode: Mode,
    sweeps: Sweeps,
}

/// A flow that began when everything was fresh.
struct Begun {
    flow: Flow,
    socket: HostSocket,
    /// Whether it was let out then.
    fate: Fate,
}

impl Round {
    pub(crate) fn new(random: &mut Random, faults: &[Fault], sweeps: Sweeps) -> Self {
        let mode = if random.chance(4) {
            Mode::Audit
        } else {
            Mode::Enforce
        };
        Self {
            player: Player::new(HostTables::new(faults), Timing::EXACT),
            case: Case::random(random),
            mode,
            sweeps,
        }
    }

    pub(crate) fn play(mut self, random: &mut Random, seen: &mut Seen) -> Result<(), String> {
        self.hold(TURN)?;
        for turn in 1..=ANSWERS {
            let base = TURN * u32::try_from(turn).unwrap();
            self.turn(random, base, seen)?;
        }
        self.odd_ones(random, seen)
    }

    fn hold(&mut self, now: Time) -> Result<(), String> {
        let Case {
            policies,
            workload,
            world,
            settings,
            names: _,
        } = &self.case;
        let terms = Terms {
            id: COMMAND,
            who: workload,
            mode: self.mode,
            policies,
            world,
            settings,
        };
        self.player
            .hold(&terms, now)
            .map_err(|error| error.to_string())
    }

    /// Answers for one address, flows to it at times, and perhaps other policies in between.
    fn turn(&mut self, random: &mut Random, base: Time, seen: &mut Seen) -> Result<(), String> {
        self.player.sweep_until(base);
        let ip = testing::address(random);
        let leases = self.learn(random, ip, base)?;
        let begun = self.begin(random, ip, base);
        let changed = random.chance(20);
        if changed {
            if random.chance(70) {
                self.case = Case::random(random);
            }
            self.hold(base)?;
        }
        let mut times: Vec<Time> = (0..FLOWS).map(|_| base + offset(random)).collect();
        times.sort_unstable();
        let mut socket = HostSocket::new(COMMAND.0);
        let mut last = None;
        for now in times {
            if self.sweeps == Sweeps::AtEachTimeout {
                self.player.sweep_until(now);
            }
            self.player.tables.set_time(now);
            let flow = testing::flow(random, ip);
            // A datagram socket may be used again, for another target than it was last allowed to.
            let again = flow.protocol == Protocol::UDP && last != Some(flow);
            if !again || random.chance(30) {
                socket = HostSocket::new(COMMAND.0);
            }
            let age = Age::New { now };
            let fate = self.player.tables.start(&socket, &flow);
            if verdict(fate) == Verdict::Allow {
                last = Some(flow);
            }
            self.compare(flow, fate, &leases, age, seen)?;
            if random.chance(50) {
                self.compare_packet(flow, &leases, age)?;
            }
        }
        for flow in begun {
            self.go_on(&flow, changed, &leases, seen)?;
        }
        Ok(())
    }

    /// Lets answers come in; what the reference is to know of them.
    fn learn(
        &mut self,
        random: &mut Random,
        ip: IpAddr,
        base: Time,
    ) -> Result<Vec<NamedLease>, String> {
        let mut leases = Vec::new();
        for mut lease in testing::leases(random, &self.case) {
            // An answer from a cache is older than its TTLs.
            let age = random.pick(&[0, 0, 3]);
            let ttl = u32::try_from(lease.expires_at.as_secs() + age).unwrap();
            let chain = [lease.question.clone()].into_iter();
            let resolution = Resolution {
                chain: chain.chain(lease.chain.iter().cloned()).collect(),
                addresses: vec![Address { ip, ttl }],
                strays: Vec::new(),
                ttl: Some(ttl),
            };
            // What the rebinding guard takes out of an answer is nobody's to know.
            let view = self.view();
            if random.chance(50) && !view.screen(&resolution).stripped.is_empty() {
                continue;
            }
            let told = self
                .player
                .answer(&resolution, Duration::from_secs(age), base);
            told.map_err(|error| error.to_string())?;
            lease.expires_at += base;
            leases.push(lease);
        }
        Ok(leases)
    }

    fn begin(&mut self, random: &mut Random, ip: IpAddr, base: Time) -> Vec<Begun> {
        self.player.tables.set_time(base);
        let begin = |_| {
            let flow = testing::flow(random, ip);
            let socket = HostSocket::new(COMMAND.0);
            let fate = self.player.tables.start(&socket, &flow);
            Begun { flow, socket, fate }
        };
        (0..2).map(begin).collect()
    }

    /// The next packet of a flow that was let out. Only its rules can end it, not the time.
    fn go_on(
        &mut self,
        begun: &Begun,
        changed: bool,
        leases: &[NamedLease],
        seen: &mut Seen,
    ) -> Result<(), String> {
        let Begun { flow, socket, fate } = begun;
        if *fate != Fate::Allowed || self.court().is_intercepted(&self.view(), flow) {
            return Ok(());
        }
        // A table that is swept has forgotten what ended, and then new rules know nothing of it.
        if changed && self.sweeps == Sweeps::AtEachTimeout {
            return Ok(());
        }
        self.player.tables.maps.take_events();
        let fate = self.player.tables.send(socket, flow, Oddity::None);
        if changed {
            seen.judged_again += 1;
            return self.compare(*flow, fate, leases, Age::Established, seen);
        }
        if fate == Fate::Allowed {
            return Ok(());
        }
        Err(self.story(*flow, leases, &"an established flow was cut", &fate))
    }

    /// Holds what became of a new flow, or of one that is judged again, against the reference.
    fn compare(
        &self,
        flow: Flow,
        fate: Fate,
        leases: &[NamedLease],
        age: Age,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let told = self.player.tables.told();
        let (court, view) = (self.court(), self.view());
        if court.is_intercepted(&view, &flow) {
            seen.redirected += 1;
            if fate == Fate::Redirected && court.agrees_on_the_way(&view, &flow) {
                return Ok(());
            }
            return Err(self.story(flow, &[], &"a question", &fate));
        }
        let expected = court.expects(&flow, leases, age);
        seen.count(expected.enforced.verdict);
        let reason = told.as_ref().and_then(|event| self.player.reason(event));
        if court.agrees(&expected, fate, told.as_ref(), reason.as_ref()) {
            return Ok(());
        }
        if self.is_capped(leases) && court.is_ruled_out(fate, told.as_ref()) {
            seen.capped += 1;
            return Ok(());
        }
        Err(self.story(flow, leases, &(age, expected), &(fate, told, reason)))
    }

    /// The same packet from a socket no hook has seen, as raw sockets send it.
    fn compare_packet(&self, flow: Flow, leases: &[NamedLease], age: Age) -> Result<(), String> {
        let socket = HostSocket::new(COMMAND.0);
        let fate = self.player.tables.send(&socket, &flow, Oddity::None);
        self.player.tables.maps.take_events();
        let (court, view) = (self.court(), self.view());
        let expected = match self.mode {
            Mode::Enforce if court.is_intercepted(&view, &flow) => Verdict::Deny,
            Mode::Enforce | Mode::Audit => court.effective(&court.expects(&flow, leases, age)),
        };
        let capped = self.is_capped(leases) && verdict(fate) == Verdict::Deny;
        if verdict(fate) == expected || capped {
            return Ok(());
        }
        Err(self.story(flow, leases, &("a bare packet", age, expected), &fate))
    }

    /// Packets and sockets whose fate no rule decides.
    fn odd_ones(&mut self, random: &mut Random, seen: &mut Seen) -> Result<(), String> {
        let ip = testing::address(random);
        let flow = testing::flow(random, ip);
        let tables = &self.player.tables;
        let ours = HostSocket::new(COMMAND.0);
        let mut fates = vec![(
            "a cgroup nobody holds",
            tables.start(&HostSocket::new(STRANGER), &flow),
        )];
        if self.mode == Mode::Enforce {
            for oddity in [Oddity::SourceRoute, Oddity::LaterFragment] {
                fates.push(("an odd packet", tables.send(&ours, &flow, oddity)));
            }
        }
        for (what, fate) in fates {
            seen.odd += 1;
            if verdict(fate) == Verdict::Allow {
                return Err(self.story(flow, &[], &what, &fate));
            }
        }
        self.neighbour(seen)
    }

    /// Another workload's way to the interceptor.
    fn neighbour(&mut self, seen: &mut Seen) -> Result<(), String> {
        let Some(resolver) = self.case.world.resolvers.first().copied() else {
            return Ok(());
        };
        let Case {
            policies,
            workload,
            world,
            settings,
            names: _,
        } = &self.case;
        let terms = Terms {
            id: NEIGHBOUR,
            who: workload,
            mode: Mode::Enforce,
            policies,
            world,
            settings,
        };
        let held = self.player.hold(&terms, TURN * 10);
        held.map_err(|error| error.to_string())?;
        let flow = Flow::new(resolver.address, Protocol::TCP, resolver.port);
        let socket = HostSocket::new(NEIGHBOUR.0);
        let tables = &self.player.tables;
        let asked = connect(&tables.maps, &&socket, &crate::host::target(&flow));
        if let CallAction::Redirect(address) = asked {
            seen.odd += 1;
            let port = tables.maps.interceptor_port;
            assert!(slot::slot_of(&address, port).is_some());
            let way = Flow::new(ebpf_abi::address::to_ip(&address), Protocol::TCP, port);
            let neighbour = tables.start(&HostSocket::new(NEIGHBOUR.0), &way);
            let command = tables.start(&HostSocket::new(COMMAND.0), &way);
            if (verdict(neighbour), verdict(command)) != (Verdict::Allow, Verdict::Deny) {
                return Err(self.story(way, &[], &"a slot for one", &(neighbour, command)));
            }
        }
        Ok(())
    }

    /// More leases than a row has steps, and nobody who writes the next ones: then it closes early.
    fn is_capped(&self, leases: &[NamedLease]) -> bool {
        self.sweeps == Sweeps::Never && leases.len() > MAX_STEPS
    }

    fn court(&self) -> Court<'_> {
        Court {
            case: &self.case,
            mode: self.mode,
        }
    }

    fn view(&self) -> Arc<WorkloadView> {
        self.player.view(COMMAND).unwrap()
    }

    fn story(
        &self,
        flow: Flow,
        leases: &[NamedLease],
        expected: &dyn Debug,
        got: &dyn Debug,
    ) -> String {
        let Self {
            case, mode, sweeps, ..
        } = self;
        format!(
            "{flow:?}, {mode:?}, sweeps {sweeps:?}\nexpected {expected:?}\ngot {got:?}\nleases {leases:#?}\n{case:#?}"
        )
    }
}

/// At an expiry, one nanosecond before or after; never before the answers.
fn offset(random: &mut Random) -> Time {
    let at = Duration::from_secs(10 * (random.number() % 9));
    let tick = Duration::from_nanos(1);
    match random.below(3) {
        0 => at,
        1 => at.saturating_sub(tick),
        _ => at + tick,
    }
}
