//! The seam between whoever decides what the tables hold and the kernel that has them.

use std::io;

use ebpf_abi::plan::{Batch, PlanError};

/// Something that holds tables.
pub trait Datapath {
    /// Makes the tables hold what the batch says.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Plan`]: nothing was written. [`ApplyError::Write`]: writing stopped there; what stands opens
    /// nothing the batch would not have opened, and the same batch may be applied again.
    fn apply(&mut self, batch: &Batch) -> Result<(), ApplyError>;
}

/// Why tables do not hold what a batch says.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The batch cannot be, whatever the kernel says.
    #[error("the batch was refused")]
    Plan(#[source] PlanError),
    /// The kernel refused a write.
    #[error("the kernel refused a write to `{table}`{}", full_hint(.source))]
    Write {
        table: &'static str,
        #[source]
        source: io::Error,
    },
}

/// The one refusal that has a common reason: the table has as many entries as it was made for (`E2BIG` of hash tables,
/// `ENOSPC` of prefix tables).
fn full_hint(error: &io::Error) -> &'static str {
    const E2BIG: i32 = 7;
    const ENOSPC: i32 = 28;
    if matches!(error.raw_os_error(), Some(E2BIG | ENOSPC)) {
        ": it is full"
    } else {
        ""
    }
}
