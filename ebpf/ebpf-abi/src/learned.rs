//! `LEARNED`: what names opened, address by address, and until when.

use crate::address::Address;
use crate::row::Field;

/// Steps of one address. More are cut from the latest, which never opens; user space folds again at each expiry.
pub const MAX_STEPS: usize = 4;

row! {
    /// One address under one ruleset.
    pub struct LearnedKey: 20 {
        pub ruleset: u32,
        pub address: Address,
    }
}

row! {
    /// "Until `expires_at`, this address has that port list."
    pub struct Step: 16 {
        /// Nanoseconds of `CLOCK_BOOTTIME`; the step holds while now ≤ `expires_at`. 0 marks an unused step.
        pub expires_at: u64,
        pub list: u32,
        pub reserved: u32,
    }
}

row! {
    /// The steps of an address, ascending by expiry, unused ones last. After the last one `PREFIXES` answers.
    ///
    /// The address stands here once more because the kernel's hash table may hand the memory of a replaced entry to
    /// another key while a program still reads it: a row that names another address is not believed.
    pub struct LearnedRow: 96 {
        pub address: Address,
        pub ruleset: u32,
        /// Which lease, for events; user space's own number.
        pub lease: u32,
        pub reserved: u64,
        pub steps: [Step; MAX_STEPS],
    }
}

const _: () = assert!(<[Step; MAX_STEPS] as Field>::SIZE == 64);
