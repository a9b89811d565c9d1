//! `WORKLOADS`: who is held, and to which ruleset.

row! {
    /// The id of the workload's own cgroup (v2). Child cgroups are found by their ancestor at the level of
    /// [`globals::CGROUP_LEVEL`](crate::globals::CGROUP_LEVEL).
    pub struct WorkloadKey: 8 {
        pub cgroup: u64,
    }
}

row! {
    /// What a workload is held to. No row: everything is denied.
    pub struct WorkloadRow: 8 {
        /// The ruleset whose `LEARNED` and `PREFIXES` entries count.
        pub ruleset: u32,
        /// Bits of [`workload_flags`].
        pub flags: u32,
    }
}

/// Bits of [`WorkloadRow::flags`].
pub mod workload_flags {
    /// Everything is allowed; events say what would have been denied.
    pub const AUDIT: u32 = 1;
    /// Questions to the known resolvers (`SLOTS`) go to the interceptor, and reach them no other way.
    pub const FILTERED: u32 = 1 << 1;
    /// Allowed flows make events too, one for each new flow.
    pub const LOG_ALLOWED: u32 = 1 << 2;
}
