//! The tables and clocks of the kernel.

use aya_ebpf::Global;
use aya_ebpf::helpers::generated::{bpf_get_prandom_u32, bpf_ktime_get_boot_ns, bpf_ktime_get_coarse_ns};
use ebpf_abi::{
    Event, LearnedKey, LearnedRow, PortKey, PortRow, PrefixKey, PrefixRow, SlotKey, SlotOrigin, WorkloadKey,
    WorkloadRow,
};
use ebpf_logic::Maps;

use crate::maps::{DROPPED, EPOCH, EVENTS, LEARNED, ORIGINS, PORTS, PREFIXES, SLOTS, WORKLOADS};

#[unsafe(no_mangle)]
pub static INTERCEPTOR_PORT: Global<u16> = Global::new(0);

#[unsafe(no_mangle)]
pub static CGROUP_LEVEL: Global<u32> = Global::new(0);

/// The one set of tables of this object.
pub struct Tables;

impl Maps for Tables {
    #[inline(always)]
    fn workload(&self, key: &WorkloadKey) -> Option<WorkloadRow> {
        WORKLOADS.get(key).copied()
    }

    #[inline(always)]
    fn learned(&self, key: &LearnedKey) -> Option<&LearnedRow> {
        LEARNED.get(key)
    }

    #[inline(always)]
    fn prefix(&self, key: &PrefixKey) -> Option<PrefixRow> {
        PREFIXES.get(key).copied()
    }

    #[inline(always)]
    fn port(&self, key: &PortKey) -> Option<PortRow> {
        PORTS.get(key).copied()
    }

    #[inline(always)]
    fn slot(&self, key: &SlotKey) -> Option<u16> {
        SLOTS.get(key).map(|slot| *slot as u16)
    }

    #[inline(always)]
    fn origin(&self, slot: u16) -> Option<SlotOrigin> {
        ORIGINS.get(&u32::from(slot)).copied()
    }

    #[inline(always)]
    fn epoch(&self) -> u32 {
        EPOCH.get(0).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn interceptor_port(&self) -> u16 {
        INTERCEPTOR_PORT.load()
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        // SAFETY: takes nothing.
        unsafe { bpf_ktime_get_boot_ns() }
    }

    #[inline(always)]
    fn coarse(&self) -> u64 {
        // SAFETY: takes nothing.
        unsafe { bpf_ktime_get_coarse_ns() }
    }

    #[inline(always)]
    fn stamp(&self) -> u32 {
        // SAFETY: takes nothing.
        unsafe { bpf_get_prandom_u32() }
    }

    #[inline(always)]
    fn emit(&self, event: &Event) {
        if EVENTS.output_untyped::<Event>(event, 0).is_err()
            && let Some(dropped) = DROPPED.get_ptr_mut(0)
        {
            // SAFETY: this CPU's own cell; a program interrupting this one may lose a count, not more.
            unsafe { *dropped += 1 };
        }
    }
}
