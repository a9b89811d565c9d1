//! What the decision needs from where it runs.

use ebpf_abi::address::Address;
use ebpf_abi::{
    Event, LearnedKey, LearnedRow, PortKey, PortRow, PrefixKey, PrefixRow, SlotKey, SlotOrigin,
    WorkloadKey, WorkloadRow,
};

use crate::target::Target;

/// The tables, the clock and the way out for events.
pub trait Maps {
    /// Exact match in `WORKLOADS`.
    fn workload(&self, key: &WorkloadKey) -> Option<WorkloadRow>;
    /// Exact match in `LEARNED`.
    fn learned(&self, key: &LearnedKey) -> Option<&LearnedRow>;
    /// Longest match in `PREFIXES`.
    fn prefix(&self, key: &PrefixKey) -> Option<PrefixRow>;
    /// Longest match in `PORTS`.
    fn port(&self, key: &PortKey) -> Option<PortRow>;
    /// Exact match in `SLOTS`.
    fn slot(&self, key: &SlotKey) -> Option<u16>;
    /// What a slot stands for.
    fn origin(&self, slot: u16) -> Option<SlotOrigin>;
    /// The epoch of now; 16 bits count.
    fn epoch(&self) -> u32;
    /// Where the interceptor listens.
    fn interceptor_port(&self) -> u16;
    /// Nanoseconds of `CLOCK_BOOTTIME`, exact: leases are compared with it.
    fn now(&self) -> u64;
    /// Nanoseconds of a cheap clock that never goes back; idle times are compared with it.
    fn coarse(&self) -> u64;
    /// A number that two writers do not share.
    fn stamp(&self) -> u32;
    /// Hands an event to user space; a full ring is counted, never waited for.
    fn emit(&self, event: &Event);

    /// A fault put in on purpose, to see that tests catch it. The kernel's answer is always no.
    #[inline(always)]
    fn fault(&self, _: Fault) -> bool {
        false
    }
}

/// The socket behind a system call or packet.
pub trait Socket {
    type Flow: Flow;

    /// Id of the cgroup at the workloads' level; 0 when there is none.
    fn cgroup(&self) -> u64;
    /// The socket's storage, when it has one.
    fn flow(&self) -> Option<Self::Flow>;
    /// The storage, made when missing. `None` when the kernel has no memory for it: then nothing is remembered.
    fn make_flow(&self) -> Option<Self::Flow>;
    /// The workload of the socket on this machine that would receive what goes from `local` to `target`.
    fn receiver(&self, local: &(Address, u16), target: &Target) -> Option<u64>;
    /// Whether this is a TCP listener.
    fn is_listener(&self) -> bool;
    /// Whether the socket is connected to this address and port.
    fn is_peer(&self, target: &Target) -> bool;
    /// The device the socket is bound to; 0: none.
    fn bound_device(&self) -> u32;
    /// The socket's cookie.
    fn cookie(&self) -> u64;
    /// Port the socket is bound to; 0 when it is not yet.
    fn local_port(&self) -> u16;
    /// The process, where the hook runs in it.
    fn who(&self) -> Who;
}

/// A socket's storage, field by field: one field is one or four words, and a word is never torn.
pub trait Flow: Copy {
    fn allowed(self) -> [u64; 4];
    fn set_allowed(self, words: [u64; 4]);
    fn fragment(self) -> [u64; 4];
    fn set_fragment(self, words: [u64; 4]);
    fn workload(self) -> u64;
    fn set_workload(self, workload: u64);
    fn seen(self) -> u64;
    fn set_seen(self, seen: u64);
    fn flags(self) -> u32;
    fn set_flags(self, flags: u32);
    fn pid(self) -> u32;
    fn set_pid(self, pid: u32);
    fn lease(self) -> u32;
    fn set_lease(self, lease: u32);
}

/// A packet from its IP header on.
pub trait Packet {
    /// `N` bytes at `offset`; `None` when the packet ends before.
    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]>;
    /// The first words, in native order, where they lie in one piece; `None` says nothing about the packet.
    fn peek<const WORDS: usize>(&self) -> Option<[u32; WORDS]>;
    /// Bytes in all.
    fn length(&self) -> u32;
    /// 4 or 6, as the stack sent it; the header has to agree.
    fn version(&self) -> u8;
}

/// The process that made a system call; zeroes in hooks that do not run in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// Thread group.
    pub pid: u32,
    pub uid: u32,
    /// As much of the command's name as the kernel keeps, then zeroes.
    pub comm: [u8; 16],
}

/// Mistakes the look-up could make, each put in by a test that must then fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A step counts after its time.
    ExpiredStepCounts,
    /// A new flow gets the first step whatever the time.
    NewFlowUsesFirstStep,
    /// An established flow that is judged again gets the step of now.
    EstablishedUsesNow,
    /// After the last step, nothing is asked of the prefixes.
    NoPrefixAfterSteps,
    /// A learned row that names another address is believed.
    StrangerRowBelieved,
    /// A missing port list allows.
    MissingListAllows,
    /// An unknown workload is free.
    UnknownWorkloadFree,
    /// An established flow is believed whatever the epoch.
    EpochIgnored,
    /// An established flow is believed for every port of its address.
    PortForgotten,
    /// Somebody else's slot is as good as one's own.
    ForeignSlotOpen,
    /// A later fragment needs no first one.
    LaterFragmentFree,
    /// Source routes are not looked for.
    SourceRouteFree,
    /// A known resolver may be asked behind the interceptor's back.
    UnredirectedFree,
}
