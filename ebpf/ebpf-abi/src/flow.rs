//! Socket storage: what a socket's packets were last told.

row! {
    /// One row in every socket of a workload, made when the socket is, and inherited by accepted children.
    pub struct FlowRow: 96 {
        /// The remote (address, port, protocol) that was last allowed and the epoch of that ruling, in four words
        /// that carry one stamp: threads sharing a UDP socket may write at once, and must not be able to mix two
        /// allowed tuples into a third (see `ebpf-logic`, `memory`). Zeroes: none.
        pub allowed: [u64; 4],
        /// The same for the last first fragment that was allowed: (address, fragment id, protocol).
        pub fragment: [u64; 4],
        /// The workload the socket was made in.
        pub workload: u64,
        /// `CLOCK_MONOTONIC` (coarse) of the last packet of a flow that has no end of its own (all but TCP).
        pub seen: u64,
        /// Bits of [`flow_flags`].
        pub flags: u32,
        /// Process (thread group) of the last system call that named a destination. 0: none yet.
        pub pid: u32,
        /// Lease that allowed the flow, for events. 0: none.
        pub lease: u32,
        pub reserved: u32,
    }
}

/// Bits of [`FlowRow::flags`].
pub mod flow_flags {
    /// A listener that was written to, or a child it accepted: its answers are replies.
    pub const INBOUND: u32 = 1;
}
