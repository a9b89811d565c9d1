//! `PREFIXES`: what the rules say of addresses by themselves, folded so that the longest match is the answer.

use crate::address::Address;

row! {
    /// A key of the kernel's longest-prefix table.
    pub struct PrefixKey: 24 {
        /// Bits that count, from the left, of `ruleset` and `address` together: 32 + (96 for IPv4) + prefix length.
        pub bits: u32,
        /// Big-endian.
        pub ruleset: [u8; 4],
        pub address: Address,
    }
}

row! {
    /// The port list of every address the prefix covers.
    pub struct PrefixRow: 8 {
        pub list: u32,
        pub reserved: u32,
    }
}

impl PrefixKey {
    /// Bits in front of the address.
    pub const RULESET_BITS: u32 = 32;
    /// All bits, the length a look-up is made with.
    pub const ALL_BITS: u32 = 160;

    /// The first `len` bits of `address` (table form: 96 more for IPv4) under `ruleset`.
    #[inline(always)]
    pub const fn new(ruleset: u32, address: Address, len: u32) -> Self {
        Self {
            bits: Self::RULESET_BITS + len,
            ruleset: ruleset.to_be_bytes(),
            address,
        }
    }

    /// The key that finds the longest prefix covering `address`.
    #[inline(always)]
    pub const fn look_up(ruleset: u32, address: Address) -> Self {
        Self {
            bits: Self::ALL_BITS,
            ruleset: ruleset.to_be_bytes(),
            address,
        }
    }
}
