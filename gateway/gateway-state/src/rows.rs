//! From the engine's words to the kernel's.

use std::time::Duration;

use ebpf_abi::plan::{LearnedStep, ListId as KernelListId, PortRule, Prefix};
use ebpf_abi::{PortRow, Style, Verdict as KernelVerdict};
use ipnet::IpNet;
use policy_engine::{PortList, Step, Verdict};
use policy_model::DenyStyle;

/// The rows of a port list. `first_reason` is the kernel's number of the ruleset's reason 0.
pub(crate) fn port_rules(list: &PortList, first_reason: u32) -> Vec<PortRule> {
    list.rows()
        .iter()
        .map(|row| PortRule {
            protocol: row.protocol.map(|protocol| protocol.0),
            port: row.port,
            port_bits: row.prefix_len,
            ruling: PortRow {
                verdict: verdict(row.verdict.verdict) as u8,
                would: verdict(row.verdict.would) as u8,
                style: style(row.verdict.style) as u8,
                reserved: 0,
                reason: first_reason.saturating_add(row.verdict.reason.0),
            },
        })
        .collect()
}

/// A prefix as the kernel's plan has it.
pub(crate) fn prefix(net: &IpNet) -> Prefix {
    Prefix {
        address: net.addr(),
        len: net.prefix_len(),
    }
}

/// A step, its list in the kernel's number.
pub(crate) fn learned_step(step: &Step, list: KernelListId) -> LearnedStep {
    LearnedStep {
        expires_at: nanoseconds(step.expires_at),
        list,
    }
}

/// Nanoseconds since boot. 0 marks an unused step in the kernel, so the least is 1.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}

const fn verdict(verdict: Verdict) -> KernelVerdict {
    match verdict {
        Verdict::Allow => KernelVerdict::Allow,
        Verdict::Deny => KernelVerdict::Deny,
    }
}

const fn style(style: DenyStyle) -> Style {
    match style {
        DenyStyle::Reject => Style::Reject,
        DenyStyle::Drop => Style::Drop,
    }
}
