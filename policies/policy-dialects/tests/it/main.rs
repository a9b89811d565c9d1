//! What the dialects read, held against facts and against hostile text.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test reads the data beside the clone and says what it skipped"
)]

mod calico;
mod calico_facts;
mod calico_traps;
mod calico_validation;
mod cilium;
mod cilium_cluster;
mod cilium_facts;
mod cluster_network_policy;
mod convert;
mod examples;
mod hostile_text;
mod lint_sets;
mod lints;
mod native;
mod native_peers;
mod network_policy;
mod support;
mod upstream_examples;
mod world;
