//! System calls that name a destination: `connect`, `sendto`, `sendmsg`; and those that name the other end.

use ebpf_abi::address::{Address, is_loopback, to_v4};
use ebpf_abi::{
    Cause, Hook, PROBE_PROTOCOL, Style, Verdict, WorkloadKey, WorkloadRow, flow_flags, slot,
};

use crate::gate::{Gate, gate};
use crate::memory::{Recall, forget, remember, remembered};
use crate::packet::protocol;
use crate::report::{Story, effective, tell};
use crate::rule::{Age, Ruling, rule};
use crate::seams::{Fault, Flow, Maps, Socket};
use crate::target::Target;

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
    let opens = is_connection(target.protocol);
    if opens && let Some(flow) = socket.flow() {
        // A new flow, whatever the socket was before. A denial that looks like loss lets the call go on: its packet
        // must find neither an older permission nor the right of a listener to answer.
        flow.set_flags(flow.flags() & !flow_flags::INBOUND);
        forget(flow);
    }
    let call = match Call::enter(maps, socket, Hook::Connect, target) {
        Ok(call) => call,
        Err(action) => return action,
    };
    let Call { id, target, .. } = call;
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
    let mut ruling = rule(maps, call.row.ruleset, &asked, Age::New);
    if opens && !ruling.allows() && is_loopback(&target.address) {
        let anywhere = ([0; 16], 0);
        if socket.receiver(&anywhere, &target) == Some(id) {
            ruling = Ruling::open(Cause::OwnListener);
        }
    }
    let allowed = matches!(effective(&call.row, &ruling), Verdict::Allow);
    if opens && allowed {
        if let Some(flow) = socket.make_flow() {
            flow.set_workload(id);
            flow.set_pid(socket.who().pid);
            // Which of the sockets on a port receives depends on the source, which only the packet has.
            if !matches!(ruling.cause, Cause::OwnListener) {
                remember(maps, flow, &target, ruling.lease, call.epoch);
            }
        }
    } else if let Some(flow) = socket.flow() {
        flow.set_pid(socket.who().pid);
    }
    if !opens && allowed {
        return CallAction::Allow;
    }
    call.finish(&ruling)
}

/// `sendto` and `sendmsg` of an unconnected UDP socket: the datagram is judged here, where the caller is known.
#[inline(always)]
pub fn sendmsg<M: Maps, S: Socket>(maps: &M, socket: &S, target: &Target) -> CallAction {
    let call = match Call::enter(maps, socket, Hook::Sendmsg, target) {
        Ok(call) => call,
        Err(action) => return action,
    };
    let Call { target, epoch, .. } = call;
    // Who receives on loopback is only known once the packet has its source.
    if is_loopback(&target.address) {
        return CallAction::Allow;
    }
    let flow = socket.make_flow();
    let mut age = Age::New;
    if let Some(flow) = flow {
        flow.set_workload(call.id);
        flow.set_pid(socket.who().pid);
        match remembered(maps, flow, &target, epoch) {
            Recall::Current => return CallAction::Allow,
            Recall::Earlier => age = Age::Established,
            Recall::Other => {}
        }
    }
    let ruling = rule(maps, call.row.ruleset, &target, age);
    if let Some(flow) = flow
        && matches!(effective(&call.row, &ruling), Verdict::Allow)
    {
        remember(maps, flow, &target, ruling.lease, epoch);
    }
    call.finish(&ruling)
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

/// A call that the rules decide: who makes it, and where it goes.
struct Call<'a, M, S> {
    maps: &'a M,
    socket: &'a S,
    hook: Hook,
    id: u64,
    row: WorkloadRow,
    target: Target,
    /// Read before the rules: what they say is never stamped with a later one.
    epoch: u32,
}

impl<'a, M: Maps, S: Socket> Call<'a, M, S> {
    /// Finds who calls, and sees to slots and resolvers. An error is what becomes of a call that is no matter of rules.
    #[inline(always)]
    fn enter(maps: &'a M, socket: &'a S, hook: Hook, target: &Target) -> Result<Self, CallAction> {
        let epoch = maps.epoch();
        let id = socket.cgroup();
        let row = workload(maps, id);
        let call = Self {
            maps,
            socket,
            hook,
            id,
            row: row.unwrap_or_default(),
            target: canonical(target),
            epoch,
        };
        if row.is_none() {
            return Err(call.refuse(Cause::UnknownWorkload));
        }
        match gate(maps, id, &call.row, &call.target) {
            Gate::Rules => Ok(call),
            Gate::OwnSlot => Err(CallAction::Allow),
            Gate::ForeignSlot => Err(call.refuse(Cause::ForeignSlot)),
            Gate::Resolver(slot) => Err(call.redirect(slot)),
        }
    }

    /// Sends a question to its slot. A socket bound to a device cannot reach the interceptor, and must not reach the
    /// server instead.
    #[inline(always)]
    fn redirect(&self, slot: u16) -> CallAction {
        let device = self.socket.bound_device();
        if device != 0 && device != LOOPBACK_DEVICE {
            return self.refuse(Cause::BoundDevice);
        }
        let address = match to_v4(&self.target.address) {
            Some(_) => slot::v4(slot),
            None => slot::v6(self.maps.interceptor_port(), slot),
        };
        CallAction::Redirect(address)
    }

    #[inline(always)]
    fn refuse(&self, cause: Cause) -> CallAction {
        self.finish(&Ruling::closed(cause))
    }

    /// Tells of the ruling and turns it into an action. A denial that looks like loss is left to the packet.
    #[inline(always)]
    fn finish(&self, ruling: &Ruling) -> CallAction {
        let denied = matches!(effective(&self.row, ruling), Verdict::Deny);
        if denied && matches!(ruling.style, Style::Drop) {
            return CallAction::Allow;
        }
        let story = Story {
            hook: self.hook,
            workload: self.id,
            row: &self.row,
            target: &self.target,
            local_port: self.socket.local_port(),
            length: 0,
            age: Age::New,
            pid: 0,
        };
        tell(self.maps, self.socket, &story, ruling);
        if denied {
            CallAction::Deny
        } else {
            CallAction::Allow
        }
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
