//! System calls that name a destination: `connect`, `sendto`, `sendmsg`; and those that name the other end.

use ebpf_abi::address::{Address, is_loopback, to_v4};
use ebpf_abi::{
    Cause, Hook, PROBE_PROTOCOL, Style, Verdict, WorkloadKey, WorkloadRow, flow_flags, slot,
};

use crate::gate::{Gate, gate};
use crate::memory::{Recall, forget, remember, remembered};
use crate::packet::protocol;
use crate::report::{Story, effective, tell};
use crate::rule::{Age, Ruling, Target, rule};
use crate::seams::{Fault, Flow, Maps, Socket};

/// Index of the loopback device in every network namespace.
const LOOPBACK_DEVICE: u32 = 1;

/// What becomes of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallAction {
    /// It goes on; its packets may still be judged.
    Allow,
    /// EPERM.
    Deny,
    /// It goes to the interceptor, at this slot address and [`Maps::interceptor_port`].
    Redirect(Address),
}

/// `connect`: a TCP connect is a new flow. A connect of UDP, ICMP and the like sends nothing: it is allowed to every
/// address something is open at (resolvers connect to each answer to sort them), and the packets are judged.
#[inline(always)]
pub fn connect<M: Maps, S: Socket>(maps: &M, socket: &S, target: &Target) -> CallAction {
    let target = canonical(target);
    let epoch = maps.epoch();
    let id = socket.cgroup();
    let Some(row) = workload(maps, id) else {
        return refuse(
            maps,
            socket,
            Hook::Connect,
            id,
            &target,
            &WorkloadRow::default(),
            Cause::UnknownWorkload,
        );
    };
    let opens = is_connection(target.protocol);
    if opens && let Some(flow) = socket.flow() {
        // A new flow, whatever the socket was before. A denial that looks like loss lets the call go on: its packet
        // must find neither an older permission nor the right of a listener to answer.
        flow.set_flags(flow.flags() & !flow_flags::INBOUND);
        forget(flow);
    }
    match gate(maps, id, &row, &target) {
        Gate::Rules => {}
        Gate::OwnSlot => return CallAction::Allow,
        Gate::ForeignSlot => {
            return refuse(
                maps,
                socket,
                Hook::Connect,
                id,
                &target,
                &row,
                Cause::ForeignSlot,
            );
        }
        Gate::Resolver(slot) => {
            return redirect(maps, socket, Hook::Connect, id, &target, &row, slot);
        }
    }
    if !opens && is_loopback(&target.address) {
        return CallAction::Allow;
    }
    let asked = if opens {
        target
    } else {
        Target {
            protocol: PROBE_PROTOCOL,
            port: 0,
            ..target
        }
    };
    let mut ruling = rule(maps, row.ruleset, &asked, Age::New);
    if opens && !ruling.allows() && is_loopback(&target.address) {
        let anywhere = ([0; 16], 0);
        if socket.receiver(&anywhere, &target) == Some(id) {
            ruling = Ruling::open(Cause::OwnListener);
        }
    }
    let allowed = matches!(effective(&row, &ruling), Verdict::Allow);
    if opens && allowed {
        if let Some(flow) = socket.make_flow() {
            flow.set_workload(id);
            flow.set_pid(socket.who().pid);
            // Which of the sockets on a port receives depends on the source, which only the packet has.
            if !matches!(ruling.cause, Cause::OwnListener) {
                remember(maps, flow, &target, ruling.lease, epoch);
            }
        }
    } else if let Some(flow) = socket.flow() {
        flow.set_pid(socket.who().pid);
    }
    if !opens && allowed {
        return CallAction::Allow;
    }
    finish(maps, socket, Hook::Connect, id, &target, &row, &ruling)
}

/// `sendto` and `sendmsg` of an unconnected UDP socket: the datagram is judged here, where the caller is known.
#[inline(always)]
pub fn sendmsg<M: Maps, S: Socket>(maps: &M, socket: &S, target: &Target) -> CallAction {
    let target = canonical(target);
    let epoch = maps.epoch();
    let id = socket.cgroup();
    let Some(row) = workload(maps, id) else {
        return refuse(
            maps,
            socket,
            Hook::Sendmsg,
            id,
            &target,
            &WorkloadRow::default(),
            Cause::UnknownWorkload,
        );
    };
    match gate(maps, id, &row, &target) {
        Gate::Rules => {}
        Gate::OwnSlot => return CallAction::Allow,
        Gate::ForeignSlot => {
            return refuse(
                maps,
                socket,
                Hook::Sendmsg,
                id,
                &target,
                &row,
                Cause::ForeignSlot,
            );
        }
        Gate::Resolver(slot) => {
            return redirect(maps, socket, Hook::Sendmsg, id, &target, &row, slot);
        }
    }
    // Who receives on loopback is only known once the packet has its source.
    if is_loopback(&target.address) {
        return CallAction::Allow;
    }
    let flow = socket.make_flow();
    let mut age = Age::New;
    if let Some(flow) = flow {
        flow.set_workload(id);
        flow.set_pid(socket.who().pid);
        match remembered(maps, flow, &target, epoch) {
            Recall::Current => return CallAction::Allow,
            Recall::Earlier => age = Age::Established,
            Recall::Other => {}
        }
    }
    let ruling = rule(maps, row.ruleset, &target, age);
    if let Some(flow) = flow
        && matches!(effective(&row, &ruling), Verdict::Allow)
    {
        remember(maps, flow, &target, ruling.lease, epoch);
    }
    finish(maps, socket, Hook::Sendmsg, id, &target, &row, &ruling)
}

/// `recvmsg` and `getpeername`: the server the program asked, where the kernel names the slot.
#[inline(always)]
pub fn undo<M: Maps>(
    maps: &M,
    cgroup: u64,
    address: &Address,
    port: u16,
) -> Option<(Address, u16)> {
    if port != maps.interceptor_port() {
        return None;
    }
    let origin = maps.origin(slot::slot_of(address, port)?)?;
    let same_family = to_v4(&origin.address).is_some() == to_v4(address).is_some();
    (origin.workload == cgroup && same_family).then_some((origin.address, origin.port))
}

/// The workload's row; a default one (ruleset 0) stands for "free" only under a fault.
#[inline(always)]
pub(crate) fn workload<M: Maps>(maps: &M, id: u64) -> Option<WorkloadRow> {
    match maps.workload(&WorkloadKey { cgroup: id }) {
        None if maps.fault(Fault::UnknownWorkloadFree) => Some(WorkloadRow {
            ruleset: 0,
            flags: ebpf_abi::workload_flags::AUDIT,
        }),
        row => row,
    }
}

/// Sends a question to its slot. A socket bound to a device cannot reach the interceptor, and must not reach the
/// server instead.
#[inline(always)]
fn redirect<M: Maps, S: Socket>(
    maps: &M,
    socket: &S,
    hook: Hook,
    id: u64,
    target: &Target,
    row: &WorkloadRow,
    slot: u16,
) -> CallAction {
    let device = socket.bound_device();
    if device != 0 && device != LOOPBACK_DEVICE {
        return refuse(maps, socket, hook, id, target, row, Cause::BoundDevice);
    }
    let address = match to_v4(&target.address) {
        Some(_) => slot::v4(slot),
        None => slot::v6(maps.interceptor_port(), slot),
    };
    CallAction::Redirect(address)
}

#[inline(always)]
fn refuse<M: Maps, S: Socket>(
    maps: &M,
    socket: &S,
    hook: Hook,
    id: u64,
    target: &Target,
    row: &WorkloadRow,
    cause: Cause,
) -> CallAction {
    finish(maps, socket, hook, id, target, row, &Ruling::closed(cause))
}

/// Tells of the ruling and turns it into an action. A denial that looks like loss is left to the packet.
#[inline(always)]
fn finish<M: Maps, S: Socket>(
    maps: &M,
    socket: &S,
    hook: Hook,
    id: u64,
    target: &Target,
    row: &WorkloadRow,
    ruling: &Ruling,
) -> CallAction {
    let denied = matches!(effective(row, ruling), Verdict::Deny);
    if denied && matches!(ruling.style, Style::Drop) {
        return CallAction::Allow;
    }
    let story = Story {
        hook,
        workload: id,
        row,
        target,
        local_port: socket.local_port(),
        length: 0,
        age: Age::New,
        pid: 0,
    };
    tell(maps, socket, &story, ruling);
    if denied {
        CallAction::Deny
    } else {
        CallAction::Allow
    }
}

/// Protocols whose `connect` starts a flow.
#[inline(always)]
const fn is_connection(number: u8) -> bool {
    matches!(number, protocol::TCP | protocol::SCTP | protocol::DCCP)
}

/// The stack takes the unspecified address for loopback.
#[inline(always)]
fn canonical(target: &Target) -> Target {
    let address = match target.address {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0] => {
            ebpf_abi::address::from_v4([127, 0, 0, 1])
        }
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        }
        other => other,
    };
    Target { address, ..*target }
}
