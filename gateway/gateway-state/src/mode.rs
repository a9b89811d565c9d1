/// Whether a workload is held or only watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What is denied does not happen.
    Enforce,
    /// Everything happens; what would have been denied is told.
    Audit,
}
