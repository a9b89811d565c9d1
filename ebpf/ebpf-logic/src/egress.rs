//! Packets that leave: everything a socket of the workload sends, whatever system call made it.

use ebpf_abi::address::is_loopback;
use ebpf_abi::{Cause, Hook, Style, Verdict, WorkloadRow, flow_flags};

use crate::call::workload;
use crate::gate::{Gate, gate};
use crate::memory::{Recall, fragment_words, recall, remember, remembered, stamped};
use crate::packet::{Fragment, Header, parse, protocol};
use crate::report::{Story, effective, tell};
use crate::rule::{Age, Ruling, Target, rule};
use crate::seams::{Fault, Flow, Maps, Packet, Socket};

/// Where the flags stand in a TCP header, and those of a SYN-ACK.
const TCP_FLAGS: u32 = 13;
const SYN_ACK: u8 = 0x12;

/// What becomes of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketAction {
    Pass,
    /// Lost, and the system call that sent it fails with EPERM where it can.
    Reject,
    /// Lost, and the sender is not told.
    Drop,
}

/// Judges a packet. An established flow costs its storage and a comparison; everything else is judged from scratch.
#[inline(always)]
pub fn egress<M: Maps, S: Socket, P: Packet>(maps: &M, socket: &S, packet: &P) -> PacketAction {
    let flow = socket.flow();
    let header = match parse(maps, packet) {
        Ok(header) => header,
        Err(cause) => return unreadable(maps, socket, packet, flow, cause),
    };
    let mut age = Age::New;
    if let Some(flow) = flow
        && !matches!(header.fragment, Fragment::Later(_))
    {
        match remembered(maps, flow, &header.target) {
            Recall::Current => {
                pass_fragment(maps, Some(flow), &header);
                return PacketAction::Pass;
            }
            Recall::Earlier if maps.fault(Fault::EpochIgnored) => return PacketAction::Pass,
            Recall::Earlier => age = Age::Established,
            Recall::Other => {}
        }
    }
    judge(maps, socket, packet, flow, &header, age)
}

#[inline(always)]
fn judge<M: Maps, S: Socket, P: Packet>(
    maps: &M,
    socket: &S,
    packet: &P,
    flow: Option<S::Flow>,
    header: &Header,
    age: Age,
) -> PacketAction {
    let id = owner(socket, flow);
    let target = &header.target;
    let Some(row) = workload(maps, id) else {
        return settle(
            maps,
            socket,
            packet,
            flow,
            header,
            id,
            &WorkloadRow::default(),
            age,
            &Ruling::closed(Cause::UnknownWorkload),
        );
    };
    if let Fragment::Later(number) = header.fragment {
        let ruling = later_fragment(maps, flow, header, number);
        return settle(maps, socket, packet, flow, header, id, &row, age, &ruling);
    }
    let ruling = match gate(maps, id, &row, target) {
        Gate::OwnSlot => {
            pass_fragment(maps, flow, header);
            return PacketAction::Pass;
        }
        Gate::ForeignSlot => Ruling::closed(Cause::ForeignSlot),
        Gate::Resolver(_) if !maps.fault(Fault::UnredirectedFree) => {
            Ruling::closed(Cause::Unredirected)
        }
        Gate::Resolver(_) | Gate::Rules => {
            by_rules(maps, socket, packet, flow, header, id, &row, age)
        }
    };
    settle(maps, socket, packet, flow, header, id, &row, age, &ruling)
}

#[inline(always)]
fn by_rules<M: Maps, S: Socket, P: Packet>(
    maps: &M,
    socket: &S,
    packet: &P,
    flow: Option<S::Flow>,
    header: &Header,
    id: u64,
    row: &WorkloadRow,
    age: Age,
) -> Ruling {
    if is_reply(socket, packet, flow, header) {
        return Ruling::open(Cause::Inbound);
    }
    let ruling = rule(maps, row.ruleset, &header.target, age);
    if !ruling.allows() && is_loopback(&header.target.address) {
        let local = (header.source, header.source_port);
        if socket.receiver(&local, &header.target) == Some(id) {
            return Ruling::open(Cause::OwnListener);
        }
    }
    ruling
}

/// A listener that was written to answers with SYN-ACKs only; the child it accepts, to its own peer.
#[inline(always)]
fn is_reply<S: Socket, P: Packet>(
    socket: &S,
    packet: &P,
    flow: Option<S::Flow>,
    header: &Header,
) -> bool {
    let Some(flow) = flow else { return false };
    if header.target.protocol != protocol::TCP || flow.flags() & flow_flags::INBOUND == 0 {
        return false;
    }
    if socket.is_listener() {
        return match packet.load::<1>(header.upper + TCP_FLAGS) {
            Some([flags]) => flags & SYN_ACK == SYN_ACK,
            None => false,
        };
    }
    socket.is_peer(&header.target)
}

#[inline(always)]
fn later_fragment<M: Maps, F: Flow>(
    maps: &M,
    flow: Option<F>,
    header: &Header,
    number: u32,
) -> Ruling {
    let wanted = fragment_words(&header.target.address, header.target.protocol, number);
    let first_passed = match flow {
        Some(flow) => matches!(recall(flow.fragment(), wanted), Recall::Current),
        None => false,
    };
    if first_passed || maps.fault(Fault::LaterFragmentFree) {
        Ruling::open(Cause::Fragment)
    } else {
        Ruling::closed(Cause::Fragment)
    }
}

/// Tells of the ruling, remembers what it allows, and turns it into an action.
#[inline(always)]
fn settle<M: Maps, S: Socket, P: Packet>(
    maps: &M,
    socket: &S,
    packet: &P,
    flow: Option<S::Flow>,
    header: &Header,
    id: u64,
    row: &WorkloadRow,
    age: Age,
    ruling: &Ruling,
) -> PacketAction {
    let verdict = effective(row, ruling);
    let listener = matches!(ruling.cause, Cause::Inbound) && socket.is_listener();
    let quiet = matches!(ruling.cause, Cause::Inbound)
        || (matches!(ruling.cause, Cause::Fragment) && ruling.allows());
    if !quiet {
        let pid = match flow {
            Some(flow) => flow.pid(),
            None => 0,
        };
        let story = Story {
            hook: Hook::Egress,
            workload: id,
            row,
            target: &header.target,
            local_port: header.source_port,
            length: packet.length(),
            age,
            pid,
        };
        tell(maps, socket, &story, ruling);
    }
    match verdict {
        Verdict::Allow if listener || matches!(header.fragment, Fragment::Later(_)) => {
            PacketAction::Pass
        }
        Verdict::Allow => {
            if let Some(flow) = flow.or_else(|| socket.make_flow()) {
                flow.set_workload(id);
                remember(maps, flow, &header.target, ruling.lease);
                pass_fragment(maps, Some(flow), header);
            }
            PacketAction::Pass
        }
        Verdict::Deny => match ruling.style {
            Style::Reject => PacketAction::Reject,
            Style::Drop => PacketAction::Drop,
        },
    }
}

/// Lets the rest of a fragmented packet follow its first part.
#[inline(always)]
fn pass_fragment<M: Maps, F: Flow>(maps: &M, flow: Option<F>, header: &Header) {
    if let Fragment::First(number) = header.fragment
        && let Some(flow) = flow
    {
        let words = fragment_words(&header.target.address, header.target.protocol, number);
        flow.set_fragment(stamped(words, maps.stamp()));
    }
}

#[inline(always)]
fn unreadable<M: Maps, S: Socket, P: Packet>(
    maps: &M,
    socket: &S,
    packet: &P,
    flow: Option<S::Flow>,
    cause: Cause,
) -> PacketAction {
    let id = owner(socket, flow);
    let row = workload(maps, id).unwrap_or_default();
    let header = Header {
        target: Target {
            address: [0; 16],
            port: 0,
            protocol: 0,
        },
        source: [0; 16],
        source_port: 0,
        // Nothing of it is remembered.
        fragment: Fragment::Later(0),
        upper: 0,
    };
    settle(
        maps,
        socket,
        packet,
        flow,
        &header,
        id,
        &row,
        Age::New,
        &Ruling::closed(cause),
    )
}

/// The workload whose packet this is: the socket's own mark, else its cgroup.
#[inline(always)]
fn owner<S: Socket>(socket: &S, flow: Option<S::Flow>) -> u64 {
    match flow {
        Some(flow) if flow.workload() != 0 => flow.workload(),
        _ => socket.cgroup(),
    }
}
