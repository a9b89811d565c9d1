//! The maps, as BTF definitions: the loader reads their types from here.

use aya_ebpf::bindings::{
    BPF_F_CLONE, BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE, bpf_map_type::*,
};
use aya_ebpf::btf_maps::{Array, PerCpuArray, RingBuf};
use aya_ebpf::helpers::generated::{bpf_map_lookup_elem, bpf_sk_storage_get};
use aya_ebpf::macros::btf_map;
use aya_ebpf::bindings::bpf_sock;
use ebpf_abi::{
    capacity, FlowRow, LearnedKey, LearnedRow, PortKey, PortRow, PrefixKey, PrefixRow, SlotKey, SlotOrigin, WorkloadKey,
    WorkloadRow,
};

const NO_PREALLOC: usize = BPF_F_NO_PREALLOC as usize;
const HASH: usize = BPF_MAP_TYPE_HASH as usize;
const LPM: usize = BPF_MAP_TYPE_LPM_TRIE as usize;

#[btf_map]
pub static WORKLOADS: Table<WorkloadKey, WorkloadRow, HASH, { capacity::WORKLOADS }, NO_PREALLOC> = Table::new();

#[btf_map]
pub static LEARNED: Table<LearnedKey, LearnedRow, HASH, { capacity::LEARNED }, NO_PREALLOC> = Table::new();

#[btf_map]
pub static PREFIXES: Table<PrefixKey, PrefixRow, LPM, { capacity::PREFIXES }, NO_PREALLOC> = Table::new();

#[btf_map]
pub static PORTS: Table<PortKey, PortRow, LPM, { capacity::PORTS }, NO_PREALLOC> = Table::new();

#[btf_map]
pub static SLOTS: Table<SlotKey, u32, HASH, { capacity::SLOTS }, NO_PREALLOC> = Table::new();

#[btf_map]
pub static ORIGINS: Table<u32, SlotOrigin, HASH, { capacity::SLOTS }, NO_PREALLOC> = Table::new();

#[btf_map]
pub static FLOWS: SocketStorage<FlowRow> = SocketStorage::new();

#[btf_map]
pub static EVENTS: RingBuf<(), 1_048_576> = RingBuf::new();

#[btf_map]
pub static EPOCH: Array<u32, 1> = Array::new();

#[btf_map]
pub static DROPPED: PerCpuArray<u64, 1> = PerCpuArray::new();

/// A table the programs only read.
#[repr(C)]
pub struct Table<K, V, const TYPE: usize, const ENTRIES: usize, const FLAGS: usize> {
    r#type: *const [i32; TYPE],
    key: *const K,
    value: *const V,
    max_entries: *const [i32; ENTRIES],
    map_flags: *const [i32; FLAGS],
}

/// Socket storage that accepted children inherit; aya's own type has other flags.
#[repr(C)]
pub struct SocketStorage<T> {
    r#type: *const [i32; BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize],
}

// SAFETY: the fields are placeholders the loader reads types from; nobody follows them.
unsafe impl<K, V, const T: usize, const E: usize, const F: usize> Sync for Table<K, V, T, E, F> {}

// SAFETY: as above.
unsafe impl<T> Sync for SocketStorage<T> {}

impl<K, V, const T: usize, const E: usize, const F: usize> Table<K, V, T, E, F> {
    const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    /// The value under `key`: exact in a hash, the longest match in a prefix table.
    #[inline(always)]
    pub fn get(&self, key: &K) -> Option<&V> {
        // SAFETY: the loader replaces the address of this static by the map; `key` is as long as the map's keys.
        let value = unsafe {
            bpf_map_lookup_elem(core::ptr::from_ref(self).cast_mut().cast(), core::ptr::from_ref(key).cast())
        };
        // SAFETY: null, or a value that stays readable until the program ends. User space may replace it meanwhile;
        // rows whose mix-up would open something name their key (see `LearnedRow`).
        unsafe { value.cast::<V>().as_ref() }
    }
}

impl<T> SocketStorage<T> {
    const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    /// The storage of a full socket, null when it has none.
    #[inline(always)]
    pub fn get(&self, socket: *mut bpf_sock) -> *mut T {
        self.storage(socket, 0)
    }

    /// The storage of a full socket, made when missing; null when there is no memory.
    #[inline(always)]
    pub fn get_or_make(&self, socket: *mut bpf_sock) -> *mut T {
        self.storage(socket, u64::from(BPF_SK_STORAGE_GET_F_CREATE))
    }

    #[inline(always)]
    fn storage(&self, socket: *mut bpf_sock, flags: u64) -> *mut T {
        let map = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the verifier lets only a full socket through.
        unsafe { bpf_sk_storage_get(map, socket.cast(), core::ptr::null_mut(), flags) }.cast()
    }
}
