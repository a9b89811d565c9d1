//! Packets that leave: everything a socket of the workload sends, whatever system call made it.

use ebpf_abi::address::is_loopback;
use ebpf_abi::{Cause, Hook, Style, Verdict, WorkloadRow, flow_flags};

use crate::call::workload;
use crate::gate::{Gate, gate};
use crate::memory::{Recall, fragment_words, recall, remember, remembered, stamped};
use crate::packet::{Fragment, Header, glance, protocol, read};
use crate::report::{Story, effective, tell};
use crate::rule::{Age, Ruling, rule};
use crate::seams::{Fault, Flow, Maps, Packet, Socket};
use crate::target::Target;

/// Where the flags stand in a TCP header, and those of a SYN-ACK.
const TCP_FLAGS: u32 = 13;
const SYN_ACK: u8 = 0x12;
const SYN: u8 = 0x02;

/// What becomes of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketAction {
    Pass,
    /// Lost, and the system call that sent it fails with EPERM where it can.
    Reject,
    /// Lost, and the sender is not told.
    Drop,
}

/// Judges a packet. An established flow costs a look at its headers, its storage and a comparison.
#[inline(always)]
pub fn egress<M: Maps, S: Socket, P: Packet>(maps: &M, socket: &S, packet: &P) -> PacketAction {
    if is_established(maps, socket, packet) {
        return PacketAction::Pass;
    }
    at_length(maps, socket, packet)
}

/// The short way. Neither it nor the long way is inlined: the kernel gives 512 bytes of stack to a chain of calls, and
/// this way the two do not add up.
#[inline(never)]
fn is_established<M: Maps, S: Socket, P: Packet>(maps: &M, socket: &S, packet: &P) -> bool {
    if let Some(flow) = socket.flow()
        && let Some(header) = glance(packet)
    {
        let epoch = maps.epoch();
        return matches!(
            remembered(maps, flow, &header.target, epoch),
            Recall::Current
        );
    }
    false
}

/// Everything but the plain packet of an established flow. There is one way through: whatever is found out becomes a
/// ruling, and the ruling is settled in one place, for the verifier walks every copy of what follows.
#[inline(never)]
fn at_length<M: Maps, S: Socket, P: Packet>(maps: &M, socket: &S, packet: &P) -> PacketAction {
    let flow = socket.flow();
    let epoch = maps.epoch();
    let mut header = Header::EMPTY;
    let broken = read_apart(maps, packet, &mut header);
    let mut age = Age::New;
    if let Some(flow) = flow
        && !matches!(header.fragment, Fragment::Later(_))
    {
        match remembered(maps, flow, &header.target, epoch) {
            Recall::Current => {
                pass_fragment(maps, Some(flow), &header);
                return PacketAction::Pass;
            }
            Recall::Earlier => age = Age::Established,
            Recall::Other => {}
        }
    }
    let id = owner(socket, flow);
    let known = workload(maps, id);
    let row = known.unwrap_or_default();
    let ruling = match (known, broken) {
        (None, _) => Ruling::closed(Cause::UnknownWorkload),
        (_, Some(cause)) => Ruling::closed(cause),
        (Some(row), None) => decide(maps, socket, packet, flow, &header, id, &row, age),
    };
    settle(
        maps, socket, packet, flow, &header, id, &row, age, epoch, &ruling,
    )
}

#[inline(always)]
fn decide<M: Maps, S: Socket, P: Packet>(
    maps: &M,
    socket: &S,
    packet: &P,
    flow: Option<S::Flow>,
    header: &Header,
    id: u64,
    row: &WorkloadRow,
    age: Age,
) -> Ruling {
    if let Fragment::Later(number) = header.fragment {
        return later_fragment(maps, flow, header, number);
    }
    match gate(maps, id, row, &header.target) {
        Gate::OwnSlot => Ruling::open(Cause::OwnSlot),
        Gate::ForeignSlot => Ruling::closed(Cause::ForeignSlot),
        Gate::Resolver(_) if !maps.fault(Fault::UnredirectedFree) => {
            Ruling::closed(Cause::Unredirected)
        }
        Gate::Resolver(_) | Gate::Rules => {
            by_rules(maps, socket, packet, flow, header, row, id, age)
        }
    }
}

#[inline(always)]
fn by_rules<M: Maps, S: Socket, P: Packet>(
    maps: &M,
    socket: &S,
    packet: &P,
    flow: Option<S::Flow>,
    header: &Header,
    row: &WorkloadRow,
    id: u64,
    age: Age,
) -> Ruling {
    if is_reply(socket, packet, flow, header) {
        return Ruling::open(Cause::Inbound);
    }
    let mut ruling = Ruling::closed(Cause::NoRuling);
    let allowed = rule_apart(maps, row.ruleset, &header.target, age, &mut ruling);
    if !allowed && is_loopback(&header.target.address) {
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
    epoch: u32,
    ruling: &Ruling,
) -> PacketAction {
    let verdict = effective(row, ruling);
    let told_elsewhere = matches!(
        ruling.cause,
        Cause::Inbound | Cause::OwnSlot | Cause::Fragment
    ) && ruling.allows();
    if !told_elsewhere {
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
        tell_apart(maps, socket, &story, ruling);
    }
    // A listener's answers go to many peers.
    let one_peer = !(matches!(ruling.cause, Cause::Inbound) && socket.is_listener());
    match verdict {
        Verdict::Allow if !one_peer || matches!(header.fragment, Fragment::Later(_)) => {
            PacketAction::Pass
        }
        Verdict::Allow => {
            if let Some(flow) = flow.or_else(|| socket.make_flow()) {
                flow.set_workload(id);
                if !passing(packet, header, ruling) {
                    remember(maps, flow, &header.target, ruling.lease, epoch);
                }
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

/// [`read`], with a stack frame of its own. These three return a number because the verifier refuses functions that
/// return nothing but have a stack pointer left in the register for it.
#[inline(never)]
fn read_apart<M: Maps, P: Packet>(maps: &M, packet: &P, into: &mut Header) -> Option<Cause> {
    let broken = read(maps, packet, into);
    if broken.is_some() {
        *into = Header::EMPTY;
    }
    broken
}

/// [`rule`], with a stack frame of its own.
#[inline(never)]
fn rule_apart<M: Maps>(
    maps: &M,
    ruleset: u32,
    target: &Target,
    age: Age,
    into: &mut Ruling,
) -> bool {
    *into = rule(maps, ruleset, target, age);
    into.allows()
}

/// [`tell`], with a stack frame of its own.
#[inline(never)]
fn tell_apart<M: Maps, S: Socket>(
    maps: &M,
    socket: &S,
    story: &Story<'_>,
    ruling: &Ruling,
) -> bool {
    tell(maps, socket, story, ruling);
    true
}

/// Whether the ruling is of this packet only. Who receives on a port of this machine is settled for a TCP connection that is
/// made; until then, and for every datagram, another socket may have taken the port.
#[inline(always)]
fn passing<P: Packet>(packet: &P, header: &Header, ruling: &Ruling) -> bool {
    if !matches!(ruling.cause, Cause::OwnListener) {
        return false;
    }
    if header.target.protocol != protocol::TCP {
        return true;
    }
    match packet.load::<1>(header.upper + TCP_FLAGS) {
        Some([flags]) => flags & SYN != 0,
        None => true,
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

/// The workload whose packet this is: the socket's own mark, else its cgroup.
#[inline(always)]
fn owner<S: Socket>(socket: &S, flow: Option<S::Flow>) -> u64 {
    match flow {
        Some(flow) if flow.workload() != 0 => flow.workload(),
        _ => socket.cgroup(),
    }
}
