//! Prints what each path through the packet hook costs on this machine. Needs root.
#![expect(clippy::print_stdout, reason = "its only purpose")]

fn main() -> Result<(), ebpf_loader::bench::BenchError> {
    println!(
        "{:<30} {:>9} {:>8} {:>8} {:>8}",
        "path", "learned", "ns", "empty", "above"
    );
    for cost in ebpf_loader::bench::egress_costs(&[1, 1_000, 100_000])? {
        let [run, nothing, above] =
            [cost.run, cost.nothing, cost.above_nothing()].map(|time| time.as_nanos());
        println!(
            "{:<30} {:>9} {run:>8} {nothing:>8} {above:>8}",
            cost.path, cost.learned
        );
    }
    Ok(())
}
