//! What the packet hook costs in the kernel, by path and by size of the table.

use anyhow::Context as _;

use super::Plan;
use super::table::Table;

/// Learned addresses in the table.
const LEARNED: [u32; 3] = [1, 1_000, 100_000];

/// Each path, above a program that does nothing.
pub(crate) fn measure(_plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let costs =
        ebpf_loader::bench::egress_costs(&LEARNED).context("failed to measure the packet hook")?;
    for cost in costs {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 nanoseconds")]
        let nanoseconds = |time: std::time::Duration| time.as_nanos() as f64;
        let measure = format!("packet hook, {} (above an empty program)", cost.path);
        let subject = format!("{} learned", cost.learned);
        table.add(&measure, "ns", &subject, nanoseconds(cost.above_nothing()));
    }
    Ok(())
}
