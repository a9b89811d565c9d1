//! A socket's storage, word by word: volatile, so that a word is read and written in one instruction.

use core::ptr::{addr_of_mut, NonNull};

use ebpf_abi::FlowRow;
use ebpf_logic::Flow;

/// A row of `FLOWS`.
#[derive(Clone, Copy)]
pub struct Row(NonNull<FlowRow>);

impl Row {
    /// What the helper returned.
    #[inline(always)]
    pub fn new(row: *mut FlowRow) -> Option<Self> {
        NonNull::new(row).map(Self)
    }
}

macro_rules! field {
    ($get:ident, $set:ident, $t:ty) => {
        #[inline(always)]
        fn $get(self) -> $t {
            // SAFETY: the row lives as long as the program runs.
            unsafe { addr_of_mut!((*self.0.as_ptr()).$get).read_volatile() }
        }

        #[inline(always)]
        fn $set(self, value: $t) {
            // SAFETY: as above; other programs may write too, a word at a time.
            unsafe { addr_of_mut!((*self.0.as_ptr()).$get).write_volatile(value) }
        }
    };
}

macro_rules! words {
    ($get:ident, $set:ident) => {
        #[inline(always)]
        fn $get(self) -> [u64; 4] {
            // SAFETY: the row lives as long as the program runs.
            let words = unsafe { addr_of_mut!((*self.0.as_ptr()).$get) }.cast::<u64>();
            // SAFETY: four words, each inside the row.
            unsafe {
                [
                    words.read_volatile(),
                    words.add(1).read_volatile(),
                    words.add(2).read_volatile(),
                    words.add(3).read_volatile(),
                ]
            }
        }

        #[inline(always)]
        fn $set(self, [a, b, c, d]: [u64; 4]) {
            // SAFETY: as above.
            let words = unsafe { addr_of_mut!((*self.0.as_ptr()).$get) }.cast::<u64>();
            // SAFETY: as above.
            unsafe {
                words.write_volatile(a);
                words.add(1).write_volatile(b);
                words.add(2).write_volatile(c);
                words.add(3).write_volatile(d);
            }
        }
    };
}

impl Flow for Row {
    words!(allowed, set_allowed);
    words!(fragment, set_fragment);
    field!(workload, set_workload, u64);
    field!(seen, set_seen, u64);
    field!(flags, set_flags, u32);
    field!(pid, set_pid, u32);
    field!(lease, set_lease, u32);
}
