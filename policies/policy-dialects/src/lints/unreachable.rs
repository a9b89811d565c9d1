//! Rules that no flow gets to, because rules before them in the same object decide first.
//!
//! Only what follows from the text is told: a rule is covered by one other rule, peer by peer and port by port. Rules that do
//! more than decide (names, which may be asked; presets and whole metadata addresses, which open a guard) are never called
//! unreachable.

use policy_model::{
    Action, Block, LabelSelector, METADATA_ADDRESSES, NamedPorts, Peer, Peers, PodPeer, Policy,
    Ports, Rule, Scope,
};

use crate::codes;
use crate::decode::Findings;

/// LIMIT: each rule is held against those before it; longer objects are not looked through.
const MOST: usize = 1_000;

/// Looks through the policies of one object, in the order in which they are walked.
pub(super) fn lint(policies: &[Policy], findings: &mut Findings) {
    let rules: Vec<(&Policy, &Rule)> = policies
        .iter()
        .flat_map(|policy| policy.rules.iter().map(move |rule| (policy, rule)))
        .collect();
    if rules.len() > MOST {
        return;
    }
    for (at, (policy, rule)) in rules.iter().enumerate() {
        let before = rules[..at]
            .iter()
            .find(|(other, earlier)| is_before(other, earlier, policy) && covers(earlier, rule));
        let Some((_, earlier)) = before else {
            continue;
        };
        let place = &earlier.origin;
        if earlier.action == rule.action {
            findings.report_origin(
                codes::UNREACHABLE_RULE,
                rule.origin.clone(),
                format!("the rule at {place} already says this, so this one has no effect"),
                "leave one of them out",
            );
        } else {
            findings.report_origin(
                codes::SHADOWED_RULE,
                rule.origin.clone(),
                format!(
                    "no flow gets here: the rule at {place} is before it, and its {} decides",
                    earlier.action.as_str()
                ),
                "put the narrower rule first, or leave one of them out",
            );
        }
    }
}

/// Whether what `earlier` decides never comes to `policy`. A Pass only leaves its own tier.
fn is_before(other: &Policy, earlier: &Rule, policy: &Policy) -> bool {
    let same_tier = other.tier.is_same_tier(&policy.tier);
    let tier_before = (other.tier.band, other.tier.order) < (policy.tier.band, policy.tier.order);
    other.subject == policy.subject
        && other.standing == policy.standing
        && match earlier.action {
            Action::Allow | Action::Deny => {
                tier_before || same_tier && other.order <= policy.order && other.tie <= policy.tie
            }
            Action::Pass => std::ptr::eq(other, policy),
            Action::Log => false,
        }
}

fn covers(earlier: &Rule, later: &Rule) -> bool {
    let plain = |rule: &Rule| {
        rule.closed.is_none()
            && rule.sni.is_none()
            && rule.http.is_empty()
            && rule.questions.is_none()
            && rule.named_ports == NamedPorts::default()
            && rule.action != Action::Log
    };
    let (Peers::Of(earlier_peers), Peers::Of(later_peers)) = (&earlier.peers, &later.peers) else {
        return match (&earlier.peers, &later.peers) {
            // Guarded flows pass an Allow by breadth, so only a Deny or a Pass is as wide as it says.
            (Peers::Any, Peers::Of(peers)) => {
                plain(earlier)
                    && plain(later)
                    && earlier.action != Action::Allow
                    && !peers.is_empty()
                    && peers.iter().all(|peer| !does_more(peer))
                    && covers_ports(&earlier.ports, &later.ports)
            }
            (Peers::Any, Peers::Any) => {
                earlier.index != later.index
                    && (earlier.action != Action::Allow || later.action == Action::Allow)
                    && plain(earlier)
                    && plain(later)
                    && covers_ports(&earlier.ports, &later.ports)
            }
            (Peers::Of(_), Peers::Any | Peers::Of(_)) => false,
        };
    };
    let later_action = later.action;
    earlier.index != later.index
        && plain(earlier)
        && plain(later)
        && covers_ports(&earlier.ports, &later.ports)
        && !later_peers.is_empty()
        && later_peers.iter().all(|later| {
            !does_more(later)
                && earlier_peers.iter().any(|peer| {
                    names_addresses(peer, earlier, later_action) && covers_peer(peer, later)
                })
        })
}

/// Whether a peer does more than match addresses.
fn does_more(peer: &Peer) -> bool {
    match peer {
        Peer::Fqdn(_) | Peer::Metadata(_) | Peer::Set(_) => true,
        Peer::Block(block) => METADATA_ADDRESSES
            .iter()
            .any(|address| block.net.contains(address)),
        Peer::Entity(_)
        | Peer::Pods(_)
        | Peer::Nodes(_)
        | Peer::Service(_)
        | Peer::Endpoints(_) => false,
    }
}

/// Guarded flows pass an Allow by breadth on to a rule of another action; only a block that names addresses stops them.
fn names_addresses(peer: &Peer, earlier: &Rule, later: Action) -> bool {
    earlier.action != Action::Allow
        || later == Action::Allow
        || matches!(peer, Peer::Block(block) if block.net.prefix_len() > 0)
}

fn covers_peer(earlier: &Peer, later: &Peer) -> bool {
    match (earlier, later) {
        (Peer::Block(earlier), Peer::Block(later)) => covers_block(earlier, later),
        (Peer::Pods(earlier), Peer::Pods(later)) => covers_pods(earlier, later),
        _ => earlier == later,
    }
}

fn covers_pods(earlier: &PodPeer, later: &PodPeer) -> bool {
    let namespaces = match (&earlier.namespaces, &later.namespaces) {
        (Some(earlier), Some(later)) => covers_labels(earlier, later),
        // A namespace by its name alone has the labels it has.
        (Some(earlier), None) => earlier.is_empty(),
        (None, None) => earlier.namespace == later.namespace,
        (None, Some(_)) => false,
    };
    let mut accounts = later.service_accounts.iter();
    let accounts = earlier.service_accounts.is_empty()
        || !later.service_accounts.is_empty()
            && accounts.all(|account| earlier.service_accounts.contains(account));
    namespaces && accounts && covers_labels(&earlier.pods, &later.pods)
}

/// Whether each requirement is one of the other's too: who has more requirements selects no others.
fn covers_labels(earlier: &LabelSelector, later: &LabelSelector) -> bool {
    let mut labels = earlier.match_labels.iter();
    let mut expressions = earlier.match_expressions.iter();
    labels.all(|(key, value)| later.match_labels.get(key) == Some(value))
        && expressions.all(|expression| later.match_expressions.contains(expression))
}

fn covers_block(earlier: &Block, later: &Block) -> bool {
    let scope = earlier.scope == Scope::Any || later.scope == Scope::Outside;
    scope
        // A block of length zero does not name an address, which guards ask for.
        && (earlier.net.prefix_len() > 0 || later.net.prefix_len() == 0)
        && earlier.net.contains(&later.net)
        && earlier.except.iter().all(|except| {
            let apart = !except.contains(&later.net) && !later.net.contains(except);
            apart || later.except.iter().any(|other| other.contains(except))
        })
}

fn covers_ports(earlier: &Ports, later: &Ports) -> bool {
    match (earlier, later) {
        (Ports::Any, _) => true,
        (Ports::Only(earlier), Ports::Only(later)) => {
            !later.is_empty()
                && later.iter().all(|later| {
                    earlier.iter().any(|earlier| {
                        earlier.protocol == later.protocol
                            && earlier.first <= later.first
                            && earlier.last >= later.last
                    })
                })
        }
        (Ports::AllBut(earlier), Ports::AllBut(later)) => earlier == later,
        (Ports::Only(_) | Ports::AllBut(_), Ports::Any | Ports::Only(_) | Ports::AllBut(_)) => {
            false
        }
    }
}
