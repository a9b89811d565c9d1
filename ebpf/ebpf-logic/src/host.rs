//! The tables and sockets of a machine that has no kernel: ordered maps.
//!
//! For every engine that is held against the kernel: the same decision code, filled by the same
//! [`Batch`], asked without root.

use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec::Vec;

use ebpf_abi::address::Address;
use ebpf_abi::plan::{Batch, Ledger, PlanError, Write};
use ebpf_abi::{
    Event, FlowRow, LearnedKey, LearnedRow, PortKey, PortRow, PrefixKey, PrefixRow, Row, SlotKey,
    SlotOrigin, WorkloadKey, WorkloadRow,
};

use crate::seams::{Fault, Flow, Maps, Packet, Socket, Who};
use crate::target::Target;

/// Tables, clocks and events.
#[derive(Debug, Default)]
pub struct HostMaps {
    ledger: Ledger,
    workloads: BTreeMap<Box<[u8]>, WorkloadRow>,
    learned: BTreeMap<Box<[u8]>, LearnedRow>,
    prefixes: Trie<PrefixRow>,
    ports: Trie<PortRow>,
    slots: BTreeMap<Box<[u8]>, u16>,
    origins: BTreeMap<u16, SlotOrigin>,
    epoch: u32,
    /// See [`Maps::interceptor_port`].
    pub interceptor_port: u16,
    /// Nanoseconds; both clocks of [`Maps`].
    pub now: u64,
    /// Mistakes that are in.
    pub faults: Vec<Fault>,
    stamp: Cell<u32>,
    events: RefCell<Vec<Event>>,
}

/// A socket, as much of it as decides.
#[derive(Clone, Debug, Default)]
pub struct HostSocket {
    /// Id of the cgroup it was made in.
    pub cgroup: u64,
    /// Whether it is a TCP listener.
    pub listener: bool,
    /// What it is connected to.
    pub peer: Option<(Address, u16)>,
    /// Index of the device it is bound to; 0: none.
    pub device: u32,
    /// Who made the call.
    pub who: Who,
    /// What listens on this machine: (address, port, protocol) and its workload.
    pub listeners: Vec<(Address, u16, u8, u64)>,
    flow: Rc<Cell<Option<FlowRow>>>,
}

/// A row of [`HostSocket`].
#[derive(Clone, Copy, Debug)]
pub struct HostFlow<'a>(&'a Cell<Option<FlowRow>>);

/// Bytes from the IP header on.
#[derive(Clone, Copy, Debug)]
pub struct HostPacket<'a> {
    pub bytes: &'a [u8],
    /// 4 or 6, as the stack says.
    pub version: u8,
}

impl HostMaps {
    /// Empty tables for an interceptor on this port.
    pub fn new(interceptor_port: u16) -> Self {
        Self {
            interceptor_port,
            ..Self::default()
        }
    }

    /// Makes the tables hold what the batch says.
    ///
    /// # Errors
    ///
    /// The batch cannot be; nothing has changed.
    pub fn apply(&mut self, batch: &Batch) -> Result<(), PlanError> {
        for write in self.ledger.stage(batch)? {
            self.write(&write);
            self.ledger.wrote(&write);
        }
        Ok(())
    }

    /// One write, as the loader makes it; for tests that stop in the middle.
    pub fn write(&mut self, write: &Write) {
        match write {
            Write::ListStands(_) | Write::ListFalls(_) => {}
            Write::Port(key, row) => self.ports.set(key.bits, &key.to_bytes(), *row),
            Write::Prefix(key, row) => self.prefixes.set(key.bits, &key.to_bytes(), *row),
            Write::Learned(key, row) => set(&mut self.learned, &key.to_bytes(), *row),
            Write::Slot(key, slot) => set(&mut self.slots, &key.to_bytes(), *slot),
            Write::Workload(key, row) => set(&mut self.workloads, &key.to_bytes(), *row),
            Write::Origin(slot, Some(origin)) => {
                self.origins.insert(*slot, *origin);
            }
            Write::Origin(slot, None) => {
                self.origins.remove(slot);
            }
            Write::Epoch(epoch) => self.epoch = *epoch,
        }
    }

    /// Everything that was told since the last call.
    pub fn take_events(&self) -> Vec<Event> {
        self.events.take()
    }
}

impl HostSocket {
    /// A new socket of this cgroup.
    pub fn new(cgroup: u64) -> Self {
        Self {
            cgroup,
            ..Self::default()
        }
    }

    /// The child this listener accepts: born with a copy of its storage.
    pub fn accepted(&self, peer: (Address, u16)) -> Self {
        let flow = Rc::new(Cell::new(self.flow.get()));
        Self {
            listener: false,
            peer: Some(peer),
            flow,
            ..self.clone()
        }
    }

    /// The storage, if there is one.
    pub fn row(&self) -> Option<FlowRow> {
        self.flow.get()
    }
}

impl Maps for HostMaps {
    fn workload(&self, key: &WorkloadKey) -> Option<WorkloadRow> {
        self.workloads.get(key.to_bytes().as_slice()).copied()
    }

    fn learned(&self, key: &LearnedKey) -> Option<&LearnedRow> {
        self.learned.get(key.to_bytes().as_slice())
    }

    fn prefix(&self, key: &PrefixKey) -> Option<PrefixRow> {
        self.prefixes.longest(&key.to_bytes())
    }

    fn port(&self, key: &PortKey) -> Option<PortRow> {
        self.ports.longest(&key.to_bytes())
    }

    fn slot(&self, key: &SlotKey) -> Option<u16> {
        self.slots.get(key.to_bytes().as_slice()).copied()
    }

    fn origin(&self, slot: u16) -> Option<SlotOrigin> {
        self.origins.get(&slot).copied()
    }

    fn epoch(&self) -> u32 {
        self.epoch
    }

    fn interceptor_port(&self) -> u16 {
        self.interceptor_port
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn coarse(&self) -> u64 {
        self.now
    }

    fn stamp(&self) -> u32 {
        self.stamp.set(self.stamp.get().wrapping_add(1));
        self.stamp.get()
    }

    fn emit(&self, event: &Event) {
        self.events.borrow_mut().push(*event);
    }

    fn fault(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

impl<'a> Socket for &'a HostSocket {
    type Flow = HostFlow<'a>;

    fn cgroup(&self) -> u64 {
        self.cgroup
    }

    fn flow(&self) -> Option<HostFlow<'a>> {
        self.flow.get().map(|_| HostFlow(&self.flow))
    }

    fn make_flow(&self) -> Option<HostFlow<'a>> {
        if self.flow.get().is_none() {
            self.flow.set(Some(FlowRow::default()));
        }
        Some(HostFlow(&self.flow))
    }

    fn receiver(&self, _: &(Address, u16), target: &Target) -> Option<u64> {
        let there = |entry: &&(Address, u16, u8, u64)| {
            (entry.0, entry.1, entry.2) == (target.address, target.port, target.protocol)
        };
        self.listeners.iter().find(there).map(|entry| entry.3)
    }

    fn is_listener(&self) -> bool {
        self.listener
    }

    fn is_peer(&self, target: &Target) -> bool {
        self.peer == Some((target.address, target.port))
    }

    fn bound_device(&self) -> u32 {
        self.device
    }

    fn cookie(&self) -> u64 {
        0
    }

    fn local_port(&self) -> u16 {
        0
    }

    fn who(&self) -> Who {
        self.who
    }
}

macro_rules! field {
    ($get:ident, $set:ident, $t:ty) => {
        fn $get(self) -> $t {
            self.0.get().unwrap_or_default().$get
        }

        fn $set(self, value: $t) {
            let row = self.0.get().unwrap_or_default();
            self.0.set(Some(FlowRow { $get: value, ..row }));
        }
    };
}

impl Flow for HostFlow<'_> {
    field!(allowed, set_allowed, [u64; 4]);
    field!(fragment, set_fragment, [u64; 4]);
    field!(workload, set_workload, u64);
    field!(seen, set_seen, u64);
    field!(flags, set_flags, u32);
    field!(pid, set_pid, u32);
    field!(lease, set_lease, u32);
}

impl Packet for HostPacket<'_> {
    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let at = usize::try_from(offset).ok()?;
        self.bytes.get(at..)?.get(..N)?.try_into().ok()
    }

    fn peek<const WORDS: usize>(&self) -> Option<[u32; WORDS]> {
        let mut words = [0; WORDS];
        for (word, bytes) in words
            .iter_mut()
            .zip(self.bytes.get(..WORDS * 4)?.chunks_exact(4))
        {
            *word = u32::from_ne_bytes(bytes.try_into().ok()?);
        }
        Some(words)
    }

    fn length(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    fn version(&self) -> u8 {
        self.version
    }
}

/// A longest-prefix table that looks at every entry: slow, and plainly right.
#[derive(Debug, Default)]
struct Trie<V> {
    /// Bits that count, and all bytes behind the length field.
    rows: BTreeMap<(u32, Box<[u8]>), V>,
    lengths: BTreeMap<u32, usize>,
}

impl<V: Copy> Trie<V> {
    /// `key` starts with the four bytes of its length, as the kernel has it.
    fn set(&mut self, bits: u32, key: &[u8], row: Option<V>) {
        let place = (bits, cut(key, bits));
        let changed = match row {
            Some(row) => self.rows.insert(place, row).is_none(),
            None => self.rows.remove(&place).is_some(),
        };
        if changed {
            let count = self.lengths.entry(bits).or_default();
            *count = if row.is_some() {
                *count + 1
            } else {
                *count - 1
            };
            if *count == 0 {
                self.lengths.remove(&bits);
            }
        }
    }

    fn longest(&self, key: &[u8]) -> Option<V> {
        self.lengths
            .keys()
            .rev()
            .find_map(|&bits| self.rows.get(&(bits, cut(key, bits))).copied())
    }
}

/// The key's data with every bit past `bits` cleared.
fn cut(key: &[u8], bits: u32) -> Box<[u8]> {
    let data = key.get(4..).unwrap_or_default();
    let byte = |(at, byte): (usize, &u8)| {
        let before = u32::try_from(at).unwrap_or(u32::MAX).saturating_mul(8);
        let counting = bits.saturating_sub(before).min(8);
        byte & u8::MAX.checked_shl(8 - counting).unwrap_or(0)
    };
    data.iter().enumerate().map(byte).collect()
}

fn set<V>(map: &mut BTreeMap<Box<[u8]>, V>, key: &[u8], row: Option<V>) {
    match row {
        Some(row) => map.insert(key.into(), row),
        None => map.remove(key),
    };
}
