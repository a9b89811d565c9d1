//! Packets that arrive, and sockets that are made: nothing is denied here, only noted.

use ebpf_abi::flow_flags;

use crate::seams::{Flow, Socket};

/// Marks a listener that is written to, so that the child it accepts is born with the right to answer.
#[inline(always)]
pub fn ingress<S: Socket>(socket: &S) {
    if !socket.is_listener() {
        return;
    }
    if let Some(flow) = socket.make_flow() {
        if flow.workload() == 0 {
            flow.set_workload(socket.cgroup());
        }
        let flags = flow.flags();
        if flags & flow_flags::INBOUND == 0 {
            flow.set_flags(flags | flow_flags::INBOUND);
        }
    }
}

/// Marks a socket with its workload, so that others of the same workload may reach it on loopback. Where there is no
/// memory for the mark, the socket goes without and is judged by the rules alone.
#[inline(always)]
pub fn socket_made<S: Socket>(socket: &S) {
    if let Some(flow) = socket.make_flow() {
        flow.set_workload(socket.cgroup());
    }
}
