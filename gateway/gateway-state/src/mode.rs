/// What is told of a workload's flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// What is denied, or would be.
    #[default]
    Denials,
    /// Every new flow and every question.
    Everything,
}

/// Whether a workload is held or only watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What is denied does not happen.
    Enforce,
    /// Everything happens; what would have been denied is told.
    Audit,
}
