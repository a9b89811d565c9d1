//! The kernel's decision code on the host: the plans of the state machine in ordered maps, asked as system calls and
//! packets would ask.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use dns_names::{Name, Rcode};
use ebpf_abi::address::from_ip;
use ebpf_abi::plan::{Batch, ListId, Op, PortRule, WorkloadId};
use ebpf_abi::{Event, LearnedKey, PortKey};
use ebpf_logic::host::{HostMaps, HostPacket, HostSocket};
use ebpf_logic::{CallAction, Fault, Maps, PacketAction, Target, connect, egress, sendmsg};
use gateway_state::WorkloadView;
use policy_cases::{
    Address, By, Engine, EngineError, Observed, ObservedFlow, ObservedLearned, ObservedQuery,
    Trial, TrialKind,
};
use policy_engine::{Flow, PortVerdict, QuestionRuling, Ruling, Verdict};
use policy_model::{DenyStyle, PortMatch, Protocol, RefusalCode, Time};

use crate::packets::{Oddity, first_packet};
use crate::player::{Player, Tables, answers, for_tables, play, terms};

/// Whose sockets these are.
pub(crate) const COMMAND: WorkloadId = WorkloadId(7);
const INTERCEPTOR: u16 = 5300;

/// Plans in ordered maps.
#[derive(Debug)]
pub(crate) struct HostTables {
    pub(crate) maps: HostMaps,
    lists: BTreeMap<ListId, Vec<PortRule>>,
}

/// What became of a flow, as its sender sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Allowed,
    /// EPERM.
    Rejected,
    /// Silence.
    Dropped,
    /// It went to the interceptor.
    Redirected,
}

impl HostTables {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let mut maps = HostMaps::new(INTERCEPTOR);
        maps.faults = faults.to_vec();
        Self {
            maps,
            lists: BTreeMap::new(),
        }
    }

    pub(crate) fn set_time(&mut self, now: Time) {
        self.maps.now = u64::try_from(now.as_nanos()).unwrap();
    }

    /// Starts a flow: the system call a program makes for it, and its first packet.
    pub(crate) fn start(&self, socket: &HostSocket, flow: &Flow) -> Fate {
        let target = target(flow);
        let called = match flow.protocol {
            Protocol::TCP => connect(&self.maps, &socket, &target),
            Protocol::UDP => sendmsg(&self.maps, &socket, &target),
            // Raw sockets: no hook sees the call.
            _ => CallAction::Allow,
        };
        match called {
            CallAction::Allow => self.send(socket, flow, Oddity::None),
            CallAction::Deny => Fate::Rejected,
            CallAction::Redirect(_) => Fate::Redirected,
        }
    }

    /// Sends a packet, with no call before it that any hook would have seen.
    pub(crate) fn send(&self, socket: &HostSocket, flow: &Flow, oddity: Oddity) -> Fate {
        let flow = Flow {
            ip: reached(flow.ip),
            ..*flow
        };
        let packet = HostPacket {
            bytes: &first_packet(&flow, oddity),
            version: if flow.ip.is_ipv4() { 4 } else { 6 },
        };
        match egress(&self.maps, &socket, &packet) {
            PacketAction::Pass => Fate::Allowed,
            PacketAction::Reject => Fate::Rejected,
            PacketAction::Drop => Fate::Dropped,
        }
    }

    /// The last thing that was told since the last call.
    pub(crate) fn told(&self) -> Option<Event> {
        self.maps.take_events().pop()
    }

    /// The ports of a list, as [`ObservedLearned::ports`] has them.
    fn open_ports(&self, list: u32) -> Vec<String> {
        let rows = self.lists.get(&ListId(list)).map_or(&[][..], Vec::as_slice);
        let allows = |protocol: u8, port| {
            let row = self.maps.port(&PortKey::look_up(list, protocol, port));
            row.is_some_and(|row| row.verdict == ebpf_abi::Verdict::Allow as u8)
        };
        let mut open = Vec::new();
        let protocols: BTreeSet<u8> = rows.iter().filter_map(|row| row.protocol).collect();
        for protocol in protocols {
            // Rulings change only where a row begins or ends.
            let mut edges = BTreeSet::from([0, 0x1_0000]);
            for row in rows.iter().filter(|row| row.protocol == Some(protocol)) {
                let width = 1_u32 << (16 - row.port_bits);
                let begin = u32::from(row.port) & !(width - 1);
                edges.extend([begin, begin + width]);
            }
            let edges: Vec<u32> = edges.into_iter().collect();
            let mut ranges: Vec<(u16, u16)> = Vec::new();
            for pair in edges.windows(2) {
                let (first, last) = (port(pair[0]), port(pair[1] - 1));
                if !allows(protocol, first) {
                    continue;
                }
                match ranges
                    .last_mut()
                    .filter(|range| first > 0 && range.1 == first - 1)
                {
                    Some(range) => range.1 = last,
                    None => ranges.push((first, last)),
                }
            }
            let name = |(first, last): &(u16, u16)| {
                PortMatch::range(Protocol(protocol), *first, *last).to_string()
            };
            open.extend(ranges.iter().map(name));
        }
        open.sort();
        open
    }
}

impl Tables for HostTables {
    fn apply(&mut self, batch: &Batch) {
        self.maps.apply(batch).unwrap();
        for op in batch.ops() {
            if let Op::PutList { list, rows } = op {
                self.lists.insert(*list, rows.clone());
            }
        }
    }
}

/// The suite's engine.
#[derive(Debug, Default)]
pub(crate) struct HostEngine {
    pub(crate) faults: Vec<Fault>,
}

impl Engine for HostEngine {
    fn name(&self) -> &'static str {
        "host"
    }

    fn run(&mut self, trial: &Trial<'_>) -> Result<Observed, EngineError> {
        for_tables(trial, self.name())?;
        let tables = HostTables::new(&self.faults);
        Ok(match &trial.kind {
            TrialKind::Flow {
                addresses,
                protocol,
                port,
                established: true,
                ..
            } => {
                let fresh = answers(trial).last().map_or(trial.now, |answer| answer.at);
                let player = play(trial, COMMAND, tables, fresh, |time| time)?;
                let flows = addresses.iter().map(|ip| Flow::new(*ip, *protocol, *port));
                let mut run = Run { trial, player };
                Observed::Flow(ObservedFlow {
                    question: None,
                    addresses: run.established(flows.collect(), fresh),
                })
            }
            TrialKind::Flow {
                question,
                addresses,
                protocol,
                port,
                established: false,
            } => {
                let run = Run::at_now(trial, tables)?;
                let question = question
                    .as_ref()
                    .and_then(|question| run.ask_anyone(&question.name));
                let refused = question
                    .as_ref()
                    .is_some_and(|question| question.verdict == Verdict::Deny);
                let tried = addresses.iter().filter(|_| !refused);
                Observed::Flow(ObservedFlow {
                    addresses: tried
                        .map(|ip| run.flow(&Flow::new(*ip, *protocol, *port)))
                        .collect(),
                    question,
                })
            }
            TrialKind::Query {
                question,
                server,
                port,
                protocol,
            } => {
                let run = Run::at_now(trial, tables)?;
                let flow = Flow::new(*server, *protocol, *port);
                Observed::Query(run.ask(&flow, &question.name).0)
            }
            TrialKind::Learned { host } => {
                let run = Run::at_now(trial, tables)?;
                Observed::Learned(run.learned(host))
            }
        })
    }
}

struct Run<'t> {
    trial: &'t Trial<'t>,
    player: Player<HostTables>,
}

impl<'t> Run<'t> {
    fn at_now(trial: &'t Trial<'t>, tables: HostTables) -> Result<Self, EngineError> {
        let mut player = play(trial, COMMAND, tables, trial.now, |time| time)?;
        player.tables.set_time(trial.now);
        Ok(Self { trial, player })
    }

    fn flow(&self, flow: &Flow) -> Address {
        let fate = self.player.tables.start(&HostSocket::new(COMMAND.0), flow);
        let told = self.player.tables.told();
        if fate == Fate::Redirected {
            return to_resolver(&self.view(), flow);
        }
        self.address(flow.ip, fate, told)
    }

    /// Starts flows when everything is fresh, has them judged again under the same policies, and goes on with them.
    fn established(&mut self, flows: Vec<Flow>, fresh: Time) -> Vec<Address> {
        let tables = &mut self.player.tables;
        tables.set_time(fresh);
        let begun: Vec<(Flow, HostSocket, Fate, Option<Event>)> = flows
            .into_iter()
            .map(|flow| {
                let socket = HostSocket::new(COMMAND.0);
                let fate = tables.start(&socket, &flow);
                (flow, socket, fate, tables.told())
            })
            .collect();
        let again = self.player.hold(&terms(self.trial, COMMAND), fresh);
        again.unwrap();
        self.player.tables.set_time(self.trial.now);
        begun
            .into_iter()
            .map(|(flow, socket, fate, told)| match fate {
                Fate::Allowed => {
                    let fate = self.player.tables.send(&socket, &flow, Oddity::None);
                    let told = self.player.tables.told();
                    self.address(flow.ip, fate, told)
                }
                Fate::Rejected | Fate::Dropped | Fate::Redirected => {
                    self.address(flow.ip, fate, told)
                }
            })
            .collect()
    }

    fn address(&self, ip: IpAddr, fate: Fate, told: Option<Event>) -> Address {
        let reason = told.as_ref().and_then(|event| self.player.reason(event));
        Address {
            ip,
            verdict: verdict(fate),
            would: told.map(|event| would(&event)),
            how: how(fate),
            by: reason.as_ref().map(By::of),
        }
    }

    fn ask_anyone(&self, name: &Name) -> Option<ObservedQuery> {
        let mut first = None;
        for resolver in &self.trial.scene.world.resolvers {
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
    fn ask(&self, flow: &Flow, name: &Name) -> (ObservedQuery, bool) {
        let fate = self.player.tables.start(&HostSocket::new(COMMAND.0), flow);
        let told = self.player.tables.told();
        if fate != Fate::Redirected {
            let Address {
                verdict,
                would,
                how,
                by,
                ..
            } = self.address(flow.ip, fate, told);
            let query = ObservedQuery {
                verdict,
                would,
                rcode: None,
                how,
                by,
            };
            return (query, false);
        }
        let view = self.view();
        (intercepted(&view, flow, name), true)
    }

    fn learned(&self, host: &Name) -> ObservedLearned {
        let view = self.view();
        let maps = &self.player.tables.maps;
        let mut learned = ObservedLearned::default();
        let mut ports = BTreeSet::new();
        for answer in answers(self.trial) {
            let resolution = &answer.resolution;
            let opens = !view
                .ruleset
                .name_rules(resolution.question(), &resolution.chain)
                .is_empty();
            if resolution.question() != host || !opens {
                continue;
            }
            for address in &resolution.addresses {
                let row = maps.learned(&LearnedKey {
                    ruleset: view.ruleset_id.0,
                    address: from_ip(address.ip),
                });
                let live = row.and_then(|row| {
                    let holds = |step: &&ebpf_abi::Step| maps.now <= step.expires_at;
                    row.steps.iter().find(holds)
                });
                if let Some(step) = live {
                    learned.addresses.push(address.ip.to_canonical());
                    ports.extend(self.player.tables.open_ports(step.list));
                }
            }
        }
        learned.addresses.sort_unstable();
        learned.addresses.dedup();
        learned.ports = Some(ports.into_iter().collect());
        learned
    }

    fn view(&self) -> Arc<WorkloadView> {
        self.player.view(COMMAND).unwrap()
    }
}

/// What the interceptor makes of a question that came to it.
pub(crate) fn intercepted(view: &WorkloadView, flow: &Flow, name: &Name) -> ObservedQuery {
    let server = (flow.ip.to_canonical(), flow.port);
    let way = to_resolver(view, flow);
    let judged = view.ruleset.judge_question(server, flow.protocol, name);
    let proposed = view
        .ruleset
        .judge_question_by(Ruling::Proposed, server, flow.protocol, name);
    let would = way.would.map(|would| would.max(proposed.verdict()));
    if way.verdict == Verdict::Deny {
        return ObservedQuery {
            verdict: way.verdict,
            would,
            rcode: None,
            how: way.how,
            by: way.by,
        };
    }
    let rcode = match judged {
        QuestionRuling::NotFiltered { .. } | QuestionRuling::Forward { .. } => None,
        QuestionRuling::Refuse {
            code: RefusalCode::NxDomain,
            ..
        } => Some(Rcode::NXDOMAIN),
        QuestionRuling::Refuse {
            code: RefusalCode::Refused,
            ..
        } => Some(Rcode::REFUSED),
    };
    ObservedQuery {
        verdict: judged.verdict(),
        would,
        rcode,
        how: rcode.map(|_| DenyStyle::Reject),
        by: Some(By::of(view.ruleset.reason(judged.reason()))),
    }
}

/// The flow to a known resolver, which the interceptor judges in the kernel's place.
pub(crate) fn to_resolver(view: &WorkloadView, flow: &Flow) -> Address {
    let server = std::net::SocketAddr::new(flow.ip.to_canonical(), flow.port);
    let PortVerdict {
        verdict,
        would,
        style,
        reason,
        ..
    } = view.flow_to(server, flow.protocol).unwrap();
    Address {
        ip: flow.ip,
        verdict,
        would: Some(would),
        how: (verdict == Verdict::Deny).then_some(style),
        by: Some(By::of(view.ruleset.reason(reason))),
    }
}

/// What the stack makes of an address: nobody can be reached at "any address" but this machine.
pub(crate) fn reached(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    }
}

pub(crate) fn target(flow: &Flow) -> Target {
    Target {
        address: from_ip(flow.ip),
        port: flow.port,
        protocol: flow.protocol.0,
    }
}

pub(crate) const fn verdict(fate: Fate) -> Verdict {
    match fate {
        Fate::Allowed | Fate::Redirected => Verdict::Allow,
        Fate::Rejected | Fate::Dropped => Verdict::Deny,
    }
}

pub(crate) const fn how(fate: Fate) -> Option<DenyStyle> {
    match fate {
        Fate::Allowed | Fate::Redirected => None,
        Fate::Rejected => Some(DenyStyle::Reject),
        Fate::Dropped => Some(DenyStyle::Drop),
    }
}

pub(crate) const fn would(event: &Event) -> Verdict {
    match event.would() {
        ebpf_abi::Verdict::Allow => Verdict::Allow,
        ebpf_abi::Verdict::Deny => Verdict::Deny,
    }
}

fn port(number: u32) -> u16 {
    u16::try_from(number).unwrap()
}
