//! Native blocks that cover the machine itself, for workloads that share its network: `0.0.0.0/0` is written by people who
//! think of the internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use policy_model::{Action, Block, Peer, Peers, Policy, Scope, Subject};

use crate::codes;
use crate::decode::Findings;

const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// Says which blocks of a policy reach the services of the machine.
pub(super) fn lint(policy: &Policy, findings: &mut Findings) {
    if !is_native(policy) || !may_select_a_command(&policy.subject) {
        return;
    }
    for rule in &policy.rules {
        let Peers::Of(peers) = &rule.peers else {
            continue;
        };
        if rule.action != Action::Allow || rule.closed.is_some() {
            continue;
        }
        for peer in peers {
            if let Peer::Block(block) = peer
                && covers_the_host(block)
            {
                findings.report_origin(
                    codes::COVERS_HOST,
                    rule.origin.clone(),
                    format!(
                        "`{}` covers loopback and the machine's own addresses, which a command of `egret run` shares",
                        block.net
                    ),
                    "write `scope: outside` beside it, or `entity: world`, for the internet alone",
                );
            }
        }
    }
}

fn is_native(policy: &Policy) -> bool {
    ["EgressPolicy", "ClusterEgressPolicy"].contains(&&*policy.id.kind)
}

/// Not one of pods: those have a loopback of their own.
fn may_select_a_command(subject: &Subject) -> bool {
    match subject {
        Subject::All | Subject::Plain(_) => true,
        Subject::Kubernetes(subject) => {
            subject.namespaces.is_none()
                && subject.pods.is_none()
                && subject.service_accounts.is_empty()
                && subject.nodes.is_none()
        }
        Subject::Endpoints(_)
        | Subject::Addressed(_)
        | Subject::HostEndpoint(_)
        | Subject::Nodes(_) => false,
    }
}

/// Whether a block is wider than loopback, and has it inside.
fn covers_the_host(block: &Block) -> bool {
    let Block { net, except, scope } = block;
    let wider = match net {
        IpNet::V4(net) => net.prefix_len() < 8,
        IpNet::V6(net) => net.prefix_len() < 128,
    };
    let inside = |ip: &IpAddr| net.contains(ip) && !except.iter().any(|except| except.contains(ip));
    *scope == Scope::Any && wider && LOOPBACK.iter().any(inside)
}
