//! Globals of the object, set by the loader before the programs are loaded and constant from then on.

/// `u32`: the object's [`LAYOUT_VERSION`](crate::LAYOUT_VERSION).
pub const LAYOUT: &str = "LAYOUT";
/// `u16`: where the interceptor listens, on slot addresses.
pub const INTERCEPTOR_PORT: &str = "INTERCEPTOR_PORT";
/// `u32`: depth of the workloads' cgroups below the v2 root, which is 0.
pub const CGROUP_LEVEL: &str = "CGROUP_LEVEL";
/// Names of the maps in the object.
pub mod maps {
    pub const WORKLOADS: &str = "WORKLOADS";
    pub const LEARNED: &str = "LEARNED";
    pub const PREFIXES: &str = "PREFIXES";
    pub const PORTS: &str = "PORTS";
    pub const SLOTS: &str = "SLOTS";
    pub const ORIGINS: &str = "ORIGINS";
    pub const FLOWS: &str = "FLOWS";
    pub const EVENTS: &str = "EVENTS";
    /// Array of one `u32`, of which 16 bits count: a flow allowed in another epoch is judged again.
    pub const EPOCH: &str = "EPOCH";
    /// Per-CPU array of one `u64`: events that found the ring full.
    pub const DROPPED: &str = "DROPPED";
}
