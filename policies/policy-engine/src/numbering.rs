//! Rules, clauses, shapes, lists and reasons are numbered in 32 bits, because the kernel's tables carry such numbers.

/// The position a number stands for.
pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).expect("Egret runs where an index has at least 32 bits")
}

/// The number of a position.
pub(crate) fn number(index: usize) -> u32 {
    u32::try_from(index).expect("the limits keep every count below 32 bits")
}
