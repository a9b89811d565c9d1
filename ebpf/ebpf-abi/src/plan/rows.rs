//! From what people mean to keys and rows.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::{LearnedStep, ListId, PlanError, PortRule, Prefix, RulesetId, WorkloadId};
use crate::address::{Address, MAPPED_BITS, from_ip};
use crate::learned::{LearnedRow, MAX_STEPS, Step};
use crate::ports::{PROBE_PROTOCOL, PortKey, PortRow, Verdict};
use crate::slot::{SlotKey, SlotOrigin};

/// A list's rows, its default, and the row that says whether it opens anything.
pub(super) fn port_rows(
    list: ListId,
    rules: &[PortRule],
) -> Result<Vec<(PortKey, PortRow)>, PlanError> {
    let mut default = None;
    let mut rows = Vec::with_capacity(rules.len() + 1);
    for rule in rules {
        let PortRule {
            protocol,
            port,
            port_bits,
            ruling,
        } = *rule;
        let Some(protocol) = protocol else {
            if default.replace(ruling).is_some() {
                return Err(PlanError::ListWithoutDefault { list });
            }
            rows.push((PortKey::default_row(list.0), ruling));
            continue;
        };
        if port_bits > 16 || protocol == PROBE_PROTOCOL {
            return Err(PlanError::PortRow {
                list,
                protocol: Some(protocol),
                port_bits,
            });
        }
        let mask = u16::MAX.checked_shl(16 - u32::from(port_bits)).unwrap_or(0);
        rows.push((
            PortKey::row(list.0, protocol, port & mask, u32::from(port_bits)),
            ruling,
        ));
    }
    let Some(default) = default else {
        return Err(PlanError::ListWithoutDefault { list });
    };
    let opens = |pick: fn(&PortRow) -> u8| {
        let any = rules
            .iter()
            .any(|rule| Verdict::from_byte(pick(&rule.ruling)) == Verdict::Allow);
        if any {
            Verdict::Allow as u8
        } else {
            Verdict::Deny as u8
        }
    };
    let probe = PortRow {
        verdict: opens(|row| row.verdict),
        would: opens(|row| row.would),
        ..default
    };
    rows.push((PortKey::row(list.0, PROBE_PROTOCOL, 0, 0), probe));
    Ok(rows)
}

/// Length and address as the table has them, host bits cleared.
pub(super) fn table_prefix(prefix: &Prefix) -> Result<(u32, Address), PlanError> {
    let (max, shift) = match prefix.address {
        IpAddr::V4(_) => (32, MAPPED_BITS),
        IpAddr::V6(_) => (128, 0),
    };
    let len = u32::from(prefix.len);
    if len > max {
        return Err(PlanError::PrefixTooLong { prefix: *prefix });
    }
    let len = len + shift;
    let mask = u128::MAX.checked_shl(128 - len).unwrap_or(0);
    let bits = u128::from_be_bytes(from_ip(prefix.address)) & mask;
    Ok((len, bits.to_be_bytes()))
}

pub(super) fn learned_row(
    ruleset: RulesetId,
    address: IpAddr,
    lease: u32,
    steps: &[LearnedStep],
) -> Result<LearnedRow, PlanError> {
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return Err(PlanError::Steps {
            address,
            count: steps.len(),
        });
    }
    let mut row = LearnedRow {
        address: from_ip(address),
        ruleset: ruleset.0,
        lease,
        ..LearnedRow::default()
    };
    let mut before = 0;
    for (place, step) in row.steps.iter_mut().zip(steps) {
        if step.expires_at <= before {
            return Err(PlanError::StepOrder { address });
        }
        before = step.expires_at;
        *place = Step {
            expires_at: step.expires_at,
            list: step.list.0,
            reserved: 0,
        };
    }
    Ok(row)
}

pub(super) fn slot_rows(workload: WorkloadId, server: SocketAddr) -> (SlotKey, SlotOrigin) {
    let address = from_ip(server.ip());
    let key = SlotKey {
        workload: workload.0,
        address,
        port: server.port(),
        reserved: [0; 6],
    };
    let origin = SlotOrigin {
        workload: workload.0,
        address,
        port: server.port(),
        reserved: [0; 6],
    };
    (key, origin)
}
