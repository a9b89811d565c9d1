//! The state machine that joins rulesets, leases and workloads.
