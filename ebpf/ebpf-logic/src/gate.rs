//! What is settled before any rule is asked: slot addresses, and the known resolvers.

use ebpf_abi::{SlotKey, WorkloadRow, slot, workload_flags};

use crate::packet::protocol;
use crate::seams::{Fault, Maps};
use crate::target::Target;

/// Where a target stands before the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The rules decide.
    Rules,
    /// The workload's own way to its interceptor.
    OwnSlot,
    /// Some interceptor's address, and not the workload's own.
    ForeignSlot,
    /// A known resolver, whose questions go to this slot.
    Resolver(u16),
}

#[inline(always)]
pub(crate) fn gate<M: Maps>(maps: &M, workload: u64, row: &WorkloadRow, target: &Target) -> Gate {
    if slot::is_slot_range(&target.address) {
        return if is_own(maps, workload, target) {
            Gate::OwnSlot
        } else {
            Gate::ForeignSlot
        };
    }
    let carries_questions = target.protocol == protocol::UDP || target.protocol == protocol::TCP;
    if row.flags & workload_flags::FILTERED == 0 || !carries_questions {
        return Gate::Rules;
    }
    let key = SlotKey {
        workload,
        address: target.address,
        port: target.port,
        reserved: [0; 6],
    };
    match maps.slot(&key) {
        Some(slot) => Gate::Resolver(slot),
        None => Gate::Rules,
    }
}

#[inline(always)]
fn is_own<M: Maps>(maps: &M, workload: u64, target: &Target) -> bool {
    let port = maps.interceptor_port();
    let carried = target.protocol == protocol::UDP || target.protocol == protocol::TCP;
    if !carried || target.port != port {
        return false;
    }
    let Some(slot) = slot::slot_of(&target.address, port) else {
        return false;
    };
    match maps.origin(slot) {
        Some(origin) => origin.workload == workload || maps.fault(Fault::ForeignSlotOpen),
        None => false,
    }
}
