//! Guarded addresses: which a policy opens, and which it covers and does not open.

use ipnet::IpNet;
use policy_model::{Action, Band, METADATA_ADDRESSES, Peer, Peers, Policy, Rule};

use crate::codes;
use crate::decode::Findings;

/// Blocks shorter than this are "the internet"; that they cover a guarded address surprises nobody.
const SHORTEST: u8 = 8;

/// Says which guarded addresses a policy opens, and which it covers and does not open.
pub(super) fn lint(policy: &Policy, findings: &mut Findings) {
    for rule in &policy.rules {
        let Peers::Of(peers) = &rule.peers else {
            continue;
        };
        if rule.action != Action::Allow || rule.closed.is_some() {
            continue;
        }
        for peer in peers {
            match peer {
                Peer::Metadata(preset) => opens(rule, &format!("`{}`", preset.as_str()), findings),
                Peer::Block(block) => guarded_block(policy, rule, block.net, findings),
                Peer::Fqdn(_)
                | Peer::Entity(_)
                | Peer::Pods(_)
                | Peer::Nodes(_)
                | Peer::Service(_)
                | Peer::Endpoints(_)
                | Peer::Set(_) => {}
            }
        }
    }
}

fn guarded_block(policy: &Policy, rule: &Rule, net: IpNet, findings: &mut Findings) {
    let Some(address) = METADATA_ADDRESSES
        .iter()
        .find(|address| net.contains(*address))
    else {
        return;
    };
    let whole = net.prefix_len() == net.max_prefix_len();
    if whole && policy.tier.band == Band::Admin {
        opens(rule, &format!("`{address}`"), findings);
    } else if net.prefix_len() >= SHORTEST {
        findings.report_origin(
            codes::GUARD_STAYS_CLOSED,
            rule.origin.clone(),
            format!("`{net}` covers the metadata address {address}, which stays closed"),
            "a guarded address is opened by `metadata:`, or by an admin rule that names it with its whole length",
        );
    }
}

fn opens(rule: &Rule, what: &str, findings: &mut Findings) {
    findings.report_origin(
        codes::ALLOW_OPENS_GUARD,
        rule.origin.clone(),
        format!("this rule opens the metadata service {what}"),
        "whoever reaches a metadata service can take the machine's identity; keep the subject narrow",
    );
}
